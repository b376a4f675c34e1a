//! Whether each server answers, and whether data arrives.

use serde_json::{Value, json};

use super::ask;
use super::settings::Settings;

/// A server of the stack, and how it says that it is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub name: &'static str,
    pub port: u16,
    ready: &'static str,
}

/// Claude Code's sessions, and the agents' own word, of the last day.
const IN_PROMETHEUS: &str =
    "count(last_over_time({__name__=~\"claude_code_.*|ccotel_build_info\"}[1d]))";
const IN_LOKI: &str = "sum(count_over_time({service_name=~\"claude-code.*\"}[1d]))";

/// What is asked: the servers of the profiles that are on.
pub fn services(settings: &Settings) -> Vec<Service> {
    let all = [
        ("grafana", "GRAFANA_PORT", "/api/health", None),
        ("prometheus", "PROMETHEUS_PORT", "/-/ready", None),
        ("loki", "LOKI_PORT", "/ready", None),
        ("victoria-metrics", "VICTORIAMETRICS_PORT", "/health", Some("victoria")),
        ("victoria-logs", "VICTORIALOGS_PORT", "/health", Some("victoria")),
        ("collector", "COLLECTOR_HEALTH_PORT", "/", Some("collector")),
        ("prometheus-scrape", "PROMETHEUS_SCRAPE_PORT", "/-/ready", Some("scrape")),
        ("prometheus-scrape", "PROMETHEUS_SCRAPE_PORT", "/-/ready", Some("scrape-desktop")),
    ];
    all.into_iter()
        .filter(|(_, _, _, profile)| profile.is_none_or(|profile| settings.has_profile(profile)))
        .map(|(name, port, ready, _)| Service { name, port: settings.port(port), ready })
        .collect()
}

impl Service {
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Or why it is not.
    pub fn ready(&self) -> Result<(), String> {
        ask::get(self.port, self.ready, &[]).map(drop).map_err(|error| format!("{error:#}"))
    }
}

/// Series and events that arrived within a day; `None` where nobody answers.
pub fn arrived(settings: &Settings) -> Value {
    let series =
        ask::get(settings.port("PROMETHEUS_PORT"), "/api/v1/query", &[("query", IN_PROMETHEUS)]);
    let events = ask::get(settings.port("LOKI_PORT"), "/loki/api/v1/query", &[("query", IN_LOKI)]);
    json!({ "series": number(series), "events": number(events) })
}

/// An empty result is none, not unknown.
fn number(answer: anyhow::Result<String>) -> Option<u64> {
    let answer: Value = serde_json::from_str(&answer.ok()?).ok()?;
    let result = answer["data"]["result"].as_array()?;
    match result.first() {
        None => Some(0),
        Some(row) => row["value"][1].as_str()?.parse().ok(),
    }
}
