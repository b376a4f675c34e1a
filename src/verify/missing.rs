//! Requests that only a transcript has: why no event of them came.

use super::findings::{Cause, Finding, Sides};
use super::known::{self, Effect};
use super::sums::Sums;
use super::transcripts;

/// Others that were heard of so near a request were heard of while it was made.
const AROUND_MS: i64 = 30_000;
/// Claude Code sends events every second, and tries again after one to five.
const ON_THEIR_WAY_MS: i64 = 6_000;

/// Requests of one session that only the transcript has, in order of time.
struct Missing<'s> {
    session: &'s str,
    requests: Vec<&'s transcripts::Request>,
}

/// What of a session only its transcript has.
pub fn of_session(
    sides: &Sides<'_>,
    session: &str,
    requests: Vec<&transcripts::Request>,
) -> Vec<Finding> {
    let is_recent =
        |request: &&transcripts::Request| request.time_ms > sides.now_ms - ON_THEIR_WAY_MS;
    let (recent, older): (Vec<_>, Vec<_>) = requests.into_iter().partition(is_recent);
    let recent = still_arriving(&Missing { session, requests: recent });
    recent.into_iter().chain(of_older(sides, &Missing { session, requests: older })).collect()
}

fn still_arriving(missing: &Missing<'_>) -> Option<Finding> {
    let (first, last) = (missing.requests.first()?, missing.requests.last()?);
    Some(Finding {
        cause: Cause::StillArriving,
        expected: Cause::StillArriving.is_expected(),
        session: Some(missing.session.to_owned()),
        model: None,
        from_ms: Some(first.time_ms),
        to_ms: Some(last.time_ms),
        difference: Sums::default() - missing.sums(),
        what: "requests of the last seconds, whose events may still be on their way".to_owned(),
        source: None,
    })
}

impl Missing<'_> {
    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        self.requests.iter().for_each(|request| sums += request.sums);
        sums
    }
}

/// What should have come long ago.
fn of_older(sides: &Sides<'_>, missing: &Missing<'_>) -> Option<Finding> {
    let (first, last) = (missing.requests.first()?, missing.requests.last()?);
    let fault = missing.requests.iter().find_map(|request| {
        let version = request.version.as_deref()?;
        known::fault(version, request.entrypoint.as_deref(), Effect::Silent)
    });
    let (cause, what) = match fault {
        Some(fault) => (Cause::KnownBadVersion, fault.what),
        None => cause(sides, missing.session, first.time_ms, last.time_ms),
    };
    Some(Finding {
        cause,
        expected: cause.is_expected(),
        session: Some(missing.session.to_owned()),
        model: None,
        from_ms: Some(first.time_ms),
        to_ms: Some(last.time_ms),
        difference: Sums::default() - missing.sums(),
        what: what.to_owned(),
        source: fault.map(|fault| fault.source),
    })
}

/// What no known fault explains, by who else was heard of, and when.
fn cause(sides: &Sides<'_>, session: &str, first_ms: i64, last_ms: i64) -> (Cause, &'static str) {
    let heard = |matches: &dyn Fn(i64, bool) -> bool| {
        sides.heard.iter().any(|(time_ms, of)| matches(*time_ms, of == session))
    };
    let around = first_ms - AROUND_MS..=last_ms + AROUND_MS;
    let own = heard(&|_, is_own| is_own);
    let others = heard(&|time_ms, is_own| !is_own && around.contains(&time_ms));
    let own_later = heard(&|time_ms, is_own| is_own && time_ms > last_ms);
    let own_before = heard(&|time_ms, is_own| is_own && time_ms < first_ms);
    let any_later = heard(&|time_ms, _| time_ms > last_ms + AROUND_MS);
    match own {
        false if others || any_later || sides.heard.is_empty() => (
            Cause::SessionWithoutCcotel,
            "no event of this session came: it was not started with `ccotel claude`, or its telemetry never \
             began",
        ),
        false => (
            Cause::AgentDown,
            "no event of any session came then or later: the agent was not running, or was not reached",
        ),
        true if own_before && own_later && !others => (
            Cause::AgentDown,
            "no event of any session came for a while, and then they came again: the agent was not running, \
             or was not reached",
        ),
        true if own_later => {
            (Cause::EventsLost, "events of this session are missing between others that came")
        }
        true if others => (
            Cause::StreamDied,
            "events of this session ended before its transcript did, while those of others came: its \
             exporter stopped",
        ),
        true if any_later => (
            Cause::StreamDied,
            "events of this session ended before its transcript did, and those of others came later: its \
             exporter stopped, or did not reach the agent",
        ),
        true => (
            Cause::AgentDown,
            "events of this session ended before its transcript did, and none of any session came since: \
             the agent was stopped, or the session was killed before it sent them",
        ),
    }
}
