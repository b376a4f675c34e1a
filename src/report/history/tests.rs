use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::Value as Column;

use super::file::{HistoryFile, Origin};
use super::sink::Sink;
use super::*;
use crate::record::{Event, Labels, Value};
use crate::store::handle::{HistoryEvents, HistoryPage, HistorySeries, HistoryTick};

mod follower;
mod migration;

const COST: &str = "claude_code_cost_usage_USD_total";
const DAYS: u32 = 400;
/// Minutes since the epoch, far into the next decade.
const EVER: std::ops::Range<i64> = 0..40_000_000;
/// 2026-11-14 00:00 UTC.
const START_MS: i64 = 1_794_614_400_000;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect()
}

fn series(id: i64, project: &str) -> HistorySeries {
    HistorySeries { id, labels: labels(&[("__name__", COST), ("project", project)]).into() }
}

fn tick(row: i64, time_ms: i64, increments: &[(i64, f64)]) -> HistoryTick {
    HistoryTick { row, time_ms, increments: increments.to_vec() }
}

fn request(session: &str, time_ms: i64, cost_usd: f64) -> Event {
    event("api_request", session, time_ms, &[("cost_usd", Value::Double(cost_usd))])
}

fn event(name: &str, session: &str, time_ms: i64, more: &[(&str, Value)]) -> Event {
    let mut attributes = vec![
        (Arc::from("session.id"), Value::Text(session.into())),
        (Arc::from("prompt.id"), Value::Text("0198c3a2-3e52-7000-8000-00000000000a".into())),
    ];
    attributes.extend(more.iter().map(|(key, value)| (Arc::from(*key), value.clone())));
    Event {
        time_ns: u64::try_from(time_ms).unwrap() * 1_000_000,
        name: name.into(),
        body: format!("claude_code.{name}").into(),
        service: "claude-code".into(),
        tags: labels(&[("project", "checkout"), ("team", "payments")]),
        id: 7,
        attributes,
    }
}

fn events(row: i64, received_ms: i64, events: Vec<Event>) -> HistoryEvents {
    HistoryEvents { row, received_ms, events }
}

/// Three requests of Claude Code, one a minute, and the counters that hold them.
fn pages() -> Vec<HistoryPage> {
    (0..3)
        .map(|index| {
            let at = START_MS + index * 60_000;
            HistoryPage {
                series: if index == 0 { vec![series(1, "checkout")] } else { Vec::new() },
                ticks: vec![tick(index + 1, at + 100, &[(1, 0.25)])],
                events: vec![events(index + 1, at + 50, vec![request("s1", at, 0.25)])],
                more: index < 2,
            }
        })
        .collect()
}

/// Every row of every table but the cursor, in order.
fn dump(path: &Path) -> BTreeMap<String, Vec<Vec<Column>>> {
    let connection = Connection::open(path).unwrap();
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    tables
        .into_iter()
        .filter(|table| table != "cursor")
        .map(|table| {
            let mut query = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = query.column_count();
            let mut rows: Vec<Vec<Column>> = query
                .query_map([], |row| (0..columns).map(|index| row.get(index)).collect())
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            rows.sort_by_key(|row| format!("{row:?}"));
            (table, rows)
        })
        .collect()
}

fn cost_counted(path: &Path) -> f64 {
    let history = HistoryFile::open(path, Origin::Recorded).unwrap().unwrap();
    let mut cost = 0.0;
    history.counters(&[EVER], |_, _, value| cost += value).unwrap();
    cost
}

fn requests_counted(path: &Path) -> i64 {
    let history = HistoryFile::open(path, Origin::Recorded).unwrap().unwrap();
    let mut requests = 0;
    history
        .activity(&[EVER], |_, _, _, row| {
            requests += row.requests;
            Ok(())
        })
        .unwrap();
    requests
}

#[test]
fn a_damaged_file_is_told_from_a_newer_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    fs::write(&path, vec![b'x'; 8192]).unwrap();
    assert!(matches!(Sink::open(&path), Err(HistoryError::Damaged { .. })));
    assert!(matches!(
        HistoryFile::open(&path, Origin::Recorded),
        Err(HistoryError::Damaged { .. })
    ));

    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    for words in [
        Sink::open(&path).unwrap_err().to_string(),
        HistoryFile::open(&path, Origin::Recorded).unwrap_err().to_string(),
    ] {
        assert!(words.contains("schema 99") && words.contains("upgrade ccotel"), "{words}");
    }
}

