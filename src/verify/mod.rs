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

pub mod findings;
pub mod known;
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

/// What to compare.
pub struct Question {
    /// `None`: since the first event that the agent heard of.
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
    let since_ms = question.since_ms.unwrap_or(known.start);
    let range = since_ms..question.now_ms.max(since_ms) + 1;
    let session = question.session.as_deref();
    let events = recorded::requests(&history, &range, session)?;
    let transcripts = transcripts::requests(paths, &question.roots, &range, session);
    let heard = recorded::event_minutes(&history, &range)?;
    let sides = Sides { events: &events, transcripts: &transcripts, heard: &heard };
    let mut verdict = Verdict { findings: findings::find(&sides), ..Verdict::default() };
    for event in &events {
        *verdict.events.entry(event.model.clone()).or_default() += event.sums;
        if findings::is_auxiliary(&event.query_source) {
            *verdict.auxiliary.entry(event.model.clone()).or_default() += event.sums;
        }
    }
    for request in &transcripts {
        *verdict.transcripts.entry(request.model.clone()).or_default() += request.sums;
    }
    verdict.sessions = sessions(&events, &transcripts);
    if let Some(range) = counters_range(question, &range, &events, &transcripts, &heard) {
        let counters = recorded::counters(&history, &range)?;
        verdict.findings.splice(0..0, findings::of_counters(&counters, &verdict.events));
        verdict.counters = Some(counters);
    }
    verdict.range = range;
    Ok(Some(verdict))
}

/// The range in which counters belong to what is asked for; none if other sessions ran beside it.
fn counters_range(
    question: &Question,
    range: &Range<i64>,
    events: &[recorded::Request],
    transcripts: &[transcripts::Request],
    heard: &[(i64, String)],
) -> Option<Range<i64>> {
    let Some(session) = &question.session else { return Some(range.clone()) };
    let times = || {
        let events = events.iter().map(|event| event.time_ms);
        events.chain(transcripts.iter().map(|request| request.time_ms))
    };
    let alone = times().min()? - COUNTERS_LAG_MS..times().max()? + COUNTERS_LAG_MS;
    let beside = heard.iter().any(|(minute, other)| {
        other != session && (alone.start / 60_000..=alone.end / 60_000).contains(minute)
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
