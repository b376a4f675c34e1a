//! The last hour: what happened, what it cost, minute by minute.

use std::collections::HashMap;

use super::super::history::reader::History;
use super::super::history::schema::HistoryError;
use super::super::row::Tokens;
use super::super::story::{self, Entry, What};
use super::{BURN_MINUTES, COURSE_MINUTES, MINUTE_MS};

/// What happened lately, by session.
pub struct Recent(HashMap<String, Vec<Entry>>);

impl Recent {
    pub fn new(history: &History, at_ms: i64) -> Result<Self, HistoryError> {
        story::since(history, at_ms - COURSE_MINUTES * MINUTE_MS).map(Self)
    }

    pub fn of(&self, session_id: &str) -> &[Entry] {
        self.0.get(session_id).map_or(&[], |entries| entries)
    }

    /// When each request was answered, and what it cost.
    fn costs(&self) -> impl Iterator<Item = (i64, f64)> {
        self.0.values().flatten().filter_map(|entry| match &entry.what {
            What::Request(request) => Some((entry.time_ms, request.cost_usd?)),
            _ => None,
        })
    }

    pub fn burn_usd_per_hour(&self, at_ms: i64) -> f64 {
        let since_ms = at_ms - BURN_MINUTES * MINUTE_MS;
        let costs = self.costs().filter(|(time_ms, _)| *time_ms > since_ms);
        #[expect(clippy::cast_precision_loss, reason = "minutes of an hour")]
        let hours = BURN_MINUTES as f64 / 60.0;
        // Of nothing, `sum` would make -0.
        costs.fold(0.0, |sum, (_, usd)| sum + usd) / hours
    }

    pub fn course_usd(&self, at_ms: i64) -> Vec<f64> {
        let mut course_usd = vec![0.0; usize::try_from(COURSE_MINUTES).unwrap_or(0)];
        for (time_ms, usd) in self.costs() {
            let ago = usize::try_from((at_ms - time_ms).max(0) / MINUTE_MS).unwrap_or(usize::MAX);
            if let Some(minute) = course_usd.iter_mut().rev().nth(ago) {
                *minute += usd;
            }
        }
        course_usd
    }
}

#[expect(clippy::cast_precision_loss, reason = "tokens of one request")]
pub fn add_tokens(tokens: &mut Tokens, entry: &Entry) {
    if let What::Request(request) = &entry.what {
        tokens.input += request.input_tokens as f64;
        tokens.output += request.output_tokens as f64;
        tokens.cache_read += request.cache_read_tokens as f64;
        tokens.cache_creation += request.cache_creation_tokens as f64;
    }
}
