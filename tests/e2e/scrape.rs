//! Scraped instead of written to: the stack's own `prometheus-scrape.yml`, a real Prometheus, and what is
//! lost by it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::Case;
use crate::harness::programs::Program;
use crate::harness::prometheus::Prometheus;
use crate::harness::sandbox::Sandbox;
use crate::harness::{http, poll};

const COST: &str = "claude_code_cost_usage_USD_total";
/// No test takes as long.
const WINDOW: &str = "10m";
/// Scrapes are a second apart, and a machine may be busy.
const SEEN: Duration = Duration::from_mins(1);
const EXACT_USD: f64 = 1e-9;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "scraped_totals_are_exact_and_what_is_lost_is_known",
            &[Program::Prometheus],
            scraped,
        ),
        Case::new("a_container_scrapes_by_the_name_that_it_has_for_this_machine", &[], by_name),
    ]
}

/// Processes of Claude Code that each export one counter, by model.
struct Machine {
    sandbox: Sandbox,
    /// Dollars so far.
    spent: BTreeMap<String, f64>,
    begun_ns: u128,
}

impl Machine {
    fn new() -> Result<Self> {
        let sandbox = Sandbox::new()?;
        sandbox.start_agent()?;
        let begun_ns = now_ns()?;
        Ok(Self { sandbox, spent: BTreeMap::new(), begun_ns })
    }

    fn spend(&mut self, model: &str, dollars: f64) -> Result<()> {
        let total = self.spent.entry(model.to_owned()).or_default();
        *total += dollars;
        let attribute =
            |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
        let point = json!({
            "attributes": [attribute("model", model), attribute("session.id", model)],
            "startTimeUnixNano": self.begun_ns.to_string(), "timeUnixNano": now_ns()?.to_string(),
            "asDouble": *total,
        });
        let sum =
            json!({ "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [point] });
        let metric = json!({ "name": "claude_code.cost.usage", "unit": "USD", "sum": sum });
        let scope =
            json!({ "scope": { "name": "com.anthropic.claude_code" }, "metrics": [metric] });
        let resource = json!({ "attributes": [attribute("service.name", "claude-code")] });
        let body =
            json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [scope] }] });
        let url = format!("http://{}/v1/metrics", self.sandbox.agent_address()?);
        let json = [("content-type", "application/json")];
        let (status, answer) = http::post(&url, &json, body.to_string().into_bytes())?;
        ensure!(status == 200, "{status}: {answer}");
        Ok(())
    }

    fn truth(&self) -> f64 {
        self.spent.values().sum()
    }

    /// The stack's own configuration, faster, and with this machine's address and token.
    fn prometheus(&self, scraper: &str, handed_on_to: &str) -> Result<Prometheus> {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/stack/prometheus-scrape.yml");
        let targets = self.sandbox.home().join("targets.json");
        let address = self.sandbox.agent_address()?;
        std::fs::write(&targets, json!([{ "targets": [address.to_string()] }]).to_string())?;
        let mut config = std::fs::read_to_string(file)?;
        for (theirs, ours) in [
            ("scrape_interval: 15s", "scrape_interval: 1s".to_owned()),
            ("/run/ccotel.token", self.sandbox.paths().token_file().display().to_string()),
            ("/etc/prometheus/scrape-targets.json", targets.display().to_string()),
            ("scraper: [stack]", format!("scraper: [{scraper}]")),
            ("http://127.0.0.1:9090/api/v1/write", handed_on_to.to_owned()),
        ] {
            ensure!(config.contains(theirs), "{file} does not say {theirs}");
            config = config.replace(theirs, &ours);
        }
        Prometheus::start_scraping(config)
    }
}

fn now_ns() -> Result<u128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())
}

fn sum(prometheus: &Prometheus, query: &str) -> Result<f64> {
    Ok(prometheus.query(query)?.first().map_or(0.0, |row| row.value))
}

/// As the boards ask.
fn recipe(prometheus: &Prometheus) -> Result<f64> {
    let (x, w) = (COST, WINDOW);
    sum(
        prometheus,
        &format!(
            "sum(last_over_time({x}[{w}]) - (last_over_time({x}[13h] offset {w}) or min_over_time({x}[{w}])))"
        ),
    )
}

/// All that was spent is in the newest scrape.
fn has_all(prometheus: &Prometheus, machine: &Machine) -> Result<()> {
    poll::until("Prometheus' newest scrape", SEEN, || {
        let found = sum(prometheus, &format!("sum(last_over_time({COST}[1m]))"))?;
        let truth = machine.truth();
        ensure!((found - truth).abs() < EXACT_USD, "{found}, not {truth}");
        Ok(())
    })
}

