//! Copied, rolled back, lost: a database that is no longer the only one of its install.

use std::path::Path;

use super::*;
use crate::store::high_water::HighWater;

fn at(directory: &Path) -> Options {
    Options { queue_db: directory.join("queue.db"), disk_bytes_max: 1 << 30, history_days: 400 }
}

fn on_a(directory: &Path) -> Core {
    Core::open_on(at(directory), &|_| Some("a".into()), NOW_MS).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn warnings(core: &mut Core) -> String {
    core.stats(NOW_MS).unwrap().warnings.join("\n")
}

/// Two events and a counter of 7, with a destination that has had nothing of it.
fn with_backlog(directory: &Path) -> Core {
    let mut core = on_a(directory);
    core.open_destination(&key("d", Since::All), NOW_MS).unwrap();
    ingest(&mut core, points(7.0, 10), NOW_MS).unwrap();
    ingest(&mut core, events(1, 2, 64), NOW_MS).unwrap();
    core.tick(NOW_MS + 15_000).unwrap();
    core
}

fn values(core: &mut Core) -> Vec<f64> {
    drain(core, "d", Lane::Samples).0.iter().map(|sample| sample.1).collect()
}

#[test]
fn the_same_machine_and_place_is_the_same_install_also_when_the_folder_was_moved() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    std::fs::create_dir(&one).unwrap();
    let id = with_backlog(&one).install_id().to_owned();
    assert_eq!(on_a(&one).install_id(), id);
    std::fs::rename(&one, &two).unwrap();
    let mut core = on_a(&two);
    assert_eq!(core.install_id(), id);
    assert_eq!(warnings(&mut core), "");
    assert_eq!(values(&mut core), [0.0, 7.0]);
}

#[test]
fn a_copy_leaves_the_backlog_to_the_original_and_starts_flat() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    std::fs::create_dir(&one).unwrap();
    let mut core = with_backlog(&one);
    let (id, install_key) = (core.install_id().to_owned(), core.install_key());
    core.close();
    drop(core);
    copy(&one, &two);
    let mut core = on_a(&two);
    assert_ne!(core.install_id(), id);
    assert_ne!(core.install_key(), install_key);
    assert!(warnings(&mut core).contains("is a copy"), "{}", warnings(&mut core));
    let books = core.books("d").unwrap();
    assert_eq!((books.evicted, books.backlog_records), (3, 0), "{books:?}");
    assert_eq!(drain(&mut core, "d", Lane::Events).1, []);
    ingest(&mut core, points(9.0, 20), NOW_MS + 16_000).unwrap();
    core.tick(NOW_MS + 30_000).unwrap();
    assert_eq!(values(&mut core), [7.0, 9.0], "no jump from 0");
    let again = core.install_id().to_owned();
    drop(core);
    assert_eq!(on_a(&two).install_id(), again, "it is new once");
    assert_eq!(on_a(&one).install_id(), id, "the original stays who it is");
}

#[test]
fn a_whole_disk_in_another_machine_is_a_copy_too() {
    let directory = tempfile::tempdir().unwrap();
    let id = with_backlog(directory.path()).install_id().to_owned();
    let mut core = Core::open_on(at(directory.path()), &|_| Some("b".into()), NOW_MS).unwrap();
    assert_ne!(core.install_id(), id);
    assert!(warnings(&mut core).contains("another machine"));
}

#[test]
fn an_older_copy_put_back_repeats_nothing_that_was_delivered_and_delivers_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let (data, backup) = (directory.path().join("data"), directory.path().join("backup"));
    std::fs::create_dir(&data).unwrap();
    let mut core = with_backlog(&data);
    ingest(&mut core, events(5, 1, 64), NOW_MS).unwrap();
    core.close();
    let id = core.install_id().to_owned();
    drop(core);
    copy(&data, &backup);

    // After the backup: the samples and the first request of events are delivered, and more arrives.
    let mut core = on_a(&data);
    let name: Arc<str> = "d".into();
    let batch = core.freeze(&name, Lane::Events, 2, 1 << 20).unwrap().unwrap();
    let settled = Settled { delivered: batch.records, ..Settled::default() };
    core.settle(&name, Lane::Events, &settled).unwrap();
    assert_eq!(values(&mut core), [0.0, 7.0]);
    ingest(&mut core, points(20.0, 20), NOW_MS + 16_000).unwrap();
    core.tick(NOW_MS + 30_000).unwrap();
    drop(core);

    for file in ["queue.db", "queue.db-wal"] {
        let _ = std::fs::remove_file(data.join(file));
    }
    std::fs::copy(backup.join("queue.db"), data.join("queue.db")).unwrap();
    let mut core = on_a(&data);
    assert_ne!(core.install_id(), id);
    assert!(warnings(&mut core).contains("restored from an older copy"));
    assert_eq!(drain(&mut core, "d", Lane::Events).1, [5]);
    ingest(&mut core, points(25.0, 30), NOW_MS + 40_000).unwrap();
    core.tick(NOW_MS + 45_000).unwrap();
    assert_eq!(values(&mut core), [7.0, 25.0]);
    let books = core.books("d").unwrap();
    assert_eq!((books.backlog_records, books.evicted), (0, 0), "{books:?}");

    // The same backup once more: its id is a former one by now.
    let second = core.install_id().to_owned();
    drop(core);
    let _ = std::fs::remove_file(data.join("queue.db-wal"));
    std::fs::copy(backup.join("queue.db"), data.join("queue.db")).unwrap();
    let core = on_a(&data);
    assert!(core.install_id() != id && core.install_id() != second);
}

#[test]
fn a_database_that_is_gone_or_empty_is_said() {
    for empty in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let id = with_backlog(directory.path()).install_id().to_owned();
        let path = directory.path().join("queue.db");
        if empty {
            std::fs::write(&path, b"").unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        let _ = std::fs::remove_file(directory.path().join("queue.db-wal"));
        let mut core = on_a(directory.path());
        assert_ne!(core.install_id(), id);
        assert!(warnings(&mut core).contains("the database was gone"));
        let mark = HighWater::read(&HighWater::path(&path)).unwrap();
        assert!(mark.former.contains(&id));
    }
}

#[test]
fn two_projections_of_one_series_never_meet_in_one_request() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = with_backlog(directory.path());
    let mut labels = Vec::new();
    for privacy in [PrivacyLevel::Full, PrivacyLevel::Minimal, PrivacyLevel::Full] {
        core.open_destination(&DestinationKey { privacy, ..key("d", Since::Now) }, NOW_MS).unwrap();
        let name: Arc<str> = "d".into();
        let batch = core.freeze(&name, Lane::Samples, 100, 1 << 20).unwrap().unwrap();
        let Content::Samples(series) = batch.content else { panic!("samples") };
        labels.push(series.iter().map(|series| series.labels.len()).collect::<Vec<_>>());
    }
    assert_eq!(labels, [vec![4], vec![3], vec![4]]);
}
