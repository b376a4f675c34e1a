//! The exit codes, all of them.

use std::process::ExitCode;

/// How a command ends. `claude`'s own code never passes through here: the wrapper has become it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed; `doctor` and `verify`: something is wrong.
    Failed,
    /// Called wrongly.
    Usage,
    /// `status`: no agent runs.
    NotRunning,
    /// The real `claude` was found and cannot be executed.
    CannotExecute,
    /// No real `claude` was found.
    NotFound,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotRunning => 3,
            Exit::CannotExecute => 126,
            Exit::NotFound => 127,
        })
    }
}