/// Until a scrape has had the agent's page at all.
fn scrapes(prometheus: &Prometheus) -> Result<()> {
    poll::until("a first scrape", SEEN, || {
        ensure!(sum(prometheus, "sum(up)")? > 0.5, "the target is down");
        Ok(())
    })
}

fn says(what: &str, prometheus: &Prometheus, truth: f64) -> Result<f64> {
    let found = recipe(prometheus)?;
    let increase = sum(prometheus, &format!("sum(increase({COST}[{WINDOW}]))"))?;
    let percent = |found: f64| 100.0 * (found - truth) / truth;
    println!(
        "{what:<44} truth {truth:.4}  recipe {found:.4} ({:+.3} %)  increase() {increase:.4} ({:+.2} %)",
        percent(found),
        percent(increase)
    );
    Ok(found)
}

fn scraped() -> Result<()> {
    let mut machine = Machine::new()?;
    let (third, fourth) = (Prometheus::start()?, Prometheus::start()?);
    let mut first = machine.prometheus("a", &third.write_url())?;
    let second = machine.prometheus("b", &fourth.write_url())?;
    scrapes(&first)?;
    scrapes(&second)?;

    // A session of some length, and twenty that export once: series that begin with all they are worth.
    for dollars in [0.25, 0.5, 0.25] {
        machine.spend("long", dollars)?;
        has_all(&first, &machine)?;
    }
    for number in 0..20 {
        machine.spend(&format!("short-{number}"), 0.0625)?;
    }
    exact("sessions, seen by one of two", &first, &machine)?;
    exact("the same, seen by the other", &second, &machine)?;
    exact("handed on by it to the one that Grafana asks", &fourth, &machine)?;

    machine.sandbox.run(&["agent", "restart"])?;
    machine.spend("long", 0.5)?;
    machine.spend("after the restart", 0.125)?;
    exact("after the agent was restarted", &first, &machine)?;

    first.stop();
    machine.spend("long", 0.25)?;
    machine.spend("while nobody looked", 0.5)?;
    first.start_again()?;
    exact("after Prometheus was away", &first, &machine)?;

    // What is lost: a series that is new while nobody scrapes, and is not new any more after a restart.
    first.stop();
    let lost = 0.0625;
    machine.spend("new, and then old", lost)?;
    machine.sandbox.run(&["agent", "restart"])?;
    first.start_again()?;
    has_all(&first, &machine)?;
    let found = says("both away, and a new series between", &first, machine.truth())?;
    ensure!((found - (machine.truth() - lost)).abs() < EXACT_USD, "{found}");
    Ok(())
}

fn exact(what: &str, prometheus: &Prometheus, machine: &Machine) -> Result<()> {
    has_all(prometheus, machine)?;
    let found = says(what, prometheus, machine.truth())?;
    ensure!((found - machine.truth()).abs() < EXACT_USD, "{what}: {found}");
    Ok(())
}

/// `[agent] allowed_hosts`, and the token: as from a container on macOS.
fn by_name() -> Result<()> {
    let machine = Machine::new()?;
    let address = machine.sandbox.agent_address()?;
    let token = std::fs::read_to_string(machine.sandbox.paths().token_file())?;
    let bearer = format!("Bearer {}", token.trim());
    let name = format!("host.docker.internal:{}", address.port());
    let status = |host: &str| -> Result<u16> {
        let headers = [("host", host), ("authorization", bearer.as_str())];
        Ok(http::get_with(&format!("http://{address}/metrics"), &[], &headers)?.0)
    };
    ensure!(status(&name)? == 403, "a name that nobody allowed");
    let file = machine.sandbox.config_dir().join("config.toml");
    let config = std::fs::read_to_string(&file)?;
    let allowed =
        config.replace("[agent]\n", "[agent]\nallowed_hosts = [\"host.docker.internal\"]\n");
    ensure!(allowed != config, "{config}");
    std::fs::write(&file, &allowed)?;
    poll::until("the name is allowed", SEEN, || {
        let status = status(&name)?;
        ensure!(status == 200, "{status}");
        Ok(())
    })?;
    ensure!(status("evil.example")? == 403, "another name");
    let shown = machine.sandbox.json(&["config", "show", "--json"])?;
    let said = shown.to_string();
    ensure!(
        said.contains("agent.allowed_hosts") && said.contains("host.docker.internal"),
        "{said}"
    );
    std::fs::write(&file, config)?;
    poll::until("the name is no longer allowed", SEEN, || {
        let status = status(&name)?;
        ensure!(status == 403, "{status}");
        Ok(())
    })?;
    let shown: Value = machine.sandbox.json(&["config", "show", "--json"])?;
    shown["values"]
        .as_array()
        .or(shown["entries"].as_array())
        .map(drop)
        .with_context(|| shown.to_string())
}
