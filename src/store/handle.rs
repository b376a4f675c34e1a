//! The door to the store thread: every question it answers, and the types it answers with.
//!
//! The queue is bounded; a full queue makes `ingest` wait, which is what slows a sender down.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

pub use super::quarantine::{QuarantineCommand, QuarantineEntry, Retried};
pub use super::tally::{Tally, TallyCounts, TurnedAway};
use crate::record::{Batch, Event, Labels, PrivacyLevel};

/// One OTLP request on its way to disk.
#[derive(Debug)]
pub struct Ingest {
    /// Hash of the decompressed request body: a retried body counts once.
    pub body_hash: u128,
    pub batch: Batch,
}

/// What became of a request that may be answered with success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingested {
    /// In a synced commit.
    Stored,
    /// The same body was stored before.
    Duplicate,
    /// Nothing in it was new (an idle cumulative export); nothing was written.
    Unchanged,
}

/// Why a request could not be stored. The sender is told to come back in a second.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// With the database's own words, for the log.
    #[error("the disk is full, and nothing could be dropped to make room")]
    DiskFull(String),
    #[error("the store failed: {0}")]
    Failed(String),
    #[error("the agent is stopping")]
    Stopping,
}

/// What a destination can be sent. Each lane has a cursor of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    Samples,
    Events,
    Spans,
}

impl Lane {
    /// As the tables and `ccotel quarantine` name it.
    pub fn name(self) -> &'static str {
        super::lanes::lane_text(self)
    }
}

/// A place between two records of a lane: all rows below `row` are done, and `offset` records of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub row: i64,
    pub offset: u32,
}

/// From where a destination that is new gets data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// What comes after this moment.
    Now,
    /// Everything that is kept.
    All,
    /// What was received at or after this time, in milliseconds since the epoch.
    Time(i64),
}

/// A destination as the store needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationKey {
    /// The configured name: the key of its cursors.
    pub name: Arc<str>,
    /// Labels above this level are taken away and the series summed; events are tightened to it.
    pub privacy: PrivacyLevel,
    pub lanes: Vec<Lane>,
    /// Where to begin, if this destination has no cursors yet.
    pub since: Since,
}

/// A stretch of one series: samples in ascending time.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSamples {
    /// Sorted by name, with `__name__` and `instance`.
    pub labels: Arc<Labels>,
    /// When this series was 0, in milliseconds since the epoch.
    pub start_ms: i64,
    /// The value just before the first of the samples: what a destination was sent last.
    pub before: f64,
    /// `(time in ms, value)`.
    pub samples: Vec<(i64, f64)>,
}

/// What a batch holds.
#[derive(Clone, Debug)]
pub enum Content {
    Samples(Vec<SeriesSamples>),
    /// In order of time.
    Events(Vec<Event>),
    /// Encoded `ResourceSpans`.
    Spans(Vec<Vec<u8>>),
}

/// A range of a lane whose boundaries are on disk before it is sent: a crash replays the same bytes.
#[derive(Clone, Debug)]
pub struct FrozenBatch {
    pub lane: Lane,
    pub start: Cursor,
    pub end: Cursor,
    /// Sent before, with an unknown outcome.
    pub replay: bool,
    /// Records in it, for the books (changed samples, events, spans).
    pub records: u64,
    /// Reception time of the oldest of them, in milliseconds since the epoch.
    pub oldest_ms: i64,
    pub content: Content,
}

/// How a frozen batch ended, in records; the sum is the batch's `records`.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    pub delivered: u64,
    pub expired: u64,
    pub compacted: u64,
    pub quarantined: Vec<Quarantined>,
    /// What the destination has learned about its backend, to be kept in the same commit.
    pub learned: Option<String>,
}

/// What a backend refused for good.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    pub records: u64,
    /// HTTP status, or 0.
    pub status: u16,
    /// The backend's words, cut to 1 KiB.
    pub answer: String,
    /// The format of the body: `deliver::wire::Wire::name`.
    pub wire: String,
    /// The request's body, as sent.
    pub body: Vec<u8>,
}

