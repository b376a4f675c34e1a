//! Opening: what a destination needs of the store before it can send, tried until it has it.
//!
//! On a full or failing disk there are no cursors to be had. Who waits for them is *retrying*, with the words
//! of the store, and goes on by itself, or at `ccotel retry`.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::backoff::{Backoff, draw};
use super::learned::Learned;
use super::own_address;
use super::status::State;
use super::task::{Clock, OwnValues, Shared, Task, lanes};
use crate::config::destination::DestinationConfig;
use crate::store::handle::{DestinationKey, Handle};

/// A destination on its way to its task.
pub struct Opening {
    pub config: DestinationConfig,
    pub install_id: Arc<str>,
    pub store: Handle,
    pub clock: Clock,
    pub shared: Shared,
    pub own_values: Option<OwnValues>,
    /// It is the agent itself.
    pub is_own: bool,
}

/// Why it has no task yet.
pub struct NotOpened {
    why: String,
    /// Nothing but another configuration would help.
    for_good: bool,
}

/// What was learned before, as far as the store can say.
pub async fn learned(store: &Handle, config: &DestinationConfig) -> Learned {
    let kept = store.learned(config.name.as_str().into()).await.unwrap_or_default();
    Learned::read(kept.as_deref(), config)
}

impl Opening {
    /// Cursors, and the task that moves them.
    pub async fn attempt(&self, learned: &Learned) -> Result<Task, NotOpened> {
        if self.is_own {
            let remedy = format!("`ccotel disconnect {}`, or correct its url", self.config.name);
            let why = format!("{}; {remedy}", own_address::words(&self.config.url));
            return Err(NotOpened { why, for_good: true });
        }
        let key = DestinationKey {
            name: self.config.name.as_str().into(),
            privacy: self.config.privacy,
            lanes: lanes(&self.config),
            since: self.config.since,
        };
        let opened = self.store.open_destination(key).await;
        opened.map_err(|refused| NotOpened { why: refused.to_string(), for_good: false })?;
        let task = Task::new(
            self.config.clone(),
            Arc::clone(&self.install_id),
            self.store.clone(),
            Arc::clone(&self.clock),
            self.shared.clone(),
            learned,
        );
        let task = task.map(|task| task.with_own(self.own_values.clone()));
        task.map_err(|failure| NotOpened { why: failure.to_string(), for_good: true })
    }

    /// Runs the task once there is one, until stopped.
    pub async fn run(self, first: Result<Task, NotOpened>) {
        let mut attempted = first;
        let mut backoff = Backoff::default();
        loop {
            let problem = match attempted {
                Ok(task) => return task.run().await,
                Err(problem) => problem,
            };
            tracing::warn!(destination = %self.config.name, "cannot be started: {}", problem.why);
            let pause = (!problem.for_good).then(|| backoff.next(draw()));
            self.tell(problem.why, pause);
            if !self.wait(pause).await {
                return;
            }
            attempted = self.attempt(&learned(&self.store, &self.config).await).await;
        }
    }

    fn tell(&self, why: String, pause: Option<Duration>) {
        let mut health = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.state = if pause.is_some() { State::Retrying } else { State::Parked };
        health.last_error = Some(why);
        health.next_try_ms = pause.map(|pause| {
            (self.clock)().saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))
        });
    }

    /// False if there is no more to wait for.
    async fn wait(&self, pause: Option<Duration>) -> bool {
        let due = async {
            match pause {
                Some(pause) => sleep_until(Instant::now() + pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.shared.stop.cancelled() => false,
            () = self.shared.retry.notified() => true,
            () = due => true,
            () = self.store.ended() => false,
        }
    }
}
