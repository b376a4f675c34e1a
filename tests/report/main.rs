//! `ccotel report` from outside: the real binary over a history made for it.

#![expect(clippy::unwrap_used, reason = "helpers of tests end the test, too")]

mod choices;
mod session;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use ccotel::record::{Event, Labels, Value};
use ccotel::report::history::sink::Sink;
use ccotel::store::handle::{HistoryEvents, HistoryPage, HistorySeries, HistoryTick};

/// 2026-11-13 23:00 UTC: midnight in Paris.
const START_MS: i64 = 1_794_610_800_000;
const HOUR_MS: i64 = 3_600_000;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect()
}

fn event(name: &str, session: &str, project: &str, time_ms: i64, more: &[(&str, Value)]) -> Event {
    let text = |text: &str| Value::Text(text.into());
    let common = [("session.id", text(session)), ("vcs.repository.name", text("acme/shop"))];
    Event {
        time_ns: u64::try_from(time_ms).unwrap() * 1_000_000,
        name: name.into(),
        body: format!("claude_code.{name}").into(),
        service: "claude-code".into(),
        tags: labels(&[("project", project), ("team", "payments")]),
        id: 1,
        attributes: common
            .iter()
            .chain(more)
            .map(|(name, value)| (Arc::from(*name), value.clone()))
            .collect(),
    }
}

fn request(session: &str, project: &str, time_ms: i64, cost_usd: f64) -> Event {
    let more = [
        ("model", Value::Text("claude-opus-4-8".into())),
        ("cost_usd", Value::Double(cost_usd)),
        ("input_tokens", Value::Text("400".into())),
    ];
    event("api_request", session, project, time_ms, &more)
}

fn series(id: i64, metric: &str, project: &str, kind: Option<&str>) -> HistorySeries {
    let mut pairs = vec![("__name__", metric), ("project", project), ("team", "payments")];
    pairs.extend(kind.map(|kind| ("type", kind)));
    if metric.contains("usage") {
        pairs.push(("model", "claude-opus-4-8"));
    }
    HistorySeries { id, labels: labels(&pairs).into() }
}

fn tick(row: i64, time_ms: i64, increments: &[(i64, f64)]) -> HistoryTick {
    HistoryTick { row, time_ms, increments: increments.to_vec() }
}

/// Two days of two projects, one with costs that floating-point numbers cannot add.
fn record(data_dir: &Path) {
    let mut sink = Sink::open(&data_dir.join("history.db")).unwrap();
    sink.begin_install("test").unwrap();
    let (first, second) = (START_MS + 9 * HOUR_MS, START_MS + 33 * HOUR_MS);
    let page = HistoryPage {
        series: vec![
            series(1, "claude_code_cost_usage_USD_total", "checkout", None),
            series(2, "claude_code_cost_usage_USD_total", "search", None),
            series(3, "claude_code_token_usage_tokens_total", "checkout", Some("input")),
            series(4, "claude_code_token_usage_tokens_total", "checkout", Some("cacheRead")),
            series(5, "claude_code_lines_of_code_count_total", "checkout", Some("added")),
            series(6, "claude_code_commit_count_total", "checkout", None),
            series(7, "claude_code_active_time_seconds_total", "search", Some("cli")),
        ],
        ticks: vec![
            tick(1, first, &[(1, 0.1), (3, 1200.0), (4, 45_000.0), (5, 12.0)]),
            tick(2, first + 1, &[(1, 0.2), (6, 1.0)]),
            tick(3, second, &[(2, 0.0034), (7, 3_725.0)]),
        ],
        events: vec![
            HistoryEvents {
                row: 1,
                received_ms: first,
                events: vec![
                    event("user_prompt", "s1", "checkout", first, &[]),
                    request("s1", "checkout", first, 0.1),
                    request("s1", "checkout", first, 0.2),
                ],
            },
            HistoryEvents {
                row: 2,
                received_ms: second,
                events: vec![
                    event("api_error", "s2", "search", second, &[]),
                    request("s2", "search", second, 0.003),
                ],
            },
        ],
        more: false,
    };
    sink.apply(&page, 4_000).unwrap();
}

fn report(data_dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ccotel"))
        .arg("report")
        .args(arguments)
        .env("CCOTEL_DATA_DIR", data_dir)
        .env("CCOTEL_CONFIG_DIR", data_dir.join("config"))
        .env("CCOTEL_RUNTIME_DIR", data_dir.join("run"))
        .env("TZ", "Europe/Paris")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("NO_COLOR")
        .output()
        .unwrap()
}

/// What was printed on stdout, by a command that succeeded and said nothing else.
#[track_caller]
fn printed(data_dir: &Path, arguments: &[&str]) -> String {
    let output = report(data_dir, arguments);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn document(data_dir: &Path, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&printed(data_dir, arguments)).unwrap()
}

/// The one line that a refused command says; with `--json` a document says the same.
#[track_caller]
fn refused(data_dir: &Path, arguments: &[&str], code: i32) -> String {
    let output = report(data_dir, arguments);
    let words = String::from_utf8_lossy(&output.stderr);
    let words = words.trim_end().trim_start_matches("ccotel: ");
    if arguments.contains(&"--json") {
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document, serde_json::json!({"schema": 1, "error": words}));
    } else {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    }
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{words}");
    assert_eq!(words.lines().count(), 1, "{words}");
    words
}

fn in_range<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ["--since", "2026-11-14", "--until", "2026-11-16"].iter().chain(more).copied().collect()
}