#[test]
fn no_file_and_an_empty_file_hold_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    assert!(HistoryFile::open(&path, Origin::Recorded).unwrap().is_none());
    fs::write(&path, b"").unwrap();
    assert!(HistoryFile::open(&path, Origin::Recorded).unwrap().is_none());
    Sink::open(&path).unwrap();
    assert_eq!(
        HistoryFile::open(&path, Origin::Recorded).unwrap().unwrap().extent().unwrap(),
        None
    );
}

#[test]
fn a_page_seen_twice_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let mut sink = Sink::open(&path).unwrap();
    sink.begin_install("a").unwrap();
    for page in pages() {
        sink.apply(&page, DAYS).unwrap();
        let once = dump(&path);
        sink.apply(&page, DAYS).unwrap();
        assert_eq!(dump(&path), once);
    }
    for page in pages() {
        sink.apply(&page, DAYS).unwrap();
    }
    assert_eq!((cost_counted(&path), requests_counted(&path)), (0.75, 3));
}

/// A copy of the file taken between two pages is what a crash leaves: it goes on to the same rows.
#[test]
fn a_crash_between_pages_loses_and_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let whole = directory.path().join("whole.db");
    let mut sink = Sink::open(&whole).unwrap();
    sink.begin_install("a").unwrap();
    let mut copies = Vec::new();
    for (index, page) in pages().into_iter().enumerate() {
        let copy = directory.path().join(format!("copy{index}.db"));
        for suffix in ["", "-wal"] {
            let from = directory.path().join(format!("whole.db{suffix}"));
            let to = directory.path().join(format!("copy{index}.db{suffix}"));
            fs::copy(from, to).unwrap();
        }
        copies.push(copy);
        sink.apply(&page, DAYS).unwrap();
    }
    let expected = dump(&whole);
    for copy in copies {
        let mut sink = Sink::open(&copy).unwrap();
        sink.begin_install("a").unwrap();
        for page in pages() {
            sink.apply(&page, DAYS).unwrap();
        }
        assert_eq!(dump(&copy), expected);
    }
}

#[test]
fn a_series_may_be_described_after_its_first_tick() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let mut sink = Sink::open(&path).unwrap();
    sink.begin_install("a").unwrap();
    let early = HistoryPage { ticks: vec![tick(1, START_MS, &[(5, 1.5)])], ..Default::default() };
    sink.apply(&early, DAYS).unwrap();
    let late = HistoryPage { series: vec![series(5, "checkout")], ..Default::default() };
    sink.apply(&late, DAYS).unwrap();
    let history = HistoryFile::open(&path, Origin::Recorded).unwrap().unwrap();
    let known = history.series().unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].1, COST);
    assert_eq!(history.series_label("project").unwrap()[&known[0].0], "checkout");
}

#[test]
fn what_is_not_a_number_is_not_added() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let mut sink = Sink::open(&path).unwrap();
    sink.begin_install("a").unwrap();
    let odd = HistoryPage {
        ticks: vec![tick(1, START_MS, &[(1, f64::NAN), (2, f64::INFINITY), (3, 0.5)])],
        ..Default::default()
    };
    sink.apply(&odd, DAYS).unwrap();
    assert_eq!(cost_counted(&path), 0.5);
}

/// The store numbers series from 0.
#[test]
fn the_first_series_of_an_install_has_its_labels() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let mut sink = Sink::open(&path).unwrap();
    sink.begin_install("a").unwrap();
    let page = HistoryPage {
        series: vec![series(0, "checkout")],
        ticks: vec![tick(1, START_MS, &[(0, 1.5)])],
        ..HistoryPage::default()
    };
    sink.apply(&page, DAYS).unwrap();
    assert_eq!(cost_counted(&path), 1.5);
    let history = HistoryFile::open(&path, Origin::Recorded).unwrap().unwrap();
    let projects: Vec<String> = history.series_label("project").unwrap().into_values().collect();
    assert_eq!(projects, ["checkout"]);
}

/// A lost database numbers its rows and series from the beginning again.
#[test]
fn a_new_install_is_read_from_its_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let mut sink = Sink::open(&path).unwrap();
    sink.begin_install("a").unwrap();
    for page in pages() {
        sink.apply(&page, DAYS).unwrap();
    }
    sink.begin_install("b").unwrap();
    assert_eq!(sink.cursors().unwrap(), super::sink::Cursors::BEGINNING);
    let later = START_MS + 3_600_000;
    let page = HistoryPage {
        series: vec![series(1, "search")],
        ticks: vec![tick(1, later, &[(1, 2.0)])],
        events: vec![events(1, later, vec![request("s9", later, 2.0)])],
        more: false,
    };
    sink.apply(&page, DAYS).unwrap();
    assert_eq!((cost_counted(&path), requests_counted(&path)), (2.75, 4));
    let history = HistoryFile::open(&path, Origin::Recorded).unwrap().unwrap();
    let mut projects: Vec<String> =
        history.series_label("project").unwrap().into_values().collect();
    projects.sort();
    assert_eq!(projects, ["checkout", "search"]);
}

