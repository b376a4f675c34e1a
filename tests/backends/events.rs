//! Events in Loki and VictoriaLogs: each of them once, whatever happened on the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccotel::config::destination::{DestinationConfig, DestinationType, Protocol};
use ccotel::deliver::DestinationStatus;
use ccotel::deliver::status::State;

use crate::gate::{Gate, Mode};
use crate::harness::cases::Case;
use crate::harness::loki::{Loki, Which};
use crate::harness::poll;
use crate::harness::programs::Program;
use crate::harness::victorialogs::VictoriaLogs;
use crate::machine::{
    DAY_MS, HOUR_MS, MINUTE_MS, Machine, destination, just_too_far_ahead_ms, meant, real_now_ms,
};
use crate::{rules, servers};

const SEEN_DEADLINE: Duration = Duration::from_mins(1);

/// Events an export, for a session as busy as real ones.
const EVENTS: usize = 4;

/// What is sent where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Push(Which),
    Otlp(Which),
    VictoriaLogs,
}

impl Format {
    const ALL: [Self; 5] = [
        Self::Push(Which::Real),
        Self::Push(Which::StandIn),
        Self::Otlp(Which::Real),
        Self::Otlp(Which::StandIn),
        Self::VictoriaLogs,
    ];

    fn needs(self) -> &'static [Program] {
        match self {
            Self::Push(Which::Real) | Self::Otlp(Which::Real) => &[Program::Loki],
            Self::Push(Which::StandIn) | Self::Otlp(Which::StandIn) => &[],
            Self::VictoriaLogs => &[Program::VictoriaLogs],
        }
    }

    /// For the names of tests.
    fn name(self) -> String {
        match self {
            Self::Push(which) => format!("{}, push", which.name()),
            Self::Otlp(which) => format!("{}, OTLP", which.name()),
            Self::VictoriaLogs => "VictoriaLogs, OTLP".to_owned(),
        }
    }

    fn is_loki(self) -> bool {
        self != Self::VictoriaLogs
    }

    /// Apart from all others in one Loki.
    fn tenant(self, scenario: &str) -> String {
        let format = if matches!(self, Self::Otlp(_)) { "otlp" } else { "push" };
        format!("{scenario}-{format}")
    }
}

pub fn cases() -> Vec<Case> {
    type Scenario = fn(Format) -> Result<()>;
    let everywhere: [(&str, Scenario); 4] = [
        ("live", live),
        ("offline_for_three_days", offline),
        ("crash_before_the_answer", crash),
        ("two_installs_one_of_them_away_for_hours", two_installs),
    ];
    let loki_only: [(&str, Scenario); 3] = [
        ("one_bad_event_in_a_batch", one_bad),
        ("a_clock_that_is_wrong", wrong_clock),
        ("a_low_rate_limit", rate_limit),
    ];
    let mut cases = Vec::new();
    for format in Format::ALL {
        let scenarios = everywhere.iter().chain(loki_only.iter().filter(|_| format.is_loki()));
        cases.extend(scenarios.map(|&(name, run)| {
            Case::new(format!("{name} [{}]", format.name()), format.needs(), move || run(format))
        }));
    }
    for which in [Which::Real, Which::StandIn] {
        let needs = Format::Push(which).needs();
        cases.push(Case::new(format!("the_rules_hold [{}]", which.name()), needs, move || {
            rules::hold(&Loki::start_with_tenants(which)?)
        }));
    }
    cases
}

enum Server {
    Loki(Arc<Loki>),
    VictoriaLogs(VictoriaLogs),
}

/// A backend, the gate before it, and how it is configured.
struct Backend {
    server: Server,
    tenant: String,
    gate: Gate,
    config: DestinationConfig,
}

impl Backend {
    fn start(format: Format, scenario: &str) -> Result<Self> {
        Self::start_on(format, scenario, servers::loki)
    }

    fn start_on(
        format: Format,
        scenario: &str,
        loki: impl Fn(Which) -> Result<Arc<Loki>>,
    ) -> Result<Self> {
        let (server, kind, protocol, url) = match format {
            Format::Push(which) | Format::Otlp(which) => {
                let loki = loki(which)?;
                let is_push = matches!(format, Format::Push(_));
                let url = if is_push { loki.push_url() } else { loki.otlp_url() };
                let protocol = if is_push { Protocol::Auto } else { Protocol::Otlp };
                (Server::Loki(loki), DestinationType::Loki, protocol, url)
            }
            Format::VictoriaLogs => {
                let logs = VictoriaLogs::start()?;
                let url = logs.otlp_url();
                let kind = DestinationType::VictoriaLogs;
                (Server::VictoriaLogs(logs), kind, Protocol::Auto, url)
            }
        };
        let gate = Gate::before(&origin(&url)?)?;
        let tenant = format.tenant(scenario);
        let config = DestinationConfig {
            protocol,
            tenant: format.is_loki().then(|| tenant.clone()),
            ..destination(kind, &gate.url(&url))
        };
        Ok(Self { server, tenant, gate, config })
    }

