//! What `ccotel stack status` shows, for people and as JSON.

use serde_json::{Value, json};

use crate::cli::{say, say_wrapped};
use crate::exit::Exit;
use crate::paths::Paths;
use crate::stack::health;
use crate::stack::settings::Settings;

const USER: &str = "admin";

pub fn status(paths: &Paths, as_json: bool) -> anyhow::Result<Exit> {
    let Some(settings) = Settings::read(&paths.stack_dir())? else {
        if as_json {
            say(&json!({ "schema": 1, "written": false, "running": false }).to_string());
        } else {
            say_wrapped("There is no stack; `ccotel stack up` makes one.");
        }
        return Ok(Exit::Failed);
    };
    let services: Vec<_> = health::services(&settings)
        .into_iter()
        .map(|service| {
            let state = service.ready();
            (service, state)
        })
        .collect();
    let arrived = health::arrived(&settings);
    let well = services.iter().all(|(_, state)| state.is_ok());
    let running = services.iter().any(|(_, state)| state.is_ok());
    if as_json {
        let list: Vec<Value> = services
            .iter()
            .map(|(service, state)| json!({
                "name": service.name, "url": service.url(), "ready": state.is_ok(), "why": state.clone().err(),
            }))
            .collect();
        say(&json!({
            "schema": 1, "written": true, "running": running, "directory": paths.stack_dir(),
            "profiles": settings.profiles(), "services": list,
            "grafana": { "user": user(&settings), "password": settings.get("GRAFANA_ADMIN_PASSWORD") },
            "arrived_within_a_day": arrived,
        }).to_string());
    } else {
        for (service, state) in &services {
            let words = state.as_ref().map_or_else(Clone::clone, |()| "ready".to_owned());
            say_wrapped(&format!("{:<18} {:<24} {words}", service.name, service.url()));
        }
        addresses(&settings);
        for line in arrivals(&arrived) {
            say_wrapped(&line);
        }
    }
    Ok(if well { Exit::Done } else { Exit::Failed })
}

/// Where to go, and with which password.
pub fn addresses(settings: &Settings) {
    let password = settings.get("GRAFANA_ADMIN_PASSWORD").unwrap_or_default();
    let port = settings.port("GRAFANA_PORT");
    say(&format!(
        "Grafana: http://127.0.0.1:{port}   user {}   password {password}",
        user(settings)
    ));
}

fn user(settings: &Settings) -> &str {
    settings.get("GRAFANA_ADMIN_USER").unwrap_or(USER)
}

fn arrivals(arrived: &Value) -> Vec<String> {
    let words = |key: &str, what: &str, kind: &str| match arrived[key].as_u64() {
        Some(0) => format!(
            "{what}: nothing arrived within a day; `ccotel status` says what waits, `ccotel connect {kind}` connects it"
        ),
        Some(count) => format!("{what}: {count} {key} within a day"),
        None => format!("{what}: cannot be asked"),
    };
    vec![words("series", "Prometheus", "prometheus"), words("events", "Loki", "loki")]
}
