//! The rooms of the worker, wired: receive → record → store → deliver, and the history beside them.
//!
//! The worker's life (locks, signals, control, reload) is in `worker`; this is all it knows of the rest.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::notice::LaunchNotice;
use super::sockets;
use crate::config::Config;
use crate::deliver::{DestinationStatus, Manager, OwnValue, task, wall_clock_ms};
use crate::page;
use crate::paths::Paths;
use crate::receive::gateway::Gateway;
use crate::receive::{self, Admission, Door, Sample, Token};
use crate::record::launches::Facts as GitFacts;
use crate::record::{Recorder, Settings};
use crate::report::history::{self, HistoryHandle};
use crate::statusline::limits::Limits;
use crate::store::{self, Clock};
use crate::tags::git;
use own_samples::samples;
use spending::Spending;

mod facts;
mod newest;
mod own_samples;
pub mod quarantine;
mod senders;
mod spending;
mod warnings;

pub use facts::Facts;

/// How long a request to a backend may take to end when the agent does.
const DELIVER_STOP_WAIT: Duration = Duration::from_millis(800);

/// Whose time the rooms live in.
pub struct Clocks {
    pub store: Clock,
    pub deliver: task::Clock,
}

impl Clocks {
    pub fn system() -> Self {
        Self { store: Clock::System, deliver: Arc::new(wall_clock_ms) }
    }
}

/// Everything that a record passes through.
pub struct Rooms {
    store: store::handle::Handle,
    install_id: Arc<str>,
    install_key: [u8; 32],
    recorder: Arc<Recorder>,
    door: Arc<Door>,
    /// Where it receives for many.
    gateway: Option<Arc<Gateway>>,
    deliver: Arc<Manager>,
    history: HistoryHandle,
    history_stop: CancellationToken,
    spending: Arc<Spending>,
    renewed: Arc<tokio::sync::Notify>,
}

impl Rooms {
    /// Opens the store and starts everything but reception. Without `destinations_known` (no valid
    /// configuration was found) the destinations' books are left as they are.
    pub async fn open(
        paths: &Paths,
        config: &Config,
        token: String,
        destinations_known: bool,
        gateway: Option<Arc<Gateway>>,
    ) -> anyhow::Result<Self> {
        let clocks = Clocks::system();
        let admission = Admission::new(token_of(&token)?);
        let admission = match gateway {
            None => admission,
            Some(gateway) => admission.with_gateway(gateway),
        };
        Self::open_with(paths, config, admission, destinations_known, clocks).await
    }

    /// The same in another time: `ccotel demo` lives through a fortnight in seconds.
    pub async fn open_at(
        paths: &Paths,
        config: &Config,
        token: String,
        destinations_known: bool,
        clocks: Clocks,
    ) -> anyhow::Result<Self> {
        let admission = Admission::new(token_of(&token)?);
        Self::open_with(paths, config, admission, destinations_known, clocks).await
    }

    async fn open_with(
        paths: &Paths,
        config: &Config,
        admission: Admission,
        destinations_known: bool,
        clocks: Clocks,
    ) -> anyhow::Result<Self> {
        let options = store::Options {
            queue_db: paths.queue_db(),
            disk_bytes_max: config.agent.max_disk_bytes,
            history_days: config.agent.history_days,
        };
        let opened = store::open(options, clocks.store)?;
        let recorder =
            Recorder::new(settings(config, opened.install_key)).with_git_facts(git_facts);
        let recorder = Arc::new(recorder);
        let install_id = Arc::clone(&opened.install_id);
        let now_ms = Arc::clone(&clocks.deliver);
        let deliver = Manager::with_clock(opened.handle.clone(), install_id, clocks.deliver);
        let deliver = Arc::new(deliver.without(sockets::listened(paths, config)));
        let history_stop = CancellationToken::new();
        let history = history::spawn(
            opened.handle.clone(),
            paths.history_db(),
            history_stop.clone(),
            config.agent.history_days,
        );
        let changes = history.changes();
        let spending = Arc::new(Spending::new(paths, &config.budgets, changes, now_ms));
        tokio::spawn(Arc::clone(&spending).watch(history_stop.clone()));
        let gateway = admission.gateway().cloned();
        let mut door = Door::new(Arc::clone(&recorder), opened.handle.clone(), admission)
            .with_series(opened.handle.values().await.map_or(0, |values| values.len()));
        door.allow_hosts(&config.agent.allowed_hosts);
        if gateway.is_some() {
            door = door.with_limits(receive::gateway::LIMITS);
        }
        let shown = (Arc::clone(&deliver), Arc::clone(&spending), gateway.clone());
        let door = door.with_own_samples(Box::new(move || {
            let (deliver, spending, senders) = shown.clone();
            Box::pin(async move {
                let mut all = samples(&deliver.statuses().await);
                all.extend(spending::samples(&spending.standings().await, &spending.limits()));
                all.extend(senders.iter().flat_map(|gateway| senders::samples(gateway)));
                all
            })
        }));
        let door = Arc::new(door);
        let asked = Arc::downgrade(&door);
        deliver.send_own(Arc::new(move || {
            let door = asked.upgrade();
            Box::pin(async move {
                let samples = match door {
                    Some(door) => door.own_samples().await.unwrap_or_default(),
                    None => Vec::new(),
                };
                let value =
                    |one: Sample| OwnValue { name: one.name, labels: one.labels, value: one.value };
                samples.into_iter().map(value).collect()
            })
        }));
        let rooms = Self {
            store: opened.handle,
            install_id: opened.install_id,
            install_key: opened.install_key,
            recorder,
            door,
            gateway,
            deliver,
            history,
            history_stop,
            spending,
            renewed: opened.renewed,
        };
        if destinations_known {
            rooms.forget_destinations(config).await;
            rooms.deliver.apply(&config.destinations).await;
        }
        Ok(rooms)
    }

