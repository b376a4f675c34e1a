//! Counters in Prometheus and in what takes its place: totals by the dashboards' recipe are exact,
//! whatever happened on the way.

use std::sync::Arc;

use anyhow::{Result, ensure};
use ccotel::config::destination::{DestinationConfig, DestinationType};
use ccotel::deliver::DestinationStatus;
use ccotel::store::handle::SeriesSamples;

use crate::gate::{Gate, Mode};
use crate::harness::cases::Case;
use crate::harness::poll;
use crate::harness::prometheus::{Kind, Prometheus};
use crate::harness::remote_write;
use crate::machine::{
    COST, DAY_MS, HOUR_MS, MINUTE_MS, Machine, SECOND_MS, TOKENS, destination,
    just_too_far_ahead_ms, meant, real_now_ms,
};

const KINDS: [Kind; 5] =
    [Kind::Stock, Kind::OutOfOrder, Kind::RemoteWrite1, Kind::RemoteWrite2, Kind::VictoriaMetrics];

/// Dollars are sums of binary fractions.
const EXACT: f64 = 1e-9;

const SEEN_DEADLINE: std::time::Duration = std::time::Duration::from_mins(1);

pub fn cases() -> Vec<Case> {
    type Scenario = fn(Kind) -> Result<()>;
    let scenarios: [(&str, Scenario); 5] = [
        ("live", live),
        ("offline_for_three_days", offline),
        ("crash_before_the_answer", crash),
        ("one_bad_series_in_a_batch", one_bad),
        ("a_clock_that_is_wrong", wrong_clock),
    ];
    KINDS
        .into_iter()
        .flat_map(|kind| {
            scenarios.map(|(name, run)| {
                Case::new(format!("{name} [{}]", kind.name()), &[kind.program()], move || run(kind))
            })
        })
        .collect()
}

/// A backend, the gate before it, and how it is configured.
struct Backend {
    kind: Kind,
    prometheus: Prometheus,
    gate: Gate,
}

impl Backend {
    fn start(kind: Kind) -> Result<Self> {
        let prometheus = Prometheus::start_kind(kind)?;
        let gate = Gate::before(&prometheus.url(""))?;
        Ok(Self { kind, prometheus, gate })
    }

    fn config(&self) -> DestinationConfig {
        destination(DestinationType::Prometheus, &self.gate.url(&self.prometheus.write_url()))
    }

    /// Totals by the recipe at a time, over a window that holds everything since another time.
    fn check_since(&self, machine: &Machine, since_ms: i64) -> Result<()> {
        self.check(machine, &[COST, TOKENS], since_ms)
    }

    fn check(&self, machine: &Machine, metrics: &[&str], since_ms: i64) -> Result<()> {
        let window_ms = machine.now_ms() - since_ms;
        let (dollars, tokens) = machine.spent_since(since_ms);
        for &metric in metrics {
            let truth = if metric == COST { dollars } else { tokens };
            let query = recipe(metric, &machine.install_id()?, window_ms);
            poll::until(metric, SEEN_DEADLINE, || {
                let found = self.ask(machine.now_ms(), &query)?;
                ensure!((found - truth).abs() < EXACT, "{query}: {found} instead of {truth}");
                Ok(())
            })?;
        }
        Ok(())
    }

    /// A sum over nothing is 0.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of our time fit a double")]
    fn ask(&self, at_ms: i64, query: &str) -> Result<f64> {
        let rows = self.prometheus.query_at(query, at_ms as f64 / 1000.0)?;
        Ok(rows.first().map_or(0.0, |row| row.value))
    }

    /// Which version of remote_write was used, and that the other one was not after it was settled.
    fn check_version(&self) -> Result<()> {
        let exchanges = self.gate.exchanges();
        let (second, first): (Vec<_>, Vec<_>) =
            exchanges.iter().partition(|exchange| exchange.is_remote_write_2());
        if self.kind == Kind::RemoteWrite2 {
            ensure!(first.is_empty(), "{} requests of 1.0", first.len());
            let trusted = second.iter().all(|one| one.status != 204 || one.says_what_was_written);
            ensure!(trusted && !second.is_empty(), "{second:?}");
            return Ok(());
        }
        // Each run of the agent finds out once.
        ensure!(!first.is_empty(), "nothing was sent as 1.0");
        ensure!(second.iter().all(|one| !one.says_what_was_written), "{second:?}");
        let expected = if self.kind == Kind::RemoteWrite1 { 415 } else { 204 };
        ensure!(!second.is_empty() && second[0].status == expected, "{second:?}");
        Ok(())
    }
}

