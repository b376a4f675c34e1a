//! What can be told from Claude Code's arguments, without owning their grammar.
//!
//! Measured on Claude Code 2.1.329: options in front are accepted by sessions and by most commands,
//! but `remote-control` refuses to start with `--settings` in front, and programs that Claude Code
//! starts of itself (`--bg-spare …`), `daemon`, `logs`, `attach`, `--update` and so on are only
//! recognised as the very first argument: put anything before them and they become a prompt.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

/// How much of a launch is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// No session comes of it: nothing is changed.
    Untouched,
    /// A session may come of it, but there is no place for `--settings`.
    Environment,
    /// A session: `--settings` goes in at this index, unless there is one already.
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

/// The value of the user's own `--settings`: inline JSON or a file's name. Of several the last one:
/// so does Claude Code.
pub fn user_settings(arguments: &[OsString]) -> Option<&OsStr> {
    settings_options(arguments).last().map(|(_, value)| *value)
}

/// The arguments with our `file` in the place of every `--settings` of the user's, else at `at`.
///
/// None is taken out: an option that takes several values (`--allowedTools Bash --settings x hello`)
/// ends at the next option, and would swallow what follows.
pub fn with_settings(arguments: &[OsString], at: usize, file: &OsStr) -> Vec<OsString> {
    let ours = ["--settings".into(), file.to_owned()];
    let mut given = arguments.to_vec();
    let options = settings_options(arguments);
    if options.is_empty() {
        given.splice(at..at, ours);
        return given;
    }
    for (place, _) in options.into_iter().rev() {
        given.splice(place, ours.clone());
    }
    given
}

/// Every `--settings X` and `--settings=X` before `--`: where, and its value.
fn settings_options(arguments: &[OsString]) -> Vec<(Range<usize>, &OsStr)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(argument) = arguments.get(at).filter(|argument| *argument != "--") {
        let mut after = at + 1;
        if argument == "--settings" {
            // Claude Code has words for a missing value.
            if let Some(value) = arguments.get(after) {
                after += 1;
                found.push((at..after, value.as_os_str()));
            }
        } else if let Some(value) = argument.as_bytes().strip_prefix(b"--settings=") {
            found.push((at..after, OsStr::from_bytes(value)));
        }
        at = after;
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
    fn the_last_settings_win_and_keep_their_place() {
        for (line, value, expected) in [
            ("-p x", None, "--settings F -p x"),
            ("--settings a -p", Some("a"), "--settings F -p"),
            ("-p --settings=a x", Some("a"), "-p --settings F x"),
            ("--settings a --settings=b -p", Some("b"), "--settings F --settings F -p"),
            (
                "-p --allowedTools Bash --settings a hello",
                Some("a"),
                "-p --allowedTools Bash --settings F hello",
            ),
            (
                "--tools A --settings a x --tools B --settings b y",
                Some("b"),
                "--tools A --settings F x --tools B --settings F y",
            ),
            ("-p -- --settings a", None, "--settings F -p -- --settings a"),
            ("-p --settings", None, "--settings F -p --settings"),
            ("--settings= -p", Some(""), "--settings F -p"),
            ("--settingsx=1", None, "--settings F --settingsx=1"),
        ] {
            let arguments = words(line);
            assert_eq!(user_settings(&arguments), value.map(OsStr::new), "{line}");
            let given = with_settings(&arguments, 0, OsStr::new("F"));
            assert_eq!(given, words(expected), "{line}");
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
