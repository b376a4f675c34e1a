//! The store's edges: what is refused, what is dropped and counted, where a destination begins.

use std::sync::Arc;

mod books;
mod disk;
mod identity;
mod time;

use super::core::{Core, Options};
use super::handle::{Content, DestinationKey, Ingest, Ingested, Lane, Refused, Settled, Since};
use super::schema::OpenError;
use crate::record::{Batch, Event, Labels, Point, PrivacyLevel, Temporality, Value};

const NOW_MS: i64 = 1_800_000_000_000;
const DAY_MS: i64 = 86_400_000;

fn options(directory: &tempfile::TempDir) -> Options {
    Options {
        queue_db: directory.path().join("queue.db"),
        disk_bytes_max: 1 << 30,
        history_days: 400,
    }
}

fn open(directory: &tempfile::TempDir) -> Core {
    Core::open(options(directory), NOW_MS).unwrap()
}

fn key(name: &str, since: Since) -> DestinationKey {
    DestinationKey {
        name: name.into(),
        privacy: PrivacyLevel::Full,
        lanes: vec![Lane::Samples, Lane::Events],
        since,
    }
}

fn events(first: u64, count: u64, bytes: usize) -> Batch {
    let event = |number: u64| Event {
        time_ns: number,
        name: "api_request".into(),
        body: "claude_code.api_request".into(),
        service: "claude-code".into(),
        tags: Vec::new(),
        id: u128::from(number),
        // Text that does not compress: the disk limit is about bytes.
        attributes: vec![("noise".into(), Value::Text(noise(number, bytes).into()))],
    };
    Batch::Events((first..first + count).map(event).collect())
}

fn noise(seed: u64, bytes: usize) -> String {
    (0..bytes / 64)
        .map(|part| {
            blake3::hash(&[seed.to_le_bytes(), (part as u64).to_le_bytes()].concat())
                .to_hex()
                .to_string()
        })
        .collect()
}

fn points(value: f64, time_ns: u64) -> Batch {
    let labels: Labels =
        vec![("job".into(), "claude-code".into()), ("user_email".into(), "a@example.com".into())];
    let point = Point {
        metric: "m_total".into(),
        labels,
        stream: 9,
        start_ns: 1,
        time_ns,
        value,
        temporality: Temporality::Cumulative,
    };
    Batch::Points(vec![point])
}

fn ingest(core: &mut Core, batch: Batch, now_ms: i64) -> Result<Ingested, Refused> {
    let body_hash = u128::from_le_bytes(
        blake3::hash(format!("{batch:?}").as_bytes()).as_bytes()[..16].try_into().unwrap(),
    );
    core.ingest(&mut [Ingest { body_hash, batch }], now_ms).remove(0)
}

/// Everything that a lane still has, settled; samples as `(time, value)`, events as ids.
fn drain(core: &mut Core, name: &str, lane: Lane) -> (Vec<(i64, f64)>, Vec<u128>) {
    let name: Arc<str> = name.into();
    let (mut samples, mut ids) = (Vec::new(), Vec::new());
    while let Some(batch) = core.freeze(&name, lane, 1_000, 1 << 20).unwrap() {
        match batch.content {
            Content::Samples(series) => {
                samples.extend(series.into_iter().flat_map(|series| series.samples));
            }
            Content::Events(events) => ids.extend(events.iter().map(|event| event.id)),
            Content::Spans(_) => panic!("no spans"),
        }
        core.settle(&name, lane, &Settled { delivered: batch.records, ..Settled::default() })
            .unwrap();
    }
    (samples, ids)
}

