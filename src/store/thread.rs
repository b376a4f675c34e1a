//! The store's thread: commands in, commits out, ticks in between.
//!
//! Requests that wait together are committed together: while one commit syncs, the next ones queue up,
//! so the slower the disk, the larger the group, and nobody waits for a timer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::core::{Core, Options};
use super::handle::{Command, Handle, Ingest, Ingested, Refused, SeriesValue};
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
    /// Milliseconds since the epoch, moved by hand; samples are taken when they are asked for.
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
    /// Told when the database became a new install while it was open: `install_id` and `install_key` are
    /// those of before, and a new worker is needed.
    pub renewed: Arc<tokio::sync::Notify>,
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
    let install_id: Arc<str> = core.install_id().into();
    let renewed = Arc::new(tokio::sync::Notify::new());
    let install_key = core.install_key();
    let tally = core.tally();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    let worker = Worker {
        core,
        clock,
        inbox,
        news,
        retained_ms: 0,
        steady: Steady::default(),
        install_id: Arc::clone(&install_id),
        renewed: Arc::clone(&renewed),
    };
    let thread = std::thread::Builder::new()
        .name("store".into())
        .spawn(move || runtime.block_on(worker.run()))
        .map_err(failed)?;
    let handle = Handle::new(commands, heard).with_tally(tally);
    Ok(Store { handle, install_id, install_key, renewed, thread })
}

struct Worker {
    core: Core,
    clock: Clock,
    inbox: mpsc::Receiver<Command>,
    news: watch::Sender<u64>,
    retained_ms: i64,
    steady: Steady,
    /// As it was when the store was opened.
    install_id: Arc<str>,
    renewed: Arc<tokio::sync::Notify>,
}

/// Whether the clock can be trusted to say what is old. One that jumped ahead for a moment must not make
/// everything expire.
#[derive(Default)]
struct Steady {
    since_ms: i64,
    last_ms: i64,
}

/// A longer step than this is a jump, or a long sleep; both are over when it has gone on steadily.
const JUMP_MS: i64 = 24 * 3_600_000;
const STEADY_AFTER_MS: i64 = 3_600_000;

impl Steady {
    fn is_at(&mut self, now_ms: i64) -> bool {
        if (now_ms - self.last_ms).abs() > JUMP_MS || now_ms < self.since_ms {
            self.since_ms = now_ms;
        }
        self.last_ms = now_ms;
        now_ms - self.since_ms >= STEADY_AFTER_MS
    }
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
            let due_ms = match self.clock {
                Clock::System => self.core.next_tick_ms(now_ms),
                Clock::Manual(_) => None,
            };
            let Some(due_ms) = due_ms else {
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
        // After the answers: nobody waits for what is old to be dropped, least of all at the start.
        self.retain_if_due();
        other
    }

    fn retain_if_due(&mut self) {
        let now_ms = self.clock.now_ms();
        if (now_ms - self.retained_ms).abs() > retention::INTERVAL_MS {
            self.retain(now_ms);
        }
    }

    fn ingest(&mut self, group: &mut [Ingest]) -> Vec<Result<Ingested, Refused>> {
        let now_ms = self.clock.now_ms();
        let mut answers = self.core.ingest(group, now_ms);
        if answers.iter().any(|answer| matches!(answer, Err(Refused::DiskFull(_)))) {
            // Room is made once; if that does not help, the senders come back in a second.
            self.make_room();
            answers = self.core.ingest(group, now_ms);
        }
        if answers.iter().any(|answer| matches!(answer, Ok(Ingested::Stored))) {
            self.tell();
        }
        self.look_at_install();
        answers
    }

    fn retain(&mut self, now_ms: i64) {
        self.retained_ms = now_ms;
        if self.core.heal(now_ms).is_err() {
            return;
        }
        let retained = if self.steady.is_at(now_ms) {
            self.core.retain(now_ms)
        } else {
            self.core.retain_within_limit(now_ms)
        };
        if let Err(error) = retained {
            self.core.failed(&error, now_ms);
            tracing::error!(%error, "old records could not be dropped");
        }
    }

