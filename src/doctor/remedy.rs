//! Commands that mend something, as they are pasted into a shell.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::Problem;
use crate::config::file::read_text;
use crate::config::limits::CONFIG_FILE_BYTES_MAX;
use crate::launch::layers::SETTINGS_FILE_BYTES_MAX;
use crate::setup::shell::Shell;

/// `ccotel ARGUMENTS`, by the path of this binary where another one, or none, would be found.
pub fn ours(arguments: &str) -> String {
    format!("{} {arguments}", program())
}

/// A command of ours, by this binary's path where it has to be.
pub fn of_ours(command: &str) -> String {
    command.strip_prefix("ccotel ").map_or_else(|| command.to_owned(), ours)
}

fn program() -> String {
    let Ok(own) = crate::agent::spawn::own_exe() else { return "ccotel".to_owned() };
    let identity = |path: &Path| path.metadata().ok().map(|it| (it.dev(), it.ino()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("ccotel")).find(|it| it.is_file());
    match found {
        Some(found) if identity(&found) == identity(&own) => "ccotel".to_owned(),
        _ => quoted(&own),
    }
}

pub fn quoted(path: &Path) -> String {
    Shell::Bash.quote_path(path)
}

pub fn quoted_word(word: &str) -> String {
    Shell::Bash.quote(word)
}

/// Replaces a piece of a file's text, on one line, and keeps the file as it was beside it.
/// `None` where that cannot be said safely.
pub fn replace(file: &Path, old: &str, new: &str) -> Option<String> {
    let plain = |text: &str| !text.contains(|it: char| it == '|' || it.is_control());
    if !plain(old) || !plain(new) || old.is_empty() {
        return None;
    }
    let pattern: String = old.chars().flat_map(|it| escaped(it, r"\.*[]^$")).collect();
    let text: String = new.chars().flat_map(|it| escaped(it, r"\&")).collect();
    let script = quoted_word(&format!("s|{pattern}|{text}|"));
    Some(format!("sed -i.bak {script} {}", quoted(file)))
}

fn escaped(letter: char, special: &str) -> impl Iterator<Item = char> {
    special.contains(letter).then_some('\\').into_iter().chain([letter])
}

/// Keys without which more would be sent or kept: to leave them out is no remedy.
const NARROWING: [&str; 4] = ["privacy", "level", "email", "signals"];

/// Makes the line of a problem a comment, and keeps the file as it was beside it. `None` where that
/// would not mend it, or would break something else: `problems` says what a text would be told.
pub fn comment_out(problem: &Problem, problems: impl Fn(&str) -> Vec<Problem>) -> Option<String> {
    let line = problem.line?;
    let key = problem.key.as_deref().unwrap_or_default();
    if key.split('.').next_back().is_some_and(|last| NARROWING.contains(&last)) {
        return None;
    }
    let text = read_text(&problem.file, CONFIG_FILE_BYTES_MAX).ok()??;
    let number = |at: usize| u32::try_from(at + 1).ok();
    let commented = |(at, it): (usize, &str)| {
        if number(at) == Some(line) { format!("# {it}\n") } else { format!("{it}\n") }
    };
    let mended: String = text.lines().enumerate().map(commented).collect();
    let (before, after) = (problems(&text), problems(&mended));
    let is_mended = before.contains(problem) && !after.contains(problem);
    (is_mended && after.iter().all(|left| before.contains(left)))
        .then(|| format!("sed -i.bak '{line}s/^/# /' {}", quoted(&problem.file)))
}

/// Gives a variable in the `env` of Claude Code's settings another value: nothing else of the file
/// is touched. For a shell's variable, in that shell.
pub fn set_variable(source: &str, name: &str, value: &str) -> Option<String> {
    let file = PathBuf::from(source);
    if !file.is_absolute() {
        return Some(format!("export {name}={}", quoted_word(value)));
    }
    let pair = pair_in(&file, name)?;
    replace(&file, &pair, &format!("\"{name}\": {}", json(value)))
}

/// Takes a variable's value away: to Claude Code an empty one is none.
pub fn unset_variable(source: &str, name: &str) -> Option<String> {
    if Path::new(source).is_absolute() { set_variable(source, name, "") } else { Some(unset(name)) }
}

/// Of the shell that is typed into.
pub fn unset(name: &str) -> String {
    let shell = std::env::var_os("SHELL").map(PathBuf::from);
    match shell.and_then(|shell| Shell::of_path(&shell)) {
        Some(Shell::Fish) => format!("set -e {name}"),
        _ => format!("unset {name}"),
    }
}

/// Adds a variable after another one that is there.
pub fn add_variable(source: &str, beside: &str, name: &str, value: &str) -> Option<String> {
    let file = PathBuf::from(source);
    if !file.is_absolute() {
        return Some(format!("export {name}={}", quoted_word(value)));
    }
    let pair = pair_in(&file, beside)?;
    replace(&file, &pair, &format!("{pair}, \"{name}\": {}", json(value)))
}

fn json(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// `"NAME": "VALUE"` as it stands in the file, if it stands there once.
fn pair_in(file: &Path, name: &str) -> Option<String> {
    let text = read_text(file, SETTINGS_FILE_BYTES_MAX).ok()??;
    let key = format!("\"{name}\"");
    let (at, _) = text.match_indices(&key).next().filter(|_| text.matches(&key).count() == 1)?;
    let rest = &text[at + key.len()..];
    let value = rest.trim_start().strip_prefix(':')?.trim_start();
    let before = rest.len() - value.len();
    let length = match value.strip_prefix('"') {
        Some(inside) => {
            let is_end = |at: usize| !inside[..at].ends_with('\\');
            inside.match_indices('"').map(|(at, _)| at).find(|at| is_end(*at))? + 2
        }
        None => value.find([',', '}', ' ', '\n', '\r'])?,
    };
    Some(text[at..at + key.len() + before + length].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &str) {
        let done = std::process::Command::new("sh").args(["-c", command]).status().unwrap();
        assert!(done.success(), "{command}");
    }

    #[test]
    fn a_settings_file_keeps_everything_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("it's settings.json");
        let text = "{\n  // mine\n  \"env\": { \"OTEL_A\" : \"x.y/*[z]\\\"&\",\n \"B\": 0 }\n}\n";
        std::fs::write(&file, text).unwrap();
        let source = file.to_str().unwrap();
        run(&set_variable(source, "OTEL_A", "a&b").unwrap());
        run(&set_variable(source, "B", "1").unwrap());
        run(&add_variable(source, "B", "C", "c").unwrap());
        let now = std::fs::read_to_string(&file).unwrap();
        let wanted =
            "{\n  // mine\n  \"env\": { \"OTEL_A\": \"a&b\",\n \"B\": \"1\", \"C\": \"c\" }\n}\n";
        assert_eq!(now, wanted);
        assert_eq!(set_variable(source, "ABSENT", "1"), None);
    }

    #[test]
    fn what_stands_there_twice_or_over_lines_is_left_to_a_person() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("settings.json");
        let source = file.to_str().unwrap();
        for text in ["{\"A\":\"1\",\"b\":{\"A\":\"2\"}}", "{\"A\"\n:\"1\"}"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(set_variable(source, "A", "3"), None, "{text}");
        }
        let shell = set_variable("the environment", "A", "a b").unwrap();
        assert_eq!(shell, "export A='a b'");
    }
}
