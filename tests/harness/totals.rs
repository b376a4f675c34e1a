//! The same totals, read from a report, from Prometheus and from Loki, and held against the truth.
//!
//! Each source knows its part: the counters have tokens, cost and commits; the events have prompts,
//! requests and tool results; a report has both, as far as it shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::loki::Loki;
use super::loki_rules::Entry;
use super::poll;
use super::prometheus::Prometheus;
use super::sandbox::{PROJECT, Sandbox, TEAM};
use super::scenario::check_cost;
use super::script::{ToolRuns, Truth, Usage};

/// Sampling, sending and a loaded machine.
const ARRIVAL_DEADLINE: Duration = Duration::from_mins(1);

/// The window of the recipe. No test takes as long.
const WINDOW: &str = "30m";

/// Labels that every series and stream of the sandbox has.
const TAGS: [(&str, &str); 2] = [("team", TEAM), ("project", PROJECT)];

/// Waits until `ccotel report` says the truth, by model and by project.
pub fn report_says(sandbox: &Sandbox, truth: &Truth) -> Result<()> {
    poll::until("the report", ARRIVAL_DEADLINE, || {
        let report = sandbox.json(&["report", "--since", "1d", "--by", "model", "--json"])?;
        let mut tokens = BTreeMap::new();
        for row in report["rows"].as_array().with_context(|| report.to_string())? {
            let usage = report_usage(row);
            if usage != Usage::default() {
                let model = row["model"].as_str().with_context(|| report.to_string())?;
                tokens.insert(model.to_owned(), usage);
            }
        }
        ensure!(tokens == truth.tokens, "{tokens:?} instead of {:?}", truth.tokens);

        let report = sandbox.json(&["report", "--since", "1d", "--by", "project", "--json"])?;
        let rows = report["rows"].as_array().with_context(|| report.to_string())?;
        let row = rows.iter().find(|row| row["project"] == PROJECT);
        let row = row.with_context(|| format!("no row for {PROJECT}: {report}"))?;
        check_report_row(row, truth).with_context(|| report.to_string())?;
        check_report_row(&report["total"], truth).with_context(|| report.to_string())?;

        let report = sandbox.json(&["report", "--since", "1d", "--by", "team", "--json"])?;
        let rows = report["rows"].as_array().with_context(|| report.to_string())?;
        ensure!(rows.len() == 1 && rows[0]["team"] == TEAM, "by team: {report}");
        Ok(())
    })
}

/// Waits until the counters of `ccotel report` are the truth, whatever events were cut off.
pub fn report_counters_say(sandbox: &Sandbox, truth: &Truth) -> Result<()> {
    poll::until("the report", ARRIVAL_DEADLINE, || {
        let report = sandbox.json(&["report", "--since", "1d", "--json"])?;
        check_counters(&report["total"], truth).with_context(|| report.to_string())
    })
}

fn check_counters(row: &Value, truth: &Truth) -> Result<()> {
    let usage = report_usage(row);
    ensure!(usage == truth.tokens_total(), "{usage:?} instead of {:?}", truth.tokens_total());
    check_cost(row["cost_usd"].as_f64().context("no cost_usd")?, truth)
}

fn check_report_row(row: &Value, truth: &Truth) -> Result<()> {
    check_counters(row, truth)?;
    let expected = [
        ("prompts", truth.prompts),
        ("requests", truth.requests_total()),
        ("errors", truth.refused),
        ("commits", truth.commits),
    ];
    for (name, count) in expected {
        ensure!(row[name].as_u64() == Some(count), "{name} is {} instead of {count}", row[name]);
    }
    Ok(())
}

fn report_usage(row: &Value) -> Usage {
    let of = |name: &str| row["tokens"][name].as_u64().unwrap_or_default();
    Usage::new(of("input"), of("output"), of("cache_read"), of("cache_creation"))
}

