//! Hours and days of use, by a clock of the test's own, asked of a real Prometheus: the recipe of
//! the dashboards is exact, and plain `increase()` is close.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use ccotel::record::{Batch, Point, PrivacyLevel, Temporality};
use ccotel::store::Options;
use ccotel::store::core::Core;
use ccotel::store::handle::{Content, DestinationKey, Ingest, Lane, Settled, Since};
use tempfile::TempDir;

use crate::Case;
use crate::harness::programs::Program;
use crate::harness::prometheus::Prometheus;
use crate::harness::remote_write;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Claude Code's interval between exports, as ccotel sets it.
const EXPORT_MS: i64 = 10_000;

const METRIC: &str = "claude_code_cost_usage_USD_total";

/// What plain `increase()` over an hour or more may be off.
const INCREASE_TOLERANCE: f64 = 0.002;

/// Dollars are sums of binary fractions.
const EXACT_USD: f64 = 1e-9;

pub fn cases() -> Vec<Case> {
    let prometheus = &[Program::Prometheus];
    vec![
        Case::new("increase_is_close_after_an_hour_of_steady_use", prometheus, steady_use),
        Case::new("the_recipe_is_exact_over_days_with_absences", prometheus, days_with_absences),
    ]
}

/// A machine whose time passes when told to.
struct Machine {
    core: Core,
    now_ms: i64,
    requests: u128,
    cost_usd: f64,
    destination: Arc<str>,
    _directory: TempDir,
}

impl Machine {
    fn new(now_ms: i64) -> Result<Self> {
        let directory = TempDir::new()?;
        let options = Options {
            queue_db: directory.path().join("queue.db"),
            disk_bytes_max: 256 << 20,
            history_days: 400,
        };
        let mut core = Core::open(options, now_ms)?;
        let destination: Arc<str> = "prometheus".into();
        let key = DestinationKey {
            name: destination.clone(),
            privacy: PrivacyLevel::Standard,
            lanes: vec![Lane::Samples],
            since: Since::Now,
        };
        core.open_destination(&key, now_ms)?;
        Ok(Self { core, now_ms, requests: 0, cost_usd: 0.0, destination, _directory: directory })
    }

    /// Lets time pass, ticks included.
    fn pass(&mut self, duration_ms: i64) -> Result<()> {
        let end_ms = self.now_ms + duration_ms;
        while let Some(due_ms) = self.core.next_tick_ms(self.now_ms).filter(|due| *due <= end_ms) {
            self.now_ms = due_ms;
            self.core.tick(due_ms)?;
        }
        self.now_ms = end_ms;
        Ok(())
    }

    /// An export of one process' cumulative counter.
    fn spend(&mut self, dollars: f64) -> Result<()> {
        self.cost_usd += dollars;
        self.requests += 1;
        let ns = |ms: i64| u64::try_from(ms).map(|ms| ms * 1_000_000);
        let point = Point {
            metric: METRIC.into(),
            labels: vec![("job".into(), "claude-code".into()), ("model".into(), "m".into())],
            stream: 1,
            start_ns: 1,
            time_ns: ns(self.now_ms)?,
            value: self.cost_usd,
            temporality: Temporality::Cumulative,
        };
        let ingest = Ingest { body_hash: self.requests, batch: Batch::Points(vec![point]) };
        let answers = self.core.ingest(&mut [ingest], self.now_ms);
        answers.into_iter().try_for_each(|answer| answer.map(drop)).context("ingest")
    }

    /// Spends every export interval for so long.
    fn work(&mut self, duration_ms: i64) -> Result<()> {
        for step in 0..duration_ms / EXPORT_MS {
            // Neither regular nor round, and sometimes nothing.
            let cents = [3.0, 0.0, 17.5, 1.25, 0.0, 0.0, 42.0, 7.125][usize::try_from(step % 8)?];
            self.spend(cents / 100.0)?;
            self.pass(EXPORT_MS)?;
        }
        Ok(())
    }

    /// Everything that waits goes to Prometheus.
    fn deliver(&mut self, prometheus: &Prometheus) -> Result<()> {
        while let Some(batch) = self.core.freeze(&self.destination, Lane::Samples, 2000, 1 << 20)? {
            if let Content::Samples(series) = &batch.content {
                remote_write::send(prometheus, series)?;
            }
            let settled = Settled { delivered: batch.records, ..Settled::default() };
            self.core.settle(&self.destination, Lane::Samples, &settled)?;
        }
        Ok(())
    }
}

