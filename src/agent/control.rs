//! Control: what commands ask of a running agent.

use crate::paths::Paths;

/// Has the agent bring the history up to date; `false` where no agent answered.
pub fn sync(_paths: &Paths) -> bool {
    false
}