    fn make_room(&mut self) {
        let now_ms = self.clock.now_ms();
        if let Err(error) = self.core.make_room_now(now_ms) {
            self.core.failed(&error, now_ms);
            tracing::error!(%error, "the disk is full, and nothing older could be dropped");
        }
    }

    fn tick(&mut self) {
        if let Err(error) = self.try_tick() {
            tracing::error!(%error, "samples could not be written; the next tick tries again");
        }
    }

    fn try_tick(&mut self) -> Result<(), Refused> {
        let now_ms = self.clock.now_ms();
        self.core.keep_file(now_ms)?;
        let ticked = self.core.tick(now_ms);
        self.look_at_install();
        if ticked.map_err(|error| self.core.failed(&error, now_ms))? {
            self.tell();
        }
        Ok(())
    }

    /// Runs `ask` on a database that is open, and looks after it if that fails.
    fn on_core<T>(
        &mut self,
        ask: impl FnOnce(&mut Core, i64) -> rusqlite::Result<T>,
    ) -> Result<T, Refused> {
        let now_ms = self.clock.now_ms();
        self.core.heal(now_ms)?;
        let answer = ask(&mut self.core, now_ms).map_err(|error| self.core.failed(&error, now_ms));
        self.look_at_install();
        answer
    }

    fn look_at_install(&self) {
        if self.core.install_id() != &*self.install_id {
            self.renewed.notify_one();
        }
    }

    fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    fn answer(&mut self, command: Command) {
        match command {
            Command::Tick(reply) => {
                let _ = reply.send(self.try_tick());
            }
            Command::Unsynced(reply) => {
                let _ = reply.send(self.on_core(|core, _| core.stop_syncing()));
            }
            Command::OpenDestination(key, reply) => {
                let opened = self.on_core(|core, now_ms| core.open_destination(&key, now_ms));
                self.tell();
                let _ = reply.send(opened);
            }
            Command::Destinations(reply) => {
                let _ = reply.send(self.core.lanes.privacy.keys().cloned().collect());
            }
            Command::RemoveDestination(name, reply) => {
                let _ = reply.send(self.on_core(|core, _| core.remove_destination(&name)));
            }
            Command::Freeze { destination, lane, records_max, bytes_max, reply } => {
                let _ =
                    reply.send(self.on_core(|core, _| {
                        core.freeze(&destination, lane, records_max, bytes_max)
                    }));
            }
            Command::Settle { destination, lane, settled, reply } => {
                let _ =
                    reply.send(self.on_core(|core, _| core.settle(&destination, lane, &settled)));
            }
            Command::Learned(name, reply) => {
                let _ = reply.send(self.core.learned(&name).unwrap_or_default());
            }
            Command::Learn { destination, learned, reply } => {
                let _ = reply.send(self.on_core(|core, _| core.learn(&destination, &learned)));
            }
            Command::Quarantine(command) => {
                self.core.answer_quarantine(command, self.clock.now_ms());
            }
            Command::Books(name, reply) => {
                let _ = reply.send(self.core.books(&name).unwrap_or_default());
            }
            Command::Stats(reply) => {
                let now_ms = self.clock.now_ms();
                let stats = self.on_core(Core::stats);
                let _ = reply.send(stats.unwrap_or_else(|_| self.core.stats_in_trouble(now_ms)));
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
                let page =
                    self.on_core(|core, _| core.history(after_tick, after_row, after_series));
                let _ = reply.send(page.unwrap_or_default());
            }
            Command::NewestEvents(reply) => {
                let events = self.on_core(|core, _| core.newest_events());
                let _ = reply.send(events.unwrap_or_default());
            }
            Command::Ingest(..) | Command::Stop(_) => unreachable!("handled by the caller"),
        }
    }

    fn stop(&mut self) {
        self.tick();
        self.core.close();
    }
}
