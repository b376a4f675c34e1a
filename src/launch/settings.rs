//! The one `--settings` that Claude Code gets: the user's own, with our variables in its `env`.
//!
//! Of two `--settings` only the last counts, and `--settings` outranks every other layer but managed
//! settings, so the user's must be merged into ours. It is a file, since others can read arguments;
//! and it is kept for 30 days, since background sessions are started again with it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::layers::SETTINGS_FILE_BYTES_MAX;
use super::problems::{create_private_dir, write_private};
use super::variables::Variables;
use crate::config::file::read_text;
use crate::paths::Paths;
use crate::record::secrets;

/// How long the file of a launch is kept.
pub const KEPT: Duration = Duration::from_hours(30 * 24);
/// Old files are looked for once in this time, and at most so many a time.
const SWEPT_EVERY: Duration = Duration::from_hours(24);
const SWEPT_FILES_MAX: usize = 2000;

/// The user's `--settings`, read; `what` and `remedy` if it cannot be merged, and is then passed
/// on untouched.
pub fn read_user(value: &OsStr, directory: &Path) -> Result<Map<String, Value>, (String, String)> {
    let trimmed = value.to_str().unwrap_or_default().trim();
    let inline = trimmed.starts_with('{') && trimmed.ends_with('}');
    let unusable = |why: &str| {
        let secret = meant_inline(&value.to_string_lossy());
        unusable_settings(if secret { "the inline --settings is no JSON object" } else { why })
    };
    let file = directory.join(value);
    let (text, base) = if inline {
        (trimmed.to_owned(), directory)
    } else {
        let text = match read_text(&file, SETTINGS_FILE_BYTES_MAX) {
            Ok(Some(text)) => text,
            Ok(None) => return Err(unusable(&format!("there is no file {}", file.display()))),
            Err(problem) => return Err(unusable(&problem.to_string())),
        };
        (text, file.parent().unwrap_or(directory))
    };
    let mut settings: Map<String, Value> = serde_json::from_str(&text)
        // The parser's own words can repeat what it found.
        .map_err(|error| {
            let (line, column) = (error.line(), error.column());
            unusable(&format!("it is not a JSON object (line {line}, column {column})"))
        })?;
    if settings.get("env").is_some_and(|env| !env.is_object()) {
        return Err(unusable_settings("its `env` is not an object"));
    }
    rebase(&mut settings, base);
    Ok(settings)
}

/// Lays our variables over the `env` of the user's settings.
pub fn merge(mut settings: Map<String, Value>, variables: &Variables) -> Value {
    let env = settings.entry("env").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(env) = env {
        for (name, value) in variables {
            env.insert(name.clone(), Value::String(value.clone()));
        }
    }
    Value::Object(settings)
}

/// Writes the file of a launch, 0600 in a directory 0700.
pub fn write(paths: &Paths, launch: &str, settings: &Value) -> std::io::Result<PathBuf> {
    let directory = paths.launches_dir();
    let file = directory.join(format!("{launch}.json"));
    write_private(&file, settings.to_string().as_bytes())?;
    sweep(&directory, SystemTime::now());
    Ok(file)
}

/// Some paths in a settings file are meant from the directory of that file (measured on 2.1.329),
/// and the merged one lies elsewhere: `/path` in a rule for files, which becomes `//path`, from the
/// root; and a relative path in the sandbox's file system.
fn rebase(settings: &mut Map<String, Value>, base: &Path) {
    let Some(base) = base.to_str() else { return };
    let base = base.trim_end_matches('/');
    if let Some(permissions) = settings.get_mut("permissions") {
        for list in ["allow", "deny", "ask"] {
            replace(permissions, list, |rule| absolute_rule(rule, base));
        }
    }
    if let Some(sandbox) = settings.get_mut("sandbox").and_then(|it| it.get_mut("filesystem")) {
        for list in ["allowRead", "allowWrite", "denyRead", "denyWrite"] {
            replace(sandbox, list, |path| {
                (!path.starts_with(['/', '~'])).then(|| format!("{base}/{path}"))
            });
        }
    }
}

/// Replaces those strings of a list for which there is a replacement.
fn replace(object: &mut Value, list: &str, replacement: impl Fn(&str) -> Option<String>) {
    for item in object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(replaced) = item.as_str().and_then(&replacement) {
            *item = Value::String(replaced);
        }
    }
}

