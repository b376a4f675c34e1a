//! What went wrong at launches, kept for `status`, `tags` and `doctor`: a terminal program overwrites
//! a line on the screen, and a script must not see one.
//!
//! `problems.jsonl` holds one problem a line, newest last, each once. A later launch that looks at the
//! same thing and finds it in order marks it as mended: it is not shown any more. Where the data directory cannot
//! be written, the runtime directory takes the file.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::config::Problem;
use crate::config::file::read_text;
use crate::config::problem::printable;
use crate::paths::Paths;
use crate::tags::file::PROJECT_FILE_NAME;

/// Older lines make room.
pub const PROBLEMS_FILE_BYTES_MAX: usize = 64 * 1024;
/// What no launch had for so long is not shown any more.
const SHOWN_FOR: SignedDuration = SignedDuration::from_hours(14 * 24);
/// The same problem is said on a terminal once in this time.
const SAID_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// One `what` or `remedy`.
const TEXT_BYTES_MAX: usize = 2000;

/// A problem of a launch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LaunchProblem {
    /// When a launch last had it.
    pub at: Timestamp,
    /// `ccotel.launch.id` of that launch.
    pub launch: String,
    pub what: String,
    pub remedy: String,
    /// How many launches had it.
    #[serde(default)]
    pub times: u64,
    /// When it was last said on a terminal.
    #[serde(default)]
    pub said: Option<Timestamp>,
    #[serde(default)]
    pub scope: Scope,
    /// A later launch looked again and did not find it. Kept only to know what was said.
    #[serde(default)]
    pub mended: bool,
}

/// Which later launches look at the same thing again, and so can tell that it is mended.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// None: it happened to that one, and stays happened.
    #[default]
    Launch,
    /// Any.
    Everywhere,
    /// Those in this directory or below it.
    Below(PathBuf),
}

/// A problem that is about to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    pub what: String,
    pub remedy: String,
    /// Said at the first launch only, not every day again.
    pub once: bool,
    pub scope: Scope,
}

impl Noticed {
    /// Of one launch.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (what, remedy) = (cut(printable(&what.into())), cut(printable(&remedy.into())));
        Self { what, remedy, once: false, scope: Scope::Launch }
    }

    /// Of the machine: said once, and shown as long as it is so.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.once = true;
        self.scope = Scope::Everywhere;
        self
    }
}

impl From<&Problem> for Noticed {
    fn from(problem: &Problem) -> Self {
        let place = Problem { remedy: String::new(), ..problem.clone() };
        let of_directory = problem.file.ends_with(PROJECT_FILE_NAME);
        let scope = match problem.file.parent().filter(|_| of_directory) {
            Some(directory) => Scope::Below(directory.to_path_buf()),
            None => Scope::Everywhere,
        };
        Self { scope, ..Self::new(place.to_string(), problem.remedy.clone()) }
    }
}

/// A launch, as far as its problems are concerned.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'l> {
    pub launch: &'l str,
    /// Where everything was looked at that could be wrong. `None` if the launch did not get so far.
    pub directory: Option<&'l Path>,
    /// Nothing is said on a terminal.
    pub quiet: bool,
    pub now: Timestamp,
}

/// What went wrong at recent launches and is not known to be mended, oldest first. What cannot be
/// read is left out.
pub fn recent(paths: &Paths) -> Vec<LaunchProblem> {
    let since = Timestamp::now() - SHOWN_FOR;
    let mut problems = known(paths);
    problems.retain(|problem| !problem.mended && problem.at >= since);
    problems
}

/// Keeps what a launch noticed, and that what it did not is mended; returns what is worth a line on
/// the terminal now.
pub fn keep<'n>(paths: &Paths, looked: Looked<'_>, noticed: &'n [Noticed]) -> Vec<&'n Noticed> {
    let mut known = known(paths);
    let mut changed = !noticed.is_empty();
    for problem in &mut known {
        let gone = looked.directory.is_some_and(|directory| problem.scope.covers(directory))
            && !noticed.iter().any(|noticed| noticed.what == problem.what);
        changed |= gone && !problem.mended;
        problem.mended |= gone;
    }
    let due: Vec<&Noticed> =
        noticed.iter().filter(|noticed| note(&mut known, noticed, looked)).collect();
    if changed {
        known.sort_by_key(|problem| problem.at);
        let text = bounded(&known);
        let [file, otherwise] = files(paths);
        if write_private(&file, &text).is_ok() {
            // What it held was read, and is in the other one now.
            let _ = std::fs::remove_file(otherwise);
        } else {
            // Nowhere to write: then the terminal line is all there is, and it is said each time.
            let _ = write_private(&otherwise, &text);
        }
    }
    due
}

/// Enters it; whether it is to be said.
fn note(known: &mut Vec<LaunchProblem>, noticed: &Noticed, looked: Looked<'_>) -> bool {
    let now = looked.now;
    let before = known.iter().rposition(|known| known.what == noticed.what);
    let before = before.map(|index| known.remove(index));
    let said = before.as_ref().filter(|before| noticed.once || !before.mended);
    let said = said.and_then(|before| before.said);
    // A clock that was set back must not silence anything.
    let is_due = !looked.quiet
        && said.is_none_or(|said| {
            said > now || (!noticed.once && now.duration_since(said) >= SAID_EVERY)
        });
    known.push(LaunchProblem {
        at: now,
        launch: looked.launch.to_owned(),
        what: noticed.what.clone(),
        remedy: noticed.remedy.clone(),
        times: before.filter(|before| !before.mended).map_or(0, |before| before.times) + 1,
        said: if is_due { Some(now) } else { said },
        scope: noticed.scope.clone(),
        mended: false,
    });
    is_due
}

impl Scope {
    fn covers(&self, launched_in: &Path) -> bool {
        match self {
            Self::Launch => false,
            Self::Everywhere => true,
            Self::Below(directory) => launched_in.starts_with(directory),
        }
    }
}

/// All that is kept, oldest first.
fn known(paths: &Paths) -> Vec<LaunchProblem> {
    let mut known: Vec<LaunchProblem> = files(paths).iter().flat_map(|file| read(file)).collect();
    known.sort_by_key(|problem| problem.at);
    // Two files may know the same: the newest says more.
    let newest = |at: usize, what: &str| !known[at + 1..].iter().any(|later| later.what == what);
    let newest: Vec<bool> =
        known.iter().enumerate().map(|(at, problem)| newest(at, &problem.what)).collect();
    let mut newest = newest.into_iter();
    known.retain(|_| newest.next().unwrap_or(true));
    known
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
mod tests;
