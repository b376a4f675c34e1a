//! All that Claude Code can be made to send, by name: each metric in Prometheus, each event in Loki.
//!
//! Three sessions and a few commands provoke it: a printed one with prompts of every kind
//! (`everything/house.rs`), one in a terminal, and one that is traced in detail. What cannot be provoked
//! here is listed with the reason, and so is docs/reference.md; both lists together are all events that
//! ccotel knows.

mod house;
mod tools_server;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccotel::record::attributes::EVENTS;

use self::house::House;
use crate::Case;
use crate::harness::loki::Loki;
use crate::harness::poll;
use crate::harness::programs::Program;

/// As Claude Code has them, and as Prometheus does.
const METRICS: [(&str, &str); 8] = [
    ("claude_code.session.count", "claude_code_session_count_total"),
    ("claude_code.lines_of_code.count", "claude_code_lines_of_code_count_total"),
    ("claude_code.pull_request.count", "claude_code_pull_request_count_total"),
    ("claude_code.commit.count", "claude_code_commit_count_total"),
    ("claude_code.cost.usage", "claude_code_cost_usage_USD_total"),
    ("claude_code.token.usage", "claude_code_token_usage_tokens_total"),
    ("claude_code.code_edit_tool.decision", "claude_code_code_edit_tool_decision_total"),
    ("claude_code.active_time.total", "claude_code_active_time_seconds_total"),
];
/// Events, and why none of them can be had here.
const NOT_PROVOKED: [(&str, &str); 4] = [
    (
        "feedback_survey",
        "a survey comes by chance, after ten minutes and five prompts in a terminal",
    ),
    (
        "hook_plugin_metrics",
        "only of plugins from Anthropic's own marketplace, which is not on loopback",
    ),
    ("retention_sweep", "once a day, ten minutes after a session in a terminal began"),
    (
        "safety_event",
        "the sandbox and the classifier of auto mode, which the mock cannot be asked for",
    ),
];

/// Sampling, sending and a loaded machine.
const ARRIVAL: Duration = Duration::from_mins(1);

pub fn cases() -> Vec<Case> {
    let name = format!("all_metrics_and_all_events_arrive [{}]", Loki::which());
    vec![Case::new(name, &[Program::Claude, Program::Prometheus], arrive)]
}

fn arrive() -> Result<()> {
    let house = House::new()?;
    house.install_a_plugin()?;
    house.printed()?;
    house.in_a_terminal()?;
    house.traced_in_detail()?;
    metrics(&house)?;
    events(&house)
}

/// More than 0, each of them, and what the sessions certainly did.
fn metrics(house: &House) -> Result<()> {
    let done = [
        ("claude_code_session_count_total", 3.0),
        ("claude_code_commit_count_total", 1.0),
        ("claude_code_pull_request_count_total", 1.0),
        ("claude_code_code_edit_tool_decision_total{decision=\"accept\"}", 2.0),
        ("claude_code_code_edit_tool_decision_total{decision=\"reject\"}", 1.0),
        ("claude_code_lines_of_code_count_total{type=\"added\"}", 2.0),
    ];
    let sum = |of: &str| -> Result<f64> {
        let rows = house.prometheus.query(&format!("sum({of})"))?;
        Ok(rows.first().map_or(0.0, |row| row.value))
    };
    poll::until("all metrics in Prometheus", ARRIVAL, || {
        house.sandbox.run(&["report", "--json"])?; // takes a sample now
        for (_, name) in METRICS {
            ensure!(sum(name)? > 0.0, "no {name}");
        }
        for (of, truth) in done {
            let found = sum(of)?;
            ensure!((found - truth).abs() < f64::EPSILON, "{of} is {found}, not {truth}");
        }
        Ok(())
    })?;
    println!("\n{:<38} {:<46} {:>14}", "metric", "in Prometheus", "value");
    for (metric, name) in METRICS {
        println!("{metric:<38} {name:<46} {:>14.6}", sum(name)?);
    }
    Ok(())
}

fn events(house: &House) -> Result<()> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md"))?;
    for (name, why) in NOT_PROVOKED {
        let line = format!("- `{name}`: {why}");
        ensure!(page.contains(&line), "docs/reference.md does not say {line:?}");
    }
    let wanted: BTreeSet<&str> = EVENTS
        .iter()
        .copied()
        .filter(|event| !NOT_PROVOKED.iter().any(|it| it.0 == *event))
        .collect();
    let found = poll::until("all events in Loki", ARRIVAL, || {
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for entry in house.loki.entries(&[])? {
            let name = entry.field("event_name").context("an entry without a name")?;
            ensure!(entry.line == format!("claude_code.{name}"), "{entry:?}");
            *found.entry(name.to_owned()).or_default() += 1;
        }
        let missing: Vec<_> = wanted.iter().filter(|name| !found.contains_key(**name)).collect();
        ensure!(missing.is_empty(), "missing {missing:?}, there are {found:?}");
        let unknown: Vec<_> =
            found.keys().filter(|name| !EVENTS.contains(&name.as_str())).collect();
        ensure!(unknown.is_empty(), "unknown {unknown:?}");
        Ok(found)
    })?;
    println!("\n{:<28} {:>6}", "event", "in Loki");
    for (name, count) in &found {
        println!("{name:<28} {count:>6}");
    }
    for (name, why) in NOT_PROVOKED {
        println!("{name:<28} not provoked: {why}");
    }
    Ok(())
}
