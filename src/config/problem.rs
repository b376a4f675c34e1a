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
        write!(out, "{}", printable(&self.file.to_string_lossy()))?;
        if let Some(line) = self.line {
            write!(out, ":{line}")?;
        }
        write!(out, ": {}", printable(&self.what))?;
        if !self.remedy.is_empty() {
            write!(out, "; {}", printable(&self.remedy))?;
        }
        Ok(())
    }
}

/// Others' words on one line: a file or a backend must not be able to steer a terminal.
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cannot_steer_the_terminal() {
        let file = Path::new("/a\u{1b}[2J/.ccotel.toml");
        let problem = Problem::error(file, "unknown key `\u{1b}]0;x\u{7}\u{9b}1m`", "a\nb");
        let shown = problem.at(1, "x").to_string();
        assert_eq!(shown, "/a?[2J/.ccotel.toml:1: unknown key `?]0;x??1m`; a?b");
    }
}