    fn machine(&self, seed: u32, now_ms: i64) -> Result<Machine> {
        let mut machine = Machine::new(seed, now_ms)?;
        machine.connect(&self.config)?;
        Ok(machine)
    }

    /// How often the backend has each event of an install.
    fn events(&self, install_id: &str) -> Result<BTreeMap<String, usize>> {
        let mut ids = BTreeMap::new();
        match &self.server {
            Server::Loki(loki) => {
                let labels = [("service_instance_id", install_id)];
                for entry in loki.entries_of(&self.tenant, &labels)? {
                    let id = entry.field("ccotel_event_id").context("an event without an id")?;
                    *ids.entry(id.to_owned()).or_default() += 1;
                }
            }
            Server::VictoriaLogs(logs) => {
                // By its id, as the documentation says to.
                let query = format!(
                    "_time:9d service.instance.id:=\"{install_id}\" \
                     | uniq by (ccotel.event_id) | limit 50000"
                );
                for record in logs.query(&query)? {
                    let id = record.get("ccotel.event_id").context("an event without an id")?;
                    *ids.entry(id.clone()).or_default() += 1;
                }
            }
        }
        Ok(ids)
    }

    /// Every event of the machine once, but for so many left out.
    fn check(&self, machine: &Machine, left_out: &[u128]) -> Result<()> {
        let install_id = machine.install_id()?;
        let expected: BTreeMap<String, usize> = machine
            .events
            .iter()
            .filter(|id| !left_out.contains(id))
            .map(|id| (format!("{id:032x}"), 1))
            .collect();
        poll::until("the events", SEEN_DEADLINE, || {
            let found = self.events(&install_id)?;
            if found != expected
                && let Server::Loki(loki) = &self.server
            {
                loki.flush()?;
            }
            let twice = found.values().filter(|count| **count > 1).count();
            let strange = found.keys().filter(|id| !expected.contains_key(*id)).count();
            ensure!(
                found == expected,
                "{} of {} events, {twice} more than once, {strange} that should not be there",
                found.len(),
                expected.len()
            );
            Ok(())
        })
    }
}

fn origin(url: &str) -> Result<String> {
    Ok(reqwest::Url::parse(url)?.origin().ascii_serialization())
}

fn all_delivered(status: &DestinationStatus, machine: &Machine) -> Result<()> {
    let lost = status.expired + status.evicted + status.compacted + status.quarantined;
    ensure!(lost == 0 && status.delivered == machine.events.len() as u64, "{status:?}");
    Ok(())
}

fn live(format: Format) -> Result<()> {
    let backend = Backend::start(format, "live")?;
    let mut machine = backend.machine(1, real_now_ms()? - HOUR_MS)?;
    for minutes in [3, 1, 5] {
        machine.work(minutes * MINUTE_MS, EVENTS)?;
        all_delivered(&machine.drain()?, &machine)?;
        machine.sleep_until(machine.now_ms() + 10 * MINUTE_MS);
    }
    backend.check(&machine, &[])
}

fn offline(format: Format) -> Result<()> {
    let backend = Backend::start(format, "offline")?;
    let mut machine = away_for_days(&backend)?;
    backend.gate.set(Mode::Open);
    all_delivered(&machine.drain()?, &machine)?;
    machine.work(MINUTE_MS, EVENTS)?;
    all_delivered(&machine.drain()?, &machine)?;
    backend.check(&machine, &[])
}

/// A machine with three days behind it in which the backend was out of reach.
fn away_for_days(backend: &Backend) -> Result<Machine> {
    let end_ms = real_now_ms()?;
    let mut machine = backend.machine(1, end_ms - 3 * DAY_MS - HOUR_MS)?;
    machine.work(MINUTE_MS, EVENTS)?;
    machine.drain()?;
    backend.gate.set(Mode::Shut);
    let begin_ms = machine.now_ms();
    for day in 0..3 {
        for hour in [1, 4, 9, 10] {
            machine.sleep_until(begin_ms + day * DAY_MS + hour * HOUR_MS);
            machine.work(5 * MINUTE_MS, EVENTS)?;
        }
    }
    machine.sleep_until(end_ms - 10 * MINUTE_MS);
    machine.work(MINUTE_MS, EVENTS)?;
    Ok(machine)
}