/// Exact for a range, whatever was idle or offline in it (docs: dashboards).
fn recipe(metric: &str, instance: &str, window_ms: i64) -> String {
    let of = format!("{metric}{{instance=\"{instance}\"}}");
    let window = format!("{}s", window_ms / SECOND_MS);
    format!(
        "sum(last_over_time({of}[{window}]) - \
         (last_over_time({of}[13h] offset {window}) or min_over_time({of}[{window}])))"
    )
}

fn all_delivered(status: &DestinationStatus) -> Result<()> {
    let lost = status.expired + status.evicted + status.compacted + status.quarantined;
    ensure!(lost == 0 && status.delivered > 0, "{status:?}");
    Ok(())
}

fn live(kind: Kind) -> Result<()> {
    let backend = Backend::start(kind)?;
    let begin_ms = real_now_ms()? - HOUR_MS;
    let mut machine = Machine::new(1, begin_ms)?;
    machine.connect(&backend.config())?;
    for minutes in [7, 1, 12] {
        machine.work(minutes * MINUTE_MS, 0)?;
        all_delivered(&machine.drain()?)?;
        machine.pass(5 * MINUTE_MS)?;
    }
    all_delivered(&machine.drain()?)?;
    backend.check_since(&machine, begin_ms - MINUTE_MS)?;
    backend.check_since(&machine, machine.now_ms() - 19 * MINUTE_MS)?;
    backend.check_version()
}

/// Three days of use without the backend, which others use.
fn offline(kind: Kind) -> Result<()> {
    let backend = Backend::start(kind)?;
    let end_ms = real_now_ms()?;
    let begin_ms = end_ms - 4 * DAY_MS;
    let mut machine = Machine::new(1, begin_ms)?;
    machine.connect(&backend.config())?;
    machine.work(6 * MINUTE_MS, 0)?;
    machine.pass(2 * MINUTE_MS)?;
    all_delivered(&machine.drain()?)?;

    backend.gate.set(Mode::Shut);
    let offline_ms = machine.now_ms();
    let mut days = Vec::new();
    for day in 0..3 {
        for hour in [1, 4, 9] {
            machine.sleep_until(offline_ms + day * DAY_MS + hour * HOUR_MS);
            machine.work(6 * MINUTE_MS, 0)?;
            machine.pass(4 * MINUTE_MS)?;
        }
        days.push(machine.now_ms());
    }
    machine.sleep_until(end_ms - 25 * MINUTE_MS);
    machine.work(6 * MINUTE_MS, 0)?;
    machine.pass(end_ms - machine.now_ms())?;

    // A colleague's machine was online: that is what a horizon is measured from.
    let mut colleague = Machine::new(2, end_ms - 20 * MINUTE_MS)?;
    let direct = destination(DestinationType::Prometheus, &backend.prometheus.write_url());
    colleague.connect(&direct)?;
    colleague.work(20 * MINUTE_MS, 0)?;
    all_delivered(&colleague.drain()?)?;

    backend.gate.set(Mode::Open);
    let status = machine.drain()?;
    let online_ms = machine.now_ms();
    machine.work(5 * MINUTE_MS, 0)?;
    machine.pass(2 * MINUTE_MS)?;
    let status_after = machine.drain()?;
    ensure!(status_after.quarantined == 0 && status_after.expired == 0, "{status_after:?}");
    ensure!(status_after.compacted == status.compacted, "{status:?}, then {status_after:?}");

    backend.check_since(&machine, begin_ms - MINUTE_MS)?;
    backend.check_since(&machine, offline_ms)?;
    backend.check_since(&machine, online_ms)?;
    backend.check_since(&colleague, end_ms - 30 * MINUTE_MS)?;
    let has_horizon = matches!(kind, Kind::Stock | Kind::RemoteWrite1 | Kind::RemoteWrite2);
    ensure!(has_horizon == (status.compacted > 0), "{kind:?}: {status:?}");
    if !has_horizon {
        // At its own time, day by day.
        for at_ms in days {
            backend.check_since(&machine, at_ms)?;
        }
    }
    backend.check_version()
}

/// The agent is killed between sending and hearing; what is new meanwhile is not lost.
fn crash(kind: Kind) -> Result<()> {
    let backend = Backend::start(kind)?;
    let begin_ms = real_now_ms()? - HOUR_MS;
    let mut machine = Machine::new(1, begin_ms)?;
    machine.connect(&backend.config())?;
    machine.work(3 * MINUTE_MS, 0)?;
    all_delivered(&machine.drain()?)?;

    for round in 0..3 {
        let before = backend.gate.exchanges().len();
        backend.gate.set(Mode::KeepsAnswers);
        machine.work(4 * MINUTE_MS, 0)?;
        machine.deliver_until("a request", |_| backend.gate.exchanges().len() > before)?;
        machine.crash()?;
        backend.gate.set(Mode::Open);
        machine.start()?;
        machine.work((round + 1) * MINUTE_MS, 0)?;
        let status = machine.drain()?;
        all_delivered(&status)?;
        backend.check_since(&machine, begin_ms - MINUTE_MS)?;
    }
    let status = machine.status()?;
    ensure!(meant(&status) == status.delivered, "{status:?}");
    backend.check_version()
}