#[test]
fn a_newer_schema_is_refused_and_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory));
    let path = directory.path().join("queue.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version=99; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(connection);
    let before = std::fs::read(&path).unwrap();
    let error = Core::open(options(&directory), NOW_MS).err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("update ccotel"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_that_another_agent_holds_is_said_to_be_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(&directory);
    let error = Core::open(options(&directory), NOW_MS).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Options { queue_db: directory.path().join("no/queue.db"), ..options(&directory) };
    let error = Core::open(missing, NOW_MS).err().unwrap().to_string();
    assert!(
        error.contains("no/queue.db") && error.contains("check that its folder exists"),
        "{error}"
    );
}

#[test]
fn since_now_shows_nothing_of_before_and_since_all_everything() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    ingest(&mut core, points(100.0, 10), NOW_MS).unwrap();
    ingest(&mut core, events(1, 3, 64), NOW_MS).unwrap();
    core.open_destination(&key("now", Since::Now), NOW_MS + 1_000).unwrap();
    ingest(&mut core, points(130.0, 20), NOW_MS + 2_000).unwrap();
    ingest(&mut core, events(10, 2, 64), NOW_MS + 2_000).unwrap();
    core.tick(NOW_MS + 15_000).unwrap();
    core.open_destination(&key("all", Since::All), NOW_MS + 16_000).unwrap();

    let (samples, ids) =
        (drain(&mut core, "now", Lane::Samples).0, drain(&mut core, "now", Lane::Events).1);
    assert_eq!(
        samples.iter().map(|sample| sample.1).collect::<Vec<_>>(),
        [100.0, 130.0],
        "flat at the old value, then the new one"
    );
    assert_eq!(ids, [10, 11]);
    let (samples, ids) =
        (drain(&mut core, "all", Lane::Samples).0, drain(&mut core, "all", Lane::Events).1);
    assert_eq!(samples.first().map(|sample| sample.1), Some(0.0));
    assert_eq!(samples.last().map(|sample| sample.1), Some(130.0));
    assert_eq!(ids, [1, 2, 3, 10, 11]);
}

#[test]
fn a_destination_whose_labels_change_starts_flat_as_a_new_series() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    core.open_destination(&key("d", Since::All), NOW_MS).unwrap();
    ingest(&mut core, points(7.0, 10), NOW_MS).unwrap();
    core.tick(NOW_MS + 15_000).unwrap();
    assert_eq!(drain(&mut core, "d", Lane::Samples).0.len(), 2);
    core.open_destination(
        &DestinationKey { privacy: PrivacyLevel::Minimal, ..key("d", Since::Now) },
        NOW_MS + 16_000,
    )
    .unwrap();
    ingest(&mut core, points(9.0, 20), NOW_MS + 17_000).unwrap();
    core.tick(NOW_MS + 30_000).unwrap();
    let values: Vec<f64> =
        drain(&mut core, "d", Lane::Samples).0.iter().map(|sample| sample.1).collect();
    assert_eq!(values, [7.0, 9.0], "no jump from 0");
}

#[test]
fn over_the_limit_the_oldest_go_and_every_loss_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut core =
        Core::open(Options { disk_bytes_max: 2 << 20, ..options(&directory) }, NOW_MS).unwrap();
    core.open_destination(&key("offline", Since::All), NOW_MS).unwrap();
    for number in 0..80u64 {
        ingest(&mut core, events(number * 10, 10, 6_400), NOW_MS + i64::try_from(number).unwrap())
            .unwrap();
    }
    core.retain(NOW_MS + 1_000_000).unwrap();
    assert!(core.disk_bytes().unwrap() <= 2 << 20, "{} bytes are left", core.disk_bytes().unwrap());
    let books = core.books("offline").unwrap();
    assert!(books.evicted > 0 && books.backlog_records > 0, "{books:?}");
    assert_eq!(books.evicted + books.backlog_records, 800);
    let (_, ids) = drain(&mut core, "offline", Lane::Events);
    assert_eq!(ids.len() as u64, books.backlog_records);
    assert_eq!(ids.last(), Some(&799), "the newest stay");
}

#[test]
fn delivered_events_are_kept_for_later_destinations_until_history_days_are_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = Core::open(Options { history_days: 10, ..options(&directory) }, NOW_MS).unwrap();
    core.open_destination(&key("first", Since::All), NOW_MS).unwrap();
    ingest(&mut core, events(1, 2, 64), NOW_MS).unwrap();
    ingest(&mut core, events(5, 2, 64), NOW_MS + 8 * DAY_MS).unwrap();
    drain(&mut core, "first", Lane::Events);
    core.retain(NOW_MS + 9 * DAY_MS).unwrap();
    core.open_destination(&key("second", Since::All), NOW_MS).unwrap();
    assert_eq!(drain(&mut core, "second", Lane::Events).1, [1, 2, 5, 6]);
    core.retain(NOW_MS + 11 * DAY_MS).unwrap();
    core.open_destination(&key("third", Since::All), NOW_MS).unwrap();
    assert_eq!(drain(&mut core, "third", Lane::Events).1, [5, 6]);
}

