//! What the rooms say about themselves for `status`.

use super::warnings::{of_trouble, unknown, warning};
use super::{Rooms, senders};
use crate::agent::status::{GatewayStatus, RecordCounts, RequestCounts, SessionCounts, Warning};
use crate::budget::Standing;
use crate::statusline::limits::Limits;
use crate::store::handle::{StoreStats, TurnedAway};

/// What the rooms say about themselves for `status`.
#[derive(Debug, Default)]
pub struct Facts {
    pub sessions: SessionCounts,
    pub records: RecordCounts,
    pub requests: RequestCounts,
    /// `DestinationStatus`, one each.
    pub destinations: Vec<serde_json::Value>,
    pub install_id: String,
    pub series: u64,
    pub gateway: Option<GatewayStatus>,
    pub budgets: Vec<Standing>,
    pub rate_limits: Limits,
    pub warnings: Vec<Warning>,
}

impl Rooms {
    pub async fn facts(&self) -> Facts {
        let stats = self.store.stats().await.unwrap_or_default();
        let counts = self.door.counts();
        let stored = stats.warnings.iter().map(|what| warning(what, ""));
        let mut warnings: Vec<_> = stored.collect();
        warnings.extend(unknown(&self.recorder.unknown()));
        warnings.extend(self.history.problem().map(|problem| {
            let what = format!("the history is behind: {problem}");
            warning(what, "nothing is lost; `ccotel agent restart` opens it again")
        }));
        let gateway = self.gateway.as_ref().map(|gateway| gateway.facts());
        let at_gateway = gateway.is_some();
        let troubles = self.door.troubles();
        warnings.extend(troubles.iter().map(|trouble| of_trouble(trouble, &counts, at_gateway)));
        let problems = gateway.iter().flat_map(|gateway| &gateway.problems);
        warnings.extend(problems.map(|what| warning(what, senders::REMEDY)));
        Facts {
            sessions: SessionCounts { active: stats.sessions_active, today: stats.sessions_today },
            records: record_counts(&stats),
            requests: request_counts(&stats),
            destinations: self
                .deliver
                .statuses()
                .await
                .iter()
                .filter_map(|status| serde_json::to_value(status).ok())
                .collect(),
            install_id: self.install_id.to_string(),
            series: stats.series,
            gateway: gateway.as_ref().map(senders::status),
            budgets: self.spending.standings().await.to_vec(),
            rate_limits: self.spending.limits(),
            warnings,
        }
    }
}

fn record_counts(stats: &StoreStats) -> RecordCounts {
    let foreign = stats.turned_away.of(TurnedAway::Foreign);
    RecordCounts {
        received: stats.received,
        stored: stats.stored.iter().sum(),
        duplicate: stats.duplicate,
        unchanged: stats.unchanged,
        rejected: stats.turned_away.of(TurnedAway::Rejected).saturating_sub(foreign),
        foreign,
    }
}

fn request_counts(stats: &StoreStats) -> RequestCounts {
    let of = |what| stats.turned_away.of(what);
    RequestCounts {
        refused: of(TurnedAway::Refused),
        malformed: of(TurnedAway::Malformed),
        denied: of(TurnedAway::Denied),
    }
}
