use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::report::history::facts::{Fact, Kind};
use crate::report::recorded::{
    HOUR_MS, Recorded, START_MS, fact, overloaded, prompt, request, text, tool,
};

/// Noon of the day that begins at [`START_MS`].
const NOON_MS: i64 = START_MS + 12 * HOUR_MS;

fn clock(at_ms: i64) -> Clock {
    let now = Timestamp::from_millisecond(at_ms).unwrap().to_zoned(TimeZone::UTC);
    Clock { now }
}

fn look(recorded: &Recorded, at_ms: i64, all: bool) -> Live {
    live(&recorded.open(), &clock(at_ms), all).unwrap()
}

fn with_query_source(mut fact: Fact, query_source: &str) -> Fact {
    fact.facet.query_source = text(query_source);
    fact
}

fn with_context(mut fact: Fact, cache_read_tokens: i64) -> Fact {
    if let Kind::Request(request) = &mut fact.kind {
        request.cache_read_tokens = cache_read_tokens;
        request.cache_creation_tokens = 1_000;
    }
    fact
}

/// `night-1` began yesterday, `morning-1` is over, `checkout-1` goes on.
fn recorded() -> Recorded {
    let mut recorded = Recorded::new();
    let main = |ago_ms, cost_usd| {
        let request = fact("checkout-1", "p", NOON_MS - ago_ms, request(cost_usd, 900));
        with_context(with_query_source(request, "repl_main_thread"), 40_000)
    };
    let aside = with_query_source(
        with_context(fact("checkout-1", "p", NOON_MS - 900, request(0.25, 10)), 7),
        "generate_session_title",
    );
    recorded.record(&[
        fact("night-1", "p", START_MS - HOUR_MS, prompt()),
        fact("night-1", "p", START_MS - HOUR_MS + 1, request(8.0, 900)),
        fact("night-1", "p", NOON_MS - 10 * 60_000, request(1.0, 900)),
        fact("morning-1", "p", START_MS + HOUR_MS, request(0.5, 900)),
        fact("checkout-1", "p", NOON_MS - 20 * 60_000, prompt()),
        main(20 * 60_000 - 1, 2.0),
        main(4 * 60_000, 0.75),
        fact("checkout-1", "p", NOON_MS - 60_000, tool(true, 5)),
        aside,
    ]);
    recorded
}

#[test]
fn active_sessions_are_whole_and_the_newest_first() {
    let live = look(&recorded(), NOON_MS, false);
    let ids: Vec<&str> = live.sessions.iter().map(|session| &*session.session_id).collect();
    assert_eq!(ids, ["checkout-1", "night-1"]);
    let [checkout, night] = &live.sessions[..] else { panic!("two sessions") };
    assert_eq!((checkout.cost_usd, checkout.requests, checkout.tool_calls), (3.0, 3, 1));
    assert_eq!(night.cost_usd, 9.0, "what it cost yesterday belongs to it");
    assert_eq!(checkout.project.as_deref(), Some("checkout"));
    assert_eq!(checkout.doing.words(), "thinking", "the title is not an answer");
    assert_eq!(checkout.context_tokens, Some(41_100), "the title is not the conversation");
    assert_eq!(checkout.context_window, None, "no counter has said it");
    // Two requests of the last five minutes: the conversation's and the title's.
    assert_eq!(checkout.recent_tokens.output, 100.0);
    assert_eq!(checkout.tokens_per_minute(), f64::from(2 * (100 + 50 + 1_000)) / 5.0);
}

#[test]
fn todays_others_come_if_they_are_wanted_and_do_nothing() {
    let live = look(&recorded(), NOON_MS, true);
    let morning = live.sessions.last().unwrap();
    assert_eq!((&*morning.session_id, morning.active), ("morning-1", false));
    assert_eq!((&morning.doing, morning.tokens_per_minute()), (&Doing::Idle, 0.0));
    assert_eq!(live.sessions.len(), 3);
}

#[test]
fn the_day_is_what_events_say_as_long_as_counters_are_behind() {
    let today = look(&recorded(), NOON_MS, false).today;
    assert_eq!((today.cost_of_counters_usd, today.cost_of_events_usd), (0.0, 4.5));
    assert_eq!(today.cost_usd, 4.5, "without yesterday's");
    assert_eq!((today.sessions, today.prompts, today.requests), (3, 1, 5));
    assert_eq!(today.tokens.input, 500.0);
    assert_eq!(today.since_ms, START_MS);
}

#[test]
fn the_burn_rate_is_of_a_quarter_of_an_hour_and_falls_by_itself() {
    let recorded = recorded();
    // 1.0 ten minutes ago, 0.75 four minutes ago, 0.25 just now; 2.0 is too long ago.
    let at = |minutes: i64| look(&recorded, NOON_MS + minutes * 60_000, false);
    assert_eq!(at(0).burn_usd_per_hour, 2.0 * 4.0);
    assert_eq!(at(6).burn_usd_per_hour, 1.0 * 4.0);
    assert_eq!(at(15).burn_usd_per_hour, 0.0);
    assert!(at(15).burn_usd_per_hour.is_sign_positive());
    let course_usd = at(0).course_usd;
    assert_eq!(course_usd.len(), 60);
    let told: Vec<_> = (0..60).filter(|minute| course_usd[*minute] > 0.0).collect();
    assert_eq!(told, [40, 49, 55, 59]);
    assert_eq!((course_usd[40], course_usd[49], course_usd[55]), (2.0, 1.0, 0.75));
}

#[test]
fn a_session_is_active_for_a_quarter_of_an_hour_past_midnight_too() {
    let mut recorded = Recorded::new();
    recorded.record(&[fact("late-1", "p", START_MS - 60_000, overloaded())]);
    let live = look(&recorded, START_MS + 60_000, false);
    assert_eq!(live.sessions.len(), 1);
    assert_eq!(live.sessions[0].doing.words(), "failed 529");
    assert_eq!(live.today, Today { since_ms: START_MS, ..Today::default() });
    assert!(look(&recorded, START_MS + 15 * 60_000, false).sessions.is_empty());
}

#[test]
fn an_imported_session_is_one_with_what_was_recorded_of_it() {
    let mut recorded = recorded();
    recorded.import(&[fact("checkout-1", "p", NOON_MS - HOUR_MS, request(0.5, 900))]);
    let live = look(&recorded, NOON_MS, false);
    assert_eq!(live.sessions[0].cost_usd, 3.5);
    assert_eq!(live.today.cost_usd, 5.0);
}
