//! What is known at this moment, as far as it is shown.

use crate::agent::status::Status;
use crate::report::live::Live;
use crate::report::story::Story;

#[derive(Debug, Default)]
pub struct Shown {
    pub live: Option<Live>,
    /// Of the session that is looked at.
    pub story: Option<Story>,
    pub status: Option<Status>,
    /// What was imported cannot be read, and is left out.
    pub imports_damaged: bool,
    /// Why there is no table: nothing recorded yet, or a history that cannot be read.
    pub problem: Option<String>,
}