/// The agent is killed between sending and hearing, with a backlog of days.
fn crash(format: Format) -> Result<()> {
    let backend = Backend::start(format, "crash")?;
    let mut machine = away_for_days(&backend)?;
    for _ in 0..3 {
        let before = backend.gate.exchanges().len();
        backend.gate.set(Mode::KeepsAnswers);
        machine.work(MINUTE_MS, EVENTS)?;
        machine.retry()?;
        machine.deliver_until("a request", |_| backend.gate.exchanges().len() > before)?;
        machine.crash()?;
        machine.start()?;
    }
    machine.crash()?;
    backend.gate.set(Mode::Open);
    machine.start()?;
    all_delivered(&machine.drain()?, &machine)?;
    backend.check(&machine, &[])
}

/// In one tenant: the one away has its own order.
fn two_installs(format: Format) -> Result<()> {
    let backend = Backend::start(format, "two")?;
    let end_ms = real_now_ms()?;
    let mut home = backend.machine(1, end_ms - 6 * HOUR_MS)?;
    let mut away = Machine::new(2, end_ms - 6 * HOUR_MS)?;
    away.know(&backend.config)?;
    for hour in 0..6 {
        for machine in [&mut home, &mut away] {
            machine.sleep_until(end_ms - (6 - hour) * HOUR_MS);
            machine.work(2 * MINUTE_MS, EVENTS)?;
        }
        all_delivered(&home.drain()?, &home)?;
    }
    away.connect(&backend.config)?;
    all_delivered(&away.drain()?, &away)?;
    backend.check(&home, &[])?;
    backend.check(&away, &[])
}

/// What Loki refuses for good costs only itself.
fn one_bad(format: Format) -> Result<()> {
    let backend = Backend::start(format, "bad")?;
    let mut machine = backend.machine(1, real_now_ms()? - 20 * MINUTE_MS)?;
    machine.work(MINUTE_MS, EVENTS)?;
    machine.drain()?;

    // Its session was asleep for hours, while others went on.
    machine.work(MINUTE_MS, EVENTS)?;
    machine.say(1, 3 * HOUR_MS)?;
    let late = *machine.events.last().context("an event")?;
    machine.work(MINUTE_MS, EVENTS)?;
    let status = machine.drain()?;
    ensure!((status.quarantined, status.expired) == (1, 0), "{status:?}");
    ensure!(status.last_error.as_ref().is_some_and(|it| it.contains("quarantine")), "{status:?}");

    // And one from before all that Loki takes.
    machine.say(1, 8 * DAY_MS)?;
    let old = *machine.events.last().context("an event")?;
    machine.work(MINUTE_MS, EVENTS)?;
    let status = machine.drain()?;
    ensure!((status.quarantined, status.expired) == (1, 1), "{status:?}");
    ensure!(meant(&status) == machine.events.len() as u64, "{status:?}");
    backend.check(&machine, &[late, old])
}

/// Fast or slow by minutes.
fn wrong_clock(format: Format) -> Result<()> {
    // Nobody else's flush may put away what is ahead of the clock: Loki does not look for that on disk.
    let own: Mutex<Option<Arc<Loki>>> = Mutex::default();
    let own = |which| -> Result<Arc<Loki>> {
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.is_none() {
            *own = Some(Arc::new(Loki::start_with_tenants(which)?));
        }
        own.clone().context("started before")
    };
    for (seed, minutes) in [(1, -11), (2, -9), (3, 9)] {
        let backend = Backend::start_on(format, "clock", own)?;
        let end_ms = real_now_ms()? + minutes * MINUTE_MS;
        let mut machine = backend.machine(seed, end_ms - 5 * MINUTE_MS)?;
        machine.work(5 * MINUTE_MS, EVENTS)?;
        all_delivered(&machine.drain()?, &machine)?;
        backend.check(&machine, &[])?;
    }
    // Further ahead than Loki takes: it waits, and arrives as time goes by.
    let backend = Backend::start_on(format, "clock", own)?;
    let mut machine = backend.machine(4, just_too_far_ahead_ms()?)?;
    machine.say(EVENTS, 0)?;
    machine.deliver_until("a refusal", |status| status.state == State::Retrying)?;
    let status = machine.drain_by_retries()?;
    all_delivered(&status, &machine)?;
    backend.check(&machine, &[])
}

/// A 429 shrinks and slows, and everything arrives.
fn rate_limit(format: Format) -> Result<()> {
    let backend = Backend::start(format, "slow")?;
    backend.gate.set(Mode::Shut);
    let mut machine = backend.machine(1, real_now_ms()? - HOUR_MS)?;
    machine.work(5 * MINUTE_MS, 30)?;
    backend.gate.set(Mode::Open);
    machine.retry()?;
    let status = machine.deliver_until("the backlog", |status| {
        status.backlog.records == 0 && status.state == State::Ok
    })?;
    all_delivered(&status, &machine)?;
    let limited = backend.gate.exchanges().iter().filter(|one| one.status == 429).count();
    ensure!(limited > 0, "no rate limit was met");
    backend.check(&machine, &[])
}
