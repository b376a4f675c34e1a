//! `ccotel stack` from `up` to `reset`, with real servers in the containers' place (`containers.rs`).

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::containers::{self, Engine};
use crate::harness::cases::Case;
use crate::harness::programs::Program;
use crate::harness::sandbox::Sandbox;
use crate::harness::{addresses, http, poll};
use crate::tools::on_path;

const ARRIVAL: Duration = Duration::from_mins(1);
const PORTS: [&str; 10] = [
    "GRAFANA_PORT",
    "PROMETHEUS_PORT",
    "LOKI_PORT",
    "VICTORIAMETRICS_PORT",
    "VICTORIALOGS_PORT",
    "COLLECTOR_GRPC_PORT",
    "COLLECTOR_HTTP_PORT",
    "COLLECTOR_METRICS_PORT",
    "COLLECTOR_HEALTH_PORT",
    "PROMETHEUS_SCRAPE_PORT",
];

pub fn trials() -> Vec<Trial> {
    let loki = crate::harness::loki::Loki::which();
    let case = |name: &str, run: fn() -> Result<()>| {
        let missing: Vec<&str> =
            containers::NEEDS.into_iter().filter(|program| on_path(program).is_none()).collect();
        if missing.is_empty() {
            return Case::new(format!("{name} [{loki}]"), &[Program::Prometheus], run).into_trial();
        }
        let name = format!("{name} (needs {} on PATH)", missing.join(", "));
        Trial::test(name, || Ok(())).with_ignored_flag(true)
    };
    vec![
        case("stack_from_up_to_reset", from_up_to_reset),
        case("stack_up_names_the_server_that_does_not_come", one_does_not_come),
    ]
}

struct World {
    engine: Engine,
    sandbox: Sandbox,
    /// Somebody else's, on the port that Grafana is to have.
    taken: TcpListener,
}

impl World {
    fn new(broken: &'static str) -> Result<Self> {
        let sandbox = Sandbox::new()?;
        let engine = Engine::start(sandbox.home().join("engine"), broken)?;
        let taken = TcpListener::bind("127.0.0.1:0")?;
        let stack = sandbox.data_dir().join("stack");
        fs::create_dir_all(&stack)?;
        let mut settings = String::new();
        for name in PORTS {
            let free = addresses::free_address()?.port();
            let port = if name == "GRAFANA_PORT" { taken.local_addr()?.port() } else { free };
            writeln!(settings, "{name}={port}")?;
        }
        fs::write(stack.join(".env"), settings)?;
        Ok(Self { engine, sandbox, taken })
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.sandbox.ccotel(&[&["stack"], arguments].concat());
        self.engine.give(&mut command);
        Ok(command.stdin(Stdio::null()).output()?)
    }

    fn says(&self, arguments: &[&str], code: i32, words: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        let ended = output.status.code();
        ensure!(ended == Some(code), "stack {arguments:?} ended with {ended:?}: {said}");
        for word in words {
            ensure!(said.contains(word), "stack {arguments:?}: {word:?} is not in: {said}");
        }
        println!("$ ccotel stack {}\n{said}", arguments.join(" "));
        Ok(said)
    }

