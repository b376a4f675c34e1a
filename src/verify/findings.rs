//! Differences, and what they most likely come from.

use std::collections::BTreeMap;

use super::known::{self, Effect};
use super::matching::Matching;
use super::sums::Sums;
use super::{missing, recorded, transcripts};

/// Sessions that are named one by one; the sums hold all.
pub const FINDINGS_MAX: usize = 200;

/// Why two sides differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Titles, summaries, checks: no transcript has them.
    AuxiliaryRequests,
    /// Claude Code counts a model that it does not know at a price of its own; we count none.
    UnpricedModel,
    /// It happened a moment ago.
    StillArriving,
    /// The version is known to send nothing, to price wrongly or to count twice.
    KnownBadVersion,
    /// Not one event of the session came.
    SessionWithoutCcotel,
    /// Events of the session ended, while those of others came.
    StreamDied,
    /// No event of any session came for a while.
    AgentDown,
    /// Events are missing between others that came.
    EventsLost,
    /// The transcript lacks what an event told of.
    NotInTranscript,
    PriceDiffers,
    TokensDiffer,
    /// Counters say less than events: the last export before an end was lost.
    CountersBehind,
    /// Counters say more than events: they heal, events do not.
    CountersAhead,
}

impl Cause {
    /// Whether it is how things are, and nothing is wrong.
    pub fn is_expected(self) -> bool {
        matches!(self, Self::AuxiliaryRequests | Self::UnpricedModel | Self::StillArriving)
    }
}

/// A difference with a cause.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Finding {
    pub cause: Cause,
    pub expected: bool,
    pub session: Option<String>,
    pub model: Option<String>,
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
    /// What one side has and the other has not; of a differing price or count, by how much.
    pub difference: Sums,
    pub what: String,
    pub source: Option<&'static str>,
}

/// All requests of both sides, and when anything was heard at all; from somewhat before `from_ms`, since
/// both sides have times of their own for one request.
pub struct Sides<'s> {
    pub from_ms: i64,
    pub now_ms: i64,
    pub events: &'s [recorded::Request],
    pub transcripts: &'s [transcripts::Request],
    /// Times and sessions of all events, to the second.
    pub heard: &'s [(i64, String)],
}

/// Compares request by request.
pub fn find(sides: &Sides<'_>) -> Vec<Finding> {
    let mut matching = Matching::new(sides.events);
    let mut findings = Vec::new();
    let mut missing: BTreeMap<&str, Vec<&transcripts::Request>> = BTreeMap::new();
    for request in sides.transcripts {
        match matching.take(request) {
            Some(event) if event.time_ms >= sides.from_ms => {
                findings.extend(differs(event, request));
            }
            None if request.time_ms >= sides.from_ms => {
                missing.entry(&request.session).or_default().push(request);
            }
            _ => {}
        }
    }
    for (session, requests) in missing {
        findings.extend(missing::of_session(sides, session, requests));
    }
    let left = matching.left().filter(|event| event.time_ms >= sides.from_ms);
    findings.extend(only_events(left));
    findings.sort_by(|one, other| {
        (one.expected, one.cause, &one.session).cmp(&(other.expected, other.cause, &other.session))
    });
    findings
}

/// The same request on both sides.
fn differs(event: &recorded::Request, request: &transcripts::Request) -> Option<Finding> {
    let difference = event.sums - request.sums;
    let finding = |cause, what: String, source| Finding {
        cause,
        expected: Cause::is_expected(cause),
        session: Some(request.session.clone()),
        model: Some(request.model.clone()),
        from_ms: Some(request.time_ms),
        to_ms: Some(request.time_ms),
        difference,
        what,
        source,
    };
    let fault = |effect| {
        let version = request.version.as_deref()?;
        known::fault(version, request.entrypoint.as_deref(), effect)
    };
    if !event.sums.same_tokens(&request.sums) {
        let known = fault(Effect::CountedTwice).filter(|_| {
            event.sums.tokens().iter().sum::<i64>() > request.sums.tokens().iter().sum()
        });
        return Some(known.map_or_else(
            || {
                let what = "event and transcript have different tokens for one request";
                finding(Cause::TokensDiffer, what.to_owned(), None)
            },
            |fault| finding(Cause::KnownBadVersion, fault.what.to_owned(), Some(fault.source)),
        ));
    }
    if request.sums.unpriced_requests > 0 {
        let what = format!(
            "{} has no list price: Claude Code counts it at a price of its own, a transcript has none",
            request.model
        );
        return Some(finding(Cause::UnpricedModel, what, None));
    }
    if event.sums.same_cost(&request.sums) {
        return None;
    }
    Some(fault(Effect::WrongPrice).map_or_else(
        || {
            let what = "Claude Code's cost is not what the tokens cost at list prices: an answer that broke off \
                        before (its event has the cost of both), a discount of the organisation's, or a \
                        price table that is not of that day";
            finding(Cause::PriceDiffers, what.to_owned(), None)
        },
        |fault| finding(Cause::KnownBadVersion, fault.what.to_owned(), Some(fault.source)),
    ))
}

/// What only events tell of, by session.
fn only_events<'s>(events: impl Iterator<Item = &'s recorded::Request>) -> Vec<Finding> {
    let mut left: BTreeMap<(&str, bool), (Sums, i64, i64)> = BTreeMap::new();
    for event in events {
        let entry = left.entry((&event.session, is_auxiliary(&event.query_source))).or_insert((
            Sums::default(),
            event.time_ms,
            event.time_ms,
        ));
        entry.0 += event.sums;
        entry.2 = event.time_ms;
    }
    let finding = |((session, auxiliary), (difference, from, to)): ((&str, bool), _)| {
        let (cause, what) = if auxiliary {
            let what = "titles, summaries, compactions and checks, which no transcript has";
            (Cause::AuxiliaryRequests, what)
        } else {
            let what =
                "the transcript lacks these: it was deleted, lies elsewhere, or was not to be kept";
            (Cause::NotInTranscript, what)
        };
        Finding {
            cause,
            expected: cause.is_expected(),
            session: Some(session.to_owned()),
            model: None,
            from_ms: Some(from),
            to_ms: Some(to),
            difference,
            what: what.to_owned(),
            source: None,
        }
    };
    left.into_iter().map(finding).collect()
}

/// Whether a request was not for a conversation: its answer stands in no transcript. Old versions do not
/// say what a request was for.
pub fn is_auxiliary(query_source: &str) -> bool {
    let of_a_conversation = ["repl_main_thread", "sdk", "agent:", "hook_agent", "subagent"];
    let is_said = !query_source.is_empty();
    is_said && !of_a_conversation.iter().any(|source| query_source.starts_with(source))
}
