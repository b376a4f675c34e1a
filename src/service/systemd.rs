//! systemd's user units: `packaging/systemd`, with this user's paths.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Service, ServiceError, moved_directories, run};
use crate::agent::files::at;
use crate::setup::edit::{self, Wanted};
use crate::setup::files::SetupError;
use crate::setup::journal::Journal;

pub const SERVICE: &str = "ccotel-agent.service";
pub const SOCKET: &str = "ccotel-agent.socket";

const SERVICE_TEXT: &str = include_str!("../../packaging/systemd/ccotel-agent.service");
const SOCKET_TEXT: &str = include_str!("../../packaging/systemd/ccotel-agent.socket");
/// What the texts name, to be replaced by this user's.
const PROGRAM: &str = "/usr/bin/ccotel";
const ADDRESS: &str = "127.0.0.1:14318";
const CONTROL: &str = "%t/ccotel/control.sock";

/// Where packages put units.
const PACKAGED: [&str; 3] =
    ["/usr/lib/systemd/user", "/lib/systemd/user", "/usr/local/lib/systemd/user"];

/// This user's own units.
pub fn directory(config_home: &Path) -> PathBuf {
    config_home.join("systemd/user")
}

/// The files to be written, and their texts: none that a package has installed already.
pub fn files(service: &Service<'_>) -> Vec<(PathBuf, Wanted)> {
    let mut wanted = vec![(SERVICE, service_text(service))];
    if service.socket {
        wanted.push((SOCKET, socket_text(service)));
    }
    wanted
        .into_iter()
        .filter(|(name, text)| !is_packaged(name, text))
        .map(|(name, text)| {
            let file = directory(&service.config_home).join(name);
            (file, Wanted::Whole { text, mode: 0o644 })
        })
        .collect()
}

pub fn install(service: &Service<'_>, journal: &mut Journal) -> Result<(), ServiceError> {
    for (file, wanted) in files(service) {
        if let Some(planned) = edit::plan(journal, &file, &wanted)? {
            planned.carry_out(journal)?;
        }
    }
    let (unit, target) =
        if service.socket { (SOCKET, "sockets.target") } else { (SERVICE, "default.target") };
    // systemd makes this directory, and does not remove it.
    journal.note_directory(&directory(&service.config_home).join(format!("{target}.wants")));
    journal.content.service = Some("systemd".to_owned());
    journal.save()?;
    run("systemctl", &["--user", "daemon-reload"])?;
    run("systemctl", &["--user", "enable", "--now", unit])
}

pub fn uninstall(config_home: &Path) -> Result<(), ServiceError> {
    let disabled = run("systemctl", &["--user", "disable", "--now", SOCKET, SERVICE]);
    // Without a manager to ask, nothing runs by it; what enables the units is these links.
    for target in ["default.target.wants", "sockets.target.wants"] {
        for unit in [SERVICE, SOCKET] {
            let link = directory(config_home).join(target).join(unit);
            if link.symlink_metadata().is_ok_and(|it| it.is_symlink()) {
                fs::remove_file(&link)
                    .map_err(|error| SetupError::from(at("remove", &link)(error)))?;
            }
        }
    }
    match disabled {
        // One of the two is not there, mostly.
        Err(ServiceError::Failed { .. }) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

/// After the unit files are gone.
pub fn forget() {
    let _ = run("systemctl", &["--user", "daemon-reload"]);
}

/// While `agent stop --stay` holds, a connection must not start it.
pub fn stop_socket() {
    let _ = run("systemctl", &["--user", "stop", SOCKET]);
}

fn service_text(service: &Service<'_>) -> String {
    let program = quoted(&service.program.to_string_lossy(), true);
    let mut text = SERVICE_TEXT.replace(PROGRAM, &program);
    for (name, value) in moved_directories(service.paths) {
        let line = format!("Environment={}", quoted(&format!("{name}={value}"), false));
        text = text.replace("[Service]\n", &format!("[Service]\n{line}\n"));
    }
    text
}

fn socket_text(service: &Service<'_>) -> String {
    let address = service.address.to_string();
    let text = SOCKET_TEXT.replace(ADDRESS, &address);
    let control = service.paths.control_socket();
    let of_the_session = std::env::var_os("XDG_RUNTIME_DIR")
        .is_some_and(|dir| control == Path::new(&dir).join("ccotel/control.sock"));
    if of_the_session {
        return text;
    }
    text.replace(CONTROL, &control.to_string_lossy().replace('%', "%%"))
}

/// As one word of a unit file; `$` is special only in commands.
fn quoted(text: &str, command: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    let text = if command { text.replace('$', "$$") } else { text };
    if text.contains(|letter: char| letter.is_whitespace() || letter == '\'') || text.contains('\\')
    {
        return format!("\"{text}\"");
    }
    text
}

fn is_packaged(name: &str, text: &str) -> bool {
    PACKAGED.iter().any(|directory| {
        fs::read_to_string(Path::new(directory).join(name)).is_ok_and(|packaged| packaged == text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;

    fn paths(home: &str) -> Paths {
        let home = PathBuf::from(home);
        Paths {
            config_dir: home.join(".config/ccotel"),
            data_dir: home.join(".local/share/ccotel"),
            runtime_dir: home.join("run"),
            home,
        }
    }

    fn service<'s>(paths: &'s Paths, program: &'s str) -> Service<'s> {
        Service {
            paths,
            program: Path::new(program),
            config_home: paths.home.join(".config"),
            socket: true,
            address: "127.0.0.1:40001".parse().unwrap(),
        }
    }

    #[test]
    fn the_shipped_text_is_the_text_for_usual_paths() {
        let paths = paths("/home/me");
        assert_eq!(service_text(&service(&paths, "/usr/bin/ccotel")), SERVICE_TEXT);
        for known in [PROGRAM, "[Service]\n"] {
            assert!(SERVICE_TEXT.contains(known));
        }
    }

    #[test]
    fn a_users_paths_are_named() {
        let mut paths = paths("/home/me");
        paths.data_dir = PathBuf::from("/data/100% \"mine\"");
        let service = service(&paths, "/opt/my apps/$x/ccotel");
        insta::assert_snapshot!(service_text(&service) + "\n----\n" + &socket_text(&service));
    }
}
