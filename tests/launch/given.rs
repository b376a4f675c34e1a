//! What Claude Code is given.

use std::os::unix::fs::PermissionsExt;

use crate::house::House;

#[test]
fn telemetry_leads_to_the_agent_in_every_form() {
    let house = House::new();
    let launched = house.launch(&["-p"]);
    let endpoint = launched.variable("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap();
    let token = std::fs::read_to_string(house.path("data/token")).unwrap();
    assert!(endpoint.starts_with("http://127.0.0.1:"), "{endpoint}");
    assert!(endpoint.ends_with(&format!("/{}", token.trim())), "{endpoint}");
    for signal in ["metrics", "logs", "traces"] {
        let name = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.to_uppercase());
        assert_eq!(launched.variable(&name), Some(format!("{endpoint}/v1/{signal}")));
        let name = format!("OTEL_EXPORTER_OTLP_{}_PROTOCOL", signal.to_uppercase());
        assert_eq!(launched.variable(&name).as_deref(), Some("http/protobuf"));
    }
    for (name, value) in [
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10000"),
        ("OTEL_LOGS_EXPORT_INTERVAL", "1000"),
        ("OTEL_METRICS_INCLUDE_SESSION_ID", "true"),
        ("OTEL_METRICS_INCLUDE_RESOURCE_ATTRIBUTES", "true"),
    ] {
        assert_eq!(launched.variable(name).as_deref(), Some(value), "{name}");
        assert_eq!(launched.environment.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(launched.variable("OTEL_TRACES_EXPORTER"), None);
    assert!(!format!("{:?}", launched.arguments).contains(token.trim()), "others see arguments");
}

#[test]
fn the_settings_of_a_launch_are_the_users_alone() {
    let house = House::new();
    let launched = house.launch(&["-p"]);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let file = std::path::Path::new(&launched.arguments[1]);
    assert_eq!(mode(file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
}

#[test]
fn the_users_settings_are_merged_in_every_form() {
    let house = House::new();
    let settings = r#"{"model":"opus","env":{"MINE":"1","OTEL_METRICS_EXPORTER":"console"},
                       "permissions":{"deny":["Read(/secret/**)"]}}"#;
    let file = house.write("home/work/checkout/own.json", settings);
    let file = file.to_str().unwrap();
    let joined = format!("--settings={file}");
    let relative = ["--settings", "own.json"];
    let twice = ["--settings", r#"{"model":"sonnet"}"#, "--settings", file];
    for form in
        [&["--settings", file][..], &[&joined], &relative, &twice, &["--settings", settings]]
    {
        let arguments = [form, &["-p", "hello"]].concat();
        let launched = house.launch(&arguments);
        assert_eq!(launched.own_arguments(), ["-p", "hello"], "{form:?}");
        let merged = launched.settings();
        assert_eq!(merged["model"], "opus", "{form:?}");
        assert_eq!(merged["env"]["MINE"], "1");
        assert_eq!(merged["env"]["OTEL_METRICS_EXPORTER"], "otlp", "telemetry was not on");
        let rule = format!("Read(/{}/secret/**)", house.directory.display());
        assert_eq!(merged["permissions"]["deny"][0], rule, "a rule keeps its meaning");
    }
    assert_eq!(house.launch_problems(), [""; 0]);
}

#[test]
fn settings_that_cannot_be_merged_go_through_untouched() {
    let house = House::new();
    house.write("home/work/checkout/broken.json", "{ not json");
    house.write("home/work/checkout/large.json", " ".repeat(3 << 20));
    for value in ["broken.json", "absent.json", "large.json", "[1]", "{\"env\":5}", "{bad}"] {
        let launched = house.launch(&["--settings", value, "-p"]);
        assert_eq!(launched.arguments, ["--settings", value, "-p"]);
        assert_eq!(launched.environment["OTEL_METRICS_EXPORTER"], "otlp", "still by environment");
    }
    let problems = house.launch_problems();
    assert_eq!(problems.len(), 5, "two that are inline share a sentence: {problems:?}");
    assert!(problems.iter().all(|what| what.starts_with("your own --settings")), "{problems:?}");
}

#[test]
fn settings_that_cannot_be_merged_are_not_repeated() {
    let house = House::new();
    let key = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789";
    house.write("home/work/checkout/text.json", format!("\"hunter2 {key}\""));
    for value in [
        r#"{"env":{"KEY":"hunter2"}"#,
        r#"{"env":{"KEY":"hunter2",}}"#,
        r#""env":{"KEY":"hunter2"}"#,
        "{KEY: hunter2}",
        "text.json",
        &format!("{key}.json"),
    ] {
        house.launch(&["--settings", value, "-p"]);
    }
    let problems = house.launch_problems();
    assert!(problems.iter().any(|what| what.contains("inline --settings is no JSON object")));
    assert!(problems.iter().any(|what| what.contains("(line 1, column ")), "{problems:?}");
    let kept = std::fs::read_to_string(house.path("data/problems.jsonl")).unwrap();
    assert!(!kept.contains("hunter2") && !kept.contains(key), "{kept}");
}

#[test]
fn exporters_that_the_user_has_stay() {
    let mut house = House::new();
    house.set("CLAUDE_CODE_ENABLE_TELEMETRY", "1").set("OTEL_METRICS_EXPORTER", "console");
    house.set("OTEL_TRACES_EXPORTER", "console").set("OTEL_LOGS_EXPORTER", "none");
    let launched = house.launch(&["-p"]);
    assert_eq!(launched.variable("OTEL_METRICS_EXPORTER").as_deref(), Some("console,otlp"));
    assert_eq!(launched.variable("OTEL_LOGS_EXPORTER").as_deref(), Some("otlp"));
    assert_eq!(launched.variable("OTEL_TRACES_EXPORTER").as_deref(), Some("console,otlp"));
}
