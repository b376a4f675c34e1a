//! The books: what was received and what was meant for a destination, whatever happens to it.

use super::*;
use crate::store::handle::{Books, TurnedAway};

fn books(core: &Core) -> Books {
    let books = core.books("d").unwrap();
    assert!(books.balance(), "{books:?}");
    books
}

fn warnings(core: &mut Core) -> String {
    core.stats(NOW_MS).unwrap().warnings.join("\n")
}

/// As a disk does that changes what was written, where SQLite does not see it.
fn change(core: &Core, table: &str, row: i64) {
    let sql = format!("UPDATE {table} SET body = x'01ff' WHERE row = ?1");
    assert_eq!(core.connection.execute(&sql, [row]).unwrap(), 1);
}

#[test]
fn events_that_the_disk_has_changed_are_passed_over_counted_and_said() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    core.open_destination(&key("d", Since::All), NOW_MS).unwrap();
    for first in [1, 11, 21] {
        ingest(&mut core, events(first, 2, 64), NOW_MS).unwrap();
    }
    change(&core, "events_inbox", 2);
    assert_eq!(core.history(0, 0, -1).unwrap().events.len(), 3, "the history goes past it");
    assert_eq!(drain(&mut core, "d", Lane::Events).1, [1, 2, 21, 22]);
    let kept = books(&core);
    assert_eq!((kept.meant, kept.delivered, kept.evicted, kept.backlog_records), (6, 4, 2, 0));
    drop(core);
    let mut core = open(&directory);
    assert_eq!(books(&core), kept);
    assert!(warnings(&mut core).contains("2 records in 1 stored requests cannot be read back"));
}

#[test]
fn a_batch_of_nothing_but_changed_rows_ends_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    core.open_destination(&key("d", Since::All), NOW_MS).unwrap();
    for first in [1, 11] {
        ingest(&mut core, events(first, 2, 64), NOW_MS).unwrap();
    }
    change(&core, "events_inbox", 1);
    change(&core, "events_inbox", 2);
    assert_eq!(drain(&mut core, "d", Lane::Events).1, [0; 0]);
    assert_eq!(books(&core).evicted, 4);
    ingest(&mut core, events(21, 2, 64), NOW_MS).unwrap();
    assert_eq!(drain(&mut core, "d", Lane::Events).1, [21, 22]);
    assert_eq!(books(&core).delivered, 2);
}

#[test]
fn the_next_samples_carry_those_that_the_disk_has_changed() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    core.open_destination(&key("d", Since::All), NOW_MS).unwrap();
    for (value, step) in [(2.0, 1), (5.0, 2), (9.0, 3)] {
        ingest(&mut core, points(value, step), NOW_MS).unwrap();
        core.tick(NOW_MS + i64::try_from(step).unwrap() * 15_000).unwrap();
    }
    change(&core, "samples", 2);
    let values: Vec<f64> =
        drain(&mut core, "d", Lane::Samples).0.iter().map(|sample| sample.1).collect();
    assert_eq!(values.last(), Some(&9.0), "{values:?}");
    let books = books(&core);
    assert_eq!((books.meant, books.delivered, books.evicted), (3, 2, 1));
    assert!(warnings(&mut core).contains("1 records in 1 stored requests"));
}

#[test]
fn points_that_the_disk_has_changed_are_noted_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    ingest(&mut core, points(2.0, 1), NOW_MS).unwrap();
    ingest(&mut core, points(5.0, 2), NOW_MS).unwrap();
    change(&core, "points_inbox", 1);
    for _ in 0..2 {
        drop(core);
        core = open(&directory);
        assert!(warnings(&mut core).contains("1 records in 1 stored requests"));
    }
    assert_eq!(core.fold.series.list()[0].value, 5.0, "a cumulative counter heals itself");
}

#[test]
fn what_the_door_turns_away_is_the_installs_and_written_with_other_things() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    core.tally().add(TurnedAway::Denied, 2);
    core.tally().add(TurnedAway::Rejected, 1);
    let changes = core.connection.total_changes();
    assert_eq!(core.connection.total_changes(), changes, "it waits for company");
    ingest(&mut core, events(1, 1, 64), NOW_MS + 20_000).unwrap();
    ingest(&mut core, events(1, 1, 64), NOW_MS + 20_000).unwrap();
    core.tally().add(TurnedAway::Denied, 5);
    // A kill: what came after the last commit may be gone.
    drop(core);
    let mut core = open(&directory);
    let denied = |core: &Core| core.tally().counts().of(TurnedAway::Denied);
    assert_eq!((denied(&core), core.tally().counts().of(TurnedAway::Rejected)), (2, 1));
    core.tally().add(TurnedAway::Denied, 1);
    assert_eq!(ingest(&mut core, events(1, 1, 64), NOW_MS).unwrap(), Ingested::Duplicate);
    // A clean stop keeps all.
    core.close();
    drop(core);
    let core = open(&directory);
    assert_eq!((denied(&core), core.counted().duplicate), (3, 1));
    let stats = core.counted();
    assert_eq!(
        stats.received,
        stats.stored.iter().sum::<u64>() + stats.duplicate + stats.unchanged
    );
}

#[test]
fn the_books_of_an_older_schema_are_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = open(&directory);
    ingest(&mut core, events(1, 3, 64), NOW_MS).unwrap();
    core.open_destination(&key("d", Since::Now), NOW_MS).unwrap();
    ingest(&mut core, events(11, 4, 64), NOW_MS).unwrap();
    drain(&mut core, "d", Lane::Events);
    ingest(&mut core, events(21, 5, 64), NOW_MS).unwrap();
    let before = books(&core);
    assert_eq!((before.meant, before.delivered, before.backlog_records), (9, 4, 5));
    core.connection
        .execute_batch(
            "DROP TABLE unreadable; ALTER TABLE lane DROP COLUMN begun_records; PRAGMA user_version=1;",
        )
        .unwrap();
    drop(core);
    let core = open(&directory);
    assert_eq!(books(&core), before);
    assert!(directory.path().join("queue.db.schema-1").exists(), "a copy of before is kept");
}
