//! What a checkout says of itself, by plain reading of `.git`: no process is started, so it costs
//! microseconds, and no hook, filter or `core.fsmonitor` of a repository runs because of us.
//!
//! ```text
//! main checkout   .git/            HEAD, config
//! worktree        .git (a file)    gitdir: MAIN/.git/worktrees/NAME
//!                 …/NAME/          HEAD, commondir (../..)
//! submodule       .git (a file)    gitdir: MAIN/.git/modules/NAME (HEAD, config)
//! ```
//!
//! <https://git-scm.com/docs/gitrepository-layout>

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// `HEAD`, `commondir` and a `.git` file are one line.
const LINE_FILE_BYTES_MAX: u64 = 8 * 1024;
/// A repository's `config`.
const GIT_CONFIG_BYTES_MAX: u64 = 256 * 1024;
/// How many directories are looked at for `.git`.
const DIRECTORIES_MAX: usize = 64;

/// Facts of the checkout around a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitFacts {
    /// From the remote `origin`: `acme/checkout`, without host and credentials.
    pub repository: Option<String>,
    /// `None` if no branch is checked out.
    pub branch: Option<String>,
    /// The name of a linked worktree.
    pub worktree: Option<String>,
    /// The top of this checkout.
    pub root: PathBuf,
    /// The top of the main checkout; `root` itself outside linked worktrees.
    pub main_root: PathBuf,
}

/// The facts of the nearest checkout at or above `directory`; `None` outside of any.
pub fn facts(directory: &Path) -> Option<GitFacts> {
    let (root, git_dir) = directory
        .ancestors()
        .take(DIRECTORIES_MAX)
        .find_map(|root| Some((root, git_dir(root)?)))?;
    let common = read_line(&git_dir.join("commondir"))
        .map_or_else(|| git_dir.clone(), |common| tidy(&git_dir.join(common)));
    let linked = common != git_dir;
    let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    let main_root = common.parent().filter(|_| linked && common.ends_with(".git"));
    Some(GitFacts {
        repository: origin(&common).as_deref().and_then(repository_name),
        branch: branch(&git_dir),
        worktree: name(&git_dir).filter(|_| linked),
        root: root.to_path_buf(),
        main_root: main_root.unwrap_or(root).to_path_buf(),
    })
}

/// Where a checkout keeps its own state, if `root` is the top of one.
fn git_dir(root: &Path) -> Option<PathBuf> {
    let dot_git = root.join(".git");
    let metadata = dot_git.metadata().ok()?;
    let git_dir = if metadata.is_dir() {
        dot_git
    } else {
        tidy(&root.join(read_line(&dot_git)?.strip_prefix("gitdir:")?.trim()))
    };
    git_dir.join("HEAD").symlink_metadata().ok()?;
    Some(git_dir)
}

fn branch(git_dir: &Path) -> Option<String> {
    let head = read_line(&git_dir.join("HEAD"))?;
    let branch = head.strip_prefix("ref:")?.trim().strip_prefix("refs/heads/")?;
    // What a repository with reftables writes for programs that do not know of them.
    (branch != ".invalid").then(|| branch.to_owned())
}

/// `remote.origin.url` of a git config file (<https://git-scm.com/docs/git-config#_syntax>).
fn origin(common: &Path) -> Option<String> {
    let text = read_bounded(&common.join("config"), GIT_CONFIG_BYTES_MAX)?;
    let mut inside = false;
    let mut url = None;
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default();
            let mut words = header.splitn(2, char::is_whitespace);
            inside = words.next().is_some_and(|word| word.eq_ignore_ascii_case("remote"))
                && words.next().is_some_and(|name| name.trim() == "\"origin\"");
            continue;
        }
        if let Some((key, value)) = line.split_once('=').filter(|_| inside)
            && key.trim().eq_ignore_ascii_case("url")
        {
            url = Some(config_value(value));
        }
    }
    url
}

/// Strips quotes, escapes and a comment.
fn config_value(text: &str) -> String {
    let mut value = String::new();
    let mut quoted = false;
    let mut chars = text.trim().chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => quoted = !quoted,
            '\\' => value.extend(chars.next()),
            '#' | ';' if !quoted => break,
            other => value.push(other),
        }
    }
    value.trim_end().to_owned()
}

/// `https://user:secret@host/acme/checkout.git`, `git@host:acme/checkout`, … → `acme/checkout`. Of
/// a path on this machine only the last part: the rest says where somebody keeps files.
fn repository_name(url: &str) -> Option<String> {
    let remote = match url.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") => None,
        Some((_, rest)) => Some(rest.split_once('/').map_or("", |(_, path)| path)),
        // scp-like: a colon before the first slash.
        None => url.split_once(':').filter(|(host, _)| !host.contains('/')).map(|(_, path)| path),
    };
    let path = remote.unwrap_or(url);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_end_matches('/');
    let parts: Vec<&str> = path
        .strip_suffix(".git")
        .unwrap_or(path)
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".." | "_git" | "~"))
        .collect();
    let name = if remote.is_some() { parts.join("/") } else { (*parts.last()?).to_owned() };
    (!name.is_empty() && !name.chars().any(char::is_control)).then_some(name)
}

/// Takes `.` and `..` out, as git writes both into `commondir`.
fn tidy(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

fn read_line(file: &Path) -> Option<String> {
    read_bounded(file, LINE_FILE_BYTES_MAX)?.lines().next().map(|line| line.trim().to_owned())
}

fn read_bounded(file: &Path, bytes_max: u64) -> Option<String> {
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(bytes_max).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