#[test]
fn on_a_full_disk_events_that_the_history_has_not_read_stay() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    for number in 0..40 {
        ingest(&mut core, events(number * 20, 20, 512), NOW_MS).unwrap();
    }
    let rows = |core: &Core| -> i64 {
        let sql = "SELECT count(*) FROM events_inbox";
        core.connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    core.history(0, 0, -1).unwrap();
    core.make_room_now(NOW_MS).unwrap();
    assert_eq!(rows(&core), 40);
    core.history(0, 40, -1).unwrap();
    core.make_room_now(NOW_MS).unwrap();
    assert!(rows(&core) < 40, "what it has read may go");
    assert!(core.stats(NOW_MS).unwrap().warnings.is_empty());
}

#[test]
fn events_dropped_before_the_history_read_them_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = Core::open(Options { history_days: 10, ..options(&directory) }, NOW_MS).unwrap();
    core.open_destination(&key("offline", Since::All), NOW_MS).unwrap();
    ingest(&mut core, events(1, 2, 64), NOW_MS).unwrap();
    ingest(&mut core, events(5, 2, 64), NOW_MS + 9 * DAY_MS).unwrap();
    core.history(0, 0, -1).unwrap();
    core.retain(NOW_MS + 11 * DAY_MS).unwrap();
    let warnings = core.stats(NOW_MS + 11 * DAY_MS).unwrap().warnings;
    assert!(
        warnings.iter().any(|what| what.starts_with("2 events had to be dropped")),
        "{warnings:?}"
    );
    let books = core.books("offline").unwrap();
    assert_eq!((books.expired, books.evicted, books.backlog_records), (2, 0, 2), "age, not room");
}

#[test]
fn a_full_disk_refuses_with_words_loses_nothing_stored_and_recovers_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    core.open_destination(&key("d", Since::All), NOW_MS).unwrap();
    ingest(&mut core, events(1, 1, 64), NOW_MS).unwrap();
    let pages: i64 = core.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    core.connection.query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(())).unwrap();
    let refused = ingest(&mut core, events(2, 50, 64_000), NOW_MS).unwrap_err();
    assert!(matches!(refused, Refused::DiskFull(_)), "{refused}");
    core.connection.query_row("PRAGMA max_page_count=1000000", [], |_| Ok(())).unwrap();
    assert_eq!(ingest(&mut core, events(2, 50, 64_000), NOW_MS).unwrap(), Ingested::Stored);
    assert_eq!(drain(&mut core, "d", Lane::Events).1.len(), 51);
}

#[test]
fn an_idle_export_is_acknowledged_without_a_write() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    assert_eq!(ingest(&mut core, points(5.0, 10), NOW_MS).unwrap(), Ingested::Stored);
    let changes = core.connection.total_changes();
    assert_eq!(ingest(&mut core, points(5.0, 20), NOW_MS + 10_000).unwrap(), Ingested::Unchanged);
    assert_eq!(core.connection.total_changes(), changes);
    let stats = core.counted();
    assert_eq!((stats.received, stats.stored, stats.unchanged), (2, [1, 0, 0], 1));
}

#[test]
fn a_stored_point_is_forgotten_after_the_hour_and_still_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    for number in 1..5u32 {
        ingest(&mut core, points(f64::from(number), u64::from(number)), NOW_MS).unwrap();
    }
    core.tick(NOW_MS + 15_000).unwrap();
    core.retain(NOW_MS + 2 * 3_600_000).unwrap();
    let rows: i64 = core
        .connection
        .query_row("SELECT count(*) FROM points_inbox", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1, "only the newest row stays");
    drop(core);
    assert_eq!(open(&directory).fold.series.list()[0].value, 4.0);
}

#[test]
fn a_batch_of_events_spans_no_more_than_loki_bears_and_a_replay_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    core.open_destination(&key("d", Since::Now), NOW_MS).unwrap();
    let minute_ns = 60_000_000_000;
    for minute in [0, 30, 45, 46, 3000, 10] {
        ingest(&mut core, events(minute * minute_ns, 2, 0), NOW_MS).unwrap();
    }
    let mut sizes = Vec::new();
    while let Some(batch) = core.freeze(&"d".into(), Lane::Events, 1_000, 1 << 20).unwrap() {
        let again = core.freeze(&"d".into(), Lane::Events, 1, 1).unwrap().unwrap();
        assert!(again.replay && (again.end, again.records) == (batch.end, batch.records));
        sizes.push(batch.records);
        let settled = Settled { delivered: batch.records, ..Settled::default() };
        core.settle(&"d".into(), Lane::Events, &settled).unwrap();
    }
    // The first of minute 45 is within, the second a nanosecond beyond.
    assert_eq!(sizes, [5, 3, 2, 2]);
}
