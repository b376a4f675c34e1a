//! What an import did, for people and for scripts.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::counts::Counts;
use super::item::Item;
use super::item::ItemKind;

/// Names of models without a price that are listed.
const UNPRICED_MAX: usize = 20;

/// Of one import.
#[derive(Debug, Default)]
pub struct Summary {
    pub files: Files,
    pub bytes: u64,
    pub lines: Counts,
    pub added: Added,
    pub skipped: Skipped,
    /// Answers that had been counted while they were written, and came to more.
    pub grown: u64,
    /// Requests of models that have no price.
    pub unpriced: BTreeMap<String, u64>,
    pub interrupted: bool,
    /// What could not be read, and why.
    pub problems: Vec<String>,
    sessions: HashSet<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Files {
    pub found: u64,
    pub read: u64,
    pub unchanged: u64,
    /// Written to within the last moments: left to the next import.
    pub busy: u64,
    pub unreadable: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Added {
    pub sessions: u64,
    pub prompts: u64,
    pub requests: u64,
    pub unpriced_requests: u64,
    pub errors: u64,
    pub tool_calls: u64,
    pub cost_usd: f64,
    pub tokens: Tokens,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tokens {
    pub input: i64,
    pub output: i64,
    pub cache_read: i64,
    pub cache_creation: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// Copies, and what an earlier import had.
    pub known: u64,
    /// What the agent had counted when it happened.
    pub counted_by_agent: u64,
    /// Older than `--since`.
    pub too_old: u64,
}

impl Summary {
    pub fn add(&mut self, item: &Item, session: &str, cost_usd: Option<f64>) {
        if matches!(item.kind, ItemKind::Answer(_) | ItemKind::Prompt { .. })
            && !self.sessions.contains(session)
        {
            self.sessions.insert(session.to_owned());
            self.added.sessions += 1;
        }
        let added = &mut self.added;
        match &item.kind {
            ItemKind::Answer(answer) => {
                let usage = answer.usage.total;
                added.requests += 1;
                added.cost_usd += cost_usd.unwrap_or(0.0);
                added.tokens.input += usage.input;
                added.tokens.output += usage.output;
                added.tokens.cache_read += usage.cache_read;
                added.tokens.cache_creation += usage.cache_creation;
                if cost_usd.is_none() {
                    added.unpriced_requests += 1;
                    *self.unpriced.entry(answer.model.to_string()).or_default() += 1;
                }
            }
            ItemKind::Error { .. } => added.errors += 1,
            ItemKind::Prompt { .. } => added.prompts += 1,
            ItemKind::Tool { .. } => added.tool_calls += 1,
        }
    }

    /// The models without a price, the most used first.
    pub fn unpriced_models(&self) -> Vec<&str> {
        let sorted: BTreeSet<(std::cmp::Reverse<u64>, &str)> =
            self.unpriced.iter().map(|(model, n)| (std::cmp::Reverse(*n), &**model)).collect();
        sorted.into_iter().take(UNPRICED_MAX).map(|(_, model)| model).collect()
    }
}