/// Waits until Prometheus has the truth: as the counters' values, and by the recipe for a range.
pub fn prometheus_says(sandbox: &Sandbox, prometheus: &Prometheus, truth: &Truth) -> Result<()> {
    poll::until("Prometheus", ARRIVAL_DEADLINE, || {
        // A report takes a sample now, instead of at the next tick.
        sandbox.run(&["report", "--json"])?;
        counters_say(prometheus, truth, str::to_owned)?;
        counters_say(prometheus, truth, recipe)
    })
    .with_context(|| destinations(sandbox))?;
    let rows = prometheus.query(r#"{__name__=~"claude_code_.+", session_id!=""}"#)?;
    ensure!(rows.is_empty(), "a series by session: {rows:?}");
    let rows = prometheus.query(r#"count by (instance) ({__name__=~"claude_code_.+"})"#)?;
    ensure!(rows.len() == 1 && !rows[0].labels["instance"].is_empty(), "{rows:?}");
    Ok(())
}

/// Waits until the recipe for a range gives the truth, whatever the counters' values.
pub fn prometheus_grew_by(sandbox: &Sandbox, prometheus: &Prometheus, truth: &Truth) -> Result<()> {
    poll::until("Prometheus", ARRIVAL_DEADLINE, || {
        sandbox.run(&["report", "--json"])?;
        counters_say(prometheus, truth, recipe)
    })
    .with_context(|| destinations(sandbox))
}

/// What the agent says about them, for who reads a failure.
fn destinations(sandbox: &Sandbox) -> String {
    let status = sandbox.json(&["status", "--json"]).unwrap_or_default();
    format!("destinations: {}, warnings: {}", status["destinations"], status["warnings"])
}

/// Exact for a range, whatever was idle or offline in it.
fn recipe(metric: &str) -> String {
    format!(
        "last_over_time({metric}[{WINDOW}]) - \
         (last_over_time({metric}[13h] offset {WINDOW}) or min_over_time({metric}[{WINDOW}]))"
    )
}

#[expect(clippy::cast_precision_loss, reason = "scripted counts are small")]
fn counters_say(
    prometheus: &Prometheus,
    truth: &Truth,
    expression: impl Fn(&str) -> String,
) -> Result<()> {
    let tags: Vec<String> =
        TAGS.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let of = |name: &str| expression(&format!("{name}{{{}}}", tags.join(",")));

    let query = format!("sum by (model, type) ({})", of("claude_code_token_usage_tokens_total"));
    let mut found: BTreeMap<(String, String), f64> = BTreeMap::new();
    for row in prometheus.query(&query)? {
        let label = |name: &str| row.labels.get(name).cloned().unwrap_or_default();
        found.insert((label("model"), label("type")), row.value);
    }
    found.retain(|_, value| *value != 0.0);
    let mut expected = BTreeMap::new();
    for (model, usage) in &truth.tokens {
        for (kind, tokens) in usage.by_type().into_iter().filter(|(_, tokens)| *tokens > 0) {
            expected.insert((model.clone(), kind.to_owned()), tokens as f64);
        }
    }
    ensure!(found == expected, "{query}: {found:?} instead of {expected:?}");

    let query = format!("sum({})", of("claude_code_cost_usage_USD_total"));
    check_cost(single(prometheus, &query)?, truth).context(query)?;
    let query = format!("sum({})", of("claude_code_commit_count_total"));
    let commits = single(prometheus, &query)?;
    ensure!(commits == truth.commits as f64, "{query}: {commits} instead of {}", truth.commits);
    Ok(())
}

/// A sum over nothing is 0.
fn single(prometheus: &Prometheus, query: &str) -> Result<f64> {
    Ok(prometheus.query(query)?.first().map_or(0.0, |row| row.value))
}

/// Waits until Loki has every event of the truth, once.
pub fn loki_says(loki: &Loki, truth: &Truth) -> Result<()> {
    poll::until("Loki", ARRIVAL_DEADLINE, || {
        let entries = loki.entries(&TAGS)?;
        let named = |name: &'static str| {
            entries.iter().filter(move |entry| entry.field("event_name") == Some(name))
        };
        let count = |name| named(name).count() as u64;
        ensure!(count("user_prompt") == truth.prompts, "prompts: {:?}", by_name(&entries));
        ensure!(count("api_error") == truth.refused, "errors: {:?}", by_name(&entries));

        let (mut tokens, mut requests, mut cost_usd) = (BTreeMap::new(), BTreeMap::new(), 0.0);
        for entry in named("api_request") {
            let model = entry.field("model").context("a request without a model")?.to_owned();
            let usage: &mut Usage = tokens.entry(model.clone()).or_default();
            usage.add(entry_usage(entry)?);
            *requests.entry(model).or_insert(0) += 1;
            cost_usd += number::<f64>(entry, "cost_usd")?;
        }
        ensure!(tokens == truth.tokens, "{tokens:?} instead of {:?}", truth.tokens);
        ensure!(requests == truth.requests, "{requests:?} instead of {:?}", truth.requests);
        check_cost(cost_usd, truth)?;

        let mut tools: BTreeMap<String, ToolRuns> = BTreeMap::new();
        for entry in named("tool_result") {
            let tool = entry.field("tool_name").context("a tool result without a tool")?;
            let runs = tools.entry(tool.to_owned()).or_default();
            let succeeded = entry.field("success") == Some("true");
            *(if succeeded { &mut runs.succeeded } else { &mut runs.failed }) += 1;
        }
        ensure!(tools == truth.tools, "{tools:?} instead of {:?}", truth.tools);
        ensure!(entries.iter().all(|entry| entry.field("service_instance_id").is_some()));
        Ok(())
    })
}

/// Waits until Loki has as many prompts and requests as the report: what was acknowledged, where
/// some events were cut off before they were.
pub fn loki_agrees_with_report(sandbox: &Sandbox, loki: &Loki) -> Result<()> {
    poll::until("Loki", ARRIVAL_DEADLINE, || {
        let report = sandbox.json(&["report", "--since", "1d", "--json"])?;
        let entries = loki.entries(&TAGS)?;
        for (key, event) in [("prompts", "user_prompt"), ("requests", "api_request")] {
            let found = by_name(&entries).get(event).copied().unwrap_or_default();
            let expected = report["total"][key].as_u64();
            ensure!(expected == Some(found), "{found} of {event}, and {report}");
        }
        Ok(())
    })
}

fn by_name(entries: &[Entry]) -> BTreeMap<&str, u64> {
    entries.iter().fold(BTreeMap::new(), |mut counts, entry| {
        *counts.entry(entry.field("event_name").unwrap_or("none")).or_default() += 1;
        counts
    })
}

fn entry_usage(entry: &Entry) -> Result<Usage> {
    Ok(Usage::new(
        number(entry, "input_tokens")?,
        number(entry, "output_tokens")?,
        number(entry, "cache_read_tokens")?,
        number(entry, "cache_creation_tokens")?,
    ))
}

fn number<T: std::str::FromStr>(entry: &Entry, field: &str) -> Result<T> {
    let text = entry.field(field).with_context(|| format!("no {field} in {entry:?}"))?;
    text.parse().ok().with_context(|| format!("{field} is {text:?}"))
}
