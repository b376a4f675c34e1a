//! What the wrapper tells the agent of a launch. It only enriches: what tightens privacy travels in
//! the resource attributes, since this message may get lost.

use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LaunchNotice {
    /// `ccotel.launch.id`.
    pub id: String,
    /// The process that becomes Claude Code.
    pub pid: u32,
    /// Its working directory.
    pub directory: PathBuf,
}
