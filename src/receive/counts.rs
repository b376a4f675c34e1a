//! What came through the door, since this worker began; what was turned away is counted for the install too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::failure::{Failure, Kind};
use crate::store::handle::{Tally, TurnedAway};

/// Longest text that is kept of a trouble.
const TROUBLE_BYTES_MAX: usize = 512;

/// Counts since this worker began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// OTLP requests, however they ended.
    pub requests: u64,
    /// Records in requests answered with success, duplicates included, rejected ones not.
    pub received: u64,
    /// Records reported back in `partial_success`, foreign ones included.
    pub rejected: u64,
    /// Records of other programs' scopes.
    pub foreign: u64,
    /// Requests the store could not take: the sender was told to come back.
    pub refused: u64,
    /// Requests that could not be read: broken, too large, too slow, of a wrong type.
    pub malformed: u64,
    /// Requests of somebody who may not come in, to whatever address.
    pub denied: u64,
}

/// The last request of a kind that went wrong, for a warning in `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub at: SystemTime,
    pub kind: Kind,
    /// In words, at most 512 bytes.
    pub what: String,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    received: AtomicU64,
    rejected: AtomicU64,
    foreign: AtomicU64,
    refused: AtomicU64,
    malformed: AtomicU64,
    denied: AtomicU64,
    /// One of a kind at most.
    troubles: Mutex<Vec<Trouble>>,
    /// The install's.
    tally: Arc<Tally>,
}

impl Counters {
    pub fn new(tally: Arc<Tally>) -> Self {
        Self { tally, ..Self::default() }
    }

    pub fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub fn accepted(&self, received: u64) {
        self.received.fetch_add(received, Ordering::Relaxed);
    }

    pub fn rejected(&self, rejected: u64, foreign: u64) {
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
        self.foreign.fetch_add(foreign, Ordering::Relaxed);
        self.tally.add(TurnedAway::Rejected, rejected);
        self.tally.add(TurnedAway::Foreign, foreign);
    }

    /// `sender`: whose request it was, where that is known.
    pub fn failed(&self, failure: &Failure, sender: Option<&str>) {
        let kind = failure.kind();
        let (counter, turned_away) = match kind {
            Kind::Denied => (&self.denied, TurnedAway::Denied),
            Kind::Malformed => (&self.malformed, TurnedAway::Malformed),
            Kind::Refused => (&self.refused, TurnedAway::Refused),
            // A browser's favicon or a mistyped address says nothing about anybody's telemetry.
            Kind::Misdirected => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.tally.add(turned_away, 1);
        let mut what = match sender {
            Some(sender) => format!("sender {sender}: {failure}"),
            None => failure.to_string(),
        };
        what.truncate(what.floor_char_boundary(TROUBLE_BYTES_MAX));
        let trouble = Trouble { at: SystemTime::now(), kind, what };
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.retain(|known| known.kind != kind);
        troubles.push(trouble);
    }

    pub fn counts(&self) -> Counts {
        Counts {
            requests: self.requests.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            foreign: self.foreign.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            malformed: self.malformed.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
        }
    }

    pub fn troubles(&self) -> Vec<Trouble> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
