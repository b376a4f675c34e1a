//! Differences, and what they most likely come from.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::known::{self, Effect};
use super::sums::Sums;
use super::{recorded, transcripts};

const MINUTE_MS: i64 = 60_000;
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
        matches!(self, Self::AuxiliaryRequests | Self::UnpricedModel)
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

/// All requests of both sides, and when anything was heard at all.
pub struct Sides<'s> {
    pub events: &'s [recorded::Request],
    pub transcripts: &'s [transcripts::Request],
    /// Minutes and sessions of all events.
    pub heard: &'s [(i64, String)],
}

/// Requests of one session that only the transcript has.
struct Missing<'s> {
    session: &'s str,
    requests: Vec<&'s transcripts::Request>,
}

/// Compares request by request.
pub fn find(sides: &Sides<'_>) -> Vec<Finding> {
    let by_id: HashMap<&str, &recorded::Request> = sides
        .events
        .iter()
        .filter_map(|event| Some((event.request_id.as_deref()?, event)))
        .collect();
    let mut findings = Vec::new();
    let mut told = HashSet::new();
    let mut missing: BTreeMap<&str, Vec<&transcripts::Request>> = BTreeMap::new();
    for request in sides.transcripts {
        match request.request_id.as_deref().and_then(|id| by_id.get(id)) {
            Some(event) => {
                told.insert(event.request_id.as_deref());
                findings.extend(differs(event, request));
            }
            None => missing.entry(&request.session).or_default().push(request),
        }
    }
    for (session, requests) in missing {
        findings.extend(of_missing(sides, &Missing { session, requests }));
    }
    findings.extend(only_events(sides, &told));
    findings.sort_by(|one, other| {
        (one.expected, one.cause, &one.session).cmp(&(other.expected, other.cause, &other.session))
    });
    findings
}

/// The same request on both sides.
fn differs(event: &recorded::Request, request: &transcripts::Request) -> Option<Finding> {
    let difference = minus(&event.sums, &request.sums);
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
            let what = "Claude Code's cost is not what the tokens cost at list prices; a discount of the \
                        organisation's, or a price table that is not of that day";
            finding(Cause::PriceDiffers, what.to_owned(), None)
        },
        |fault| finding(Cause::KnownBadVersion, fault.what.to_owned(), Some(fault.source)),
    ))
}

/// What of a session only its transcript has.
fn of_missing(sides: &Sides<'_>, missing: &Missing<'_>) -> Option<Finding> {
    let (first, last) = (missing.requests.first()?, missing.requests.last()?);
    let mut difference = Sums::default();
    missing.requests.iter().for_each(|request| difference += request.sums);
    let fault = missing.requests.iter().find_map(|request| {
        let version = request.version.as_deref()?;
        known::fault(version, request.entrypoint.as_deref(), Effect::Silent)
    });
    let heard = |matches: &dyn Fn(i64, &str) -> bool| {
        sides.heard.iter().any(|(minute, session)| matches(*minute, session))
    };
    let (from, to) = (first.time_ms.div_euclid(MINUTE_MS), last.time_ms.div_euclid(MINUTE_MS));
    let own = heard(&|_, session| session == missing.session);
    let others =
        heard(&|minute, session| session != missing.session && (from..=to).contains(&minute));
    let own_later = heard(&|minute, session| session == missing.session && minute > to);
    let own_before = heard(&|minute, session| session == missing.session && minute <= from);
    let any_later = heard(&|minute, _| minute > to);
    let (cause, what) = match (fault, own) {
        (Some(fault), _) => (Cause::KnownBadVersion, fault.what.to_owned()),
        (None, false) if others || any_later || sides.heard.is_empty() => (
            Cause::SessionWithoutCcotel,
            "no event of this session came: it was not started with `ccotel claude`, or its telemetry never \
             began"
                .to_owned(),
        ),
        (None, false) => (
            Cause::AgentDown,
            "no event of any session came then or later: the agent was not running, or was not reached"
                .to_owned(),
        ),
        (None, true) if own_before && own_later && !others => (
            Cause::AgentDown,
            "no event of any session came for a while, and then they came again: the agent was not running, \
             or was not reached"
                .to_owned(),
        ),
        (None, true) if own_later => (
            Cause::EventsLost,
            "events of this session are missing between others that came".to_owned(),
        ),
        (None, true) if others || any_later => (
            Cause::StreamDied,
            "events of this session ended before its transcript did, while others came: its exporter \
             stopped"
                .to_owned(),
        ),
        (None, true) => (
            Cause::AgentDown,
            "events of this session ended before its transcript did, and none of any session came since: \
             the agent was stopped, or the session was killed before it sent them"
                .to_owned(),
        ),
    };
    Some(Finding {
        cause,
        expected: cause.is_expected(),
        session: Some(missing.session.to_owned()),
        model: None,
        from_ms: Some(first.time_ms),
        to_ms: Some(last.time_ms),
        difference: minus(&Sums::default(), &difference),
        what,
        source: fault.map(|fault| fault.source),
    })
}

/// What only events tell of, by session.
fn only_events(sides: &Sides<'_>, told: &HashSet<Option<&str>>) -> Vec<Finding> {
    let mut left: BTreeMap<(&str, bool), (Sums, i64, i64)> = BTreeMap::new();
    for event in sides.events.iter().filter(|event| !told.contains(&event.request_id.as_deref())) {
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

/// Whether a request was not for a conversation: its answer stands in no transcript.
pub fn is_auxiliary(query_source: &str) -> bool {
    let of_a_conversation = ["repl_main_thread", "sdk", "agent:", "hook_agent", "subagent"];
    !of_a_conversation.iter().any(|source| query_source.starts_with(source))
}

/// Differences of counters and events, by model.
pub fn of_counters(
    counters: &BTreeMap<String, Sums>,
    events: &BTreeMap<String, Sums>,
) -> Vec<Finding> {
    let models: std::collections::BTreeSet<&String> =
        counters.keys().chain(events.keys()).filter(|model| !model.is_empty()).collect();
    let mut findings = Vec::new();
    for model in models {
        let of = |side: &BTreeMap<String, Sums>| side.get(model).copied().unwrap_or_default();
        let (counted, told) = (of(counters), of(events));
        if counted.same_tokens(&told) && counted.same_cost(&told) {
            continue;
        }
        let sum = |sums: &Sums| sums.tokens().iter().sum::<i64>();
        let ahead = (sum(&counted), counted.cost_usd) > (sum(&told), told.cost_usd);
        let (cause, what) = if ahead {
            (
                Cause::CountersAhead,
                "counters say more than events: events that were not delivered are lost, counters catch up",
            )
        } else {
            (
                Cause::CountersBehind,
                "counters say less than events: a session was killed before it sent its last counters",
            )
        };
        findings.push(Finding {
            cause,
            expected: false,
            session: None,
            model: Some(model.clone()),
            from_ms: None,
            to_ms: None,
            difference: Sums { requests: 0, ..minus(&counted, &told) },
            what: what.to_owned(),
            source: None,
        });
    }
    findings
}

fn minus(one: &Sums, other: &Sums) -> Sums {
    Sums {
        requests: one.requests - other.requests,
        cost_usd: one.cost_usd - other.cost_usd,
        input: one.input - other.input,
        output: one.output - other.output,
        cache_read: one.cache_read - other.cache_read,
        cache_creation: one.cache_creation - other.cache_creation,
        unpriced_requests: one.unpriced_requests - other.unpriced_requests,
    }
}
