//! Verify: what the counters, the events and Claude Code's own transcripts say of the same sessions.
//!
//! ```text
//! history.db: counters, by model ─┐
//! history.db: events ─────────────┼──▶ findings: differences, each with its likely cause
//! transcripts (import's reader) ──┘
//! ```
//!
//! Events and transcripts are compared request by request, by the API's own request id. Counters know
//! neither sessions nor requests, and are compared by model over the whole range.

pub mod counters;
pub mod findings;
pub mod known;
mod matching;
mod missing;
pub mod recorded;
pub mod sums;
pub mod transcripts;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;

use crate::paths::Paths;
use crate::report::history::file::{HistoryFile, Origin};
use crate::report::history::schema::HistoryError;
use findings::{Cause, Finding, Sides};
use sums::Sums;

/// Counters are exported up to this long after the events, and sampled after that.
const COUNTERS_LAG_MS: i64 = 2 * 60_000;
/// Claude Code exports counters every ten seconds, and the agent samples them every fifteen.
const COUNTERS_FRESH_MS: i64 = 30_000;
/// How far apart both sides' times of one request are at most.
const TIMES_APART_MS: i64 = 2 * 60_000;
/// Claude Code deletes transcripts after thirty days, if it was not told otherwise.
const TRANSCRIPTS_KEPT_MS: i64 = 29 * 24 * 60 * 60_000;
const MINUTE_MS: i64 = 60_000;

/// What to compare.
pub struct Question {
    /// `None`: since the first event that the agent heard of, as far as transcripts are kept.
    pub since_ms: Option<i64>,
    pub now_ms: i64,
    pub session: Option<String>,
    pub roots: Vec<PathBuf>,
}

/// What the sides say.
#[derive(Debug, Default)]
pub struct Verdict {
    pub range: Range<i64>,
    /// `None`: counters cannot be told apart by session here.
    pub counters: Option<BTreeMap<String, Sums>>,
    pub events: BTreeMap<String, Sums>,
    pub transcripts: BTreeMap<String, Sums>,
    /// Of the events, those that no transcript has by nature.
    pub auxiliary: BTreeMap<String, Sums>,
    pub sessions: Sessions,
    pub findings: Vec<Finding>,
}

/// How many sessions each side knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sessions {
    pub on_both_sides: usize,
    pub only_in_events: usize,
    pub only_in_transcripts: usize,
}

impl Verdict {
    /// Whether nothing differs but what must.
    pub fn agrees(&self) -> bool {
        self.findings.iter().all(|finding| finding.expected)
    }

    fn add(
        &mut self,
        range: &Range<i64>,
        events: &[recorded::Request],
        transcripts: &[transcripts::Request],
    ) {
        for event in events.iter().filter(|event| range.contains(&event.time_ms)) {
            *self.events.entry(event.model.clone()).or_default() += event.sums;
            if findings::is_auxiliary(&event.query_source) {
                *self.auxiliary.entry(event.model.clone()).or_default() += event.sums;
            }
        }
        for request in transcripts.iter().filter(|request| range.contains(&request.time_ms)) {
            *self.transcripts.entry(request.model.clone()).or_default() += request.sums;
        }
        self.sessions = sessions(events, transcripts);
    }

    /// Everything that any side names.
    pub fn models(&self) -> BTreeSet<&str> {
        let counters = self.counters.iter().flat_map(BTreeMap::keys);
        let all = counters.chain(self.events.keys()).chain(self.transcripts.keys());
        all.map(String::as_str).filter(|model| !model.is_empty()).collect()
    }
}

/// `None` where the agent has recorded nothing yet.
pub fn verify(paths: &Paths, question: &Question) -> Result<Option<Verdict>, HistoryError> {
    let Some(history) = HistoryFile::open(&paths.history_db(), Origin::Recorded)? else {
        return Ok(None);
    };
    let Some(known) = recorded::extent(&history)? else { return Ok(None) };
    let oldest_ms = question.now_ms - TRANSCRIPTS_KEPT_MS;
    let first_ms = known.start.max(oldest_ms).div_euclid(MINUTE_MS) * MINUTE_MS;
    let since_ms = question.since_ms.unwrap_or(first_ms);
    let range = since_ms..question.now_ms.max(since_ms) + 1;
    let wider = range.start - TIMES_APART_MS..range.end;
    let session = question.session.as_deref();
    let events = recorded::requests(&history, &wider, session)?;
    let transcripts = transcripts::requests(paths, &question.roots, &wider, session);
    let heard = recorded::event_times(&history, &wider)?;
    let sides = Sides {
        from_ms: range.start,
        now_ms: question.now_ms,
        events: &events,
        transcripts: &transcripts,
        heard: &heard,
    };
    let mut verdict = Verdict { findings: findings::find(&sides), ..Verdict::default() };
    verdict.add(&range, &events, &transcripts);
    if let Some(range) = counters_range(question, &range, &events, &transcripts, &heard) {
        let counters = recorded::counters(&history, &range)?;
        let fresh_ms = question.now_ms - COUNTERS_FRESH_MS;
        let is_fresh = |model: &str| {
            events
                .iter()
                .rev()
                .take_while(|event| event.time_ms > fresh_ms)
                .any(|event| event.model == model)
        };
        let found = counters::compare(&counters, &verdict.events, is_fresh);
        verdict.findings.splice(0..0, found);
        verdict.counters = Some(counters);
    }
    verdict.range = range;
    Ok(Some(verdict))
}

/// The range in which counters belong to what is asked for; none if other sessions ran beside it, or
/// the range begins in the middle of something.
fn counters_range(
    question: &Question,
    range: &Range<i64>,
    events: &[recorded::Request],
    transcripts: &[transcripts::Request],
    heard: &[(i64, String)],
) -> Option<Range<i64>> {
    let Some(session) = &question.session else {
        // Counters of what was done just before the range come within it.
        let before = range.start - COUNTERS_LAG_MS..range.start;
        let cut = heard.iter().any(|(time_ms, _)| before.contains(time_ms));
        return (!cut).then(|| range.clone());
    };
    let times = || {
        let events = events.iter().map(|event| event.time_ms);
        events.chain(transcripts.iter().map(|request| request.time_ms))
    };
    let alone = times().min()? - COUNTERS_LAG_MS..times().max()? + COUNTERS_LAG_MS;
    let minutes = alone.start.div_euclid(MINUTE_MS)..=alone.end.div_euclid(MINUTE_MS);
    let beside = heard.iter().any(|(time_ms, other)| {
        other != session && minutes.contains(&time_ms.div_euclid(MINUTE_MS))
    });
    (!beside).then_some(alone)
}

fn sessions(events: &[recorded::Request], transcripts: &[transcripts::Request]) -> Sessions {
    let told: BTreeSet<&str> = events.iter().map(|event| event.session.as_str()).collect();
    let written: BTreeSet<&str> = transcripts.iter().map(|one| one.session.as_str()).collect();
    Sessions {
        on_both_sides: told.intersection(&written).count(),
        only_in_events: told.difference(&written).count(),
        only_in_transcripts: written.difference(&told).count(),
    }
}

/// The causes in the order in which they are told, each with its findings.
pub fn by_cause(findings: &[Finding]) -> BTreeMap<(bool, Cause), Vec<&Finding>> {
    let mut causes: BTreeMap<(bool, Cause), Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        causes.entry((finding.expected, finding.cause)).or_default().push(finding);
    }
    causes
}
