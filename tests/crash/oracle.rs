//! The oracle: once the faults are over, everything acknowledged is everywhere, once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccotel::agent::control::Request;
use serde_json::Value;

use super::agent::Agent;
use super::backend::Backend;
use super::harness::poll;
use super::harness::prometheus::Prometheus as RealPrometheus;
use super::loki::Loki;
use super::process::{Counter, Key, TEAM};
use super::prometheus::{Labels, Prometheus};
use super::truth::{Acknowledged, Truth};

/// A backlog of a loaded machine's debug build is drained well before.
const DEADLINE: Duration = Duration::from_mins(1);

pub const REAL_PROMETHEUS: &str = "real-prometheus";

/// Dollars are sums of binary fractions, in another order in each place.
const EXACT: f64 = 1e-6;

pub struct Oracle<'a> {
    pub agent: &'a Agent<'a>,
    pub prometheus: &'a Backend<Prometheus>,
    pub loki: &'a Backend<Loki>,
    pub real: Option<&'a RealPrometheus>,
    pub truth: &'a Truth,
}

impl Oracle<'_> {
    /// Waits until everything is where it should be, or says what is not.
    pub fn judge(&self) -> Result<()> {
        let truth = self.truth.acknowledged();
        ensure!(!truth.events.is_empty() && !truth.counters.is_empty(), "nothing was acknowledged");
        poll::until("the totals", DEADLINE, || {
            self.agent.ask(Request::Retry { name: None })?;
            let report = ["report", "--since", "1d", "--by", "project", "--json"];
            report_agrees(&self.agent.sandbox.json(&report)?, &truth)?;
            let status = self.agent.sandbox.json(&["status", "--json"])?;
            self.backends_agree(&status, &truth).with_context(|| status.to_string())
        })?;
        let violations = self.truth.violations();
        ensure!(violations.is_empty(), "{violations:?}");
        Ok(())
    }

    fn backends_agree(&self, status: &Value, truth: &Acknowledged) -> Result<()> {
        prometheus_agrees(&self.prometheus.rules(), truth)?;
        loki_agrees(&self.loki.rules(), truth)?;
        self.real.map_or(Ok(()), |real| real_prometheus_agrees(real, status, truth))?;
        self.books_balance(status, truth)
    }

    /// Everything meant for a destination was delivered, and nothing else is on its account.
    fn books_balance(&self, status: &Value, truth: &Acknowledged) -> Result<()> {
        let events = truth.events.len() as u64;
        // A record of samples is a series in a tick; where it begins or was flat, two samples say so.
        let samples = self.prometheus.rules().samples();
        let records = &status["records"];
        let of = |name: &str| records[name].as_u64().unwrap_or(u64::MAX);
        ensure!(of("received") == of("stored") + of("duplicate") + of("unchanged"), "{records}");
        let meant = [("prometheus", samples.div_ceil(2)..=samples), ("loki", events..=events)];
        for (name, meant) in meant {
            let destinations = status["destinations"].as_array().context("no destinations")?;
            let books = destinations.iter().find(|it| it["name"] == name).context(name)?;
            let of = |name: &str| books[name].as_u64().unwrap_or(u64::MAX);
            ensure!(books["backlog"]["records"] == 0, "{name} has a backlog");
            ensure!(books["meant"] == books["delivered"], "{name}: {books}");
            for account in ["expired", "evicted", "compacted", "quarantined"] {
                ensure!(of(account) == 0, "{name}: {} {account}", of(account));
            }
            let delivered = of("delivered");
            ensure!(meant.contains(&delivered), "{name}: {delivered} of {meant:?} delivered");
        }
        Ok(())
    }
}

fn report_agrees(report: &Value, truth: &Acknowledged) -> Result<()> {
    for row in report["rows"].as_array().context("no rows")? {
        let project = row["project"].as_str().with_context(|| format!("no project: {row}"))?;
        facts_agree(row, |of| of == project, truth).context(project.to_owned())?;
    }
    facts_agree(&report["total"], |_| true, truth)?;
    let requests = report["total"]["requests"].as_u64();
    ensure!(requests == Some(truth.events.len() as u64), "report: {requests:?} requests");
    Ok(())
}