fn steady_use() -> Result<()> {
    let prometheus = Prometheus::start()?;
    let mut machine = Machine::new(today_ms()? - 4 * HOUR_MS)?;
    machine.work(HOUR_MS)?;
    machine.deliver(&prometheus)?;
    let spent = machine.cost_usd;
    check_increase(&prometheus, machine.now_ms, "1h", spent)?;

    machine.pass(HOUR_MS)?;
    machine.deliver(&prometheus)?;
    check_increase(&prometheus, machine.now_ms, "2h", spent)?;
    check_recipe(&prometheus, machine.now_ms, "2h", spent)
}

/// Bursts on three days, after a long absence with a lifetime behind it.
fn days_with_absences() -> Result<()> {
    let prometheus = Prometheus::start()?;
    let end_ms = today_ms()?;
    let mut machine = Machine::new(end_ms - 20 * DAY_MS)?;
    machine.spend(900.0)?;
    machine.pass(DAY_MS)?;
    machine.deliver(&prometheus)?;

    machine.pass(end_ms - 3 * DAY_MS + HOUR_MS - machine.now_ms)?;
    let mut before = Vec::new();
    for _ in 0..3 {
        let day_start_ms = machine.now_ms;
        before.push(machine.cost_usd);
        for minutes in [7, 40, 1] {
            machine.work(minutes * MINUTE_MS)?;
            machine.pass(50 * MINUTE_MS)?;
        }
        machine.deliver(&prometheus)?;
        if before.len() < 3 {
            machine.pass(day_start_ms + DAY_MS - machine.now_ms)?;
        }
    }
    machine.deliver(&prometheus)?;

    let (now_ms, total) = (machine.now_ms, machine.cost_usd);
    check_increase(&prometheus, now_ms, "24h", total - before[2])?;
    check_increase(&prometheus, now_ms, "3d", total - before[0])?;
    check_increase(&prometheus, now_ms, "7d", total - before[0])?;
    check_recipe(&prometheus, now_ms, "24h", total - before[2])?;
    check_recipe(&prometheus, now_ms, "3d", total - before[0])?;
    check_recipe(&prometheus, now_ms, "7d", total - before[0])?;
    for (window, step_ms) in [("5m", 5 * MINUTE_MS), ("15m", 15 * MINUTE_MS), ("1h", HOUR_MS)] {
        check_bars(&prometheus, now_ms, window, step_ms, total - before[2])?;
    }
    Ok(())
}

fn check_increase(prometheus: &Prometheus, at_ms: i64, window: &str, spent: f64) -> Result<()> {
    let found = ask(prometheus, at_ms, &format!("sum(increase({METRIC}[{window}]))"))?;
    let off = (found / spent - 1.0).abs();
    println!("increase over {window}: off by {:.3} %", off * 100.0);
    ensure!(off <= INCREASE_TOLERANCE, "increase over {window}: {found} instead of {spent}");
    Ok(())
}

fn check_recipe(prometheus: &Prometheus, at_ms: i64, window: &str, spent: f64) -> Result<()> {
    let found = ask(prometheus, at_ms, &recipe(window))?;
    ensure!((found - spent).abs() < EXACT_USD, "{window}: {found} instead of {spent}");
    Ok(())
}

/// Bars of the last 24 hours add up to what was spent in them.
fn check_bars(
    prometheus: &Prometheus,
    end_ms: i64,
    window: &str,
    step_ms: i64,
    spent: f64,
) -> Result<()> {
    let bars = DAY_MS / step_ms;
    let sum = (0..bars).try_fold(0.0, |sum, bar| {
        Ok::<_, anyhow::Error>(sum + ask(prometheus, end_ms - bar * step_ms, &recipe(window))?)
    })?;
    ensure!((sum - spent).abs() < EXACT_USD, "bars of {window}: {sum} instead of {spent}");
    Ok(())
}

fn recipe(window: &str) -> String {
    format!(
        "sum(last_over_time({METRIC}[{window}]) - \
         (last_over_time({METRIC}[13h] offset {window}) or min_over_time({METRIC}[{window}])))"
    )
}

/// A sum over nothing is 0.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of our time fit a double")]
fn ask(prometheus: &Prometheus, at_ms: i64, query: &str) -> Result<f64> {
    let rows = prometheus.query_at(query, at_ms as f64 / 1000.0)?;
    Ok(rows.first().map_or(0.0, |row| row.value))
}

/// The last full minute of the real clock: a Prometheus knows which time it is.
fn today_ms() -> Result<i64> {
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    Ok(now_ms - now_ms % MINUTE_MS)
}
