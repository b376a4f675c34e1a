//! What went wrong at launches, kept for `status`, `tags` and `doctor`: a terminal program overwrites
//! a line on the screen, and a script must not see one.
//!
//! `problems.jsonl` holds one problem a line, newest last, each once. Where the data directory cannot
//! be written, the runtime directory takes the file.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::config::Problem;
use crate::config::file::read_text;
use crate::paths::Paths;

/// Older lines make room.
pub const PROBLEMS_FILE_BYTES_MAX: usize = 64 * 1024;
/// What a later launch did not see again for so long is not shown any more.
const SHOWN_FOR: SignedDuration = SignedDuration::from_hours(14 * 24);
/// The same problem is said on a terminal once in this time.
const SAID_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// One `what` or `remedy`.
const TEXT_BYTES_MAX: usize = 2000;

/// A problem of a launch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LaunchProblem {
    /// When it was last said.
    pub at: Timestamp,
    /// `ccotel.launch.id` of that launch.
    pub launch: String,
    pub what: String,
    pub remedy: String,
}

/// A problem that is about to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    pub what: String,
    pub remedy: String,
    /// Said at the first launch only, not every day again.
    pub once: bool,
}

impl Noticed {
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: cut(what.into()), remedy: cut(remedy.into()), once: false }
    }

    #[must_use]
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }
}

impl From<&Problem> for Noticed {
    fn from(problem: &Problem) -> Self {
        let place = Problem { remedy: String::new(), ..problem.clone() };
        Self::new(place.to_string(), problem.remedy.clone())
    }
}

/// What went wrong at recent launches, oldest first. What cannot be read is left out.
pub fn recent(paths: &Paths) -> Vec<LaunchProblem> {
    let since = Timestamp::now() - SHOWN_FOR;
    let mut problems: Vec<LaunchProblem> =
        files(paths).iter().flat_map(|file| read(file)).collect();
    problems.retain(|problem| problem.at >= since);
    problems.sort_by_key(|problem| problem.at);
    problems
}

/// Keeps what a launch noticed; returns what is worth a line on the terminal now.
pub fn keep<'n>(
    paths: &Paths,
    launch: &str,
    noticed: &'n [Noticed],
    now: Timestamp,
) -> Vec<&'n Noticed> {
    if noticed.is_empty() {
        return Vec::new();
    }
    let mut known: Vec<LaunchProblem> = files(paths).iter().flat_map(|file| read(file)).collect();
    known.sort_by_key(|problem| problem.at);
    let is_due = |noticed: &&Noticed| {
        let same = |known: &&LaunchProblem| known.what == noticed.what;
        // A clock that was set back must not silence anything.
        known.iter().rfind(same).is_none_or(|known| {
            known.at > now || (!noticed.once && now.duration_since(known.at) >= SAID_EVERY)
        })
    };
    let due: Vec<&Noticed> = noticed.iter().filter(is_due).collect();
    if due.is_empty() {
        return due;
    }
    known.retain(|known| !due.iter().any(|due| due.what == known.what));
    known.extend(due.iter().map(|due| LaunchProblem {
        at: now,
        launch: launch.to_owned(),
        what: due.what.clone(),
        remedy: due.remedy.clone(),
    }));
    let text = bounded(&known);
    // Nowhere to write: then the terminal line is all there is, and it is said each time.
    let _ = files(paths).iter().any(|file| write_private(file, &text).is_ok());
    due
}

/// Creates a directory that is the user's alone, with its parents.
pub fn create_private_dir(directory: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Replaces a file at once, 0600.
pub fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("/"));
    create_private_dir(directory)?;
    let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut opened| opened.write_all(bytes))
        .and_then(|()| std::fs::rename(&temporary, file));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn files(paths: &Paths) -> [PathBuf; 2] {
    [paths.problems_file(), paths.runtime_dir.join("problems.jsonl")]
}

fn read(file: &Path) -> Vec<LaunchProblem> {
    let text = read_text(file, 2 * PROBLEMS_FILE_BYTES_MAX as u64).ok().flatten();
    text.unwrap_or_default().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The newest lines that fit.
fn bounded(problems: &[LaunchProblem]) -> Vec<u8> {
    let lines: Vec<String> =
        problems.iter().filter_map(|problem| serde_json::to_string(problem).ok()).collect();
    let mut bytes = 0;
    let fitting = lines.iter().rev().take_while(|line| {
        bytes += line.len() + 1;
        bytes <= PROBLEMS_FILE_BYTES_MAX
    });
    let skipped = lines.len() - fitting.count();
    lines[skipped..].iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(dir: &Path) -> Paths {
        Paths {
            config_dir: dir.join("config"),
            data_dir: dir.join("data"),
            runtime_dir: dir.join("run"),
            home: dir.to_path_buf(),
        }
    }

    #[test]
    fn the_same_problem_is_kept_once_and_said_once_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let noticed = [Noticed::new("a", "b")];
        let now = Timestamp::now();
        let hours = SignedDuration::from_hours;
        assert_eq!(keep(&paths, "1", &noticed, now - hours(30)).len(), 1);
        assert_eq!(keep(&paths, "2", &noticed, now - hours(20)).len(), 0);
        assert_eq!(keep(&paths, "3", &noticed, now).len(), 1);
        let kept = recent(&paths);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].launch, "3");
    }

    #[test]
    fn what_is_said_once_is_not_said_the_next_day() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let noticed = [Noticed::new("a", "b").once()];
        let now = Timestamp::now();
        assert_eq!(keep(&paths, "1", &noticed, now - SignedDuration::from_hours(100)).len(), 1);
        assert_eq!(keep(&paths, "2", &noticed, now).len(), 0);
    }

    #[test]
    fn the_file_is_bounded_and_the_newest_stay() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let noticed: Vec<Noticed> = (0..100)
            .map(|index| Noticed::new(format!("{index} {}", "x".repeat(3000)), ""))
            .collect();
        keep(&paths, "1", &noticed, Timestamp::now());
        let length = std::fs::metadata(paths.problems_file()).unwrap().len();
        assert!(length <= PROBLEMS_FILE_BYTES_MAX as u64, "{length}");
        assert!(recent(&paths).last().unwrap().what.starts_with("99 "));
    }

    #[test]
    fn without_a_data_directory_the_runtime_directory_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        std::fs::write(&paths.data_dir, "in the way").unwrap();
        keep(&paths, "1", &[Noticed::new("a", "b")], Timestamp::now());
        assert_eq!(recent(&paths).len(), 1);
        assert!(paths.runtime_dir.join("problems.jsonl").exists());
    }
}
