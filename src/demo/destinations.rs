//! `--to-destinations`: the user's backends get the fortnight, at its own times where they take them.
//!
//! ```text
//! Loki                 live, a few days at a time: its limits are measured on the fortnight's clock,
//!                      and each stream stays in order
//! Prometheus, OTLP, …  when the fortnight is over, in real time: what is refused for its age becomes
//!                      a step near now, as after an outage
//! ```
//!
//! Only addresses and credentials are read from the configuration. Cursors are those of the throw-away
//! store; series and streams carry its `instance`, so nothing mixes with real data.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::Instant;

use super::agent::ThrowAway;
use crate::config::Config;
use crate::config::destination::{DestinationConfig, DestinationType};
use crate::deliver::client::{Client, is_loopback};
use crate::deliver::learned::Learned;
use crate::deliver::probe::{Found, probe};
use crate::deliver::status::State;
use crate::deliver::{DestinationStatus, task};
use crate::store::handle::{DestinationKey, Since};

/// What `ccotel stack` calls its destinations, before their types.
const STACK_NAME_PREFIX: &str = "stack-";
/// Far less than the week that Loki takes.
pub const LIVE_CHUNK_MS: i64 = 3 * 24 * 3_600_000;

/// A destination that takes nothing for so long is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// Of a backend's words.
const WHY_BYTES_MAX: usize = 300;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Where to send the fortnight.
#[derive(Default)]
pub struct Destinations {
    all: Vec<DestinationConfig>,
}

impl Destinations {
    pub fn new(configured: &[DestinationConfig]) -> Self {
        let all = configured
            .iter()
            .map(|config| DestinationConfig { since: Since::All, ..config.clone() })
            .collect();
        Self { all }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn are_live(&self) -> bool {
        self.all.iter().any(is_live)
    }

    /// Each has to answer before anything is begun.
    pub async fn check(&self) -> anyhow::Result<()> {
        for config in &self.all {
            let verdict = probe(config).await;
            ensure!(
                verdict.found == Found::Reachable,
                "{}: {}; nothing was sent",
                config.name,
                verdict.words
            );
        }
        Ok(())
    }

    /// Before the first sample: those that are sent to afterwards keep their place, the others begin.
    pub async fn begin(&self, agent: &ThrowAway) -> anyhow::Result<()> {
        for config in self.all.iter().filter(|config| !is_live(config)) {
            let key = DestinationKey {
                name: config.name.as_str().into(),
                privacy: config.privacy,
                lanes: task::lanes(config),
                since: config.since,
            };
            agent.rooms.store().open_destination(key).await?;
        }
        agent.rooms.apply(&self.config(is_live)).await;
        Ok(())
    }

    /// What is live gets everything up to this moment of the fortnight.
    pub async fn catch_up(&self, agent: &ThrowAway) -> anyhow::Result<()> {
        if self.are_live() { self.drain(agent, &mut |_| ()).await } else { Ok(()) }
    }

    /// The rest, in real time. `show` is told how many records are left.
    pub async fn finish(
        &self,
        agent: &ThrowAway,
        show: &mut dyn FnMut(u64),
    ) -> anyhow::Result<Vec<DestinationStatus>> {
        agent.fortnight_is_over();
        agent.rooms.apply(&self.config(|_| true)).await;
        self.drain(agent, show).await?;
        Ok(agent.rooms.destinations().await)
    }

    async fn drain(&self, agent: &ThrowAway, show: &mut dyn FnMut(u64)) -> anyhow::Result<()> {
        let mut least = u64::MAX;
        let mut progressed = Instant::now();
        loop {
            let statuses = agent.rooms.destinations().await;
            let left: u64 = statuses.iter().map(|status| status.backlog.records).sum();
            show(left);
            if left < least {
                (least, progressed) = (left, Instant::now());
            }
            let mut done = left == 0;
            for status in &statuses {
                done &= status.state != State::Retrying && !self.holds_back(agent, status).await?;
                given_up(status, progressed.elapsed())?;
            }
            if done {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Values behind a backend's horizon that are still to be sent.
    async fn holds_back(
        &self,
        agent: &ThrowAway,
        status: &DestinationStatus,
    ) -> anyhow::Result<bool> {
        let config = self.all.iter().find(|config| config.name == status.name);
        let config = config.context("a destination that nobody asked for")?;
        let kept = agent.rooms.store().learned(status.name.as_str().into()).await?;
        Ok(Learned::read(kept.as_deref(), config).horizon.has_rest())
    }

    fn config(&self, which: impl Fn(&DestinationConfig) -> bool) -> Config {
        let destinations = self.all.iter().filter(|config| which(config)).cloned().collect();
        Config { destinations, ..Config::default() }
    }
}

fn is_live(config: &DestinationConfig) -> bool {
    config.kind == DestinationType::Loki
}

fn given_up(status: &DestinationStatus, since_progress: Duration) -> anyhow::Result<()> {
    let name = &status.name;
    let why = status.last_error.as_deref().unwrap_or("it takes nothing");
    match status.state {
        State::Parked => bail!("{name}: {why}; what it has got so far stays there"),
        State::Retrying if since_progress > PATIENCE => {
            bail!("{name}: {why}; given up after {} s", PATIENCE.as_secs())
        }
        _ => Ok(()),
    }
}

/// Filled without asking: what `ccotel stack` has started on this machine and connected.
pub fn is_own_stack(config: &DestinationConfig) -> bool {
    let url = reqwest::Url::parse(&config.url);
    config.name.starts_with(STACK_NAME_PREFIX) && url.is_ok_and(|url| is_loopback(&url))
}

/// The address without credentials.
pub fn place(config: &DestinationConfig) -> String {
    Client::new(config).map_or_else(|_| config.name.clone(), |client| client.place())
}

/// What a destination got, and what it did not, in sentences.
pub fn words(status: &DestinationStatus) -> Vec<String> {
    let DestinationStatus { name, delivered, compacted, quarantined, expired, evicted, .. } =
        status;
    let mut words = vec![format!("{name}: {delivered} records delivered, at their own times")];
    if *compacted > 0 {
        words[0] = format!("{name}: {delivered} records delivered");
        words.push(format!(
            "{name} takes no samples that are this old, as Prometheus does not unless it is told to: \
             {compacted} were compacted into a step within the last hour. Totals are exact, charts over \
             time are not; `storage.tsdb.out_of_order_time_window: 15d` makes it take all at its own time"
        ));
    }
    let why = status.last_error.as_deref().unwrap_or_default();
    if *quarantined > 0 && why.contains("too old") {
        words.push(format!(
            "{name} takes no events that are older than a week, as Loki does not unless \
             `limits_config` says `reject_old_samples: false`: {quarantined} are missing there"
        ));
    } else if *quarantined > 0 {
        let why = &why[..why.floor_char_boundary(WHY_BYTES_MAX)];
        words.push(format!("{name} refused {quarantined} records: {why}"));
    }
    for (count, what) in [(expired, "were too old"), (evicted, "found no room on the disk")] {
        if *count > 0 {
            words.push(format!("{name}: {count} records {what}"));
        }
    }
    if status.kind == DestinationType::VictoriaLogs {
        words.push(format!(
            "{name}: VictoriaLogs drops what is older than its -retentionPeriod, seven days unless told \
             otherwise, and does not say so"
        ));
    }
    words
}
