//! Manager: keeps one task running for each configured destination.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::negotiation::Negotiation;
use super::opening::{self, Opening};
use super::own_address;
use super::status::{DestinationStatus, Health, State};
use super::task::{Clock, OwnValues, Shared};
use super::wall_clock_ms;
use crate::config::destination::{DestinationConfig, Protocol};
use crate::store::handle::Handle;

/// The destinations of a running agent.
pub struct Manager {
    store: Handle,
    install_id: Arc<str>,
    clock: Clock,
    running: AsyncMutex<BTreeMap<String, Running>>,
    /// What was learned about a backend outlives a change of its other settings.
    negotiations: Mutex<Vec<Negotiated>>,
    own_values: OnceLock<OwnValues>,
    /// Where the agent itself listens.
    listened: Vec<SocketAddr>,
}

/// What is known about the backend at a URL.
struct Negotiated {
    url: String,
    protocol: Protocol,
    negotiation: Arc<Mutex<Negotiation>>,
}

struct Running {
    config: DestinationConfig,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Manager {
    pub fn new(store: Handle, install_id: Arc<str>) -> Self {
        Self::with_clock(store, install_id, Arc::new(wall_clock_ms))
    }

    /// With another wall clock, in milliseconds since the epoch: for tests and `demo`.
    pub fn with_clock(store: Handle, install_id: Arc<str>, clock: Clock) -> Self {
        Self {
            store,
            install_id,
            clock,
            running: AsyncMutex::default(),
            negotiations: Mutex::default(),
            own_values: OnceLock::new(),
            listened: Vec::new(),
        }
    }

    /// Nothing is sent to these: it would come back.
    #[must_use]
    pub fn without(self, listened: Vec<SocketAddr>) -> Self {
        Self { listened, ..self }
    }

    /// From the next start of a destination on, one that takes metrics gets the agent's own too.
    pub fn send_own(&self, values: OwnValues) {
        let _ = self.own_values.set(values);
    }

    /// Makes what runs what a valid configuration says: starts what is new, restarts what has
    /// changed, stops what is gone and gives up its cursors.
    pub async fn apply(&self, destinations: &[DestinationConfig]) {
        let mut running = self.running.lock().await;
        let wanted = |name: &str| destinations.iter().find(|config| config.name == name);
        let stale: Vec<String> = running
            .iter()
            .filter(|(name, one)| wanted(name) != Some(&one.config))
            .map(|(name, _)| name.clone())
            .collect();
        for name in stale {
            if let Some(one) = running.remove(&name) {
                one.stop().await;
            }
            if wanted(&name).is_none()
                && let Err(refused) = self.store.remove_destination(name.as_str().into()).await
            {
                tracing::warn!(destination = %name, "cannot be removed from the store: {refused}");
            }
        }
        for config in destinations {
            if !running.contains_key(&config.name) {
                running.insert(config.name.clone(), self.start(config.clone()).await);
            }
        }
    }

    /// In the order of their names.
    pub async fn statuses(&self) -> Vec<DestinationStatus> {
        let running = self.running.lock().await;
        let mut statuses = Vec::with_capacity(running.len());
        for (name, one) in &*running {
            let books = self.store.books(name.as_str().into()).await.unwrap_or_default();
            let health = one.health();
            let now_ms = (self.clock)();
            statuses.push(DestinationStatus::new(name, one.config.kind, &health, &books, now_ms));
        }
        statuses
    }

    /// Tries a waiting or parked destination now, or all of them: how many there were to try.
    pub async fn retry(&self, name: Option<&str>) -> usize {
        let running = self.running.lock().await;
        let waiting = running
            .iter()
            .filter(|(candidate, _)| name.is_none_or(|name| name == *candidate))
            .filter(|(_, one)| matches!(one.health().state, State::Retrying | State::Parked));
        waiting.map(|(_, one)| one.shared.retry.notify_one()).count()
    }

    /// Tells a destination that requests in its quarantine are to be sent again. False if it does
    /// not run.
    pub async fn put_back(&self, name: &str) -> bool {
        let running = self.running.lock().await;
        running.get(name).map(|one| one.shared.put_back.notify_one()).is_some()
    }

    /// Stops every task between two requests. A batch without an outcome stays frozen.
    pub async fn stop(&self) {
        let mut running = self.running.lock().await;
        for one in running.values() {
            one.shared.stop.cancel();
        }
        while let Some((_, one)) = running.pop_first() {
            one.stop().await;
        }
    }

    async fn start(&self, config: DestinationConfig) -> Running {
        let learned = opening::learned(&self.store, &config).await;
        let health = Health { last_success_ms: learned.last_success_ms, ..Health::default() };
        let shared = Shared {
            health: Arc::new(Mutex::new(health)),
            negotiation: self.negotiation(&config, learned.negotiation),
            retry: Arc::new(Notify::new()),
            put_back: Arc::new(Notify::new()),
            stop: CancellationToken::new(),
        };
        let opening = Opening {
            config: config.clone(),
            install_id: Arc::clone(&self.install_id),
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            shared: shared.clone(),
            own_values: self.own_values.get().cloned(),
            is_own: own_address::is_own(&config.url, &self.listened),
        };
        // Tried once before the configuration is in force: a new destination begins at this moment.
        let first = opening.attempt(&learned).await;
        Running { config, shared, task: tokio::spawn(opening.run(first)) }
    }

    fn negotiation(
        &self,
        config: &DestinationConfig,
        learned: Option<Negotiation>,
    ) -> Arc<Mutex<Negotiation>> {
        let mut negotiations = self.negotiations.lock().unwrap_or_else(PoisonError::into_inner);
        let known = negotiations
            .iter()
            .find(|known| known.url == config.url && known.protocol == config.protocol);
        if let Some(known) = known {
            return Arc::clone(&known.negotiation);
        }
        let begin = learned.unwrap_or_else(|| Negotiation::new(config.protocol));
        let negotiation = Arc::new(Mutex::new(begin));
        negotiations.push(Negotiated {
            url: config.url.clone(),
            protocol: config.protocol,
            negotiation: Arc::clone(&negotiation),
        });
        negotiation
    }
}

impl Running {
    fn health(&self) -> Health {
        self.shared.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn stop(self) {
        self.shared.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!("a destination's task ended badly: {error}");
        }
    }
}
