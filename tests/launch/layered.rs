//! The layers of Claude Code's own settings.

use crate::house::{CCOTEL, House, Launched, link};

#[test]
fn no_lower_layer_takes_the_feed_away() {
    let mut house = House::new();
    let hostile = r#"{"env":{"CLAUDE_CODE_ENABLE_TELEMETRY":"0",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT":"https://elsewhere",
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL":"grpc",
        "OTEL_METRICS_INCLUDE_SESSION_ID":false,
        "OTEL_LOG_USER_PROMPTS":"1",
        "OTEL_METRIC_EXPORT_INTERVAL":60000}}"#;
    for file in [".claude/settings.json", "work/checkout/.claude/settings.json"] {
        house.write(&format!("home/{file}"), hostile);
    }
    house.set("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://shell");
    let launched = house.launch(&["-p", "--settings", hostile]);
    for (name, value) in [
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"),
        ("OTEL_METRICS_INCLUDE_SESSION_ID", "true"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10000"),
    ] {
        assert_eq!(launched.variable(name).as_deref(), Some(value), "{name}");
    }
    for signal in ["METRICS", "LOGS", "TRACES"] {
        let endpoint = launched.variable(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")).unwrap();
        assert!(endpoint.starts_with("http://127.0.0.1:"), "{endpoint}");
    }
}

#[test]
fn a_repository_cannot_switch_content_on() {
    let mut house = House::new();
    let settings = r#"{"env":{"OTEL_LOG_USER_PROMPTS":"1","OTEL_LOG_TOOL_DETAILS":"1"}}"#;
    house.write("home/work/checkout/.claude/settings.json", settings);
    house.set("OTEL_LOG_TOOL_DETAILS", "1");
    let launched = house.launch(&["-p"]);
    assert_eq!(launched.variable("OTEL_LOG_USER_PROMPTS").as_deref(), Some("0"));
    assert_eq!(launched.variable("OTEL_LOG_TOOL_DETAILS").as_deref(), Some("1"), "the user's own");
}

#[test]
fn without_settings_of_ours_content_that_a_repository_switches_on_is_not_kept() {
    let mut house = House::new();
    house.config("[privacy]\nlevel = \"full\"\n");
    let level = |launched: &Launched| {
        let attributes = &launched.environment["OTEL_RESOURCE_ATTRIBUTES"];
        attributes.rsplit_once("ccotel.privacy=").unwrap().1.to_owned()
    };
    let lines = [&["remote-control"][..], &["--settings", "[1]", "-p"]];
    for line in lines {
        assert_eq!(level(&house.launch(line)), "full", "nobody switched anything on");
    }
    let settings = r#"{"env":{"OTEL_LOG_USER_PROMPTS":"1"}}"#;
    house.write("home/work/checkout/.claude/settings.json", settings);
    for line in lines {
        assert_eq!(level(&house.launch(line)), "standard", "{line:?}");
    }
    let problems = house.launch_problems();
    let said = |what: &String| what.starts_with("OTEL_LOG_USER_PROMPTS of this repository's");
    assert!(problems.iter().any(said), "{problems:?}");
    assert_eq!(level(&house.launch(&["-p"])), "full", "switched off by our settings");
    house.set("OTEL_LOG_USER_PROMPTS", "1");
    assert_eq!(level(&house.launch(lines[0])), "full", "the user wants it too");
}

#[test]
fn resource_attributes_of_every_layer_are_merged_and_encoded() {
    let mut house = House::new();
    let settings =
        |attributes: &str| format!(r#"{{"env":{{"OTEL_RESOURCE_ATTRIBUTES":"{attributes}"}}}}"#);
    house.set("OTEL_RESOURCE_ATTRIBUTES", "shell=1,service.name=my claude,same=1,team=shell");
    house.write("home/.claude.json", settings("global=1,same=2"));
    house.write("home/.claude/settings.json", settings("user=50%,same=3"));
    house.write(
        "home/work/checkout/.claude/settings.json",
        settings("repo=a;b,ccotel.privacy=full"),
    );
    house.write("home/work/checkout/.claude/settings.local.json", settings("local=ü"));
    house.write("home/work/.ccotel.toml", "team = \"a b\"\n[tags]\ncost_center = \"x;y\"\n");
    let launched = house.launch(&["-p", "--settings", &settings("flag=1,same=4")]);
    let attributes = launched.attributes();
    for (key, value) in [
        ("shell", "1"),
        ("service.name", "my%20claude"),
        ("global", "1"),
        ("user", "50%25"),
        ("repo", "a%3Bb"),
        ("local", "%C3%BC"),
        ("flag", "1"),
        ("same", "4"),
        ("team", "a%20b"),
        ("cost_center", "x%3By"),
        ("project", "checkout"),
        ("ccotel.privacy", "standard"),
    ] {
        assert_eq!(attributes.get(key).map(String::as_str), Some(value), "{key}");
    }
    let id = &attributes["ccotel.launch.id"];
    assert!(launched.arguments[2].to_str().unwrap().ends_with(&format!("/{id}.json")));
    let same = launched.variable("OTEL_RESOURCE_ATTRIBUTES");
    assert_eq!(launched.environment.get("OTEL_RESOURCE_ATTRIBUTES"), same.as_ref());
}

#[test]
fn local_settings_are_those_of_the_main_checkout() {
    let house = House::new();
    let settings = |place: &str, value: &str| {
        let text = format!(r#"{{"env":{{"OTEL_RESOURCE_ATTRIBUTES":"place={value}"}}}}"#);
        house.write(&format!("home/work/{place}.claude/settings.local.json"), text);
    };
    house.write("home/work/.git/HEAD", "ref: refs/heads/main\n");
    settings("checkout/", "here");
    assert_eq!(house.launch(&["-p"]).attributes()["place"], "here");
    settings("", "top");
    assert_eq!(house.launch(&["-p"]).attributes()["place"], "top");
}

#[test]
fn setting_sources_that_are_left_out_do_not_count() {
    let house = House::new();
    let settings = r#"{"env":{"OTEL_RESOURCE_ATTRIBUTES":"mine=1"}}"#;
    house.write("home/.claude/settings.json", settings);
    let launched = house.launch(&["-p", "--setting-sources", "project"]);
    assert!(!launched.attributes().contains_key("mine"));
    assert_eq!(house.launch(&["-p"]).attributes()["mine"], "1");
}

#[test]
fn a_nested_session_has_the_tags_of_its_own_directory() {
    let mut house = House::new();
    house.set("OTEL_RESOURCE_ATTRIBUTES", "mine=1");
    let outer = house.launch(&["-p"]);
    let mut inner = House::new();
    for (name, value) in &outer.environment {
        if name.starts_with("OTEL_")
            || name.starts_with("CCOTEL_SHELL")
            || name.contains("LAUNCHED")
        {
            inner.set(name, value);
        }
    }
    inner.directory = inner.path("home/work");
    let attributes = inner.launch(&["-p"]).attributes();
    assert_eq!(attributes["project"], "work");
    assert_eq!(attributes["mine"], "1", "what the shell had");
    assert_ne!(attributes["ccotel.launch.id"], outer.attributes()["ccotel.launch.id"]);
}

#[test]
fn a_wrapper_around_the_wrapper_does_the_work_once() {
    let house = House::new();
    let shim = link(&house, "shims/claude");
    let launched = house.launched(house.command(CCOTEL).arg("wrap").arg(shim).arg("-p"));
    assert_eq!(launched.own_arguments(), ["-p"]);
    assert_eq!(std::fs::read_dir(house.path("data/launches")).unwrap().count(), 2, "and the mark");
}

#[test]
fn a_collector_of_the_users_is_named_once_and_a_repositorys_never() {
    let mut house = House::new();
    let settings = |url: &str| {
        format!(
            r#"{{"env":{{"CLAUDE_CODE_ENABLE_TELEMETRY":"1","OTEL_METRICS_EXPORTER":"otlp",
                "OTEL_EXPORTER_OTLP_ENDPOINT":"{url}"}}}}"#
        )
    };
    house.write("home/work/checkout/.claude/settings.json", settings("https://repository"));
    house.launch(&["-p"]);
    assert_eq!(house.launch_problems(), [""; 0]);
    house.write("home/.claude/settings.json", settings("https://me:secret@collector.example.com"));
    house.launch(&["-p"]);
    house.launch(&["-p"]);
    let problems = house.launch_problems();
    assert_eq!(
        problems,
        ["telemetry that went to https://collector.example.com now goes to ccotel"]
    );
    house.config(
        "[[destination]]\nname = \"x\"\ntype = \"otlp\"\nurl = \"https://collector.example.com/\"\n",
    );
    std::fs::remove_file(house.path("data/problems.jsonl")).unwrap();
    house.set("CCOTEL_TAGS", "").launch(&["-p"]);
    assert_eq!(house.launch_problems(), [""; 0], "it is a destination already");
}

#[test]
fn managed_settings_are_not_fought() {
    let house = House::new();
    house.write(
        "managed/managed-settings.d/10-otel.json",
        r#"{"env":{"OTEL_EXPORTER_OTLP_ENDPOINT":"https://corporate"}}"#,
    );
    house.write("home/work/.ccotel.toml", "team = \"payments\"");
    let launched = house.launch(&["-p"]);
    assert_eq!(launched.variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"), None);
    assert_eq!(launched.variable("OTEL_METRICS_EXPORTER"), None);
    let attributes = launched.attributes();
    assert_eq!(attributes["team"], "payments");
    assert!(!attributes.contains_key("ccotel.launch.id"), "nobody else's business");
    let problems = house.launch_problems();
    assert!(problems[0].contains("10-otel.json sends telemetry elsewhere"), "{problems:?}");
}
