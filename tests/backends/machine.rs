//! A machine whose time passes when told to: the real store and the real delivery, over real HTTP,
//! through days in seconds.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use ccotel::config::destination::{DestinationConfig, DestinationType};
use ccotel::deliver::status::State;
use ccotel::deliver::{DestinationStatus, Manager};
use ccotel::record::{Batch, Event, Labels, Point, Temporality, Value};
use ccotel::store::handle::{DestinationKey, Ingest, Since};
use ccotel::store::{self, Clock, Options, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub const SECOND_MS: i64 = 1000;
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Claude Code's interval between exports, as ccotel sets it.
const EXPORT_MS: i64 = 10 * SECOND_MS;
/// What is sampled this often while a session is active.
const TICK_MS: i64 = 15 * SECOND_MS;

/// Delivery of days, on a loaded machine.
const DRAIN_DEADLINE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub const COST: &str = "claude_code_cost_usage_USD_total";
pub const TOKENS: &str = "claude_code_token_usage_tokens_total";

/// What was spent, and when.
#[derive(Clone, Copy, Debug)]
struct Spent {
    at_ms: i64,
    dollars: f64,
    tokens: f64,
}

pub struct Machine {
    directory: TempDir,
    clock: Arc<AtomicI64>,
    running: Option<Running>,
    destination: Option<DestinationConfig>,
    /// Of the two models' processes, since they began.
    dollars: [f64; 2],
    tokens: f64,
    spent: Vec<Spent>,
    /// Ids of all events, and what their rows carry: every event once is the truth.
    pub events: Vec<u128>,
    requests: u128,
    /// Apart from other machines.
    seed: u128,
}

/// An agent's life between two crashes.
struct Running {
    runtime: Runtime,
    manager: Arc<Manager>,
    store: Store,
}

impl Machine {
    pub fn new(seed: u32, now_ms: i64) -> Result<Self> {
        let mut machine = Self {
            directory: TempDir::new()?,
            clock: Arc::new(AtomicI64::new(now_ms)),
            running: None,
            destination: None,
            dollars: [0.0; 2],
            tokens: 0.0,
            spent: Vec::new(),
            events: Vec::new(),
            requests: 0,
            seed: u128::from(seed) << 64,
        };
        machine.start()?;
        Ok(machine)
    }

    /// As after a reboot: what the destination was goes on.
    pub fn start(&mut self) -> Result<()> {
        let options =
            Options { queue_db: self.queue_db(), disk_bytes_max: 256 << 20, history_days: 400 };
        let store = store::open(options, Clock::Manual(Arc::clone(&self.clock)))?;
        let clock = Arc::clone(&self.clock);
        let manager = Manager::with_clock(
            store.handle.clone(),
            Arc::clone(&store.install_id),
            Arc::new(move || clock.load(Ordering::SeqCst)),
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        self.running = Some(Running { runtime, manager: Arc::new(manager), store });
        if let Some(config) = self.destination.clone() {
            self.connect(&config)?;
        }
        Ok(())
    }

    /// The agent is gone, in the midst of whatever it did.
    pub fn crash(&mut self) -> Result<()> {
        if let Some(Running { runtime, manager, store }) = self.running.take() {
            drop(runtime);
            drop(manager);
            drop(store.handle);
            store.thread.join().map_err(|_| anyhow::anyhow!("the store's thread panicked"))?;
        }
        Ok(())
    }

    pub fn connect(&mut self, config: &DestinationConfig) -> Result<()> {
        self.destination = Some(config.clone());
        let running = self.running()?;
        running.runtime.block_on(running.manager.apply(std::slice::from_ref(config)));
        Ok(())
    }

    /// The destination is known, and nothing runs that could reach it.
    pub fn know(&mut self, config: &DestinationConfig) -> Result<()> {
        let lanes = ccotel::deliver::task::lanes(config);
        let key = DestinationKey {
            name: config.name.as_str().into(),
            privacy: config.privacy,
            lanes,
            since: config.since,
        };
        let running = self.running()?;
        Ok(running.runtime.block_on(running.store.handle.open_destination(key))?)
    }

    pub fn install_id(&self) -> Result<String> {
        Ok(self.running()?.store.install_id.to_string())
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Awake: ticks are taken.
    pub fn pass(&mut self, duration_ms: i64) -> Result<()> {
        let end_ms = self.now_ms() + duration_ms;
        loop {
            let due_ms = (self.now_ms().div_euclid(TICK_MS) + 1) * TICK_MS;
            if due_ms > end_ms {
                self.clock.store(end_ms, Ordering::SeqCst);
                return Ok(());
            }
            self.clock.store(due_ms, Ordering::SeqCst);
            self.tick()?;
        }
    }

    /// The lid is closed until this time.
    pub fn sleep_until(&mut self, time_ms: i64) {
        self.clock.fetch_max(time_ms, Ordering::SeqCst);
    }

    /// A session of so long: counters grow every export interval, and each export has events.
    pub fn work(&mut self, duration_ms: i64, events_per_export: usize) -> Result<()> {
        for step in 0..duration_ms / EXPORT_MS {
            // Neither regular nor round, and sometimes nothing.
            let index = usize::try_from(step % 8)?;
            let cents = [3.0, 0.0, 17.5, 1.25, 0.0, 0.0, 42.0, 7.125][index];
            self.spend(cents / 100.0)?;
            self.say(events_per_export, 0)?;
            self.pass(EXPORT_MS)?;
        }
        Ok(())
    }

    /// An export of the processes' cumulative counters.
    pub fn spend(&mut self, dollars: f64) -> Result<()> {
        let model = usize::from(self.requests.is_multiple_of(3));
        self.dollars[model] += dollars;
        let tokens = (dollars * 1000.0).round();
        self.tokens += tokens;
        let at_ms = self.now_ms();
        self.spent.push(Spent { at_ms, dollars, tokens });
        let time_ns = nanoseconds(at_ms)?;
        let point = |metric: &str, stream: u128, labels: &[(&str, &str)], value: f64| Point {
            metric: metric.into(),
            labels: labels_of(labels),
            stream,
            start_ns: 1,
            time_ns,
            value,
            temporality: Temporality::Cumulative,
        };
        let mut points =
            vec![point(TOKENS, 9, &[("model", "opus"), ("type", "input")], self.tokens)];
        for (index, name) in ["haiku", "opus"].into_iter().enumerate() {
            points.push(point(COST, index as u128 + 1, &[("model", name)], self.dollars[index]));
        }
        self.ingest(Batch::Points(points))
    }

    /// So many events, which happened `age_ms` ago.
    pub fn say(&mut self, count: usize, age_ms: i64) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let time_ns = nanoseconds(self.now_ms() - age_ms)?;
        let events = (0..count)
            .map(|index| {
                let id = self.seed + self.events.len() as u128 + index as u128 + 1;
                event(id, time_ns + index as u64)
            })
            .collect::<Vec<_>>();
        self.events.extend(events.iter().map(|event| event.id));
        self.ingest(Batch::Events(events))
    }

    fn ingest(&mut self, batch: Batch) -> Result<()> {
        self.requests += 1;
        let ingest = Ingest { body_hash: self.requests, batch };
        let running = self.running()?;
        running.runtime.block_on(running.store.handle.ingest(ingest)).context("ingest").map(drop)
    }

    /// Dollars and tokens since a time.
    pub fn spent_since(&self, time_ms: i64) -> (f64, f64) {
        let since = self.spent.iter().filter(|spent| spent.at_ms >= time_ms);
        since.fold((0.0, 0.0), |sum, spent| (sum.0 + spent.dollars, sum.1 + spent.tokens))
    }

    pub fn status(&self) -> Result<DestinationStatus> {
        let running = self.running()?;
        let statuses = running.runtime.block_on(running.manager.statuses());
        statuses.into_iter().next().context("no destination")
    }

    /// Tries now what waits, as `ccotel retry` does.
    pub fn retry(&self) -> Result<usize> {
        let running = self.running()?;
        Ok(running.runtime.block_on(running.manager.retry(None)))
    }

    /// Lets delivery run until a condition holds.
    pub fn deliver_until(
        &self,
        what: &str,
        holds: impl Fn(&DestinationStatus) -> bool,
    ) -> Result<DestinationStatus> {
        let running = self.running()?;
        let end = Instant::now() + DRAIN_DEADLINE;
        loop {
            let status = self.status()?;
            if holds(&status) {
                return Ok(status);
            }
            ensure!(Instant::now() < end, "{what}: not within {DRAIN_DEADLINE:?}: {status:?}");
            running.runtime.block_on(async { tokio::time::sleep(LOOK_AGAIN).await });
        }
    }

    /// Takes a sample now.
    pub fn tick(&self) -> Result<()> {
        let running = self.running()?;
        Ok(running.runtime.block_on(running.store.handle.tick())?)
    }

    /// Takes a sample and delivers everything.
    pub fn drain(&mut self) -> Result<DestinationStatus> {
        self.tick()?;
        self.retry()?;
        let status = self.deliver_until("the backlog", |status| {
            status.backlog.records == 0 && status.state == State::Ok
        })?;
        Ok(status)
    }

    /// Delivers everything, where only time helps.
    pub fn drain_by_retries(&mut self) -> Result<DestinationStatus> {
        self.deliver_until("the backlog", |status| {
            let _ = self.retry();
            status.backlog.records == 0 && status.state == State::Ok
        })
    }

    fn running(&self) -> Result<&Running> {
        self.running.as_ref().context("the machine is down")
    }

    fn queue_db(&self) -> PathBuf {
        self.directory.path().join("queue.db")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.crash();
    }
}

/// A destination as `ccotel connect … --since all` makes it.
pub fn destination(kind: DestinationType, url: &str) -> DestinationConfig {
    DestinationConfig { since: Since::All, ..DestinationConfig::new("backend", kind, url) }
}

/// Everything that was meant for the destination, by its books.
pub fn meant(status: &DestinationStatus) -> u64 {
    status.delivered
        + status.backlog.records
        + status.expired
        + status.evicted
        + status.compacted
        + status.quarantined
}

/// Backends take what is 10 minutes ahead: this is, a few seconds from now.
pub fn just_too_far_ahead_ms() -> Result<i64> {
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    Ok(now_ms + 10 * MINUTE_MS + 3 * SECOND_MS)
}

/// The last full minute of the real clock: a backend knows which time it is.
pub fn real_now_ms() -> Result<i64> {
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    Ok(now_ms - now_ms % MINUTE_MS)
}

fn event(id: u128, time_ns: u64) -> Event {
    let text = |text: &str| Value::Text(text.into());
    Event {
        time_ns,
        name: "api_request".into(),
        body: "claude_code.api_request".into(),
        service: "claude-code".into(),
        tags: labels_of(&[("project", "checkout"), ("team", "payments")])
            .into_iter()
            .filter(|(name, _)| &**name != "job")
            .collect(),
        id,
        attributes: vec![
            ("session.id".into(), text("0b6f1c1e-6a6e-4d51-8f2e-3e6c0a7b9d10")),
            ("model".into(), text("claude-opus-4-8")),
            ("cost_usd".into(), Value::Double(0.0125)),
            ("input_tokens".into(), Value::Int(1200)),
        ],
    }
}

/// Sorted, with the job.
fn labels_of(labels: &[(&str, &str)]) -> Labels {
    let all = labels.iter().chain(&[("job", "claude-code")]);
    let mut all: Labels = all.map(|(name, value)| ((*name).into(), (*value).into())).collect();
    all.sort_unstable();
    all
}

fn nanoseconds(time_ms: i64) -> Result<u64> {
    Ok(u64::try_from(time_ms)? * 1_000_000)
}