#[test]
fn without_a_history_it_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let text = printed(directory.path(), &[]);
    assert!(text.starts_with("Nothing recorded") && text.contains("`ccotel claude`"), "{text}");
    assert!(fs::read_dir(directory.path()).unwrap().next().is_none(), "it writes nothing");
    let document = document(directory.path(), &["--json"]);
    assert_eq!(document["rows"], serde_json::json!([]));
    assert_eq!(document["total"]["cost_usd"], 0.0);
    assert_eq!(document["time_zone"], "Europe/Paris");
}

#[test]
fn nothing_in_the_range_is_said_too() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let text = printed(directory.path(), &["--since", "2026-11-01", "--until", "2026-11-02"]);
    assert!(text.contains("2026-11-01 00:00") && text.contains("`ccotel claude`"), "{text}");
}

#[test]
fn tables() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let table = |more: &[&str]| printed(directory.path(), &in_range(more));
    insta::assert_snapshot!("by_day", table(&[]));
    insta::assert_snapshot!("by_project_and_day", table(&["--by", "project,day"]));
    let by_repo = table(&["--by", "repo", "--tz", "America/New_York"]);
    insta::assert_snapshot!("by_repo", by_repo);
    insta::assert_snapshot!("by_model", table(&["--by", "model"]));
}

#[test]
fn documents() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let by_project = in_range(&["--by", "project", "--json"]);
    assert_eq!(printed(directory.path(), &by_project).lines().count(), 1, "easy to log");
    let by_project = document(directory.path(), &by_project);
    let pretty = serde_json::to_string_pretty(&by_project).unwrap();
    insta::assert_snapshot!("document_by_project", pretty);
    let by_tag = document(directory.path(), &in_range(&["--by", "tag:cost_center", "--json"]));
    assert_eq!(by_tag["rows"][0]["cost_center"], serde_json::Value::Null);
    assert_eq!(by_tag["total"], by_project["total"]);
}

#[test]
fn another_zone_moves_the_days() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let first_day = |zone: &str| {
        let arguments = ["--since", "2026-11-13", "--until", "2026-11-17", "--json", "--tz", zone];
        document(directory.path(), &arguments)["rows"][0]["day"].as_str().unwrap().to_owned()
    };
    assert_eq!(first_day("Europe/Paris"), "2026-11-14");
    assert_eq!(first_day("Pacific/Honolulu"), "2026-11-13");
}

#[test]
fn what_was_typed_wrongly_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["--since", "yesteday"][..], "`yesteday` is not a time: give a day"),
        (&["--until", "-3d"], "`-3d` is not a time"),
        (&["--since", "today", "--until", "yesterday"], "must be before --until"),
        (&["--by", "days"], "`days` is not something to report by"),
        (&["--by", "day,team,model"], "at most 2"),
        (&["--by", "day,hour"], "one of hour, day, week and month"),
        (&["--by", "team", "--by", "team"], "`team` twice"),
        (&["--tz", "Mars/Olympus"], "`Mars/Olympus` is not a time zone"),
        (&["--where", "checkout"], "`checkout` is not a filter: give DIMENSION=VALUE"),
        (&["--where", "projetc=x"], "`projetc` is not something to report by"),
        (&["--where", "day=2026-11-14"], "give --since and --until"),
        (&["--since", "yesteday", "--json"], "`yesteday` is not a time: give a day"),
        (&["--json", "--csv"], "--csv"),
        (&["--session", "s1", "--by", "day"], "--by"),
        (&["--imported", "maybe"], "maybe"),
    ] {
        let clap_refuses = ["--csv", "--by", "maybe"].contains(&expected);
        let words = if clap_refuses {
            let output = report(directory.path(), arguments);
            assert_eq!(output.status.code(), Some(2));
            String::from_utf8(output.stderr).unwrap()
        } else {
            refused(directory.path(), arguments, 2)
        };
        assert!(words.starts_with("ccotel: ") && words.contains(expected), "{words}");
    }
}

#[test]
fn a_damaged_history_is_said_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    record(directory.path());
    let mut bytes = fs::read(&path).unwrap();
    // Nonsense behind a good header.
    for byte in bytes.iter_mut().skip(100) {
        *byte = 0xA5;
    }
    fs::write(&path, &bytes).unwrap();
    let words = refused(directory.path(), &[], 1);
    assert!(words.contains("history.db is damaged") && words.contains("agent restart"), "{words}");

    fs::write(&path, b"no database at all, but long enough to be looked at".repeat(20)).unwrap();
    let words = refused(directory.path(), &["--json"], 1);
    assert!(words.contains("history.db is damaged"), "{words}");
}

#[test]
fn a_newer_history_asks_for_an_upgrade() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let words = refused(directory.path(), &[], 1);
    assert!(words.contains("newer ccotel") && words.contains("upgrade"), "{words}");
}

#[test]
fn an_older_history_asks_for_the_agent() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 1").unwrap();
    let words = refused(directory.path(), &["--json"], 1);
    assert!(words.contains("older ccotel") && words.contains("agent restart"), "{words}");
}

/// The agent writes while a report reads: neither waits, and the report is of one moment.
#[test]
fn it_reads_while_the_agent_writes() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let writer = rusqlite::Connection::open(directory.path().join("history.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; DELETE FROM counter_pack;").unwrap();
    let text = printed(directory.path(), &in_range(&["--by", "project"]));
    assert!(text.contains("$0.30"), "{text}");
    writer.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn help_explains_times_and_costs() {
    let directory = tempfile::tempdir().unwrap();
    let text = printed(directory.path(), &["--help"]);
    for words in [
        "--since",
        "--until",
        "--by",
        "--where",
        "--session",
        "--imported",
        "--tz",
        "--json",
        "--csv",
        "whole minutes",
        "list prices",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}
