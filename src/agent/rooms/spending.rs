//! What the agent knows of budgets and limits: for the status, as gauges, and for the desktop.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::budget::desktop::{self, Desktop};
use crate::budget::warned::Warned;
use crate::budget::{Standing, standings};
use crate::config::budget::Budgets;
use crate::deliver::task;
use crate::paths::Paths;
use crate::receive::Sample;
use crate::report::history::reader::History;
use crate::report::time::Clock;
use crate::statusline::limits::{Heard, Limits};

/// Between two looks while something is spent. A warning is no later than this.
const LOOK_PERIOD: Duration = Duration::from_secs(10);

pub struct Spending {
    history_db: PathBuf,
    imported_db: PathBuf,
    warned_file: PathBuf,
    /// Counts what the history has taken in.
    changes: watch::Receiver<u64>,
    now_ms: task::Clock,
    budgets: Mutex<Arc<Budgets>>,
    applied: Notify,
    known: Mutex<Option<Known>>,
    heard: Mutex<Heard>,
}

/// The last answer, and what it holds for.
struct Known {
    version: Version,
    standings: Arc<Vec<Standing>>,
    /// When the first of the periods ends.
    until: Option<Timestamp>,
}

/// Which history was asked about which budgets.
#[derive(Clone, PartialEq)]
struct Version {
    changes: u64,
    imported: Option<SystemTime>,
    budgets: Arc<Budgets>,
}

impl Spending {
    pub fn new(
        paths: &Paths,
        budgets: &Budgets,
        changes: watch::Receiver<u64>,
        now_ms: task::Clock,
    ) -> Self {
        Self {
            history_db: paths.history_db(),
            imported_db: paths.imported_db(),
            warned_file: paths.budget_warned_file(),
            changes,
            now_ms,
            budgets: Mutex::new(Arc::new(budgets.clone())),
            applied: Notify::new(),
            known: Mutex::default(),
            heard: Mutex::default(),
        }
    }

    /// A changed configuration.
    pub fn apply(&self, budgets: &Budgets) {
        *lock(&self.budgets) = Arc::new(budgets.clone());
        self.applied.notify_one();
    }

    /// What a status line was told.
    pub fn hear(&self, said: &Limits) {
        lock(&self.heard).hear(said, self.now().as_second());
    }

    pub fn limits(&self) -> Limits {
        lock(&self.heard).current(self.now().as_second())
    }

    /// How far each budget is spent now. The history is asked only where it may have changed.
    pub async fn standings(&self) -> Arc<Vec<Standing>> {
        let budgets = Arc::clone(&lock(&self.budgets));
        if budgets.all.is_empty() {
            return Arc::default();
        }
        let now = self.now();
        let imported = self.imported_db.metadata().and_then(|it| it.modified()).ok();
        let changes = *self.changes.borrow();
        let version = Version { changes, imported, budgets };
        if let Some(known) = &*lock(&self.known)
            && known.version == version
            && known.until.is_some_and(|until| now < until)
        {
            return Arc::clone(&known.standings);
        }
        let standings = Arc::new(self.ask(Arc::clone(&version.budgets), now).await);
        let ends = standings.iter().filter_map(|it| it.until.parse::<Timestamp>().ok());
        let until = ends.min();
        *lock(&self.known) = Some(Known { version, standings: Arc::clone(&standings), until });
        standings
    }

    async fn ask(&self, budgets: Arc<Budgets>, now: Timestamp) -> Vec<Standing> {
        let (recorded, imported) = (self.history_db.clone(), self.imported_db.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let clock = Clock { now: now.to_zoned(TimeZone::system()) };
            let history = History::open_files(Some(&recorded), Some(&imported))?;
            standings(history.as_ref(), &clock, &budgets.all)
        });
        match asked.await {
            Ok(Ok(standings)) => standings,
            // That the history cannot be read is in the status already.
            Ok(Err(error)) => {
                tracing::debug!("budgets cannot be looked at: {error}");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond((self.now_ms)()).unwrap_or_default()
    }

    /// Warns on the desktop, as long as something is spent; with nothing new it sleeps without a timer.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut history = self.changes.clone();
        history.mark_changed();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.applied.notified() => {}
                changed = history.changed() => if changed.is_err() { return },
            }
            self.warn().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_PERIOD) => {}
            }
        }
    }

    async fn warn(&self) {
        if !lock(&self.budgets).notify {
            return;
        }
        let standings = self.standings().await;
        if standings.is_empty() {
            return;
        }
        let file = self.warned_file.clone();
        // Programs take their time, and disks may.
        let warned = tokio::task::spawn_blocking(move || warn(&file, &standings));
        if let Ok(Err(why)) = warned.await {
            tracing::info!("a budget was not warned of: {why}");
        }
    }
}

/// Without a desktop nothing is warned of, and nothing remembered: somebody may log in yet.
fn warn(file: &std::path::Path, standings: &[Standing]) -> Result<(), String> {
    let Some(desktop) = Desktop::find() else { return Ok(()) };
    let mut warned = Warned::load(file);
    let due = warned.due(standings);
    if due.is_empty() {
        return Ok(());
    }
    warned.save(file).map_err(|error| error.to_string())?;
    for standing in due {
        let (title, text) = desktop::words(standing);
        tracing::info!("{title}: {text}");
        desktop.show(&title, &text)?;
    }
    Ok(())
}

/// As gauges: two for each budget, two for each limit.
pub fn samples(standings: &[Standing], limits: &Limits) -> Vec<Sample> {
    let mut samples = Vec::new();
    for standing in standings {
        let mut labels = vec![("period", standing.period.clone())];
        labels.extend(standing.project.clone().map(|name| ("project", name)));
        labels.extend(standing.team.clone().map(|name| ("team", name)));
        let help = "What may be spent in the period, in USD at list price.";
        let name = "ccotel_budget_usd";
        samples.push(Sample { name, help, labels: labels.clone(), value: standing.budget_usd });
        let help = "What was spent in the period so far, in USD at list price.";
        let name = "ccotel_budget_spent_usd";
        samples.push(Sample { name, help, labels, value: standing.spent_usd });
    }
    for (window, limit) in &limits.0 {
        let labels = vec![("window", window.clone())];
        let help =
            "How much of a subscription's limit is used, as Claude Code's status line is told.";
        let name = "ccotel_rate_limit_used_percent";
        samples.push(Sample { name, help, labels: labels.clone(), value: limit.used_percent });
        if let Some(at) = limit.resets_at {
            let help = "When the limit's window begins anew.";
            let name = "ccotel_rate_limit_resets_timestamp_seconds";
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
            samples.push(Sample { name, help, labels, value: at as f64 });
        }
    }
    samples
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
