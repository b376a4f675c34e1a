//! The edits: how one is made on a file's text, and how it is taken out again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::block;
use super::files::{self, SetupError};
use super::journal::{FileEntry, Journal};
use super::jsonc::{self, Key};
use super::status_line;
use crate::config::edit::ConfigFile;

/// What a file shall have.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// These lines in a block at its end.
    Block(String),
    /// These keys, where nobody has set them.
    Keys(Vec<Key>),
    /// This text: the file is ours alone.
    Whole { text: String, mode: u32 },
}

/// What was done, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Edit {
    Block {
        inserted: String,
    },
    Keys {
        keys: Vec<Key>,
        created: Vec<String>,
    },
    /// Destinations of `config.toml`, by name.
    Destinations {
        names: Vec<String>,
    },
    Whole,
}

/// A change that is due: shown, then made.
#[derive(Debug)]
pub struct Planned {
    /// As the user knows it.
    pub path: PathBuf,
    pub current: Option<String>,
    pub after: String,
    pub mode: u32,
    /// What the journal will say.
    pub entry: FileEntry,
}

/// The change that makes a file have what it shall; `None` if it has it.
///
/// What an earlier setup put there is taken out first, so that the journal always leads back to a
/// file without us.
pub fn plan(
    journal: &Journal,
    path: &Path,
    wanted: &Wanted,
) -> Result<Option<Planned>, SetupError> {
    let real = files::real(path);
    let current = files::read(&real)?;
    if let Some(text) = &current
        && is_in_place(path, text, wanted, journal.file(&real))?
    {
        return Ok(None);
    }
    let before = match journal.file(&real) {
        Some(entry) => entry.without(current.as_deref())?,
        None => current.clone(),
    };
    let text = before.clone().unwrap_or_default();
    let (after, edit) = match wanted {
        Wanted::Block(lines) => {
            let (after, inserted) = block::insert(&text, lines);
            (after, Edit::Block { inserted })
        }
        Wanted::Keys(keys) => {
            let set = jsonc::set(&text, keys).map_err(|error| SetupError::jsonc(path, &error))?;
            if set.keys.is_empty() {
                return Ok(None);
            }
            (set.text, Edit::Keys { keys: set.keys, created: set.created })
        }
        Wanted::Whole { text, .. } => (text.clone(), Edit::Whole),
    };
    if current.as_deref() == Some(&*after) {
        return Ok(None);
    }
    let mode = match wanted {
        Wanted::Whole { mode, .. } => *mode,
        Wanted::Block(_) | Wanted::Keys(_) => 0o644,
    };
    let entry = FileEntry::new(real, edit, before, &after);
    Ok(Some(Planned { path: path.to_path_buf(), current, after, mode, entry }))
}

/// Whether the file has it already, wherever others have moved it to.
fn is_in_place(
    path: &Path,
    text: &str,
    wanted: &Wanted,
    known: Option<&FileEntry>,
) -> Result<bool, SetupError> {
    match wanted {
        Wanted::Block(lines) => Ok(known.is_some() && text.contains(&block::of(lines))),
        Wanted::Whole { text: whole, .. } => Ok(known.is_some() && text == whole),
        Wanted::Keys(keys) => {
            let ours = known.map(|entry| entry.edit.keys()).unwrap_or_default();
            for key in keys {
                let found =
                    jsonc::get(text, &key.path).map_err(|error| SetupError::jsonc(path, &error))?;
                let is_value = |value: &str| found.as_deref() == Some(&*jsonc::string(value));
                let is_agreed = key.instead_of.is_some() && key.instead_of == found;
                // One that we have set to something else is brought up to date.
                let outdated = ours.iter().any(|it| it.path == key.path && is_value(&it.value));
                if found.is_none() || is_agreed || (outdated && !is_value(&key.value)) {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}

impl Planned {
    /// Writes it down, then does it.
    pub fn carry_out(self, journal: &mut Journal) -> Result<(), SetupError> {
        let path = self.entry.path.clone();
        if let Some(directory) = path.parent() {
            journal.make_directory(directory)?;
        }
        journal.put_file(self.entry);
        journal.save()?;
        files::write(&path, &self.after, self.mode)
    }
}

impl Edit {
    /// The keys that were set, if that is what it is.
    pub fn keys(&self) -> &[Key] {
        match self {
            Self::Keys { keys, .. } => keys,
            _ => &[],
        }
    }

    /// What is still ours in a text that it was taken out of.
    pub fn remains(&self, text: &str) -> Option<String> {
        match self {
            Self::Block { inserted } => match &block::remains(text, inserted)[..] {
                [] => None,
                [line] => Some(format!("line {line}")),
                lines => {
                    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
                    Some(format!("lines {}", lines.join(", ")))
                }
            },
            Self::Keys { keys, .. } => status_line::remains(text, keys),
            _ => None,
        }
    }

    /// Lines of somebody else's that taking out took with it.
    pub fn lost(&self, before: &str, after: &str) -> Vec<String> {
        match self {
            Self::Block { inserted } => block::lost(before, after, inserted),
            _ => Vec::new(),
        }
    }

    /// The text without what this edit put in.
    pub fn take_out(&self, path: &Path, text: &str) -> Result<String, SetupError> {
        match self {
            Self::Block { inserted } => Ok(block::take_out(text, inserted)),
            Self::Keys { keys, created } => status_line::take_out_edited(text, keys)
                .and_then(|text| jsonc::take_out(&text, keys, created))
                .map_err(|error| {
                    let names: Vec<_> = keys.iter().map(Key::name).collect();
                    let why = format!("{error}; take out {} by hand", names.join(", "));
                    SetupError::unsuitable(path, why)
                }),
            Self::Destinations { names } => {
                let mut file = ConfigFile::of_text(path, text)
                    .map_err(|error| SetupError::unsuitable(path, error.to_string()))?;
                for name in names {
                    file.remove_destination(name);
                }
                Ok(file.to_string())
            }
            Self::Whole => Ok(String::new()),
        }
    }
}