/// One series is there already with other values, from somebody who took this install for theirs.
/// What that makes the backend refuse costs nothing else.
fn one_bad(kind: Kind) -> Result<()> {
    let backend = Backend::start(kind)?;
    let begin_ms = real_now_ms()? - 30 * MINUTE_MS;
    let mut machine = Machine::new(1, begin_ms)?;
    machine.connect(&backend.config())?;
    machine.work(5 * MINUTE_MS, 0)?;
    all_delivered(&machine.drain()?)?;

    let labels = [
        ("__name__", TOKENS),
        ("instance", &machine.install_id()?),
        ("job", "claude-code"),
        ("model", "opus"),
        ("type", "input"),
    ];
    let labels = labels.map(|(name, value)| (name.into(), value.into())).to_vec();
    let ahead_ms = machine.now_ms() + 20 * MINUTE_MS;
    let intruder = SeriesSamples {
        before: 0.0,
        labels: Arc::new(labels),
        start_ms: begin_ms,
        samples: vec![(ahead_ms, 1e6)],
    };
    remote_write::send(&backend.prometheus, &[intruder])?;

    machine.work(5 * MINUTE_MS, 0)?;
    let status = machine.drain()?;
    let takes_any_order = matches!(kind, Kind::OutOfOrder | Kind::VictoriaMetrics);
    ensure!(takes_any_order == (status.quarantined == 0), "{status:?}");
    ensure!(status.expired + status.evicted + status.compacted == 0, "{status:?}");
    // The others are whole, and the bad one's growth is all that is missing.
    backend.check(&machine, &[COST], begin_ms - MINUTE_MS)?;
    let before = meant(&status);
    machine.work(MINUTE_MS, 0)?;
    let status = machine.drain()?;
    ensure!(meant(&status) > before && status.delivered > 0, "{status:?}");
    backend.check(&machine, &[COST], begin_ms - MINUTE_MS)
}

/// Fast or slow by minutes, after hours without the backend, which a right clock used meanwhile.
fn wrong_clock(kind: Kind) -> Result<()> {
    let backend = Backend::start(kind)?;
    let direct = destination(DestinationType::Prometheus, &backend.prometheus.write_url());
    let real_ms = real_now_ms()?;
    let mut machines = Vec::new();
    for (seed, minutes) in [(1, -11), (2, -9), (3, 9)] {
        let begin_ms = real_ms + minutes * MINUTE_MS - 8 * HOUR_MS;
        let mut machine = Machine::new(seed, begin_ms)?;
        machine.connect(&backend.config())?;
        machine.work(5 * MINUTE_MS, 0)?;
        all_delivered(&machine.drain()?)?;
        machines.push((minutes, begin_ms, machine));
    }
    let mut colleague = Machine::new(9, real_ms - 5 * MINUTE_MS)?;
    colleague.connect(&direct)?;
    colleague.work(5 * MINUTE_MS, 0)?;
    all_delivered(&colleague.drain()?)?;
    for (minutes, begin_ms, machine) in &mut machines {
        let now_ms = real_ms + *minutes * MINUTE_MS;
        backend.gate.set(Mode::Shut);
        for ago_ms in [3 * HOUR_MS, 20 * MINUTE_MS, 8 * MINUTE_MS] {
            machine.sleep_until(now_ms - ago_ms);
            machine.work(4 * MINUTE_MS, 0)?;
        }
        machine.pass(now_ms - machine.now_ms())?;
        backend.gate.set(Mode::Open);
        let status = machine.drain()?;
        ensure!(status.quarantined + status.expired == 0, "{minutes} min: {status:?}");
        backend.check_since(machine, *begin_ms - MINUTE_MS)?;
    }
    too_far_ahead(&backend)
}

/// What is too new to be taken waits, and arrives as time goes by.
fn too_far_ahead(backend: &Backend) -> Result<()> {
    let begin_ms = just_too_far_ahead_ms()?;
    let mut machine = Machine::new(4, begin_ms)?;
    machine.connect(&backend.config())?;
    machine.spend(1.25)?;
    machine.tick()?;
    let status = machine.drain_by_retries()?;
    all_delivered(&status)?;
    backend.check_since(&machine, begin_ms - MINUTE_MS)
}
