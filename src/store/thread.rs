//! The store's thread: commands in, commits out, ticks in between.
//!
//! Requests that wait together are committed together: while one commit syncs, the next ones queue up,
//! so the slower the disk, the larger the group, and nobody waits for a timer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::core::{Core, Options, refusal};
use super::handle::{Command, Handle, Ingest, Ingested, Refused, SeriesValue, StoreStats};
use super::retention;
use super::schema::OpenError;

/// Commands that wait; a sender beyond waits too.
pub const QUEUE_COMMANDS_MAX: usize = 256;
/// Requests in one commit.
pub const GROUP_REQUESTS_MAX: usize = 128;

/// Where times come from: the system's clock, or a test's.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    /// Milliseconds since the epoch, moved by hand.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => jiff::Timestamp::now().as_millisecond(),
            Self::Manual(now_ms) => now_ms.load(Ordering::SeqCst),
        }
    }
}

/// A running store.
#[derive(Debug)]
pub struct Store {
    pub handle: Handle,
    pub install_id: Arc<str>,
    pub install_key: [u8; 32],
    /// Ends after [`Handle::stop`], or when every handle is gone.
    pub thread: std::thread::JoinHandle<()>,
}

/// Opens the database and starts its thread.
pub fn open(options: Options, clock: Clock) -> Result<Store, OpenError> {
    let path = options.queue_db.display().to_string();
    let failed =
        |why: std::io::Error| OpenError::Failed { path: path.clone(), why: why.to_string() };
    let core = Core::open(options, clock.now_ms())?;
    let (commands, inbox) = mpsc::channel(QUEUE_COMMANDS_MAX);
    let (news, heard) = watch::channel(0);
    let install_id = core.install_id().into();
    let install_key = core.install_key();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    let worker = Worker { core, clock, inbox, news, retained_ms: 0 };
    let thread = std::thread::Builder::new()
        .name("store".into())
        .spawn(move || runtime.block_on(worker.run()))
        .map_err(failed)?;
    Ok(Store { handle: Handle::new(commands, heard), install_id, install_key, thread })
}

struct Worker {
    core: Core,
    clock: Clock,
    inbox: mpsc::Receiver<Command>,
    news: watch::Sender<u64>,
    retained_ms: i64,
}

type Waiting = Vec<(Ingest, oneshot::Sender<Result<Ingested, Refused>>)>;

impl Worker {
    async fn run(mut self) {
        while let Some(command) = self.next().await {
            let mut next = Some(command);
            while let Some(command) = next.take() {
                next = match command {
                    Command::Ingest(ingest, reply) => self.ingest_group(ingest, reply),
                    Command::Stop(reply) => {
                        self.stop();
                        let _ = reply.send(());
                        return;
                    }
                    command => {
                        self.answer(command);
                        None
                    }
                };
            }
        }
        self.stop();
    }

    /// The next command; ticks that fall due are taken while waiting.
    async fn next(&mut self) -> Option<Command> {
        loop {
            let now_ms = self.clock.now_ms();
            let Some(due_ms) = self.core.next_tick_ms(now_ms) else {
                return self.inbox.recv().await;
            };
            let wait = Duration::from_millis(u64::try_from(due_ms - now_ms).unwrap_or(0));
            match tokio::time::timeout(wait, self.inbox.recv()).await {
                Ok(command) => return command,
                Err(_) => self.tick(),
            }
        }
    }

    /// Commits a request with all that already wait behind it. Returns a command of another kind that was
    /// met on the way.
    fn ingest_group(
        &mut self,
        first: Ingest,
        reply: oneshot::Sender<Result<Ingested, Refused>>,
    ) -> Option<Command> {
        let mut waiting: Waiting = vec![(first, reply)];
        let mut other = None;
        while waiting.len() < GROUP_REQUESTS_MAX && other.is_none() {
            match self.inbox.try_recv() {
                Ok(Command::Ingest(ingest, reply)) => waiting.push((ingest, reply)),
                Ok(command) => other = Some(command),
                Err(_) => break,
            }
        }
        let (mut group, replies): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let answers = self.ingest(&mut group);
        for (reply, answer) in replies.into_iter().zip(answers) {
            let _ = reply.send(answer);
        }
        other
    }

