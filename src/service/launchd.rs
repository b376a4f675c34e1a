//! launchd's agent: `packaging/launchd`, with this user's paths.

use std::path::{Path, PathBuf};

use super::{Service, ServiceError, moved_directories, run};
use crate::setup::edit::{self, Wanted};
use crate::setup::journal::Journal;

pub const LABEL: &str = "ccotel.agent";
const TEXT: &str = include_str!("../../packaging/launchd/ccotel.agent.plist");
/// What the text names, to be replaced by this user's.
const PROGRAM: &str = "/usr/local/bin/ccotel";
const LOG: &str = "/tmp/ccotel-agent.log";
const VARIABLES: &str = "\t<dict>\n\t</dict>\n";

pub fn file(home: &Path) -> PathBuf {
    home.join(format!("Library/LaunchAgents/{LABEL}.plist"))
}

pub fn wanted(service: &Service<'_>) -> (PathBuf, Wanted) {
    (file(&service.paths.home), Wanted::Whole { text: text(service), mode: 0o644 })
}

pub fn install(service: &Service<'_>, journal: &mut Journal) -> Result<(), ServiceError> {
    let (file, wanted) = wanted(service);
    let planned = edit::plan(journal, &file, &wanted)?;
    let is_new = planned.is_some();
    if let Some(planned) = planned {
        planned.carry_out(journal)?;
    }
    journal.content.service = Some("launchd".to_owned());
    journal.save()?;
    let loaded = run("launchctl", &["print", &target()]).is_ok();
    if loaded && is_new {
        run("launchctl", &["bootout", &target()])?;
    }
    if !loaded || is_new {
        run("launchctl", &["bootstrap", &domain(), &file.to_string_lossy()])?;
    }
    Ok(())
}

pub fn uninstall(_home: &Path) -> Result<(), ServiceError> {
    match run("launchctl", &["bootout", &target()]) {
        // Not loaded: there is nothing to stop.
        Ok(()) | Err(ServiceError::Failed { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn domain() -> String {
    format!("gui/{}", rustix::process::getuid().as_raw())
}

fn target() -> String {
    format!("{}/{LABEL}", domain())
}

fn text(service: &Service<'_>) -> String {
    let pair = |(name, value): &(&str, String)| {
        format!("\t\t<key>{name}</key>\n\t\t<string>{}</string>\n", escaped(value))
    };
    let variables: Vec<_> = moved_directories(service.paths).iter().map(pair).collect();
    let variables = variables.concat();
    TEXT.replace(PROGRAM, &escaped(&service.program.to_string_lossy()))
        .replace(LOG, &escaped(&service.paths.agent_log().to_string_lossy()))
        .replace(VARIABLES, &format!("\t<dict>\n{variables}\t</dict>\n"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;

    #[test]
    fn a_users_paths_are_named() {
        for known in [PROGRAM, LOG, VARIABLES, LABEL] {
            assert!(TEXT.contains(known), "{known}");
        }
        let home = PathBuf::from("/Users/me");
        let paths = Paths {
            config_dir: "/Users/me/Q & A".into(),
            data_dir: home.join(".local/share/ccotel"),
            runtime_dir: home.join("run"),
            home,
        };
        let service = Service {
            paths: &paths,
            program: Path::new("/opt/homebrew/bin/ccotel"),
            config_home: "/Users/me/.config".into(),
            socket: false,
            address: "127.0.0.1:14318".parse().unwrap(),
        };
        insta::assert_snapshot!(text(&service));
    }
}
