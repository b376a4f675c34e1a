//! Finding the `.ccotel.toml` files that count: from the working directory upward, until one says
//! `root = true`, until the home directory (whose tags belong in `config.toml`), or until a file
//! that belongs to another user.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::file::{self, PROJECT_FILE_BYTES_MAX, PROJECT_FILE_NAME, ProjectFile};
use super::git;
use crate::config::file::{is_absent, read_text};
use crate::config::problem::Problem;

/// How many directories are looked at, from the working directory upward.
pub const DIRECTORIES_MAX: usize = 64;

/// A file that was read, and what it says.
#[derive(Debug)]
pub struct Found {
    pub path: PathBuf,
    pub file: ProjectFile,
}

/// The files that count, nearest first, and what was wrong with any of them.
pub fn discover(directory: &Path, home: &Path) -> (Vec<Found>, Vec<Problem>) {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for directory in directory.ancestors().take(DIRECTORIES_MAX) {
        if directory == home {
            break;
        }
        match look(directory) {
            Look::Nothing => {}
            Look::Stop(problem) => {
                problems.push(problem);
                break;
            }
            Look::Wrong(problem) => problems.push(problem),
            Look::Text(path, text) => {
                let (file, wrong) = file::read(&path, &text);
                problems.extend(wrong);
                let root = file.root;
                found.push(Found { path, file });
                if root {
                    break;
                }
            }
        }
    }
    (found, problems)
}

enum Look {
    Nothing,
    /// Not read; the walk goes on.
    Wrong(Problem),
    /// Not read, and what lies above is not looked at either.
    Stop(Problem),
    Text(PathBuf, String),
}

fn look(directory: &Path) -> Look {
    let path = directory.join(PROJECT_FILE_NAME);
    let link = match path.symlink_metadata() {
        Ok(metadata) => metadata.is_symlink(),
        Err(error) if is_absent(&error) => return Look::Nothing,
        Err(error) => {
            let what = format!("cannot be looked at: {error}");
            return Look::Wrong(Problem::error(&path, what, "check the permissions"));
        }
    };
    if link && !stays_in_tree(&path, directory) {
        let what = "a link that leads out of the project, so it is ignored";
        return Look::Wrong(Problem::error(&path, what, "put the file itself here"));
    }
    let owner = match path.metadata() {
        Ok(metadata) => metadata.uid(),
        Err(error) => {
            let what = format!("cannot be read: {error}");
            return Look::Wrong(Problem::error(&path, what, "mend or remove it"));
        }
    };
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        let what = format!("belongs to another user (id {owner}), so it is ignored");
        return Look::Stop(Problem::error(&path, what, "make it your own with `chown`"));
    }
    match read_text(&path, PROJECT_FILE_BYTES_MAX) {
        Ok(Some(text)) => Look::Text(path, text),
        Ok(None) => Look::Nothing,
        Err(problem) => Look::Wrong(problem),
    }
}

/// Whether a link's target lies in the same checkout, or, outside of one, in the same directory.
fn stays_in_tree(link: &Path, directory: &Path) -> bool {
    let tree = git::facts(directory).map_or_else(|| directory.to_path_buf(), |facts| facts.root);
    match (link.canonicalize(), tree.canonicalize()) {
        (Ok(target), Ok(tree)) => target.starts_with(tree),
        // A link to nothing leads nowhere; it is reported when it is read.
        _ => true,
    }
}
