//! Status: what `ccotel status` says about a destination.

use crate::config::destination::DestinationType;
use crate::store::handle::Books;

/// One of `destinations[]` in the status document. Keys are added, never renamed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DestinationStatus {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: DestinationType,
    pub state: State,
    /// Everything since the destination began: delivered, waiting, or gone in one of the ways below.
    pub meant: u64,
    pub backlog: Backlog,
    pub delivered: u64,
    pub expired: u64,
    pub evicted: u64,
    pub compacted: u64,
    /// Refused for good, and not taken at a retry since.
    pub quarantined: u64,
    /// Of these, records that `ccotel quarantine` still has.
    pub quarantine_kept: u64,
    /// How far back the backend was found to accept samples, where there is a limit.
    pub horizon_seconds: Option<u64>,
    pub last_success: Option<jiff::Timestamp>,
    /// What failed, on what, and what happens next.
    pub last_error: Option<String>,
    /// While retrying or parked.
    pub next_try: Option<jiff::Timestamp>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing has been sent yet, and nothing went wrong.
    #[default]
    Idle,
    /// The last request was taken.
    Ok,
    /// The last request failed; the next follows by itself.
    Retrying,
    /// Nothing gets through until somebody changes something; probed every 10 minutes.
    Parked,
}

/// What is waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Backlog {
    pub records: u64,
    pub bytes: u64,
    /// Age of the oldest.
    pub oldest_seconds: u64,
}

/// What a destination's task knows about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    pub state: State,
    pub last_success_ms: Option<i64>,
    pub last_error: Option<String>,
    pub next_try_ms: Option<i64>,
    pub horizon_ms: Option<i64>,
}

impl DestinationStatus {
    pub fn new(
        name: &str,
        kind: DestinationType,
        health: &Health,
        books: &Books,
        now_ms: i64,
    ) -> Self {
        let oldest_seconds = books
            .oldest_ms
            .and_then(|oldest_ms| u64::try_from(now_ms.saturating_sub(oldest_ms)).ok())
            .map_or(0, |age_ms| age_ms / 1000);
        Self {
            name: name.to_owned(),
            kind,
            state: health.state,
            meant: books.meant,
            backlog: Backlog {
                records: books.backlog_records,
                bytes: books.backlog_bytes,
                oldest_seconds,
            },
            delivered: books.delivered,
            expired: books.expired,
            evicted: books.evicted,
            compacted: books.compacted,
            quarantined: books.quarantined,
            quarantine_kept: books.quarantine_kept,
            horizon_seconds: health.horizon_ms.and_then(|ms| u64::try_from(ms / 1000).ok()),
            last_success: health.last_success_ms.and_then(timestamp),
            last_error: health.last_error.clone(),
            next_try: health.next_try_ms.and_then(timestamp),
        }
    }
}

fn timestamp(time_ms: i64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(time_ms).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_that_scripts_hold_on_to() {
        let health = Health {
            state: State::Retrying,
            last_success_ms: Some(1_795_262_400_000),
            last_error: Some("no".to_owned()),
            next_try_ms: None,
            horizon_ms: Some(3_300_000),
        };
        let books = Books {
            meant: 9,
            backlog_records: 2,
            oldest_ms: Some(1_795_262_400_000 - 61_500),
            delivered: 7,
            ..Books::default()
        };
        let status = DestinationStatus::new(
            "team-prom",
            DestinationType::Prometheus,
            &health,
            &books,
            1_795_262_400_000,
        );
        assert_eq!(
            serde_json::to_string(&status).unwrap(),
            concat!(
                r#"{"name":"team-prom","type":"prometheus","state":"retrying","#,
                r#""meant":9,"backlog":{"records":2,"bytes":0,"oldest_seconds":61},"delivered":7,"expired":0,"#,
                r#""evicted":0,"compacted":0,"quarantined":0,"quarantine_kept":0,"#,
                r#""horizon_seconds":3300,"last_success":"2026-11-21T12:00:00Z","#,
                r#""last_error":"no","next_try":null}"#
            )
        );
    }
}
