//! Task: sends what one destination is due, one request at a time, until it is stopped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::{Pace, draw};
use super::client::{Answer, Client, Failure};
use super::delivery::Delivery;
use super::horizon::Horizon;
use super::lane::LaneState;
use super::learned::Learned;
use super::negotiation::Negotiation;
use super::outcome::{Sent, classify};
use super::split::count;
use super::status::Health;
use super::wire::{Encoded, Wire};
use super::{loki, otlp, remote_write_v1, remote_write_v2};
use crate::config::destination::{DestinationConfig, DestinationType, Protocol};
use crate::store::handle::{Content, Handle, Lane, Refused};

use own::Own;
pub use own::{OwnValue, OwnValues};
use put_back::PutBack;

mod apply;
mod own;
mod put_back;
mod report;
mod settle;

/// After news, this long for more to come, so that a live session makes few, larger requests.
const LINGER: Duration = Duration::from_millis(500);
/// A request in flight when the task is stopped may take this long to have an outcome.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// The wall clock, in milliseconds since the epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What is sent to a destination.
pub fn lanes(config: &DestinationConfig) -> Vec<Lane> {
    match config.kind {
        DestinationType::Prometheus => vec![Lane::Samples],
        DestinationType::Loki | DestinationType::VictoriaLogs => vec![Lane::Events],
        DestinationType::Otlp => {
            let signals = config.signals;
            let of = [
                (signals.metrics, Lane::Samples),
                (signals.logs, Lane::Events),
                (signals.traces, Lane::Spans),
            ];
            of.into_iter().filter_map(|(wanted, lane)| wanted.then_some(lane)).collect()
        }
    }
}

/// What a task shares with the manager.
#[derive(Clone)]
pub struct Shared {
    pub health: Arc<Mutex<Health>>,
    pub negotiation: Arc<Mutex<Negotiation>>,
    /// `ccotel retry`.
    pub retry: Arc<Notify>,
    /// `ccotel quarantine retry`.
    pub put_back: Arc<Notify>,
    pub stop: CancellationToken,
}

pub struct Task {
    name: Arc<str>,
    config: DestinationConfig,
    install_id: Arc<str>,
    store: Handle,
    client: Client,
    clock: Clock,
    shared: Shared,
    lanes: Vec<LaneState>,
    /// The lane served last: the others come first.
    served: usize,
    pace: Pace,
    horizon: Horizon,
    put_back: PutBack,
    /// None where the destination takes no metrics, or nobody has any.
    own: Option<Own>,
    /// As the store has it.
    learned: String,
    /// Something was taken since this task began.
    has_delivered: bool,
    /// What was given up last; stays in the status beside a good state.
    given_up: Option<String>,
}

impl Task {
    pub fn new(
        config: DestinationConfig,
        install_id: Arc<str>,
        store: Handle,
        clock: Clock,
        shared: Shared,
        learned: &Learned,
    ) -> Result<Self, Failure> {
        let lane = |lane: Lane| match learned.batch_max.get(lane.name()) {
            Some(max) => LaneState::new(lane).with_max(*max),
            None => LaneState::new(lane),
        };
        Ok(Self {
            name: config.name.as_str().into(),
            client: Client::new(&config)?,
            lanes: lanes(&config).into_iter().map(lane).collect(),
            config,
            install_id,
            store,
            clock,
            shared,
            served: 0,
            pace: Pace::default(),
            horizon: learned.horizon.clone(),
            put_back: PutBack::default(),
            own: None,
            learned: learned.write(),
            has_delivered: false,
            given_up: None,
        })
    }

    /// Sends the agent's own metrics too.
    #[must_use]
    pub fn with_own(mut self, values: Option<OwnValues>) -> Self {
        let values = values.filter(|_| self.config.kind == DestinationType::Prometheus);
        self.own = values.map(Own::new);
        self
    }

    /// Until stopped, or until the store is.
    pub async fn run(mut self) {
        let stop = self.shared.stop.clone();
        let mut news = self.store.news();
        while !stop.is_cancelled() {
            let now = Instant::now();
            let due = (1..=self.lanes.len())
                .map(|step| (self.served + step) % self.lanes.len())
                .find(|index| self.lanes[*index].is_due(now));
            let goes_on = match due {
                Some(index) => {
                    self.served = index;
                    self.step(index).await
                }
                None if self.put_back.is_due(now) => self.step_put_back().await,
                None if self.owns_are_due(now) => self.step_own().await,
                None => self.rest(&mut news).await,
            };
            self.publish();
            if !goes_on {
                return;
            }
        }
    }

    /// Until there is something to do. False if that will never be.
    async fn rest(&mut self, news: &mut watch::Receiver<u64>) -> bool {
        let waits = self.lanes.iter().map(LaneState::due_at).chain([self.put_back.due_at()]);
        let due_at = waits.flatten().min();
        let timer = async {
            match due_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.shared.stop.cancelled() => return false,
            () = self.shared.retry.notified() => {
                let now = Instant::now();
                for lane in &mut self.lanes {
                    lane.retry_now(now);
                }
                self.put_back.look();
            }
            () = self.shared.put_back.notified() => self.put_back.look(),
            () = timer => {}
            changed = news.changed() => {
                if changed.is_err() {
                    return false;
                }
                self.pause(LINGER).await;
                news.mark_unchanged();
                let now = Instant::now();
                for lane in &mut self.lanes {
                    lane.news(now);
                }
            }
        }
        true
    }

