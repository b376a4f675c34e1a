//! What lines of a transcript come to, before tags, prices and privacy: nothing that was said is in it.

use std::path::PathBuf;
use std::sync::Arc;

use super::usage::Usage;

/// Which thing an item is: the same in every copy of its line.
pub type Key = [u8; 16];

/// Something that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub key: Key,
    pub time_ms: i64,
    pub place: Arc<Place>,
    pub prompt_id: Option<Arc<str>>,
    pub kind: ItemKind,
}

/// Where and by what a line was written; runs of lines share one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The session that the line belongs to; of a copy, the one that it was copied from.
    pub session: String,
    pub directory: Option<PathBuf>,
    pub branch: Option<String>,
    pub version: Option<String>,
    pub entrypoint: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ItemKind {
    Answer(Answer),
    Error {
        status_code: Option<i64>,
    },
    Prompt {
        /// Of what was typed; of a command it is not known.
        length: Option<i64>,
    },
    Tool {
        name: Option<Arc<str>>,
        success: bool,
        accepted: Option<bool>,
        source: Option<Arc<str>>,
        id: Arc<str>,
    },
}

/// An answer of the Messages API, whole or so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub model: Arc<str>,
    pub usage: Usage,
    pub query_source: Option<Arc<str>>,
    pub effort: Option<Arc<str>>,
    pub request_id: Option<Arc<str>>,
    /// As an old Claude Code worked it out.
    pub cost_usd: Option<f64>,
}

impl Item {
    /// Of two lines of one answer the one that knows more of it; the later where both know the same.
    pub fn merge(&mut self, other: Self) {
        let rank = |item: &Self| match &item.kind {
            ItemKind::Answer(answer) => (answer.usage.total.all(), item.time_ms),
            _ => (0, -item.time_ms),
        };
        if rank(&other) > rank(self) {
            *self = other;
        }
    }
}

/// The key of what has this id.
pub fn key(kind: &str, id: &str) -> Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind.as_bytes());
    hasher.update(id.as_bytes());
    let mut key = Key::default();
    hasher.finalize_xof().fill(&mut key);
    key
}