/// The books of one destination, over all its lanes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Everything since the destination began: the sum of what follows, counted by itself.
    pub meant: u64,
    pub backlog_records: u64,
    pub backlog_bytes: u64,
    /// Reception time of the oldest record not delivered, in milliseconds since the epoch.
    pub oldest_ms: Option<i64>,
    pub delivered: u64,
    pub expired: u64,
    /// Dropped for want of room, or changed by the disk so that it cannot be read.
    pub evicted: u64,
    pub compacted: u64,
    /// Refused for good, and not taken at a retry since.
    pub quarantined: u64,
    /// Of these, records of which the request is still kept, and can be retried.
    pub quarantine_kept: u64,
    /// Bytes of these requests.
    pub quarantine_bytes: u64,
}

impl Books {
    /// Whether what was meant for it is what became of it: always, and asserted after every fault.
    pub fn balance(&self) -> bool {
        let gone = self.expired + self.evicted + self.compacted + self.quarantined;
        self.meant == self.delivered + self.backlog_records + gone
    }
}

/// The store's own counts since the install began.
#[derive(Clone, Debug, Default)]
pub struct StoreStats {
    pub install_id: String,
    /// Records in accepted requests, duplicates and unchanged ones included.
    pub received: u64,
    /// Of these, records that were stored: points, events and spans.
    pub stored: [u64; 3],
    pub duplicate: u64,
    /// Of these, points that changed no counter: nothing had to be stored.
    pub unchanged: u64,
    /// What the door turned away, and did not receive.
    pub turned_away: TallyCounts,
    pub sessions_active: u64,
    pub sessions_today: u64,
    pub series: u64,
    pub disk_bytes: u64,
    /// Labels whose values had to be folded into `other`, with what to do.
    pub warnings: Vec<String>,
}

/// The current value of a series, for `GET /metrics`.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesValue {
    pub labels: Arc<Labels>,
    pub value: f64,
}

/// A row of changed counters, for the history.
#[derive(Clone, Debug)]
pub struct HistoryTick {
    pub row: i64,
    pub time_ms: i64,
    /// `(series id, increment)`.
    pub increments: Vec<(i64, f64)>,
}

/// A stored request's events, for the history.
#[derive(Clone, Debug)]
pub struct HistoryEvents {
    pub row: i64,
    pub received_ms: i64,
    pub events: Vec<Event>,
}

/// A series' identity, for the history. Labels hold `__name__`, not `instance`.
#[derive(Clone, Debug)]
pub struct HistorySeries {
    pub id: i64,
    pub labels: Arc<Labels>,
}

/// What the history has not seen yet, in order.
#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    pub ticks: Vec<HistoryTick>,
    pub events: Vec<HistoryEvents>,
    pub series: Vec<HistorySeries>,
    /// More is waiting.
    pub more: bool,
}

/// Everything the store thread can be asked.
#[derive(Debug)]
pub enum Command {
    Ingest(Ingest, oneshot::Sender<Result<Ingested, Refused>>),
    /// Samples now, so that a report shows what was received up to this moment.
    Tick(oneshot::Sender<Result<(), Refused>>),
    /// From now on nobody wants this database after a crash.
    Unsynced(oneshot::Sender<Result<(), Refused>>),
    OpenDestination(DestinationKey, oneshot::Sender<Result<(), Refused>>),
    /// The names of all destinations that have cursors.
    Destinations(oneshot::Sender<Vec<Arc<str>>>),
    RemoveDestination(Arc<str>, oneshot::Sender<Result<(), Refused>>),
    /// The next batch of a lane, at most so many records and bytes; its boundaries are on disk.
    Freeze {
        destination: Arc<str>,
        lane: Lane,
        records_max: u32,
        bytes_max: usize,
        reply: oneshot::Sender<Result<Option<FrozenBatch>, Refused>>,
    },
    /// The batch frozen last is done with: the cursor moves past it.
    Settle {
        destination: Arc<str>,
        lane: Lane,
        settled: Settled,
        reply: oneshot::Sender<Result<(), Refused>>,
    },
    /// What a destination has learned about its backend; survives a restart.
    Learned(Arc<str>, oneshot::Sender<Option<String>>),
    Learn {
        destination: Arc<str>,
        learned: String,
        reply: oneshot::Sender<Result<(), Refused>>,
    },
    Quarantine(QuarantineCommand),
    Books(Arc<str>, oneshot::Sender<Books>),
    Stats(oneshot::Sender<StoreStats>),
    Values(oneshot::Sender<Vec<SeriesValue>>),
    /// What the history lacks: samples rows above the first number, request rows above the second,
    /// series ids above the third.
    History {
        after_tick: i64,
        after_row: i64,
        after_series: i64,
        reply: oneshot::Sender<HistoryPage>,
    },
    /// The last events that came, the newest first.
    NewestEvents(oneshot::Sender<Vec<Event>>),
    /// Commit, sample, checkpoint, mark a clean stop, end the thread.
    Stop(oneshot::Sender<()>),
}

