//! Taking out what setup put in.

use std::path::Path;

use super::files::{self, SetupError};
use super::journal::{FileEntry, Journal};
use super::{directories, links};
use crate::agent::files::at;

/// What became of one file.
#[derive(Debug, PartialEq, Eq)]
pub enum Undone {
    /// As it was, byte for byte.
    Restored,
    /// Others have changed it since: only our part is gone.
    TakenOut,
    /// Setup had made it.
    Removed,
    /// There was nothing of ours in it any more.
    Nothing,
}

impl Undone {
    pub fn words(&self) -> &'static str {
        match self {
            Self::Restored => "as it was before",
            Self::TakenOut => "our part is taken out, later changes are kept",
            Self::Removed => "removed",
            Self::Nothing => "had nothing of ours any more",
        }
    }
}

/// Undoes every file and link; what cannot be undone stays in the journal, and is named.
pub fn files_and_links(
    journal: &mut Journal,
    mut told: impl FnMut(&Path, &Undone),
) -> Result<Vec<SetupError>, SetupError> {
    let mut failed = Vec::new();
    let mut left = Vec::new();
    for entry in std::mem::take(&mut journal.content.files) {
        match file(&entry) {
            Ok(undone) => told(&entry.path, &undone),
            Err(error) => {
                failed.push(error);
                left.push(entry);
            }
        }
    }
    journal.content.files = left;
    for entry in std::mem::take(&mut journal.content.links) {
        match links::remove(&entry) {
            Ok(()) => told(&entry.path, &Undone::Removed),
            Err(error) => {
                failed.push(error);
                journal.content.links.push(entry);
            }
        }
    }
    journal.content.directories = directories::remove_empty(&journal.content.directories);
    journal.save()?;
    Ok(failed)
}

/// One file, as it would be without us.
pub fn file(entry: &FileEntry) -> Result<Undone, SetupError> {
    let path = &entry.path;
    let Some(current) = files::read(path)? else { return Ok(Undone::Nothing) };
    let edited = entry.is_edited(&current);
    match entry.without(Some(&current))? {
        None => {
            std::fs::remove_file(path).map_err(at("remove", path))?;
            Ok(Undone::Removed)
        }
        Some(text) if text == current => Ok(Undone::Nothing),
        Some(text) => {
            files::write(path, &text, 0o644)?;
            Ok(if edited { Undone::TakenOut } else { Undone::Restored })
        }
    }
}
