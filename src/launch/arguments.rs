//! What can be told from Claude Code's arguments, without owning their grammar.
//!
//! Measured on Claude Code 2.1.329: options in front are accepted by sessions and by most commands,
//! but `remote-control` refuses to start with `--settings` in front, and programs that Claude Code
//! starts of itself (`--bg-spare …`), `daemon`, `logs`, `attach`, `--update` and so on are only
//! recognised as the very first argument: put anything before them and they become a prompt.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// How much of a launch is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// No session comes of it: nothing is changed.
    Untouched,
    /// A session may come of it, but there is no place for `--settings`.
    Environment,
    /// A session: `--settings` goes in at this index.
    Settings { at: usize },
}

/// These never start a session, or (`gateway`) have telemetry of their own.
const NO_SESSION: &[&str] = &[
    "--help",
    "--update",
    "--upgrade",
    "--version",
    "-V",
    "-h",
    "-v",
    "auth",
    "auto-mode",
    "config",
    "doctor",
    "gateway",
    "import",
    "install",
    "kill",
    "logs",
    "migrate-installer",
    "plugin",
    "plugins",
    "project",
    "purge",
    "rm",
    "setup-token",
    "stop",
    "update",
    "upgrade",
];

/// These start or carry sessions and cannot have an option in front.
const FIRST_ARGUMENT_ONLY: &[&str] = &[
    "--bg-pty-host",
    "--bg-spare",
    "--chrome-native-host",
    "--claude-in-chrome-mcp",
    "--computer-use-mcp",
    "--daemon-worker",
    "--eval-mock-server",
    "--preload",
    "attach",
    "bridge",
    "daemon",
    "environment-runner",
    "mcp",
    "rc",
    "remote",
    "remote-control",
    "respawn",
    "sandbox",
    "self-hosted-runner",
    "sync",
    "ultrareview",
];

/// What is to be done with a launch, by its first argument.
pub fn plan(arguments: &[OsString]) -> Plan {
    let first = arguments.first().and_then(|first| first.to_str()).unwrap_or_default();
    if NO_SESSION.contains(&first) {
        Plan::Untouched
    } else if FIRST_ARGUMENT_ONLY.contains(&first) {
        Plan::Environment
    } else if first == "agents" {
        // Its sessions get the `--settings` that follows the word.
        Plan::Settings { at: 1 }
    } else {
        Plan::Settings { at: 0 }
    }
}

/// The user's own `--settings`, and the arguments without it.
#[derive(Debug, PartialEq, Eq)]
pub struct UserSettings {
    /// Inline JSON or a file's name. Of several the last one: so does Claude Code.
    pub value: Option<OsString>,
    pub others: Vec<OsString>,
}

/// Takes every `--settings X` and `--settings=X` before `--` out.
pub fn user_settings(arguments: &[OsString]) -> UserSettings {
    let mut found = UserSettings { value: None, others: Vec::with_capacity(arguments.len()) };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            found.others.push(argument.clone());
            found.others.extend(rest.cloned());
            break;
        }
        if argument == "--settings" {
            match rest.next() {
                Some(value) => found.value = Some(value.clone()),
                // Claude Code has words for a missing value.
                None => found.others.push(argument.clone()),
            }
        } else if let Some(value) = argument.as_bytes().strip_prefix(b"--settings=") {
            found.value = Some(OsStr::from_bytes(value).to_owned());
        } else {
            found.others.push(argument.clone());
        }
    }
    found
}

/// The value of an option before `--`, in either form; the last one.
pub fn option<'a>(arguments: &'a [OsString], name: &str) -> Option<&'a OsStr> {
    let mut found = None;
    let mut rest = arguments.iter().take_while(|argument| *argument != "--").peekable();
    while let Some(argument) = rest.next() {
        if argument.as_os_str() == name {
            found = rest.peek().map(|value| value.as_os_str());
        } else if let Some(value) = argument
            .as_bytes()
            .strip_prefix(name.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="))
        {
            found = Some(OsStr::from_bytes(value));
        }
    }
    found
}

/// Whether a program reads the output: then nothing of ours is printed.
pub fn is_for_a_machine(arguments: &[OsString]) -> bool {
    ["--output-format", "--input-format"].iter().any(|name| {
        option(arguments, name).is_some_and(|format| format == "json" || format == "stream-json")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect()
    }

    #[test]
    fn the_first_argument_decides() {
        for (line, expected) in [
            ("", Plan::Settings { at: 0 }),
            ("-p hello", Plan::Settings { at: 0 }),
            ("--resume x", Plan::Settings { at: 0 }),
            ("-p --version", Plan::Settings { at: 0 }),
            ("-- doctor", Plan::Settings { at: 0 }),
            ("agents --cwd .", Plan::Settings { at: 1 }),
            ("doctor", Plan::Untouched),
            ("--version", Plan::Untouched),
            ("mcp serve", Plan::Environment),
            ("remote-control", Plan::Environment),
            ("--bg-spare x", Plan::Environment),
        ] {
            assert_eq!(plan(&words(line)), expected, "{line}");
        }
    }

    #[test]
    fn the_last_settings_win_and_a_double_dash_ends_them() {
        for (line, value, others) in [
            ("-p x", None, "-p x"),
            ("--settings a -p", Some("a"), "-p"),
            ("--settings=a -p", Some("a"), "-p"),
            ("--settings a --settings=b -p", Some("b"), "-p"),
            ("-p -- --settings a", None, "-p -- --settings a"),
            ("-p --settings", None, "-p --settings"),
            ("--settings= -p", Some(""), "-p"),
            ("--settingsx=1", None, "--settingsx=1"),
        ] {
            let found = user_settings(&words(line));
            assert_eq!(found.value.as_deref(), value.map(OsStr::new), "{line}");
            assert_eq!(found.others, words(others), "{line}");
        }
    }

    #[test]
    fn a_programs_output_is_recognised() {
        assert!(is_for_a_machine(&words("-p --output-format stream-json")));
        assert!(is_for_a_machine(&words("-p x --output-format=json")));
        assert!(!is_for_a_machine(&words("-p x --output-format text")));
        assert!(!is_for_a_machine(&words("-- --output-format json")));
    }
}
