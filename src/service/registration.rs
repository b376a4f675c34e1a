//! Who else starts the agent: every unit and every launchd agent of ccotel's that this machine has.

use std::fs;
use std::path::{Path, PathBuf};

use super::launchd::LABEL;
use super::systemd::{SERVICE, SOCKET};

/// Larger ones are none of ours.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A file that has a service manager start the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// `systemd`, `launchd` or `brew services`.
    pub owner: &'static str,
    pub file: PathBuf,
    /// What it runs; a socket unit runs nothing itself.
    pub program: Option<PathBuf>,
    /// It starts with the session; a unit that a package ships does not until somebody enables it.
    pub enabled: bool,
    /// For every user of the machine.
    pub system: bool,
}

impl Registration {
    /// What it runs is gone.
    pub fn is_stale(&self) -> bool {
        self.program.as_ref().is_some_and(|program| !program.exists())
    }

    /// Who would end it, by which command.
    pub fn end(&self) -> String {
        match (self.owner, self.system) {
            ("brew services", _) => "brew services stop ccotel".to_owned(),
            (_, false) => "ccotel service uninstall".to_owned(),
            ("launchd", true) => format!("sudo rm {}", self.file.display()),
            (_, true) => {
                let unit = self.file.file_name().unwrap_or_default().to_string_lossy();
                format!("sudo systemctl --global disable {unit}")
            }
        }
    }
}

/// A registration that is not in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub what: String,
    /// The command that puts it right.
    pub mends: String,
    /// What that does: `mends it`, `ends the second`.
    does: &'static str,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}; `{}` {}", self.what, self.mends, self.does)
    }
}

/// Those that run what is gone, and those that are one too many.
pub fn problems(found: &[Registration]) -> Vec<Problem> {
    let enabled: Vec<_> = found.iter().filter(|it| it.enabled).collect();
    let mut problems: Vec<Problem> = enabled
        .iter()
        .filter(|it| it.is_stale())
        .map(|it| {
            let program = it.program.as_deref().unwrap_or(Path::new("")).display();
            let mends = match it.owner {
                "brew services" => "brew services restart ccotel",
                _ => "ccotel service install",
            };
            Problem {
                what: format!("{} runs {program}, which is gone", it.file.display()),
                mends: mends.to_owned(),
                does: "mends it",
            }
        })
        .collect();
    let owners: Vec<_> = enabled.iter().filter(|it| it.program.is_some()).collect();
    if let [first, others @ ..] = owners.as_slice() {
        problems.extend(others.iter().map(|other| Problem {
            what: format!(
                "{} starts the agent, and so does {}",
                first.file.display(),
                other.file.display()
            ),
            mends: other.end(),
            does: "ends the second",
        }));
    }
    problems
}

/// All of them, a user's own first. `root` is `/`.
pub fn all(home: &Path, config_home: &Path, root: &Path) -> Vec<Registration> {
    let mut found = systemd(config_home, root);
    found.extend(launchd(home, root));
    found
}

fn systemd(config_home: &Path, root: &Path) -> Vec<Registration> {
    let own = config_home.join("systemd/user");
    let everybody = root.join("etc/systemd/user");
    let packaged = ["usr/lib/systemd/user", "usr/local/lib/systemd/user"].map(|it| root.join(it));
    let enabled = |unit: &str| {
        [&own, &everybody].iter().any(|directory| {
            ["default.target.wants", "sockets.target.wants"]
                .iter()
                .any(|wants| directory.join(wants).join(unit).symlink_metadata().is_ok())
        })
    };
    let mut found = Vec::new();
    for (unit, owner) in
        [(SERVICE, "systemd"), (SOCKET, "systemd"), ("homebrew.ccotel.service", "brew services")]
    {
        // The first one hides those after it, as systemd reads them.
        let places = [&own, &everybody].into_iter().chain(&packaged);
        let Some(file) = places.map(|it| it.join(unit)).find(|file| file.is_file()) else {
            continue;
        };
        let program = text(&file).and_then(|text| program_of_unit(&text));
        let enabled = enabled(unit);
        let system = enabled
            && !own.join("default.target.wants").join(unit).exists()
            && !file.starts_with(&own)
            && everybody.join("default.target.wants").join(unit).symlink_metadata().is_ok();
        found.push(Registration { owner, file, program, enabled, system });
    }
    found
}

