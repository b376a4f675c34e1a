use super::super::layers::{Env, Layer};
use super::*;

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn user(pairs: &[(&str, &str)]) -> Layers {
    let layer = Layer { source: "settings".into(), repository: false, env: env(pairs) };
    Layers { layers: vec![layer], managed: vec![] }
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
