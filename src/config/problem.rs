//! What is wrong with a file of the user's, said so that it can be mended: where, what, and how.

use std::fmt;
use std::path::{Path, PathBuf};

/// Whether the value is unusable, or only suspicious.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Everything else in the file holds.
    Warning,
    /// The value (of `.ccotel.toml`: the whole file) is not used.
    Error,
}

/// One line: `path:line: what; remedy`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// A file, or the name of an environment variable.
    pub file: PathBuf,
    /// From 1.
    pub line: Option<u32>,
    /// Dotted: `agent.max_disk`.
    pub key: Option<String>,
    pub what: String,
    pub remedy: String,
    pub severity: Severity,
}

impl Problem {
    pub fn error(file: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            file: file.to_path_buf(),
            line: None,
            key: None,
            what: what.into(),
            remedy: remedy.into(),
            severity: Severity::Error,
        }
    }

    pub fn warning(file: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(file, what, remedy) }
    }

    #[must_use]
    pub fn at(mut self, line: u32, key: impl Into<String>) -> Self {
        self.line = Some(line);
        self.key = Some(key.into());
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(out, ":{line}")?;
        }
        write!(out, ": {}", self.what)?;
        if !self.remedy.is_empty() {
            write!(out, "; {}", self.remedy)?;
        }
        Ok(())
    }
}
