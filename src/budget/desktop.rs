//! A notification on the desktop, where there is one.
//!
//! On Linux by `notify-send`, and only where a session bus is: a server, a container or a scheduled
//! job has none, and is left alone. On macOS by `osascript`. Both take the words as arguments, never
//! as a program, since a project's name is anybody's.

use std::ffi::OsString;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::standing::{Level, Standing};
use crate::subprocess;

/// A desktop that does not take it in this time is left alone.
const WAIT: Duration = Duration::from_secs(5);

const SCRIPT: [&str; 3] =
    ["on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run"];

/// The program that shows notifications here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desktop {
    program: PathBuf,
    script: bool,
}

impl Desktop {
    /// Of this process's session; `None` where there is none.
    pub fn find() -> Option<Self> {
        Self::find_with(&|name| std::env::var_os(name), cfg!(target_os = "macos"))
    }

    fn find_with(variable: &dyn Fn(&str) -> Option<OsString>, macos: bool) -> Option<Self> {
        if !macos && !has_session_bus(variable) {
            return None;
        }
        let name = if macos { "osascript" } else { "notify-send" };
        let path = variable("PATH")?;
        let program =
            std::env::split_paths(&path).map(|dir| dir.join(name)).find(|it| it.is_file());
        Some(Self { program: program?, script: macos })
    }

    /// Shows it and waits, at most [`WAIT`]. Why it was not shown, in words.
    pub fn show(&self, title: &str, text: &str) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        if self.script {
            command.args(SCRIPT.iter().flat_map(|line| ["-e", *line]));
        } else {
            command.arg("--app-name=ccotel").arg("--");
        }
        command.arg(title).arg(text);
        let shown = subprocess::output(command.process_group(0), WAIT);
        shown.map(drop).map_err(|error| format!("{}: {error}", self.program.display()))
    }
}

/// The bus of the session that somebody is logged in to.
fn has_session_bus(variable: &dyn Fn(&str) -> Option<OsString>) -> bool {
    if variable("DBUS_SESSION_BUS_ADDRESS").is_some_and(|address| !address.is_empty()) {
        return true;
    }
    let Some(directory) = variable("XDG_RUNTIME_DIR").filter(|it| !it.is_empty()) else {
        return false;
    };
    Path::new(&directory).join("bus").metadata().is_ok_and(|it| it.file_type().is_socket())
}

/// Title and text of a warning.
pub fn words(standing: &Standing) -> (String, String) {
    let title = match standing.level() {
        Level::Over => "Claude Code budget used up",
        Level::Fine | Level::Near => "Claude Code budget nearly used up",
    };
    let text = format!("{}: {}, at list price", standing.name(), standing.amounts());
    (title.to_owned(), text)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(directory: &Path, name: &str, script: &str) {
        let path = directory.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn without_a_session_bus_or_a_program_there_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().to_str().unwrap().to_owned();
        let find = |pairs: &[(&str, &str)]| {
            let map: HashMap<_, _> = pairs.iter().copied().collect();
            Desktop::find_with(&|name| map.get(name).map(OsString::from), false)
        };
        let bus = ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/x");
        assert_eq!(find(&[bus, ("PATH", &place)]), None);
        program(directory.path(), "notify-send", "exit 0");
        assert!(find(&[bus, ("PATH", &place)]).is_some());
        assert_eq!(find(&[("PATH", &place)]), None);
        assert_eq!(find(&[("DBUS_SESSION_BUS_ADDRESS", ""), ("PATH", &place)]), None);
        let runtime = [("XDG_RUNTIME_DIR", place.as_str()), ("PATH", &place)];
        assert_eq!(find(&runtime), None);
        std::fs::write(directory.path().join("bus"), "a file is no bus").unwrap();
        assert_eq!(find(&runtime), None);
        std::fs::remove_file(directory.path().join("bus")).unwrap();
        let _bus = std::os::unix::net::UnixListener::bind(directory.path().join("bus")).unwrap();
        assert!(find(&runtime).is_some());
    }

    #[test]
    fn words_are_arguments_and_a_failure_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let said = directory.path().join("said");
        program(directory.path(), "good", &format!("printf '%s|' \"$@\" > '{}'", said.display()));
        program(directory.path(), "bad", "exit 3");
        let desktop = |name| Desktop { program: directory.path().join(name), script: false };
        desktop("good").show("title", "$(touch x) of `y` \"z\"").unwrap();
        let said = std::fs::read_to_string(said).unwrap();
        assert_eq!(said, "--app-name=ccotel|--|title|$(touch x) of `y` \"z\"|");
        assert!(desktop("bad").show("a", "b").unwrap_err().contains("ended with"));
        assert!(desktop("gone").show("a", "b").unwrap_err().contains("cannot be started"));
    }
}
