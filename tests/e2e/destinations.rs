//! Backends that come later, and backends that go away.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::Case;
use crate::harness::claude::{self, HAIKU, SONNET, print_arguments};
use crate::harness::loki::Loki;
use crate::harness::mock_api::MockApi;
use crate::harness::poll;
use crate::harness::programs::Program;
use crate::harness::prometheus::{Prometheus, Row};
use crate::harness::sandbox::Sandbox;
use crate::harness::{scenario, totals};

/// They follow the series at once.
const OWN_DEADLINE: Duration = Duration::from_mins(1);
const NEEDS: &[Program] = &[Program::Claude, Program::Prometheus];

pub fn cases() -> Vec<Case> {
    let named = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("{name} [{}]", Loki::which()), NEEDS, run)
    };
    vec![
        named("connected_since_now_shows_only_what_follows", since_now),
        named("connected_since_all_shows_everything", since_all),
        named("what_happened_while_backends_were_down_arrives", outage),
    ]
}

fn since_now() -> Result<()> {
    let (api, sandbox) = (MockApi::start(scenario::script()), Sandbox::new()?);
    session(&sandbox, &api, SONNET, &scenario::FRESH)?;
    totals::report_says(&sandbox, &scenario::fresh_truth())?;

    let (prometheus, loki) = connected(&sandbox, "now")?;
    session(&sandbox, &api, HAIKU, &scenario::RESUMED)?;
    totals::prometheus_grew_by(&sandbox, &prometheus, &scenario::resumed_truth())?;
    own_metrics_arrive(&prometheus)?;
    totals::loki_says(&loki, &scenario::resumed_truth())
}

fn since_all() -> Result<()> {
    let (api, sandbox) = (MockApi::start(scenario::script()), Sandbox::new()?);
    session(&sandbox, &api, SONNET, &scenario::FRESH)?;
    totals::report_says(&sandbox, &scenario::fresh_truth())?;

    let (prometheus, loki) = connected(&sandbox, "all")?;
    session(&sandbox, &api, HAIKU, &scenario::RESUMED)?;
    let mut truth = scenario::fresh_truth();
    truth.add(&scenario::resumed_truth());
    totals::prometheus_says(&sandbox, &prometheus, &truth)?;
    totals::loki_says(&loki, &truth)
}

/// Both backends are killed for the whole of a session.
fn outage() -> Result<()> {
    let (api, sandbox) = (MockApi::start(scenario::script()), Sandbox::new()?);
    let (mut prometheus, mut loki) = connected(&sandbox, "now")?;
    prometheus.stop();
    loki.stop();
    session(&sandbox, &api, SONNET, &scenario::FRESH)?;
    totals::report_says(&sandbox, &scenario::fresh_truth())?;
    let status = sandbox.json(&["status", "--json"])?;
    let destinations = status["destinations"].as_array().with_context(|| status.to_string())?;
    ensure!(destinations.len() == 2, "{status}");
    for destination in destinations {
        ensure!(destination["backlog"]["records"].as_u64() > Some(0), "nothing waits: {status}");
    }

    prometheus.start_again()?;
    loki.start_again()?;
    sandbox.run(&["retry"])?;
    totals::prometheus_says(&sandbox, &prometheus, &scenario::fresh_truth())?;
    totals::loki_says(&loki, &scenario::fresh_truth())
}

/// The agent's own, beside the series.
fn own_metrics_arrive(prometheus: &Prometheus) -> Result<()> {
    poll::until("the agent's own metrics", OWN_DEADLINE, || {
        let rows = prometheus.query("ccotel_destination_delivered_records_total")?;
        let about = |row: &Row| {
            row.labels.get("destination").is_some_and(|it| it.starts_with("prometheus-"))
        };
        ensure!(rows.iter().any(about), "{rows:?}");
        ensure!(rows.iter().all(|row| row.labels["job"] == "ccotel"), "{rows:?}");
        Ok(())
    })
}

fn session(sandbox: &Sandbox, api: &MockApi, model: &str, prompts: &[&str]) -> Result<()> {
    claude::session(sandbox.claude(api, &print_arguments(model, &[])), prompts).map(drop)
}

fn connected(sandbox: &Sandbox, since: &str) -> Result<(Prometheus, Loki)> {
    let (prometheus, loki) = (Prometheus::start()?, Loki::start()?);
    sandbox.run(&["connect", "prometheus", &prometheus.write_url(), "--since", since])?;
    sandbox.run(&["connect", "loki", &loki.push_url(), "--since", since])?;
    Ok((prometheus, loki))
}