/// A clonable sender of [`Command`]s.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    /// Changes whenever a lane may have something new: destinations and the history wait on it.
    news: tokio::sync::watch::Receiver<u64>,
    tally: Arc<Tally>,
}

impl Handle {
    pub fn new(commands: mpsc::Sender<Command>, news: tokio::sync::watch::Receiver<u64>) -> Self {
        Self { commands, news, tally: Arc::default() }
    }

    #[must_use]
    pub fn with_tally(mut self, tally: Arc<Tally>) -> Self {
        self.tally = tally;
        self
    }

    /// Where the door counts what it turns away.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Resolves when the store has ended, whether it was asked to or its thread died.
    pub async fn ended(&self) {
        self.commands.closed().await;
    }

    /// A receiver that changes whenever new rows may be waiting.
    pub fn news(&self) -> tokio::sync::watch::Receiver<u64> {
        self.news.clone()
    }

    pub(super) async fn ask<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Refused> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(make(reply)).await.map_err(|_| Refused::Stopping)?;
        answer.await.map_err(|_| Refused::Stopping)
    }

    /// Resolves once the request is in a synced commit, or needs none.
    pub async fn ingest(&self, ingest: Ingest) -> Result<Ingested, Refused> {
        self.ask(|reply| Command::Ingest(ingest, reply)).await?
    }

    pub async fn tick(&self) -> Result<(), Refused> {
        self.ask(Command::Tick).await?
    }

    /// Commits are not synced from now on: for a store that is thrown away, such as the demo's.
    pub async fn unsynced(&self) -> Result<(), Refused> {
        self.ask(Command::Unsynced).await?
    }

    pub async fn open_destination(&self, key: DestinationKey) -> Result<(), Refused> {
        self.ask(|reply| Command::OpenDestination(key, reply)).await?
    }

    pub async fn destinations(&self) -> Result<Vec<Arc<str>>, Refused> {
        self.ask(Command::Destinations).await
    }

    pub async fn remove_destination(&self, name: Arc<str>) -> Result<(), Refused> {
        self.ask(|reply| Command::RemoveDestination(name, reply)).await?
    }

    pub async fn freeze(
        &self,
        destination: Arc<str>,
        lane: Lane,
        records_max: u32,
        bytes_max: usize,
    ) -> Result<Option<FrozenBatch>, Refused> {
        self.ask(|reply| Command::Freeze { destination, lane, records_max, bytes_max, reply })
            .await?
    }

    pub async fn settle(
        &self,
        destination: Arc<str>,
        lane: Lane,
        settled: Settled,
    ) -> Result<(), Refused> {
        self.ask(|reply| Command::Settle { destination, lane, settled, reply }).await?
    }

    /// What [`Handle::learn`] or a settled batch has left, if this destination has cursors.
    pub async fn learned(&self, destination: Arc<str>) -> Result<Option<String>, Refused> {
        self.ask(|reply| Command::Learned(destination, reply)).await
    }

    pub async fn learn(&self, destination: Arc<str>, learned: String) -> Result<(), Refused> {
        self.ask(|reply| Command::Learn { destination, learned, reply }).await?
    }

    pub async fn books(&self, destination: Arc<str>) -> Result<Books, Refused> {
        self.ask(|reply| Command::Books(destination, reply)).await
    }

    pub async fn stats(&self) -> Result<StoreStats, Refused> {
        self.ask(Command::Stats).await
    }

    pub async fn values(&self) -> Result<Vec<SeriesValue>, Refused> {
        self.ask(Command::Values).await
    }

    pub async fn history(
        &self,
        after_tick: i64,
        after_row: i64,
        after_series: i64,
    ) -> Result<HistoryPage, Refused> {
        self.ask(|reply| Command::History { after_tick, after_row, after_series, reply }).await
    }

    pub async fn newest_events(&self) -> Result<Vec<Event>, Refused> {
        self.ask(Command::NewestEvents).await
    }

    pub async fn stop(&self) -> Result<(), Refused> {
        self.ask(Command::Stop).await
    }
}
