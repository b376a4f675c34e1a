use std::sync::Arc;

use super::*;
use crate::record::{Event, Labels, Value};
use crate::report::history::sink::Sink;
use crate::report::question::Dimensions;
use crate::report::row::{Facts, Tokens};
use crate::report::time::Clock;
use crate::store::handle::{HistoryEvents, HistoryPage, HistorySeries, HistoryTick};

mod groupings;

/// 2026-11-14 00:00 in Paris.
const START_MS: i64 = 1_794_610_800_000;
const MINUTE_MS: i64 = 60_000;

const TOKEN_TYPES: [&str; 4] = ["input", "output", "cacheRead", "cacheCreation"];

/// One call of the API, as events and counters tell of it.
#[derive(Clone, Debug)]
struct Use {
    minute: i64,
    project: Option<&'static str>,
    model: &'static str,
    session: &'static str,
    repository: Option<&'static str>,
    cents: u32,
    tokens: [u32; 4],
    /// Whether the event got lost on the way, as with a full queue in Claude Code.
    event_lost: bool,
}

impl Default for Use {
    fn default() -> Self {
        Self {
            minute: 600,
            project: Some("checkout"),
            model: "claude-opus-4-8",
            session: "s1",
            repository: Some("acme/shop"),
            cents: 10,
            tokens: [1, 2, 3, 4],
            event_lost: false,
        }
    }
}

fn labels(pairs: &[(&str, Option<&str>)]) -> Labels {
    pairs
        .iter()
        .filter_map(|(name, value)| Some((Arc::from(*name), Arc::from((*value)?))))
        .collect()
}

fn event(used: &Use, name: &str, more: &[(&str, Option<Value>)]) -> Event {
    let text = |text: &str| Some(Value::Text(text.into()));
    let common = [
        ("session.id", text(used.session)),
        ("user.email", text("ada@example.com")),
        ("vcs.repository.name", used.repository.and_then(text)),
    ];
    Event {
        time_ns: u64::try_from(START_MS + used.minute * MINUTE_MS).unwrap() * 1_000_000,
        name: name.into(),
        body: format!("claude_code.{name}").into(),
        service: "claude-code".into(),
        tags: labels(&[("project", used.project), ("team", Some("payments"))]),
        id: 1,
        attributes: common
            .iter()
            .chain(more)
            .filter_map(|(name, value)| Some((Arc::from(*name), value.clone()?)))
            .collect(),
    }
}

fn request(used: &Use) -> Event {
    let tokens = |index: usize| Some(Value::Int(i64::from(used.tokens[index])));
    event(
        used,
        "api_request",
        &[
            ("model", Some(Value::Text(used.model.into()))),
            ("query_source", Some(Value::Text("repl_main_thread".into()))),
            ("cost_usd", Some(Value::Double(f64::from(used.cents) / 100.0))),
            ("input_tokens", tokens(0)),
            ("output_tokens", tokens(1)),
            ("cache_read_tokens", tokens(2)),
            ("cache_creation_tokens", tokens(3)),
        ],
    )
}

/// A history in a directory of its own.
struct Recorded {
    directory: tempfile::TempDir,
    sink: Sink,
    series: Vec<Labels>,
    row: i64,
}

impl Recorded {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut sink = Sink::open(&directory.path().join("history.db")).unwrap();
        sink.begin_install("a").unwrap();
        Self { directory, sink, series: Vec::new(), row: 0 }
    }

    fn page(&mut self, minute: i64, counted: &[(Labels, f64)], events: Vec<Event>) {
        self.row += 1;
        let known = self.series.len();
        let increments = counted
            .iter()
            .map(|(labels, value)| {
                let place = self.series.iter().position(|known| known == labels);
                let index = place.unwrap_or_else(|| {
                    self.series.push(labels.clone());
                    self.series.len() - 1
                });
                (i64::try_from(index).unwrap() + 1, *value)
            })
            .collect();
        let time_ms = START_MS + minute * MINUTE_MS + self.row;
        let page = HistoryPage {
            series: (known..self.series.len())
                .map(|index| HistorySeries {
                    id: i64::try_from(index).unwrap() + 1,
                    labels: Arc::new(self.series[index].clone()),
                })
                .collect(),
            ticks: vec![HistoryTick { row: self.row, time_ms, increments }],
            events: vec![HistoryEvents { row: self.row, received_ms: time_ms, events }],
            more: false,
        };
        self.sink.apply(&page, 4_000).unwrap();
    }

    fn uses(&mut self, uses: &[Use]) {
        for used in uses {
            let series = |metric: &'static str, kind: Option<&str>| {
                labels(&[
                    ("__name__", Some(metric)),
                    ("model", Some(used.model)),
                    ("project", used.project),
                    ("team", Some("payments")),
                    ("type", kind),
                ])
            };
            let cost = f64::from(used.cents) / 100.0;
            let mut counted = vec![(series("claude_code_cost_usage_USD_total", None), cost)];
            for (kind, tokens) in TOKEN_TYPES.iter().zip(used.tokens) {
                let metric = "claude_code_token_usage_tokens_total";
                counted.push((series(metric, Some(kind)), f64::from(tokens)));
            }
            let events = if used.event_lost { Vec::new() } else { vec![request(used)] };
            self.page(used.minute, &counted, events);
        }
    }

    fn ask(&self, by: &[&str]) -> Answer {
        self.ask_between(by, "2026-11-01", Some("2026-12-01"))
    }

    fn ask_between(&self, by: &[&str], since: &str, until: Option<&str>) -> Answer {
        let clock = Clock { now: "2026-11-21T10:17:42+01:00[Europe/Paris]".parse().unwrap() };
        let dimensions = by.iter().map(|word| word.parse().unwrap()).collect();
        let question = Question {
            range: clock.range(since, until).unwrap(),
            clock,
            by: Dimensions::new(dimensions).unwrap(),
            filters: Vec::new(),
        };
        let path = self.directory.path().join("history.db");
        answer(&History::open_files(Some(&path), None).unwrap().unwrap(), &question).unwrap()
    }
}

