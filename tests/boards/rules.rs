//! Every rule, asked as its server would evaluate it, and evaluated by vmalert.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::answers::{EXACT, Found};
use crate::dashboards::{root, text};
use crate::fortnight::Asker;
use crate::harness::programs::Program;
use crate::harness::{http, poll};
use crate::servers::Server;

/// Recording rules, budgets and alerts.
const RULES_MIN: usize = 15;
/// By vmalert, at first.
const EVALUATED: Duration = Duration::from_mins(1);

/// The rules unchanged, evaluated by vmalert over a VictoriaMetrics that holds the fortnight.
pub fn vmalert() -> Result<()> {
    let asker = Asker::new(Some(Program::VictoriaMetrics), None)?;
    asker.fill()?;
    let database = asker.counters.as_ref().context("no server of counters")?;
    let vmalert = Server::vmalert(database)?;
    let truth = asker.fortnight.truth().total.cost_usd;
    poll::until("all rules", EVALUATED, || {
        let answer = vmalert.json("/api/v1/rules", &[])?;
        for rule in loaded(&answer)? {
            ensure!(text(rule, "lastError").is_empty(), "{rule}");
            let is_evaluated = !text(rule, "lastEvaluation").starts_with("0001-");
            ensure!(is_evaluated, "not evaluated yet: {rule}");
        }
        // What a recording rule has written, as vmalert wrote it.
        let query = "sum(last_over_time(claude_code:cost_usd:growth30d[5m]))";
        let (status, body) = http::get(&database.url("/api/v1/query"), &[("query", query)])?;
        ensure!(status == 200, "{status}: {body}");
        let found = Found::read(&body, false, query.to_owned())?.sum;
        ensure!((found - truth).abs() < EXACT * truth, "{query} is {found}, not {truth}");
        Ok(())
    })
}

/// What `/api/v1/rules` lists; all of ours are among them.
fn loaded(answer: &Value) -> Result<Vec<&Value>> {
    let groups = answer["data"]["groups"].as_array().context("groups")?;
    let rules: Vec<&Value> =
        groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten()).collect();
    ensure!(rules.len() >= RULES_MIN, "only {} rules are loaded", rules.len());
    Ok(rules)
}

impl Asker {
    /// Every rule that Prometheus has loaded, asked at the fortnight's end.
    pub fn rules(&self) -> Result<()> {
        let prometheus = self.counters.as_ref().context("no server of counters")?;
        let answer = prometheus.json("/api/v1/rules", &[])?;
        let truth = self.fortnight.truth().total.cost_usd;
        for rule in loaded(&answer)? {
            let (name, query) = (text(rule, "name"), text(rule, "query"));
            let found = self.value(prometheus, "/api/v1/query", query)?;
            if text(rule, "type") == "recording" {
                ensure!(found.rows > 0, "{name} is empty: {query}");
            }
            if name == "claude_code:cost_usd:growth30d" {
                let sum = found.sum;
                ensure!((sum - truth).abs() < EXACT * truth, "{name} is {sum}, not {truth}");
            }
            let is_of_failing = found.asked.contains("backlog_oldest_seconds");
            ensure!(!is_of_failing || found.rows == 1, "{name}: {} rows", found.rows);
            println!("rule {name}: {} rows, {:?}", found.rows, found.sum);
        }
        Ok(())
    }

    /// Those of Loki's ruler; what they count in a minute is in a fortnight what the truth says.
    pub fn loki_rules(&self) -> Result<()> {
        let loki = self.events.as_ref().context("no Loki")?;
        let text = std::fs::read_to_string(root().join("grafana/alerts/loki/claude-code.yaml"))?;
        let facts = self.fortnight.truth().total;
        let truths = [facts.requests + facts.errors, facts.errors];
        let exprs: Vec<&str> =
            text.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
        ensure!(exprs.len() == truths.len(), "{exprs:?}");
        for (expr, truth) in exprs.iter().zip(truths) {
            let found = self.value(loki, "/loki/api/v1/query", &expr.replace("[1m]", "[14d]"))?;
            #[expect(clippy::cast_precision_loss, reason = "counts of a fortnight")]
            let truth = truth as f64;
            ensure!(found.sum == truth, "{expr} is {}, not {truth}", found.sum);
        }
        Ok(())
    }
}