/// `Read(/src/**)` → `Read(//base/src/**)`; `None` for what is no such rule.
fn absolute_rule(rule: &str, base: &str) -> Option<String> {
    const FILE_TOOLS: [&str; 7] =
        ["Read", "Edit", "Write", "MultiEdit", "NotebookEdit", "Glob", "Grep"];
    let (tool, rest) = rule.split_once("(/")?;
    if !FILE_TOOLS.contains(&tool) || rest.starts_with('/') {
        return None;
    }
    Some(format!("{tool}(/{base}/{rest}"))
}

/// Removes the files of launches long past, once a day and a bounded number of them.
fn sweep(directory: &Path, now: SystemTime) {
    let mark = directory.join(".swept");
    let older = |metadata: &std::fs::Metadata, age: Duration| {
        let modified = metadata.modified().ok();
        modified.is_some_and(|at| now.duration_since(at).is_ok_and(|passed| passed > age))
    };
    if mark.metadata().is_ok_and(|metadata| !older(&metadata, SWEPT_EVERY)) {
        return;
    }
    let _ = create_private_dir(directory).and_then(|()| std::fs::write(&mark, ""));
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let due = entries.filter(|entry| {
        let path = entry.path();
        let ours =
            path.extension().is_some_and(|extension| extension == "json" || extension == "tmp");
        ours && entry.metadata().is_ok_and(|metadata| older(&metadata, KEPT))
    });
    for entry in due.take(SWEPT_FILES_MAX) {
        let _ = std::fs::remove_file(entry.path());
    }
}

/// Whether it was rather meant as JSON than as a file's name: then it may hold keys, and is not
/// repeated to a file that is kept.
fn meant_inline(value: &str) -> bool {
    value.trim_start().starts_with(['{', '['])
        || value.contains(|letter: char| matches!(letter, '"' | '\'') || letter.is_control())
}

fn unusable_settings(why: &str) -> (String, String) {
    let why = secrets::mask(why);
    let what = format!("your own --settings went to Claude Code as it is, without ccotel's: {why}");
    (what, "mend it, so that this session is counted too".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_files_keep_their_meaning() {
        for (rule, expected) in [
            ("Read(/src/**)", Some("Read(//base/src/**)")),
            ("Edit(//etc/x)", None),
            ("Read(~/x)", None),
            ("Read(src/**)", None),
            ("Bash(/usr/bin/x)", None),
            ("Read", None),
        ] {
            assert_eq!(absolute_rule(rule, "/base").as_deref(), expected, "{rule}");
        }
    }

    #[test]
    fn paths_of_the_sandbox_keep_their_meaning() {
        let text = r#"{"sandbox":{"filesystem":{"allowWrite":["out","./x","/tmp","~/y","//z"]}}}"#;
        let mut settings = serde_json::from_str(text).unwrap();
        rebase(&mut settings, Path::new("/base"));
        let expected = serde_json::json!(["/base/out", "/base/./x", "/tmp", "~/y", "//z"]);
        assert_eq!(settings["sandbox"]["filesystem"]["allowWrite"], expected);
    }

    #[test]
    fn only_old_files_of_launches_are_swept_and_once_a_day() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["old.json", "other.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let there = |name: &str| dir.path().join(name).exists();
        let day = Duration::from_hours(24);
        sweep(dir.path(), SystemTime::now() + 29 * day);
        assert!(there("old.json"));
        sweep(dir.path(), SystemTime::now() + 31 * day);
        assert!(!there("old.json") && there("other.txt"));
        std::fs::write(dir.path().join("again.json"), "").unwrap();
        sweep(dir.path(), SystemTime::now() + day / 2);
        assert!(there("again.json"));
    }

    #[test]
    fn old_files_are_swept_however_many_others_there_are() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..SWEPT_FILES_MAX + 100 {
            std::fs::write(dir.path().join(format!("{number}.txt")), "").unwrap();
        }
        for number in 0..100 {
            std::fs::write(dir.path().join(format!("{number}.json")), "").unwrap();
        }
        sweep(dir.path(), SystemTime::now() + 31 * Duration::from_hours(24));
        let left = (0..100).filter(|number| dir.path().join(format!("{number}.json")).exists());
        assert_eq!(left.count(), 0);
    }
}
