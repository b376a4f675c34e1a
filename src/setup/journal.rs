//! The journal: `setup.json` in the data directory. What setup has changed, enough to undo it.
//!
//! ```json
//! {"version":1,
//!  "directories":["/home/me/.config/fish"],
//!  "files":[{"path":"/home/me/.bashrc","edit":{"kind":"block","inserted":"…"},"before":"…","after":"<blake3>"}],
//!  "links":[{"path":"…/shims/claude","target":"/usr/bin/ccotel"}],
//!  "service":"systemd", "configuration_is_older":false}
//! ```
//!
//! `before` is the file's whole text, `null` where there was none: a file that nobody has touched since
//! (its hash is `after`) gets it back byte for byte. The journal is written before a file is, so that
//! an interrupted setup can be undone, too. It is as private as the data directory: the files may hold
//! secrets.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::directories;
use super::edit::Edit;
use super::files::SetupError;
use crate::agent::files::{self, at};
use crate::paths::Paths;

const VERSION: u32 = 1;

#[derive(Debug)]
pub struct Journal {
    file: PathBuf,
    pub content: Content,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Content {
    version: u32,
    /// Directories that were not there, outer ones first.
    #[serde(default)]
    pub directories: Vec<PathBuf>,
    #[serde(default)]
    pub files: Vec<FileEntry>,
    #[serde(default)]
    pub links: Vec<LinkEntry>,
    /// The service manager that runs the agent: `systemd` or `launchd`.
    #[serde(default)]
    pub service: Option<String>,
    /// `config.toml` was there before the first setup, so it is not ours to remove.
    #[serde(default)]
    pub configuration_is_older: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileEntry {
    pub path: PathBuf,
    pub edit: Edit,
    before: Option<String>,
    after: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkEntry {
    pub path: PathBuf,
    pub target: PathBuf,
}

impl Journal {
    /// The journal of this data directory; an empty one where there is none.
    pub fn open(paths: &Paths) -> Result<Self, SetupError> {
        let file = paths.setup_journal();
        let content = match fs::read(&file) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { file, content: Content::new(paths) });
            }
            Err(error) => return Err(at("read", &file)(error).into()),
        };
        let content: Content = serde_json::from_slice(&content).map_err(|error| {
            SetupError::unsuitable(
                &file,
                format!("it is damaged ({error}); remove it to begin anew"),
            )
        })?;
        if content.version > VERSION {
            return Err(SetupError::unsuitable(&file, "a newer ccotel wrote it; use that one"));
        }
        Ok(Self { file, content })
    }

    pub fn exists(&self) -> bool {
        self.file.exists()
    }

    pub fn is_empty(&self) -> bool {
        let content = &self.content;
        content.files.is_empty() && content.links.is_empty() && content.service.is_none()
    }

    pub fn save(&mut self) -> Result<(), SetupError> {
        if let Some(directory) = self.file.parent().map(Path::to_path_buf) {
            self.note_directory(&directory);
            files::private_dir(&directory)?;
        }
        let text = serde_json::to_vec_pretty(&self.content)
            .map_err(|error| SetupError::unsuitable(&self.file, error.to_string()))?;
        Ok(files::replace_synced(&self.file, &text)?)
    }

    pub fn remove(&self) -> Result<(), SetupError> {
        Ok(files::remove(&self.file)?)
    }

    pub fn file(&self, path: &Path) -> Option<&FileEntry> {
        self.content.files.iter().find(|entry| entry.path == path)
    }

    pub fn put_file(&mut self, entry: FileEntry) {
        match self.content.files.iter_mut().find(|known| known.path == entry.path) {
            Some(known) => *known = entry,
            None => self.content.files.push(entry),
        }
    }

    pub fn put_link(&mut self, entry: LinkEntry) {
        self.content.links.retain(|known| known.path != entry.path);
        self.content.links.push(entry);
    }

    /// Remembers which parts of a path are not there: they are ours to remove.
    pub fn note_directory(&mut self, directory: &Path) {
        for missing in directories::missing(directory) {
            if !self.content.directories.contains(&missing) {
                self.content.directories.push(missing);
            }
        }
    }

    /// Makes a directory, and remembers what of it was not there.
    pub fn make_directory(&mut self, directory: &Path) -> Result<(), SetupError> {
        if directory.is_dir() {
            return Ok(());
        }
        self.note_directory(directory);
        self.save()?;
        Ok(fs::create_dir_all(directory).map_err(at("create", directory))?)
    }
}

impl Content {
    fn new(paths: &Paths) -> Self {
        Self {
            version: VERSION,
            // The agent makes it, to see when a configuration appears.
            directories: directories::missing(&paths.config_dir),
            files: Vec::new(),
            links: Vec::new(),
            service: None,
            configuration_is_older: paths.config_file().exists(),
        }
    }
}

impl FileEntry {
    pub fn new(path: PathBuf, edit: Edit, before: Option<String>, after: &str) -> Self {
        Self { path, edit, before, after: hash(after) }
    }

    /// The file without us, given what it is now: as it was, if nobody else has changed it.
    pub fn without(&self, current: Option<&str>) -> Result<Option<String>, SetupError> {
        let Some(current) = current else { return Ok(None) };
        if hash(current) == self.after {
            return Ok(self.before.clone());
        }
        if self.before.as_deref() == Some(current) {
            return Ok(self.before.clone());
        }
        let rest = self.edit.take_out(&self.path, current)?;
        let was_ours = self.before.is_none();
        let is_bare = matches!(rest.split_whitespace().collect::<String>().as_str(), "" | "{}");
        Ok((!(was_ours && is_bare)).then_some(rest))
    }

    /// Whether somebody has changed the file since.
    pub fn is_edited(&self, current: &str) -> bool {
        hash(current) != self.after
    }
}

fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}