fn launchd(home: &Path, root: &Path) -> Vec<Registration> {
    let places = [
        (home.join("Library/LaunchAgents"), false),
        (root.join("Library/LaunchAgents"), true),
        (root.join("Library/LaunchDaemons"), true),
    ];
    let names = [(LABEL, "launchd"), ("homebrew.mxcl.ccotel", "brew services")];
    let mut found = Vec::new();
    for (directory, system) in places {
        for (label, owner) in names {
            let file = directory.join(format!("{label}.plist"));
            if let Some(text) = text(&file) {
                let program = program_of_plist(&text);
                found.push(Registration { owner, file, program, enabled: true, system });
            }
        }
    }
    found
}

fn text(file: &Path) -> Option<String> {
    let is_small = |it: &fs::Metadata| it.is_file() && it.len() <= FILE_BYTES_MAX;
    if file.metadata().is_ok_and(|metadata| is_small(&metadata)) {
        return fs::read_to_string(file).ok();
    }
    None
}

/// The first word of `ExecStart=`.
fn program_of_unit(text: &str) -> Option<PathBuf> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("ExecStart="))?;
    let line = line.trim_start_matches(['-', '@', ':', '+', '!']);
    let word = match line.strip_prefix('"') {
        Some(quoted) => {
            let end = quoted.match_indices('"').find(|(at, _)| !quoted[..*at].ends_with('\\'))?.0;
            quoted[..end].replace("\\\"", "\"").replace("\\\\", "\\")
        }
        None => line.split_whitespace().next()?.to_owned(),
    };
    Some(PathBuf::from(word.replace("%%", "%")))
}

/// The first string of `ProgramArguments`.
fn program_of_plist(text: &str) -> Option<PathBuf> {
    let (_, arguments) = text.split_once("<key>ProgramArguments</key>")?;
    let (_, first) = arguments.split_once("<string>")?;
    let (word, _) = first.split_once("</string>")?;
    let word = word.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    Some(PathBuf::from(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: &Path, text: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn every_owner_is_found_and_named() {
        let root = tempfile::tempdir().unwrap();
        let at = |below: &str| root.path().join(below);
        let unit = "[Service]\nExecStart=/nowhere/ccotel agent run\n";
        write(&at(&format!("usr/lib/systemd/user/{SERVICE}")), unit);
        write(&at("home/.config/systemd/user/homebrew.ccotel.service"), unit);
        write(&at("home/.config/systemd/user/default.target.wants/homebrew.ccotel.service"), unit);
        write(
            &at("home/Library/LaunchAgents/homebrew.mxcl.ccotel.plist"),
            "<key>ProgramArguments</key><array><string>/opt/a &amp; b/ccotel</string></array>",
        );
        let found = all(&at("home"), &at("home/.config"), root.path());
        let named: Vec<_> = found.iter().map(|it| (it.owner, it.enabled, it.is_stale())).collect();
        assert_eq!(
            named,
            [
                ("systemd", false, true),
                ("brew services", true, true),
                ("brew services", true, true)
            ]
        );
        assert_eq!(found[2].program.as_deref(), Some(Path::new("/opt/a & b/ccotel")));
        assert_eq!(found[1].end(), "brew services stop ccotel");
    }

    #[test]
    fn a_units_program_is_read_as_it_is_written() {
        let of = |line: &str| program_of_unit(&format!("[Service]\nExecStart={line}\n"));
        let is = |path: &str| Some(PathBuf::from(path));
        assert_eq!(of("/usr/bin/ccotel agent run"), is("/usr/bin/ccotel"));
        assert_eq!(
            of("-\"/opt/my \\\"x\\\"/100%%/ccotel\" agent"),
            is("/opt/my \"x\"/100%/ccotel")
        );
    }
}
