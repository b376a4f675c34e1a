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
    /// And what somebody wrote into our lines.
    TakenOutWith(Vec<String>),
    /// Setup had made it.
    Removed,
    /// There was nothing of ours in it any more.
    Nothing,
}

impl Undone {
    pub fn words(&self) -> String {
        match self {
            Self::Restored => "as it was before".to_owned(),
            Self::TakenOut => "our part is taken out, later changes are kept".to_owned(),
            Self::TakenOutWith(lines) => format!(
                "our part is taken out, and with it what was written into our lines: {}",
                lines
                    .iter()
                    .map(|line| format!("`{}`", line.trim()))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            Self::Removed => "removed".to_owned(),
            Self::Nothing => "had nothing of ours any more".to_owned(),
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
    let Some(text) = entry.without(Some(&current))? else {
        std::fs::remove_file(path).map_err(at("remove", path))?;
        return Ok(Undone::Removed);
    };
    if text != current {
        files::write(path, &text, 0o644)?;
    }
    if let Some(what) = edited.then(|| entry.edit.remains(&text)).flatten() {
        return Err(SetupError::Remains { path: path.clone(), what });
    }
    let lost = entry.edit.lost(&current, &text);
    Ok(match edited {
        _ if text == current => Undone::Nothing,
        true if !lost.is_empty() => Undone::TakenOutWith(lost),
        true => Undone::TakenOut,
        false => Undone::Restored,
    })
}
