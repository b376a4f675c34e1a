use super::super::layers::{Env, Layer};
use super::*;

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn user(pairs: &[(&str, &str)]) -> Layers {
    let layer = Layer { source: "settings".into(), repository: false, env: env(pairs) };
    Layers { layers: vec![layer], managed: vec![] }
}

fn endpoint() -> Endpoint {
    Endpoint { address: "127.0.0.1:14318".parse().unwrap(), token: "secret".into() }
}

#[test]
fn exporters_are_the_users_and_ours() {
    for (pairs, expected) in [
        (vec![], "METRICS=otlp LOGS=otlp"),
        (vec![("OTEL_METRICS_EXPORTER", "console")], "METRICS=otlp LOGS=otlp"),
        (
            vec![(ENABLE_TELEMETRY, "1"), ("OTEL_METRICS_EXPORTER", "console, prometheus")],
            "METRICS=console,prometheus,otlp LOGS=otlp",
        ),
        (
            vec![(ENABLE_TELEMETRY, "true"), ("OTEL_LOGS_EXPORTER", "none")],
            "METRICS=otlp LOGS=otlp",
        ),
        (
            vec![(ENABLE_TELEMETRY, "1"), ("OTEL_LOGS_EXPORTER", "otlp,prometheus,zipkin")],
            "METRICS=otlp LOGS=otlp",
        ),
        (
            vec![(ENABLE_TELEMETRY, "1"), ("OTEL_TRACES_EXPORTER", "console")],
            "METRICS=otlp LOGS=otlp TRACES=console,otlp",
        ),
        (vec![(ENABLE_TELEMETRY, "1"), ("OTEL_TRACES_EXPORTER", "none")], "METRICS=otlp LOGS=otlp"),
    ] {
        let found: Vec<String> = exporters(&user(&pairs))
            .into_iter()
            .map(|(signal, names)| format!("{signal}={names}"))
            .collect();
        assert_eq!(found.join(" "), expected, "{pairs:?}");
    }
}

#[test]
fn another_collector_is_the_users_only_and_shows_no_secret() {
    let base = [(ENABLE_TELEMETRY, "1"), ("OTEL_METRICS_EXPORTER", "otlp")];
    let with = |name: &'static str, url: &'static str| user(&[base[0], base[1], (name, url)]);
    for (layers, expected) in [
        (user(&base), None),
        (
            with("OTEL_EXPORTER_OTLP_ENDPOINT", "https://u:p@otel.example.com:4318/x?key=1"),
            Some("https://otel.example.com:4318/x"),
        ),
        (
            with("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://otel.example.com/v1/metrics"),
            Some("https://otel.example.com"),
        ),
        (with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:14318/secret"), None),
        (user(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://x"), base[1]]), None),
    ] {
        assert_eq!(other_collector(&layers, &endpoint()).as_deref(), expected, "{layers:?}");
    }
    let mut layers = with("OTEL_EXPORTER_OTLP_ENDPOINT", "https://x");
    layers.layers[0].repository = true;
    assert_eq!(other_collector(&layers, &endpoint()), None);
}

#[test]
fn a_repository_cannot_turn_content_on() {
    let mut layers = user(&[("OTEL_LOG_TOOL_DETAILS", "1")]);
    layers.layers.push(Layer {
        source: "project".into(),
        repository: true,
        env: env(&[
            ("OTEL_LOG_TOOL_DETAILS", "1"),
            ("OTEL_LOG_USER_PROMPTS", "true"),
            ("OTEL_LOG_RAW_API_BODIES", "file:/tmp/x"),
            ("OTEL_LOG_TOOL_CONTENT", "0"),
        ]),
    });
    assert_eq!(
        content_switches(&layers),
        [
            ("OTEL_LOG_USER_PROMPTS", "0"),
            ("OTEL_LOG_TOOL_DETAILS", "1"),
            ("OTEL_LOG_RAW_API_BODIES", "0"),
        ]
    );
}

#[test]
fn attributes_merge_key_by_key_and_nobody_speaks_for_us() {
    let mut layers = user(&[(RESOURCE_ATTRIBUTES, "a=1,b=1,ccotel.privacy=full")]);
    layers.layers.push(Layer {
        source: "project".into(),
        repository: true,
        env: env(&[(RESOURCE_ATTRIBUTES, "b=2,c=x y;z,ccotel_launch_id=9")]),
    });
    let found: Vec<String> = user_attributes(&layers)
        .into_iter()
        .map(|attribute| format!("{}={}", attribute.key, attribute.value))
        .collect();
    assert_eq!(found, ["a=1", "b=2", "c=x y;z"]);
}
