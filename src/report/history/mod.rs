//! History: the store's increments and events, kept for reports in `history.db`.
//!
//! In the agent a thread of its own follows the store ([`spawn`]): it wakes when the store has news,
//! lets a moment pass so that a burst is one transaction, and reads pages until there is no more.
//! With no news it sleeps without a timer. It holds up nobody: what it has not read yet, the store
//! keeps.
//!
//! A damaged file is renamed and built again. One of a newer ccotel is left alone, and said.

pub mod durations;
pub mod event_rows;
pub mod facts;
pub mod file;
pub mod grain;
pub mod intern;
pub mod packs;
pub mod prompt_usage;
pub mod reader;
pub mod schema;
pub mod sink;
pub mod sums;
pub mod version;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use intern::label_name;

use crate::store::handle::Handle;
use schema::HistoryError;
use sink::Sink;

/// How long news may gather before it is read.
const GATHER: Duration = Duration::from_secs(2);
/// Time between two syncs of the file while something is written. Far below how long the store keeps
/// what has been read, so that a power cut takes nothing that could not be read again.
const SYNC_INTERVAL: Duration = Duration::from_mins(10);
/// Commands that may wait for the history at once; more wait for their turn.
const WAITING_MAX: usize = 16;

/// The history could not take in everything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the history is not up to date: {0}")]
pub struct NotCaughtUp(pub String);

/// The thread that follows the store, as others see it.
#[derive(Clone, Debug)]
pub struct HistoryHandle {
    wanted: mpsc::Sender<oneshot::Sender<Result<(), NotCaughtUp>>>,
    problem: Arc<Mutex<Option<String>>>,
    changes: watch::Receiver<u64>,
}

impl HistoryHandle {
    /// Resolves when everything that the store had accepted by now is in the history. Has the store
    /// sample first, so that counters are as new as events.
    pub async fn caught_up(&self) -> Result<(), NotCaughtUp> {
        let ended = || NotCaughtUp("the agent is stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        self.wanted.send(reply).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Changes whenever the history has taken something in.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Why the history is behind, in words, for `status`; `None` if it is not.
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts the thread. It ends when `stop` is cancelled or the store is gone.
pub fn spawn(
    store: Handle,
    history_db: PathBuf,
    stop: CancellationToken,
    history_days: u32,
) -> HistoryHandle {
    let (wanted, requests) = mpsc::channel(WAITING_MAX);
    let problem = Arc::new(Mutex::new(None));
    let (taken_in, changes) = watch::channel(0);
    let follower = Follower {
        news: store.news(),
        store,
        history_db,
        stop,
        history_days,
        sink: None,
        synced: Instant::now(),
        problem: Arc::clone(&problem),
        taken_in,
    };
    let started = thread::Builder::new().name("history".to_owned()).spawn(move || {
        match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime.block_on(follower.run(requests)),
            Err(error) => follower.note(Some(format!("cannot start: {error}"))),
        }
    });
    if let Err(error) = started {
        let words = format!("cannot start a thread for the history: {error}");
        tracing::warn!("{words}");
        *problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }
    HistoryHandle { wanted, problem, changes }
}

struct Follower {
    store: Handle,
    news: watch::Receiver<u64>,
    history_db: PathBuf,
    stop: CancellationToken,
    history_days: u32,
    /// Closed after an error, and opened again at the next news.
    sink: Option<Sink>,
    synced: Instant,
    problem: Arc<Mutex<Option<String>>>,
    taken_in: watch::Sender<u64>,
}

impl Follower {
    async fn run(mut self, mut requests: mpsc::Receiver<oneshot::Sender<Result<(), NotCaughtUp>>>) {
        let stop = self.stop.clone();
        let mut news = self.news.clone();
        news.mark_changed();
        loop {
            let request = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // No handle is left: nobody asks any more, but the store is still followed.
                Some(request) = requests.recv() => Some(request),
                changed = gathered(&mut news) => match changed {
                    Ok(()) => None,
                    Err(_) => return,
                },
            };
            news.mark_unchanged();
            // Without a sample of this moment the counters are only a little older.
            let ticked = match &request {
                Some(_) => self.store.tick().await.map_err(|error| error.to_string()),
                None => Ok(()),
            };
            let mut result = self.catch_up().await;
            if result.is_err() && !self.history_db.exists() {
                // It was damaged and is set aside now.
                result = self.catch_up().await;
            }
            let result = result.and(ticked);
            self.note(result.as_ref().err().cloned());
            if let Some(reply) = request {
                let _ = reply.send(result.map_err(NotCaughtUp));
            }
        }
    }

    /// Reads pages until there is no more. An error closes the file.
    async fn catch_up(&mut self) -> Result<(), String> {
        let mut sink = self.open().await?;
        loop {
            let cursors = sink.cursors().map_err(|error| self.failed(&error))?;
            let page = self
                .store
                .history(cursors.tick, cursors.row, cursors.series)
                .await
                .map_err(|error| error.to_string())?;
            if page.ticks.is_empty() && page.events.is_empty() && page.series.is_empty() {
                break;
            }
            sink.apply(&page, self.history_days).map_err(|error| self.failed(&error))?;
            self.taken_in.send_modify(|count| *count += 1);
            let moved = sink.cursors().map_err(|error| self.failed(&error))? != cursors;
            if !page.more || !moved || self.stop.is_cancelled() {
                break;
            }
        }
        if self.synced.elapsed() >= SYNC_INTERVAL {
            sink.checkpoint().map_err(|error| self.failed(&error))?;
            self.synced = Instant::now();
        }
        self.sink = Some(sink);
        Ok(())
    }

    /// The open file, or a new one where it was closed, removed or damaged.
    async fn open(&mut self) -> Result<Sink, String> {
        if let Some(sink) = self.sink.take()
            && self.history_db.exists()
        {
            return Ok(sink);
        }
        let install_id = self.store.stats().await.map_err(|error| error.to_string())?.install_id;
        let opened = Sink::open(&self.history_db).and_then(|mut sink| {
            sink.begin_install(&install_id)?;
            Ok(sink)
        });
        match opened {
            Ok(sink) => Ok(sink),
            Err(error @ HistoryError::Damaged { .. }) => {
                self.failed(&error);
                let mut sink = Sink::open(&self.history_db).map_err(|error| error.to_string())?;
                sink.begin_install(&install_id).map_err(|error| error.to_string())?;
                Ok(sink)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Sets a damaged file aside; the next opening makes a new one.
    fn failed(&self, error: &HistoryError) -> String {
        if matches!(error, HistoryError::Damaged { .. }) {
            match schema::set_aside(&self.history_db) {
                Ok(aside) => tracing::warn!(
                    "{error}; moved to {} and built again from what the store keeps",
                    aside.display()
                ),
                Err(cause) => {
                    return format!("{error}; it cannot be renamed ({cause}): remove it by hand");
                }
            }
        }
        error.to_string()
    }

    fn note(&self, problem: Option<String>) {
        let mut known = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(words) = &problem
            && known.as_ref() != Some(words)
        {
            tracing::warn!("the history is behind: {words}");
        }
        *known = problem;
    }
}

/// Waits for news, then for a moment more, so that a burst is read at once.
async fn gathered(news: &mut watch::Receiver<u64>) -> Result<(), watch::error::RecvError> {
    news.changed().await?;
    tokio::time::sleep(GATHER).await;
    Ok(())
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "amounts are halves and quarters")]
mod tests;
