//! Claude Code's settings, in every layer.

use serde_json::{Value, json};

use crate::place::Place;
use crate::server::{self, Server};
use crate::table::{Act, Situation};

const USER: &str = "home/.claude/settings.json";
const PROJECT: &str = "home/work/checkout/.claude/settings.json";
const MANAGED: &str = "managed/managed-settings.json";

pub fn situations() -> Vec<Situation> {
    let unknown = "does not know: it exports nothing";
    vec![
        user("the_protocol_is_unset", &[("OTEL_EXPORTER_OTLP_PROTOCOL", None)])
            .warns("settings", &["OTEL_EXPORTER_OTLP_PROTOCOL is set nowhere", "settings.json"]),
        user("the_protocol_is_http", &[("OTEL_EXPORTER_OTLP_PROTOCOL", Some("http"))])
            .warns("settings", &["to `http`", unknown]),
        user("a_signals_protocol_is_http", &[("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", Some("http"))])
            .warns("settings", &["OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", unknown]),
        user("settings_switch_telemetry_off", &[("CLAUDE_CODE_ENABLE_TELEMETRY", Some("0"))])
            .warns("settings", &["CLAUDE_CODE_ENABLE_TELEMETRY=0, which turns telemetry off"]),
        user("an_exporter_is_none", &[("OTEL_LOGS_EXPORTER", Some("none"))])
            .warns("settings", &["OTEL_LOGS_EXPORTER=none, without otlp"]),
        user("an_exporter_is_unknown", &[("OTEL_METRICS_EXPORTER", Some("otel"))])
            .warns("settings", &["to `otel`", unknown]),
        user("an_exporter_is_unset", &[("OTEL_LOGS_EXPORTER", None)])
            .warns("settings", &["OTEL_LOGS_EXPORTER is set nowhere"]),
        user("attributes_are_malformed", &[("OTEL_RESOURCE_ATTRIBUTES", Some("a=b,c=my team"))])
            .warns("settings", &["`c=my team`", "drop all of them"]),
        Situation::by_hand("the_settings_are_no_json", || {
            let place = Place::new();
            place.house.write(USER, "{ \"env\": {\n \"A\":");
            let act: Act = Box::new(|place| _ = place.house.write(USER, "{}"));
            (place, act)
        })
        .warns("settings", &["settings.json:2: no valid settings", "mend it"]),
        Situation::new("the_project_switches_telemetry_off", || {
            let place = Place::new();
            write(&place, PROJECT, &json!({ "CLAUDE_CODE_ENABLE_TELEMETRY": "false" }));
            place
        })
        .warns("settings", &["checkout/.claude/settings.json", "=false"]),
        Situation::new("the_shell_switches_telemetry_off", || {
            Place::new().in_shell("export CLAUDE_CODE_ENABLE_TELEMETRY=0")
        })
        .warns("settings", &["the environment", "startup file"]),
        Situation::new("another_collector_gets_it_all", || {
            with_collector(|url| ("OTEL_EXPORTER_OTLP_ENDPOINT", url.to_owned()))
        })
        .warns("other_collector", &["OTEL_EXPORTER_OTLP_ENDPOINT in", "settings.json"]),
        Situation::new("another_collector_gets_one_signal", || {
            with_collector(|url| ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", format!("{url}/v1/logs")))
        })
        .warns("other_collector", &["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT in"]),
        managed(
            "managed_settings_send_it_elsewhere",
            |_| json!({ "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example.com" }),
        )
        .fails("managed_settings", &["sends telemetry elsewhere", "ask who keeps it"]),
        managed(
            "managed_settings_switch_it_off",
            |_| json!({ "CLAUDE_CODE_ENABLE_TELEMETRY": "0" }),
        )
        .fails("managed_settings", &["turns telemetry off"]),
        managed("managed_settings_have_a_wrong_protocol", |address| {
            json!({
                "OTEL_EXPORTER_OTLP_ENDPOINT": format!("http://{address}"),
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http",
            })
        })
        .fails("managed_settings", &["OTEL_EXPORTER_OTLP_PROTOCOL to `http`"]),
        managed("managed_settings_replace_tags", |_| json!({ "OTEL_RESOURCE_ATTRIBUTES": "a=b" }))
            .warns("managed_settings", &["replaces tags"]),
    ]
}

fn write(place: &Place, file: &str, env: &Value) {
    let text = serde_json::to_string_pretty(&json!({ "model": "opus", "env": env })).unwrap();
    place.house.write(file, text);
}

/// What a user has who has set telemetry up by hand, with some of it changed.
fn own(place: &Place, changes: &[(&str, Option<&str>)]) -> Value {
    let mut env = json!({
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": format!("http://{}", place.address),
    });
    for (name, value) in changes {
        match value {
            Some(value) => env[name] = json!(value),
            None => _ = env.as_object_mut().unwrap().remove(*name),
        }
    }
    env
}

fn user(name: &'static str, changes: &'static [(&'static str, Option<&'static str>)]) -> Situation {
    Situation::new(name, move || {
        let place = Place::new();
        write(&place, USER, &own(&place, changes));
        place
    })
}

fn with_collector(endpoint: impl Fn(&str) -> (&'static str, String)) -> Place {
    let mut place = Place::new();
    let collector = Server::start(Vec::new(), server::status(200));
    let (name, value) = endpoint(&collector.url(""));
    write(&place, USER, &own(&place, &[(name, Some(&value))]));
    place.keep(collector);
    place
}

/// Only the organisation can change them; here it does.
fn managed(
    name: &'static str,
    env: impl Fn(std::net::SocketAddr) -> Value + Send + 'static,
) -> Situation {
    Situation::by_hand(name, move || {
        let place = Place::new();
        write(&place, MANAGED, &env(place.address));
        let act: Act = Box::new(|place| {
            let output = place.ccotel(&["setup", "--print-managed-settings"]);
            place.house.write(MANAGED, output.stdout);
        });
        (place, act)
    })
}
