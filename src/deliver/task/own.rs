//! The agent's own metrics (`ccotel_…`), beside the series that a Prometheus destination gets.
//!
//! They must never endanger those: a request of their own, at most once a minute, only after all series were
//! taken, with a few seconds' patience and in no books. Whatever comes of it changes nothing else; where the
//! backend refuses them, it is left alone for an hour. Without deliveries there are none, so they end when the
//! sampler sleeps.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Task;
use crate::deliver::wire::Wire;
use crate::deliver::{remote_write_v1, remote_write_v2};
use crate::record::Labels;
use crate::store::handle::SeriesSamples;

/// Between two requests.
const INTERVAL: Duration = Duration::from_mins(1);
/// After one that was refused.
const INTERVAL_REFUSED: Duration = Duration::from_hours(1);
/// Longest that one may hold up what comes next.
const PATIENCE: Duration = Duration::from_secs(5);
const JOB: &str = "ccotel";

/// One value now. A name that ends in `_total` is a counter, any other a gauge.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnValue {
    pub name: &'static str,
    pub labels: Vec<(&'static str, String)>,
    pub value: f64,
}

/// Asks the agent's rooms for their values.
pub type OwnValues =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Vec<OwnValue>> + Send>> + Send + Sync>;

/// When the next ones are due.
pub(super) struct Own {
    values: OwnValues,
    not_before: Instant,
    /// Something was taken since the last time.
    delivered: bool,
}

impl Own {
    pub fn new(values: OwnValues) -> Self {
        Self { values, not_before: Instant::now(), delivered: false }
    }

    pub fn delivered(&mut self) {
        self.delivered = true;
    }

    pub fn is_due(&self, now: Instant) -> bool {
        self.delivered && self.not_before <= now
    }
}

impl Task {
    pub(super) fn owns_are_due(&self, now: Instant) -> bool {
        self.own.as_ref().is_some_and(|own| own.is_due(now))
            && self.lanes.iter().all(|lane| lane.problem.is_none())
    }

    /// One request, and no consequences.
    pub(super) async fn step_own(&mut self) -> bool {
        let Some(own) = &mut self.own else { return true };
        (own.delivered, own.not_before) = (false, Instant::now() + INTERVAL);
        // Who stops this task may hold what the values wait for.
        let values = tokio::select! {
            () = self.shared.stop.cancelled() => return false,
            values = (own.values)() => values,
        };
        let now_ms = (self.clock)();
        let series: Vec<_> =
            values.iter().map(|value| series(value, &self.install_id, now_ms)).collect();
        let wire = self.negotiation().wire(now_ms);
        let request = match wire {
            Wire::RemoteWrite2 => remote_write_v2::encode(&series),
            _ => remote_write_v1::encode(&series),
        };
        let answer = match timeout(PATIENCE, self.send_or_stop(&request)).await {
            Ok(None) => return false,
            Ok(Some(Ok(answer))) => answer,
            Ok(Some(Err(failure))) => {
                tracing::debug!(destination = %self.name, "no own metrics: {failure}");
                return true;
            }
            Err(_) => return true,
        };
        if !(200..300).contains(&answer.status) {
            tracing::info!(destination = %self.name, status = answer.status, "the agent's own metrics are not taken");
            if let Some(own) = &mut self.own {
                own.not_before = Instant::now() + INTERVAL_REFUSED;
            }
        }
        true
    }
}

fn series(value: &OwnValue, install_id: &str, now_ms: i64) -> SeriesSamples {
    let mut labels: Labels = vec![
        ("__name__".into(), value.name.into()),
        ("instance".into(), install_id.into()),
        ("job".into(), JOB.into()),
    ];
    labels.extend(value.labels.iter().map(|(name, text)| ((*name).into(), text.as_str().into())));
    labels.sort();
    SeriesSamples {
        labels: Arc::new(labels),
        // Counted for longer than anybody remembers.
        start_ms: 0,
        before: value.value,
        samples: vec![(now_ms, value.value)],
    }
}