fn keys(answer: &Answer) -> Vec<String> {
    answer
        .rows
        .iter()
        .map(|row| {
            let words: Vec<&str> = row
                .keys
                .iter()
                .map(|key| match key {
                    Key::Value(value) => value.as_str(),
                    Key::Unset => "(none)",
                    Key::Unattributed => "(unattributed)",
                })
                .collect();
            words.join(" ")
        })
        .collect()
}

#[test]
fn an_empty_history_answers_nothing() {
    let answer = Recorded::new().ask(&["day"]);
    assert!(answer.is_empty() && answer.rows.is_empty());
}

#[test]
fn a_range_without_anything_is_empty_in_a_history_with_something() {
    let mut recorded = Recorded::new();
    recorded.uses(&[Use::default()]);
    assert!(recorded.ask_between(&["day"], "2026-11-01", Some("2026-11-02")).is_empty());
    assert!(recorded.ask_between(&["day"], "2026-11-15", None).is_empty());
}

#[test]
fn what_was_recorded_is_answered() {
    let mut recorded = Recorded::new();
    recorded.uses(&[Use::default(), Use { cents: 20, ..Use::default() }]);
    let used = Use::default();
    let lines = |kind| {
        labels(&[
            ("__name__", Some("claude_code_lines_of_code_count_total")),
            ("project", Some("checkout")),
            ("type", Some(kind)),
        ])
    };
    let plain = |metric, kind| {
        labels(&[("__name__", Some(metric)), ("project", Some("checkout")), ("type", kind)])
    };
    let counted = [
        (lines("added"), 10.0),
        (lines("removed"), 2.0),
        (plain("claude_code_commit_count_total", None), 1.0),
        (plain("claude_code_pull_request_count_total", None), 1.0),
        (plain("claude_code_active_time_seconds_total", Some("user")), 30.5),
        (plain("claude_code_active_time_seconds_total", Some("cli")), 60.0),
        (plain("claude_code_session_count_total", None), 9.0),
    ];
    let events = vec![event(&used, "user_prompt", &[]), event(&used, "api_error", &[])];
    recorded.page(700, &counted, events);

    let answer = recorded.ask(&["project"]);
    assert_eq!(keys(&answer), ["checkout"]);
    let expected = Facts {
        cost_usd: 0.3,
        tokens: Tokens { input: 2.0, output: 4.0, cache_read: 6.0, cache_creation: 8.0 },
        sessions: 1,
        prompts: 1,
        requests: 2,
        errors: 1,
        active_seconds: 90.5,
        lines_added: 10.0,
        lines_removed: 2.0,
        commits: 1.0,
        pull_requests: 1.0,
        tool_calls: 0,
        tool_failures: 0,
        ..Facts::default()
    };
    assert_eq!(answer.rows[0].facts, expected);
    assert_eq!(answer.total, expected);
}

#[test]
fn tags_that_are_not_set_are_a_row() {
    let mut recorded = Recorded::new();
    recorded.uses(&[Use { cents: 90, project: None, ..Use::default() }, Use::default()]);
    assert_eq!(keys(&recorded.ask(&["project"])), ["checkout", "(none)"]);
    assert_eq!(keys(&recorded.ask(&["tag:cost.center"])), ["(none)"]);
}

#[test]
fn days_without_anything_are_zeros_after_the_first() {
    let mut recorded = Recorded::new();
    recorded.uses(&[Use { minute: 10, ..Use::default() }, Use { minute: 3_000, ..Use::default() }]);
    let answer = recorded.ask_between(&["day"], "2026-11-01", Some("2026-11-18"));
    assert_eq!(keys(&answer), ["2026-11-14", "2026-11-15", "2026-11-16", "2026-11-17"]);
    assert!(answer.rows[1].facts.is_nothing() && answer.rows[3].facts.is_nothing());
    let last = keys(&recorded.ask_between(&["day"], "2026-11-01", Some("2027-11-18"))).pop();
    assert_eq!(last.as_deref(), Some("2026-11-21"), "no days to come");
}