    /// At most one request of one lane. False once the store is gone or the task was stopped.
    async fn step(&mut self, index: usize) -> bool {
        let now_ms = (self.clock)();
        if self.lanes[index].delivery.is_none() {
            match self.freeze(index, now_ms).await {
                Ok(true) => {}
                Ok(false) => return true,
                Err(refused) => return self.store_failed(index, &refused),
            }
        }
        let Some(request) = self.next_request(index, now_ms) else {
            return match self.settle(index).await {
                Ok(()) => true,
                Err(refused) => self.store_failed(index, &refused),
            };
        };
        let records = self.records_in_flight(index);
        let Some(result) = self.send(index, &request).await else { return false };
        let newest_ms = self.lanes[index].delivery.as_ref().and_then(Delivery::newest_ms);
        let sent = Sent { wire: request.wire, records, newest_ms };
        let outcome = {
            let negotiation = *self.negotiation();
            classify(sent, &result, negotiation, &self.client.place(), now_ms)
        };
        self.negotiation().observe(request.wire, &outcome, now_ms);
        self.apply(index, outcome, request);
        // Settled at once, so that what was taken is not sent again after a stop.
        if self.lanes[index]
            .delivery
            .as_mut()
            .is_some_and(|delivery| delivery.next_part().is_none())
            && let Err(refused) = self.settle(index).await
        {
            return self.store_failed(index, &refused);
        }
        let pause = self.pace.pause();
        if !pause.is_zero() {
            self.pause(pause).await;
        }
        true
    }

    /// True if there is a batch.
    async fn freeze(&mut self, index: usize, now_ms: i64) -> Result<bool, Refused> {
        let lane = &mut self.lanes[index];
        let (records_max, bytes_max) = lane.batch_max();
        let batch = self.store.freeze(self.name.clone(), lane.lane, records_max, bytes_max).await?;
        let Some(batch) = batch else {
            if lane.lane == Lane::Samples && self.horizon.has_rest() {
                let rest = settle::rest(self.horizon.rest(now_ms), now_ms);
                lane.delivery = Some(Delivery::new(rest, now_ms));
                return Ok(true);
            }
            lane.maybe_more = false;
            lane.go_on();
            return Ok(false);
        };
        lane.delivery = Some(Delivery::new(batch, now_ms));
        Ok(true)
    }

    /// None once every record of the batch has its fate.
    fn next_request(&mut self, index: usize, now_ms: i64) -> Option<Encoded> {
        let wire = (self.config.kind == DestinationType::Prometheus)
            .then(|| self.negotiation().wire(now_ms));
        let kind = self.config.kind;
        let delivery = self.lanes[index].delivery.as_mut()?;
        if kind == DestinationType::Loki {
            delivery.keep_within_loki_limits(now_ms);
        }
        if kind == DestinationType::Prometheus {
            delivery.keep_within_horizon(&mut self.horizon, now_ms);
        }
        let install_id = &*self.install_id;
        Some(match (delivery.next_part()?, wire) {
            (Content::Samples(series), Some(Wire::RemoteWrite2)) => remote_write_v2::encode(series),
            (Content::Samples(series), Some(_)) => remote_write_v1::encode(series),
            (Content::Samples(series), None) => otlp::metrics::encode(series, install_id),
            (Content::Events(events), _)
                if kind == DestinationType::Loki && self.config.protocol != Protocol::Otlp =>
            {
                loki::encode(events, install_id)
            }
            (Content::Events(events), _) => otlp::logs::encode(events, install_id, kind),
            (Content::Spans(spans), _) => otlp::traces::encode(spans, install_id),
        })
    }

    fn records_in_flight(&mut self, index: usize) -> u64 {
        self.lanes[index].delivery.as_mut().and_then(Delivery::next_part).map_or(0, count)
    }

    /// One request, and at once another where a kept-alive connection turned out to be closed and the
    /// format bears it. None if the task was stopped before there was an outcome.
    async fn send(&mut self, index: usize, request: &Encoded) -> Option<Result<Answer, Failure>> {
        let first = self.send_or_stop(request).await?;
        let unknown = match &first {
            // A proxy's words; the backend's own 5xx took nothing.
            Ok(answer) => matches!(answer.status, 502 | 504),
            Err(failure) => matches!(failure, Failure::Cut { .. } | Failure::TimedOut { .. }),
        };
        if unknown && let Some(delivery) = &mut self.lanes[index].delivery {
            delivery.outcome_unknown();
        }
        match first {
            Err(Failure::Cut { .. }) if request.wire.is_idempotent() => {
                self.send_or_stop(request).await
            }
            first => Some(first),
        }
    }

    async fn send_or_stop(&self, request: &Encoded) -> Option<Result<Answer, Failure>> {
        let sending = self.client.send(request);
        tokio::pin!(sending);
        tokio::select! {
            result = &mut sending => Some(result),
            () = self.shared.stop.cancelled() => {
                tokio::time::timeout(STOP_GRACE, sending).await.ok()
            }
        }
    }

    /// False if the store is gone; otherwise it is asked again later.
    fn store_failed(&mut self, index: usize, refused: &Refused) -> bool {
        if matches!(refused, Refused::Stopping) {
            return false;
        }
        tracing::warn!(destination = %self.name, "{refused}");
        self.lanes[index].retry_later(refused.to_string(), None, draw(), Instant::now());
        true
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.shared.stop.cancelled() => {}
        }
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.shared.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn negotiation(&self) -> std::sync::MutexGuard<'_, Negotiation> {
        self.shared.negotiation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
