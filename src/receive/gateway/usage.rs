//! What a sender uses: its limits, and its counts since this worker began.
//!
//! Requests beyond those at once wait for their turn, which slows a sender down and takes nothing from
//! the others; only one that waits for long is told to come back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::config::limits::SENDERS_MAX;
use crate::receive::body::Budget;
use crate::receive::failure::Failure;

/// Connections of one sender.
pub const CONNECTIONS_MAX: usize = 512;
/// Requests of one sender that are read and stored at once.
pub const REQUESTS_MAX: usize = 32;
/// How long a request waits for its turn. Claude Code gives up after 10 s.
pub const TURN_WAIT: Duration = Duration::from_secs(5);
/// Of all bodies of one sender that are being read, as sent and decompressed.
pub const BODY_BYTES_MAX: usize = 128 << 20;
/// Senders whose counts are kept: those of now, and some that were revoked.
const USAGES_MAX: usize = 2 * SENDERS_MAX;

#[derive(Debug)]
pub struct Usage {
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    pub(in crate::receive) bodies: Budget,
    received: AtomicU64,
    rejected: AtomicU64,
    refused: AtomicU64,
    malformed: AtomicU64,
    /// In milliseconds since the epoch; 0: not since this worker began.
    last_seen_ms: AtomicU64,
}

/// A sender's counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageFacts {
    pub connections: u64,
    /// Records in requests that were answered with success, duplicates included.
    pub received: u64,
    /// Records reported back in `partial_success`.
    pub rejected: u64,
    /// Requests that were told to come back.
    pub refused: u64,
    /// Requests that could not be read.
    pub malformed: u64,
    pub last_seen: Option<SystemTime>,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            bodies: Budget::default(),
            received: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            last_seen_ms: AtomicU64::new(0),
        }
    }
}

impl Usage {
    /// A place for one more connection, until it ends.
    pub(in crate::receive) fn connect(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.connections)
            .try_acquire_owned()
            .map_err(|_| Failure::Crowded { what: "connections", max: CONNECTIONS_MAX })
    }

    /// A request's turn.
    pub(in crate::receive) async fn turn(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.seen(SystemTime::now());
        let turn = Arc::clone(&self.requests).acquire_owned();
        match timeout(TURN_WAIT, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Failure::Crowded { what: "requests at once", max: REQUESTS_MAX }),
        }
    }

    fn seen(&self, now: SystemTime) {
        let ms = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        self.last_seen_ms.store(u64::try_from(ms).unwrap_or(0), Ordering::Relaxed);
    }

    pub(in crate::receive) fn received(&self, records: u64) {
        self.received.fetch_add(records, Ordering::Relaxed);
    }

    pub(in crate::receive) fn rejected(&self, records: u64) {
        self.rejected.fetch_add(records, Ordering::Relaxed);
    }

    pub(in crate::receive) fn failed(&self, failure: &Failure) {
        use crate::receive::failure::Kind;
        let counter = match failure.kind() {
            Kind::Refused => &self.refused,
            Kind::Malformed => &self.malformed,
            Kind::Denied | Kind::Misdirected => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub fn facts(&self) -> UsageFacts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let last_seen_ms = of(&self.last_seen_ms);
        let used = CONNECTIONS_MAX - self.connections.available_permits();
        UsageFacts {
            connections: used as u64,
            received: of(&self.received),
            rejected: of(&self.rejected),
            refused: of(&self.refused),
            malformed: of(&self.malformed),
            last_seen: (last_seen_ms > 0).then(|| UNIX_EPOCH + Duration::from_millis(last_seen_ms)),
        }
    }

    fn is_idle(&self) -> bool {
        self.connections.available_permits() == CONNECTIONS_MAX
    }
}

/// Every sender's, by name: it outlives changes of the table.
#[derive(Debug, Default)]
pub struct Usages(Mutex<BTreeMap<Arc<str>, Arc<Usage>>>);

impl Usages {
    pub fn of(&self, name: &Arc<str>) -> Arc<Usage> {
        let mut usages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if usages.len() >= USAGES_MAX && !usages.contains_key(name) {
            // In use: held by the table, or by a connection.
            usages.retain(|_, usage| Arc::strong_count(usage) > 1 || !usage.is_idle());
        }
        Arc::clone(usages.entry(Arc::clone(name)).or_default())
    }

    pub fn all(&self) -> Vec<(Arc<str>, Arc<Usage>)> {
        let usages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        usages.iter().map(|(name, usage)| (Arc::clone(name), Arc::clone(usage))).collect()
    }
}
