use crate::record::{Batch, Event, PrivacyLevel};
use crate::store::core::Options;
use crate::store::handle::{DestinationKey, Ingest, Settled, Since};

use super::*;

const NOW_MS: i64 = 1_800_000_000_000;

struct Kept {
    core: Core,
    directory: tempfile::TempDir,
    name: Arc<str>,
}

impl Kept {
    /// A destination with ten events, all refused, in requests of these sizes.
    fn refused(sizes: &[usize]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let name: Arc<str> = "loki".into();
        let mut kept = Self { core: open(&directory), directory, name };
        kept.open_destination();
        for (number, bytes) in (0_u64..).zip(sizes) {
            kept.refuse(number, vec![7; *bytes], NOW_MS);
        }
        kept
    }

    fn open_destination(&mut self) {
        let key = DestinationKey {
            name: Arc::clone(&self.name),
            privacy: PrivacyLevel::Full,
            lanes: vec![Lane::Events],
            since: Since::All,
        };
        self.core.open_destination(&key, NOW_MS).unwrap();
    }

    fn refuse(&mut self, number: u64, body: Vec<u8>, at_ms: i64) {
        let events = (0..10).map(|index| Event {
            time_ns: number * 10 + index,
            name: "api_request".into(),
            body: "claude_code.api_request".into(),
            service: "claude-code".into(),
            tags: Vec::new(),
            id: u128::from(number * 10 + index),
            attributes: Vec::new(),
        });
        let ingest =
            Ingest { body_hash: u128::from(number), batch: Batch::Events(events.collect()) };
        self.core.ingest(&mut [ingest], NOW_MS).remove(0).unwrap();
        self.core.freeze(&self.name, Lane::Events, 100, 1 << 20).unwrap().unwrap();
        let quarantined = Quarantined {
            at_ms,
            records: 10,
            status: 400,
            answer: "no".to_owned(),
            wire: "Loki push".to_owned(),
            body,
        };
        let settled = Settled {
            quarantined: vec![quarantined],
            learned: Some(format!("{{\"number\":{number}}}")),
            ..Settled::default()
        };
        self.core.settle(&self.name, Lane::Events, &settled).unwrap();
    }

    fn ids(&self) -> Vec<i64> {
        self.core.quarantine_list(0).unwrap().iter().map(|entry| entry.id).collect()
    }

    /// Delivered, quarantined, and of these still kept; what was meant for it adds up.
    fn books(&self) -> (u64, u64, u64) {
        let books = self.core.books(&self.name).unwrap();
        assert!(books.balance() && books.meant == self.core.counted().received, "{books:?}");
        (books.delivered, books.quarantined, books.quarantine_kept)
    }

    fn waiting(&self) -> Option<i64> {
        let found = self
            .core
            .quarantine_find("destination = ?1 AND waiting = 1", params![&*self.name])
            .unwrap();
        found.map(|(entry, _)| entry.id)
    }

    fn put_back(&self, ids: &[i64]) {
        self.core.quarantine_each("UPDATE quarantine SET waiting = 1 WHERE id = ?1", ids).unwrap();
    }
}

fn open(directory: &tempfile::TempDir) -> Core {
    let options = Options {
        queue_db: directory.path().join("queue.db"),
        disk_bytes_max: 1 << 30,
        history_days: 400,
    };
    Core::open(options, NOW_MS).unwrap()
}

#[test]
fn what_is_taken_at_a_retry_was_delivered() {
    let mut kept = Kept::refused(&[5, 5, 5]);
    let ids = kept.ids();
    assert_eq!((kept.books(), kept.waiting()), ((0, 30, 30), None));
    kept.put_back(&ids);
    assert_eq!(kept.waiting(), Some(ids[0]));
    let taken = |refused| Retried::Taken { refused, status: 200, answer: "some".to_owned() };
    kept.core.quarantine_settle(ids[0], &taken(0), NOW_MS).unwrap();
    assert_eq!((kept.books(), kept.waiting()), ((10, 20, 20), Some(ids[1])));
    kept.core.quarantine_settle(ids[1], &taken(4), NOW_MS + 9).unwrap();
    assert_eq!((kept.books(), kept.waiting()), ((16, 14, 14), Some(ids[2])));
    let again = Retried::Refused { status: 422, answer: "still no".to_owned() };
    kept.core.quarantine_settle(ids[2], &again, NOW_MS + 9).unwrap();
    assert_eq!((kept.books(), kept.waiting()), ((16, 14, 14), None));
    let entries = kept.core.quarantine_list(ids[1]).unwrap();
    assert_eq!((entries[0].status, entries[0].answer.as_str()), (422, "still no"));
    assert_eq!((entries[0].at_ms, entries[0].records), (NOW_MS + 9, 10));
    // One that is gone in the meantime is no error.
    kept.core.quarantine_settle(99, &taken(0), NOW_MS).unwrap();
}

#[test]
fn what_is_dropped_stays_counted_and_a_restart_forgets_nothing() {
    let mut kept = Kept::refused(&[5, 5]);
    let ids = kept.ids();
    kept.put_back(&ids[1..]);
    kept.core.quarantine_each("DELETE FROM quarantine WHERE id = ?1", &[ids[0], 77]).unwrap();
    assert_eq!(kept.books(), (0, 20, 10));
    drop(std::mem::replace(&mut kept.core, {
        let elsewhere = tempfile::tempdir().unwrap();
        open(&elsewhere)
    }));
    kept.core = open(&kept.directory);
    kept.open_destination();
    assert_eq!((kept.books(), kept.waiting()), ((0, 20, 10), Some(ids[1])));
    let learned = kept.core.learned(&kept.name).unwrap();
    assert_eq!(learned.as_deref(), Some(r#"{"number":1}"#));
    kept.core.remove_destination("loki").unwrap();
    assert!(kept.ids().is_empty());
    assert_eq!(kept.core.learned("loki").unwrap(), None);
}

#[test]
fn the_oldest_go_beyond_sixteen_mebibytes_or_thirty_days() {
    let mebibyte = 1024 * 1024;
    let mut kept = Kept::refused(&[6 * mebibyte, 6 * mebibyte, 3 * mebibyte]);
    assert_eq!(kept.ids().len(), 3);
    kept.refuse(3, vec![7; 2 * mebibyte], NOW_MS);
    let ids = kept.ids();
    assert_eq!(ids.len(), 3);
    assert_eq!(kept.books(), (0, 40, 30));
    let (_, body) = kept.core.quarantine_find("id = ?1", params![ids[0]]).unwrap().unwrap();
    assert_eq!(body.len(), 6 * mebibyte);
    kept.core.retain(NOW_MS + KEPT_MS).unwrap();
    assert_eq!(kept.ids().len(), 3);
    kept.core.retain(NOW_MS + KEPT_MS + 1).unwrap();
    assert_eq!((kept.ids().len(), kept.books()), (0, (0, 40, 0)));
}