/// A database restored from yesterday is a new install that still holds rows seen before.
#[test]
fn rows_of_a_rolled_back_database_count_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let mut sink = Sink::open(&path).unwrap();
    sink.begin_install("a").unwrap();
    for page in pages() {
        sink.apply(&page, DAYS).unwrap();
    }
    sink.begin_install("b").unwrap();
    for page in &pages()[..2] {
        sink.apply(page, DAYS).unwrap();
    }
    assert_eq!((cost_counted(&path), requests_counted(&path)), (0.75, 3));
}

#[test]
fn what_is_older_than_history_days_goes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let mut sink = Sink::open(&path).unwrap();
    sink.begin_install("a").unwrap();
    for page in pages() {
        sink.apply(&page, 2).unwrap();
    }
    let day_ms = 86_400_000;
    let next = |row: i64| {
        let at = START_MS + row * day_ms;
        HistoryPage {
            ticks: vec![tick(row + 10, at, &[(1, 1.0)])],
            events: vec![events(row + 10, at, vec![request(&format!("s{row}"), at, 1.0)])],
            ..Default::default()
        }
    };
    sink.apply(&next(2), 2).unwrap();
    assert_eq!((cost_counted(&path), requests_counted(&path)), (1.75, 4), "two days are kept");
    sink.apply(&next(3), 2).unwrap();
    assert_eq!((cost_counted(&path), requests_counted(&path)), (2.0, 2));
    let tables = dump(&path);
    assert_eq!((tables["request"].len(), tables["session"].len()), (2, 2));
}

#[test]
fn every_kind_of_event_is_a_row() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let mut sink = Sink::open(&path).unwrap();
    sink.begin_install("a").unwrap();
    let text = |text: &str| Value::Text(text.into());
    let page = HistoryPage {
        events: vec![events(
            1,
            START_MS,
            vec![
                event("user_prompt", "s", START_MS, &[("prompt_length", text("12"))]),
                request("s", START_MS, 0.5),
                event("api_error", "s", START_MS, &[("status_code", Value::Int(529))]),
                event(
                    "tool_result",
                    "s",
                    START_MS,
                    &[("tool_name", text("Bash")), ("success", text("false"))],
                ),
                event("hook_registered", "s", START_MS, &[]),
            ],
        )],
        ..Default::default()
    };
    sink.apply(&page, DAYS).unwrap();
    let tables = dump(&path);
    for table in ["prompt", "request", "api_error", "tool_result", "session"] {
        assert_eq!(tables[table].len(), 1, "{table}");
    }
    assert_eq!(tables["api_error"][0][6], Column::Integer(529));
    assert_eq!(tables["tool_result"][0][6], Column::Integer(0));
    assert!(matches!(&tables["prompt"][0][5], Column::Blob(id) if id.len() == 16));
    let history = HistoryFile::open(&path, Origin::Recorded).unwrap().unwrap();
    let mut failures = 0;
    history
        .activity(&[EVER], |_, _, _, row| {
            failures += row.tool_failures;
            Ok(())
        })
        .unwrap();
    assert_eq!(failures, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However the same rows are cut into pages, and wherever a page comes again, sums are the same.
    #[test]
    fn pages_can_be_cut_anywhere(
        minutes in prop::collection::vec(0_i64..5_000, 1..40),
        page_length in 1_usize..10,
        again in any::<bool>(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.db");
        let mut sink = Sink::open(&path).unwrap();
        sink.begin_install("a").unwrap();
        let rows: Vec<(i64, i64)> = (1_i64..).zip(minutes.iter().map(|minute| START_MS + minute * 60_000)).collect();
        for chunk in rows.chunks(page_length) {
            let page = HistoryPage {
                series: vec![series(1, "checkout")],
                ticks: chunk.iter().map(|(row, at)| tick(*row, *at, &[(1, 0.5)])).collect(),
                events: chunk.iter().map(|(row, at)| events(*row, *at, vec![request("s", *at, 0.5)])).collect(),
                more: false,
            };
            sink.apply(&page, DAYS).unwrap();
            if again {
                sink.apply(&page, DAYS).unwrap();
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
        let expected = rows.len() as f64 * 0.5;
        prop_assert_eq!(cost_counted(&path), expected);
        prop_assert_eq!(requests_counted(&path), i64::try_from(rows.len()).unwrap());
    }
}
