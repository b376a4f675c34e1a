//! Which real parts this machine has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that a test needs and a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Claude,
    Prometheus,
    /// 3.0 or newer: it takes remote_write 2.0.
    Prometheus3,
    VictoriaMetrics,
    Loki,
    Node,
    VictoriaLogs,
    /// `unshare -rm`: a file system of a test's own, without being root.
    MountNamespace,
    /// A disk's errors, put into the answers that a running agent gets of the kernel.
    Strace,
}

impl Program {
    /// The variable that names it, and what it is called on PATH.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Claude => ("CCOTEL_TEST_CLAUDE", "claude"),
            Self::Prometheus => ("CCOTEL_TEST_PROMETHEUS", "prometheus"),
            Self::Prometheus3 => ("CCOTEL_TEST_PROMETHEUS3", "prometheus3"),
            Self::VictoriaMetrics => ("CCOTEL_TEST_VICTORIAMETRICS", "victoria-metrics"),
            Self::Loki => ("CCOTEL_TEST_LOKI", "loki"),
            Self::Node => ("CCOTEL_TEST_NODE", "node"),
            Self::VictoriaLogs => ("CCOTEL_TEST_VICTORIALOGS", "victoria-logs"),
            Self::MountNamespace => ("CCOTEL_TEST_UNSHARE", "unshare"),
            Self::Strace => ("CCOTEL_TEST_STRACE", "strace"),
        }
    }

    /// By its variable, which must then be right, or else from PATH.
    pub fn find(self) -> Option<PathBuf> {
        self.find_file().filter(|file| match self {
            Self::MountNamespace => may_run(file, &["-rm", "true"]),
            Self::Strace => may_run(file, &["-f", "-qq", "-e", "inject=mkdir:error=EROFS", "true"]),
            _ => true,
        })
    }

    fn find_file(self) -> Option<PathBuf> {
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
        match self {
            Self::MountNamespace => "needs `unshare -rm`, which is not there or not allowed".into(),
            Self::Strace => "needs `strace`, which is not there or not allowed".into(),
            _ => format!("needs `{program}` on PATH or in {variable}"),
        }
    }
}

/// Containers often forbid it.
fn may_run(program: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