    /// Destinations that were disconnected while no agent ran give up their cursors.
    async fn forget_destinations(&self, config: &Config) {
        for name in self.store.destinations().await.unwrap_or_default() {
            if !config.destinations.iter().any(|destination| destination.name == *name)
                && let Err(refused) = self.store.remove_destination(Arc::clone(&name)).await
            {
                tracing::warn!(destination = %name, "cannot be removed from the store: {refused}");
            }
        }
    }

    /// Receives until cancelled: the listeners are closed at once, requests in flight are answered.
    pub fn serve(
        &self,
        listeners: Vec<tokio::net::TcpListener>,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + 'static {
        receive::serve(listeners, Arc::clone(&self.door), stop)
    }

    /// For what only `ccotel demo` asks of the store.
    pub fn store(&self) -> &store::handle::Handle {
        &self.store
    }

    pub async fn destinations(&self) -> Vec<DestinationStatus> {
        self.deliver.statuses().await
    }

    /// A changed configuration, proven.
    pub async fn apply(&self, config: &Config) {
        self.recorder.reload(settings(config, self.install_key));
        self.door.allow_hosts(&config.agent.allowed_hosts);
        self.deliver.apply(&config.destinations).await;
        self.spending.apply(&config.budgets);
    }

    /// The limits of a subscription, as a status line was told them.
    pub fn hear(&self, limits: &Limits) {
        self.spending.hear(limits);
    }

    /// For an import: with it, ids at `minimal` are the same there as in events.
    pub fn install_key_base64(&self) -> String {
        BASE64.encode(self.install_key)
    }

    /// Resolves when the database has become a new install: what knows the old id has to start anew.
    pub async fn renewed(&self) {
        self.renewed.notified().await;
    }

    /// Resolves when the store's thread has ended: nothing can be stored any more.
    pub async fn store_ended(&self) {
        self.store.ended().await;
    }

    pub fn notice(&self, notice: &LaunchNotice) {
        self.recorder.launches().notice(notice.clone(), Instant::now());
    }

    /// Ids of known launches of which no record has been received.
    pub fn unheard(&self) -> HashSet<String> {
        let silent = self.recorder.launches().silent(Duration::ZERO, Instant::now());
        silent.into_iter().map(|notice| notice.id).collect()
    }

    /// Samples and history up to this moment.
    pub async fn sync(&self) -> Result<(), String> {
        self.history.caught_up().await.map_err(|error| error.to_string())
    }

    /// What the page has from these rooms.
    pub fn page_sources(
        &self,
        paths: &Paths,
        status: page::Asked<serde_json::Value>,
        now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> page::Sources {
        let history = self.history.clone();
        let spending = Arc::clone(&self.spending);
        page::Sources {
            history_db: paths.history_db(),
            imported_db: paths.imported_db(),
            news: self.store.news(),
            catch_up: Arc::new(move || {
                let history = history.clone();
                // That it is behind is said in the status.
                Box::pin(async move { drop(history.caught_up().await) })
            }),
            spending: Arc::new(move || {
                let spending = Arc::clone(&spending);
                Box::pin(async move {
                    let (budgets, limits) = (spending.standings().await, spending.limits());
                    serde_json::json!({ "budgets": *budgets, "rate_limits": limits })
                })
            }),
            status,
            now,
        }
    }

    /// Tries one destination now, or all; says which.
    pub async fn retry(&self, name: Option<&str>) -> Result<String, String> {
        let statuses = self.deliver.statuses().await;
        if let Some(name) = name
            && !statuses.iter().any(|status| status.name == name)
        {
            let names: Vec<&str> = statuses.iter().map(|status| status.name.as_str()).collect();
            let known = if names.is_empty() {
                "there is none; `ccotel connect` makes one".to_owned()
            } else {
                format!("there are: {}", names.join(", "))
            };
            return Err(format!("there is no destination named {name}; {known}"));
        }
        Ok(match (self.deliver.retry(name).await, name) {
            (0, Some(name)) => format!("{name} is not waiting for anything"),
            (0, None) => "no destination is waiting for anything".to_owned(),
            (_, Some(name)) => format!("trying {name} now"),
            (1, None) => "trying 1 destination now".to_owned(),
            (count, None) => format!("trying {count} destinations now"),
        })
    }

    /// After reception has ended: settles, commits, marks a clean stop.
    pub async fn stop(&self) {
        // A backend that swallows a request must not keep the store from settling.
        if timeout(DELIVER_STOP_WAIT, self.deliver.stop()).await.is_err() {
            tracing::info!("a request to a backend was cut; it is sent again at the next start");
        }
        self.history_stop.cancel();
        // An answer that does not come means the store has ended already.
        let _ = self.store.stop().await;
    }
}

fn token_of(text: &str) -> anyhow::Result<Token> {
    Token::parse(text)
        .context("the token file is damaged; remove it and run `ccotel agent restart`")
}

fn settings(config: &Config, install_key: [u8; 32]) -> Settings {
    Settings {
        level: config.privacy.level,
        email_hashed: config.privacy.email_hashed,
        accept: config.agent.accept,
        tags: config.tags.clone().into_iter().collect(),
        install_key,
    }
}

fn git_facts(directory: &Path) -> Option<GitFacts> {
    let facts = git::facts(directory)?;
    Some(GitFacts { repository: facts.repository, branch: facts.branch, worktree: facts.worktree })
}

/// Whether a change needs the store to be opened again.
pub fn needs_new_store(before: &Config, after: &Config) -> bool {
    let of_the_store = |config: &Config| (config.agent.max_disk_bytes, config.agent.history_days);
    of_the_store(before) != of_the_store(after)
}