    fn ingest(&mut self, group: &mut [Ingest]) -> Vec<Result<Ingested, Refused>> {
        let now_ms = self.clock.now_ms();
        if now_ms - self.retained_ms > retention::INTERVAL_MS {
            self.retain(now_ms);
        }
        let mut answers = self.core.ingest(group, now_ms);
        if answers.iter().any(|answer| matches!(answer, Err(Refused::DiskFull(_)))) {
            // Room is made once; if that does not help, the senders come back in a second.
            self.make_room();
            answers = self.core.ingest(group, now_ms);
        }
        if answers.iter().any(|answer| matches!(answer, Ok(Ingested::Stored))) {
            self.tell();
        }
        answers
    }

    fn retain(&mut self, now_ms: i64) {
        self.retained_ms = now_ms;
        if let Err(error) = self.core.retain(now_ms) {
            tracing::error!(%error, "old records could not be dropped");
        }
    }

    fn make_room(&mut self) {
        if let Err(error) = self.core.make_room_now() {
            tracing::error!(%error, "the disk is full, and nothing older could be dropped");
        }
    }

    fn tick(&mut self) {
        match self.core.tick(self.clock.now_ms()) {
            Ok(true) => self.tell(),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "samples could not be written; the next tick tries again");
            }
        }
    }

    fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    fn answer(&mut self, command: Command) {
        match command {
            Command::Tick(reply) => {
                let ticked = self.core.tick(self.clock.now_ms());
                if matches!(ticked, Ok(true)) {
                    self.tell();
                }
                let _ = reply.send(ticked.map(|_| ()).map_err(|error| refusal(&error)));
            }
            Command::OpenDestination(key, reply) => {
                let opened = self.core.open_destination(&key, self.clock.now_ms());
                self.tell();
                let _ = reply.send(opened.map_err(|error| refusal(&error)));
            }
            Command::Destinations(reply) => {
                let _ = reply.send(self.core.lanes.privacy.keys().cloned().collect());
            }
            Command::RemoveDestination(name, reply) => {
                let _ = reply
                    .send(self.core.remove_destination(&name).map_err(|error| refusal(&error)));
            }
            Command::Freeze { destination, lane, records_max, bytes_max, reply } => {
                let _ = reply.send(
                    self.core
                        .freeze(&destination, lane, records_max, bytes_max)
                        .map_err(|error| refusal(&error)),
                );
            }
            Command::Settle { destination, lane, settled, reply } => {
                let _ = reply.send(
                    self.core.settle(&destination, lane, &settled).map_err(|error| refusal(&error)),
                );
            }
            Command::Learned(name, reply) => {
                let _ = reply.send(self.core.learned(&name).unwrap_or_default());
            }
            Command::Learn { destination, learned, reply } => {
                let kept = self.core.learn(&destination, &learned);
                let _ = reply.send(kept.map_err(|error| refusal(&error)));
            }
            Command::Quarantine(command) => {
                self.core.answer_quarantine(command, self.clock.now_ms());
            }
            Command::Books(name, reply) => {
                let _ = reply.send(self.core.books(&name).unwrap_or_default());
            }
            Command::Stats(reply) => {
                let _ = reply.send(
                    self.core.stats(self.clock.now_ms()).unwrap_or_else(|_| StoreStats::default()),
                );
            }
            Command::Values(reply) => {
                let series = self.core.fold.series.list().iter();
                let _ = reply.send(
                    series
                        .map(|series| SeriesValue {
                            labels: series.labels.clone(),
                            value: series.value,
                        })
                        .collect(),
                );
            }
            Command::History { after_tick, after_row, after_series, reply } => {
                let _ = reply.send(
                    self.core.history(after_tick, after_row, after_series).unwrap_or_default(),
                );
            }
            Command::Ingest(..) | Command::Stop(_) => unreachable!("handled by the caller"),
        }
    }

    fn stop(&mut self) {
        self.tick();
        self.core.close();
    }
}
