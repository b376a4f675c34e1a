//! Names that the table does not know: how a new version of Claude Code gets noticed.

use std::collections::BTreeSet;

use super::names;

/// So many names are remembered.
const NAMES_MAX: usize = 64;

/// `attribute new_thing`, `event new_event`, `label new_thing`, `metric claude_code.new`; names only.
#[derive(Debug, Default)]
pub struct Unknown(BTreeSet<(&'static str, String)>);

impl Unknown {
    pub fn note(&mut self, kind: &'static str, name: &str) {
        if self.0.len() < NAMES_MAX && names::is_plain(name) {
            self.0.insert((kind, name.to_owned()));
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(kind, name)| format!("{kind} {name}")).collect()
    }
}
