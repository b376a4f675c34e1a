//! Which real parts this machine has.

use std::path::PathBuf;

/// A program that a test needs and a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Claude,
    Prometheus,
    Loki,
}

impl Program {
    /// The variable that names it, and what it is called on PATH.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Claude => ("CCOTEL_TEST_CLAUDE", "claude"),
            Self::Prometheus => ("CCOTEL_TEST_PROMETHEUS", "prometheus"),
            Self::Loki => ("CCOTEL_TEST_LOKI", "loki"),
        }
    }

    /// By its variable, which must then be right, or else from PATH.
    pub fn find(self) -> Option<PathBuf> {
        let (variable, program) = self.names();
        if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            assert!(
                path.is_file(),
                "{variable} names {}, and there is no such file",
                path.display()
            );
            return Some(path);
        }
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
    }

    /// For the name of an ignored test.
    pub fn missing(self) -> String {
        let (variable, program) = self.names();
        format!("needs `{program}` on PATH or in {variable}")
    }
}