/// Cost and tokens of some projects.
fn facts_agree(facts: &Value, of: impl Fn(&str) -> bool, truth: &Acknowledged) -> Result<()> {
    let sum = |which: &dyn Fn(Key) -> bool| -> f64 {
        let counters = truth.counters.iter();
        let counters = counters.filter(|((project, key), _)| of(project) && which(*key));
        counters.map(|(_, value)| value).sum()
    };
    let (cost, expected) =
        (facts["cost_usd"].as_f64().context("no cost_usd")?, sum(&|key| key.0 == Counter::Cost));
    ensure!((cost - expected).abs() < EXACT, "report: {cost} USD instead of {expected}");
    for kind in ["input", "output"] {
        let tokens = facts["tokens"][kind].as_f64().context("no tokens")?;
        let expected = sum(&|key| key.2 == kind);
        ensure!(tokens == expected, "report: {tokens} {kind} tokens instead of {expected}");
    }
    Ok(())
}

fn prometheus_agrees(prometheus: &Prometheus, truth: &Acknowledged) -> Result<()> {
    ensure!(prometheus.faults.is_empty(), "Prometheus: {:?}", prometheus.faults);
    let mut expected: BTreeMap<_, f64> = BTreeMap::new();
    for ((project, (counter, model, kind)), value) in &truth.counters {
        let key = [counter.in_prometheus(), project, model, kind].map(str::to_owned);
        expected.insert(key, *value);
    }
    let mut instances = Vec::new();
    for (labels, samples) in prometheus.claude_codes() {
        let label = |name: &str| label(labels, name);
        instances.push(label("instance"));
        ensure!(label("team") == TEAM && label("session_id").is_empty(), "{labels:?}");
        let key = ["__name__", "project", "model", "type"].map(label);
        let expected = expected.remove(&key).with_context(|| format!("not sent: {labels:?}"))?;
        series_agrees(samples, expected).with_context(|| format!("{labels:?}"))?;
    }
    expected.retain(|_, value| *value != 0.0);
    ensure!(expected.is_empty(), "Prometheus lacks {expected:?}");
    instances.dedup();
    ensure!(instances.len() == 1, "several instances: {instances:?}");
    Ok(())
}

/// Killed again and again, it keeps what it acknowledged; what it says now is the truth.
fn real_prometheus_agrees(
    prometheus: &RealPrometheus,
    status: &Value,
    truth: &Acknowledged,
) -> Result<()> {
    for ((project, (counter, model, kind)), expected) in &truth.counters {
        let series = format!(
            "{}{{project=\"{project}\", model=\"{model}\", type=\"{kind}\"}}[1h]",
            counter.in_prometheus()
        );
        let query = format!("last_over_time({series}) - min_over_time({series})");
        let rows = prometheus.query(&query)?;
        ensure!(
            rows.len() == 1 && (rows[0].value - expected).abs() < EXACT,
            "{query}: {rows:?} instead of {expected}"
        );
        let resets = format!("resets({series}) > 0");
        ensure!(prometheus.query(&resets)?.is_empty(), "{resets}");
    }
    let destinations = status["destinations"].as_array().context("no destinations")?;
    let books = destinations.iter().find(|it| it["name"] == REAL_PROMETHEUS);
    let books = books.context(REAL_PROMETHEUS)?;
    for account in ["expired", "evicted", "compacted", "quarantined"] {
        ensure!(books[account] == 0, "{REAL_PROMETHEUS}: {} {account}", books[account]);
    }
    ensure!(books["backlog"]["records"] == 0, "{REAL_PROMETHEUS} has a backlog");
    Ok(())
}

/// Starts with 0, ends with the truth, and only rises. That times rise is a rule of the stand-in's.
fn series_agrees(samples: &[(i64, f64)], expected: f64) -> Result<()> {
    let (first, last) = (samples.first().context("empty")?.1, samples.last().context("empty")?.1);
    ensure!(first == 0.0, "starts with {first}");
    ensure!((last - expected).abs() < EXACT, "ends with {last} instead of {expected}");
    let falls = samples.windows(2).find(|pair| pair[0].1 > pair[1].1 || pair[0].0 >= pair[1].0);
    ensure!(falls.is_none(), "falls: {falls:?}");
    Ok(())
}

fn label(labels: &Labels, name: &str) -> String {
    let found = labels.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

fn loki_agrees(loki: &Loki, truth: &Acknowledged) -> Result<()> {
    ensure!(loki.refusals.is_empty(), "Loki refused: {:?}", loki.refusals);
    let found = loki.request_ids();
    let twice = found.iter().find(|(_, count)| **count != 1);
    ensure!(twice.is_none(), "in Loki not once: {twice:?}");
    let unsent = found.keys().find(|id| !truth.events.contains(*id));
    ensure!(unsent.is_none(), "in Loki, and nobody sent it: {unsent:?}");
    let missing = truth.events.iter().filter(|id| !found.contains_key(*id)).count();
    ensure!(missing == 0, "Loki lacks {missing} of {} events", truth.events.len());
    Ok(())
}