    fn status(&self) -> Result<Value> {
        let output = self.run(&["status", "--json"])?;
        serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))
    }

    /// One export of a session: a counter and an event.
    fn session(&self) -> Result<()> {
        self.sandbox.start_agent()?;
        let address = self.sandbox.agent_address()?;
        let now_ns = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
        let text =
            |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
        let resource = json!({ "attributes": [text("service.name", "claude-code")] });
        let point = json!({
            "attributes": [text("model", "m"), text("session.id", "s")], "asDouble": 0.5,
            "startTimeUnixNano": now_ns.to_string(), "timeUnixNano": now_ns.to_string(),
        });
        let sum =
            json!({ "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [point] });
        let metric = json!({ "name": "claude_code.cost.usage", "unit": "USD", "sum": sum });
        let metrics = json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [
            { "scope": { "name": "com.anthropic.claude_code" }, "metrics": [metric] },
        ] }] });
        let record = json!({
            "timeUnixNano": now_ns.to_string(), "body": { "stringValue": "claude_code.user_prompt" },
            "attributes": [text("event.name", "user_prompt"), text("session.id", "s")],
        });
        let logs = json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [
            { "scope": { "name": "com.anthropic.claude_code.events" }, "logRecords": [record] },
        ] }] });
        for (path, body) in [("metrics", metrics), ("logs", logs)] {
            let url = format!("http://{address}/v1/{path}");
            let headers = [("content-type", "application/json")];
            let (status, answer) = http::post(&url, &headers, body.to_string().into_bytes())?;
            ensure!(status == 200, "{status}: {answer}");
        }
        Ok(())
    }

    /// All that was sent is in the servers, by their own word and by `status`.
    fn arrived(&self) -> Result<()> {
        poll::until("what was sent", ARRIVAL, || {
            let status = self.status()?;
            let arrived = &status["arrived_within_a_day"];
            ensure!(arrived["series"].as_u64().is_some_and(|count| count > 0), "{status}");
            // The stand-in takes what is pushed, and answers no query.
            let has_events = arrived["events"].as_u64().is_some_and(|count| count == 1);
            ensure!(has_events || Program::Loki.find().is_none(), "{status}");
            let destinations = self.sandbox.json(&["status", "--json"])?["destinations"].clone();
            for name in ["stack-prometheus", "stack-loki"] {
                let one =
                    destinations.as_array().into_iter().flatten().find(|it| it["name"] == name);
                let one = one.with_context(|| format!("no {name}: {destinations}"))?;
                ensure!(one["state"] == "ok" || one["state"] == "idle", "{one}");
                ensure!(one["backlog"]["records"] == 0, "{one}");
            }
            Ok(())
        })
    }
}

fn from_up_to_reset() -> Result<()> {
    let world = World::new("")?;
    let taken: SocketAddr = world.taken.local_addr()?;
    let moved = format!("port {} is taken", taken.port());
    let done =
        ["written to", "stack-prometheus, stack-loki", "Grafana: http://127.0.0.1:", "password"];
    world.says(&["up"], 0, &[&[moved.as_str()], &done[..]].concat())?;
    let config = fs::read_to_string(world.sandbox.config_dir().join("config.toml"))?;
    ensure!(config.matches("name = \"stack-").count() == 2, "{config}");

    world.session()?;
    world.arrived()?;
    world.says(&["status"], 0, &["prometheus", "loki", "grafana", "ready", "within a day"])?;

    // Ports and destinations stay, and so does what was stored.
    world.says(&["restart"], 0, &["runs again"])?;
    world.arrived()?;
    let again = world.says(&["up"], 0, &["Grafana: "])?;
    ensure!(!again.contains("is taken") && !again.contains("written to"), "{again}");
    ensure!(fs::read_to_string(world.sandbox.config_dir().join("config.toml"))? == config);

    world.says(&["down"], 0, &["stays"])?;
    world.says(&["status"], 1, &["nothing answers on 127.0.0.1:"])?;
    world.says(&["up"], 0, &["Grafana: "])?;
    world.arrived()?;
    world.says(&["reset"], 1, &["nothing was changed", "--yes"])?;
    ensure!(world.status()?["running"] == true, "it runs on");
    world.says(&["reset", "--yes"], 0, &["empty"])?;
    world.says(&["up"], 0, &["Grafana: "])?;
    ensure!(world.status()?["arrived_within_a_day"]["series"] == 0, "{}", world.status()?);
    world.engine.end()
}

fn one_does_not_come() -> Result<()> {
    let world = World::new("loki")?;
    world.says(
        &["up", "--wait", "1"],
        1,
        &["loki is not ready after 1 s: nothing answers on 127.0.0.1:", "compose logs", "stack"],
    )?;
    let config = fs::read_to_string(world.sandbox.config_dir().join("config.toml"))?;
    ensure!(!config.contains("stack-"), "nothing is connected that does not run: {config}");
    world.engine.end()
}