#[test]
fn midnight_is_local() {
    let mut recorded = Recorded::new();
    recorded.uses(&[Use { minute: -1, ..Use::default() }, Use { minute: 0, ..Use::default() }]);
    let answer = recorded.ask_between(&["day"], "2026-11-01", Some("2026-11-15"));
    assert_eq!(keys(&answer), ["2026-11-13", "2026-11-14"]);
    assert_eq!(answer.rows[0].facts.cost_usd, 0.1);
    let from_midnight = recorded.ask_between(&["day"], "2026-11-14", None);
    assert_eq!(from_midnight.total.cost_usd, 0.1);
}

#[test]
fn a_session_in_two_rows_is_one_in_the_total() {
    let mut recorded = Recorded::new();
    recorded.uses(&[
        Use::default(),
        Use { minute: 2_000, ..Use::default() },
        Use { project: Some("search"), ..Use::default() },
    ]);
    for by in [&["day"][..], &["project"], &["project", "day"]] {
        let answer = recorded.ask(by);
        let in_rows = answer.rows.iter().map(|row| row.facts.sessions).sum::<i64>();
        assert_eq!(in_rows, if by.len() == 1 { 2 } else { 3 }, "{by:?}");
        assert_eq!(answer.total.sessions, 1, "{by:?}");
    }
}

#[test]
fn what_no_event_explains_is_unattributed() {
    let mut recorded = Recorded::new();
    recorded.uses(&[
        Use::default(),
        Use { repository: None, cents: 5, ..Use::default() },
        Use { event_lost: true, cents: 7, ..Use::default() },
    ]);
    let answer = recorded.ask(&["repo"]);
    assert_eq!(keys(&answer), ["acme/shop", "(none)", "(unattributed)"]);
    let costs: Vec<f64> = answer.rows.iter().map(|row| row.facts.cost_usd).collect();
    assert_eq!(costs, [0.1, 0.05, 0.07]);
    assert_eq!(answer.rows[2].facts.requests, 0);
    assert_eq!(answer.total.cost_usd, 0.22);
    // Where events explain everything, there is no such row.
    let mut whole = Recorded::new();
    whole.uses(&[Use::default()]);
    assert_eq!(keys(&whole.ask(&["session"])), ["s1"]);
    assert_eq!(keys(&whole.ask(&["project", "user"])), ["checkout ada@example.com"]);
}

#[test]
fn tools_have_calls_and_share_no_cost() {
    let mut recorded = Recorded::new();
    let used = Use::default();
    recorded.uses(std::slice::from_ref(&used));
    let call = |tool: &str, success: &str| {
        let text = |text: &str| Some(Value::Text(text.into()));
        event(&used, "tool_result", &[("tool_name", text(tool)), ("success", text(success))])
    };
    let calls = vec![call("Bash", "true"), call("Bash", "false"), call("Edit", "true")];
    recorded.page(601, &[], calls);
    let answer = recorded.ask(&["tool"]);
    assert_eq!(keys(&answer), ["Bash", "Edit", "(unattributed)"]);
    let bash = answer.rows[0].facts;
    assert_eq!((bash.tool_calls, bash.tool_failures, bash.sessions), (2, 1, 1));
    assert_eq!(answer.rows[2].facts.cost_usd, 0.1);
    assert_eq!((answer.total.tool_calls, answer.total.sessions), (3, 1));
}

#[test]
fn the_most_expensive_comes_first_and_time_goes_on() {
    let mut recorded = Recorded::new();
    recorded.uses(&[
        Use { minute: 2_000, project: Some("search"), cents: 5, ..Use::default() },
        Use { minute: 600, project: Some("search"), cents: 100, ..Use::default() },
        Use { minute: 600, cents: 50, ..Use::default() },
        Use { minute: 2_000, cents: 51, ..Use::default() },
    ]);
    assert_eq!(
        keys(&recorded.ask(&["project", "day"])),
        ["search 2026-11-14", "search 2026-11-15", "checkout 2026-11-14", "checkout 2026-11-15"]
    );
    assert_eq!(
        keys(&recorded.ask(&["day", "project"])),
        ["2026-11-14 search", "2026-11-14 checkout", "2026-11-15 checkout", "2026-11-15 search"]
    );
}

#[test]
fn of_an_hour_that_comes_twice_the_first_comes_first() {
    let mut recorded = Recorded::new();
    // 2026-10-25 00:30 UTC and 01:30 UTC: both 2:30 in Paris.
    let minute = (1_792_888_200_000 - START_MS) / MINUTE_MS;
    recorded
        .uses(&[Use { minute: minute + 60, ..Use::default() }, Use { minute, ..Use::default() }]);
    let answer = recorded.ask_between(&["hour"], "2026-10-25", Some("2026-10-26"));
    let hours = &keys(&answer)[..2];
    assert_eq!(hours, ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]);
}

#[test]
fn dimes_do_not_make_noise() {
    let mut recorded = Recorded::new();
    recorded.uses(&[Use { cents: 10, ..Use::default() }, Use { cents: 20, ..Use::default() }]);
    assert_eq!(recorded.ask(&["day"]).total.cost_usd.to_string(), "0.3");
}
