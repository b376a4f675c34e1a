//! The wrapper, run as a user runs it, around a `claude` that writes down what it was given.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

mod house;
use house::{CCOTEL, House, link};

// `claude` stays `claude`.

#[test]
fn arguments_pass_byte_for_byte() {
    let house = House::new();
    let odd = OsStr::from_bytes(b"\xff\xfe not utf-8");
    let mut command = house.command(CCOTEL);
    command.args(["claude", "-p", "", "two words", "--", "--settings", "kept"]).arg(odd);
    let launched = house.launched(&mut command);
    let expected = ["-p", "", "two words", "--", "--settings", "kept"].map(OsStr::new);
    assert_eq!(launched.arguments[2..8], expected);
    assert_eq!(launched.arguments[8], odd);
}

#[test]
fn help_and_version_are_claudes() {
    let house = House::new();
    for argument in ["--help", "-h", "--version", "-v", "doctor", "update"] {
        let launched = house.launch(&[argument]);
        assert_eq!(launched.arguments, [argument], "nothing is put in front");
        assert!(!launched.environment.contains_key("OTEL_METRICS_EXPORTER"), "{argument}");
    }
}

#[test]
fn commands_that_take_nothing_in_front_get_the_environment() {
    let house = House::new();
    for line in [&["mcp", "list"][..], &["remote-control"], &["--bg-spare", "x"]] {
        let launched = house.launch(line);
        assert_eq!(launched.own_arguments(), line);
        assert_eq!(launched.arguments.len(), line.len());
        assert_eq!(launched.environment["OTEL_LOGS_EXPORTER"], "otlp");
    }
    let launched = house.launch(&["agents", "--cwd", "."]);
    assert_eq!(launched.arguments[..2], ["agents", "--settings"]);
}

#[test]
fn the_exit_code_the_process_and_the_directory_are_claudes() {
    let mut house = House::new();
    house.set("FAKE_EXIT", "42");
    let launched = house.launch(&[]);
    assert_eq!(launched.output.status.code(), Some(42));
    assert_eq!(launched.pid, launched.spawned, "the wrapper has become claude");
    assert_eq!(launched.directory, house.directory);
    assert_eq!(launched.stderr(), "");
    assert_eq!(launched.output.stdout, b"");
}

#[test]
fn called_as_claude_by_a_link_it_is_the_wrapper() {
    let mut house = House::new();
    let shim = link(&house, "shims/claude");
    let path = format!("{}:{}", house.path("shims").display(), house.path("bin").display());
    house.set("PATH", format!("{path}:/usr/bin:/bin"));
    let launched = house.launched(house.command(shim).arg("-p"));
    assert_eq!(launched.own_arguments(), ["-p"]);
    let first = launched.environment["PATH"].split(':').next().unwrap().to_owned();
    assert_eq!(first, house.path("shims").display().to_string(), "a nested claude is counted too");
}

#[test]
fn wrap_runs_the_given_program_and_prints_nothing() {
    let house = House::new();
    let bundled = house.path("bundled/claude");
    std::fs::create_dir_all(bundled.parent().unwrap()).unwrap();
    std::fs::rename(house.path("bin/claude"), &bundled).unwrap();
    house.write("home/work/.ccotel.toml", "team = 5");
    let wrapper = link(&house, "other/ccotel-wrap");
    let launched = house.launched(house.command(wrapper).arg(&bundled).args(["-p", "--help"]));
    assert_eq!(launched.own_arguments(), ["-p", "--help"]);
    assert_eq!(launched.stderr(), "");
    let launched = house.launched(house.command(CCOTEL).arg("wrap").arg(&bundled).arg("--help"));
    assert_eq!(launched.own_arguments(), ["--help"]);
}

// Finding it.

#[test]
fn without_a_claude_it_says_where_it_looked() {
    let house = House::new();
    std::fs::remove_file(house.path("bin/claude")).unwrap();
    let output = house.run(&["claude", "-p"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(127));
    for place in ["bin/claude", "home/.local/bin/claude", "home/.claude/local/claude"] {
        assert!(stderr.contains(&house.path(place).display().to_string()), "{stderr}");
    }
    assert!(stderr.contains("npm install -g @anthropic-ai/claude-code"), "{stderr}");
    assert!(stderr.contains("ccotel demo"), "{stderr}");
}

#[test]
fn the_places_of_the_installers_are_tried_last() {
    let house = House::new();
    for place in ["home/.local/bin/claude", "home/.claude/local/claude"] {
        let path = house.path(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::rename(house.path("bin/claude"), &path).unwrap();
        house.launch(&["-p"]);
        std::fs::rename(&path, house.path("bin/claude")).unwrap();
    }
}

#[test]
fn a_claude_that_cannot_be_executed_is_126() {
    let mut house = House::new();
    let path = house.path("bin/claude");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(house.run(&["claude"]).status.code(), Some(126));
    house.set("CCOTEL_CLAUDE", &path);
    let output = house.run(&["claude"]);
    assert_eq!(output.status.code(), Some(126));
    assert!(String::from_utf8(output.stderr).unwrap().contains("chmod +x"));
}

#[test]
fn a_named_claude_wins_over_path() {
    let mut house = House::new();
    let other = house.path("other-claude");
    std::fs::rename(house.path("bin/claude"), &other).unwrap();
    house.executable("bin/claude", "#!/bin/sh\nexit 9\n");
    house.set("CCOTEL_CLAUDE", &other);
    assert_eq!(house.launch(&[]).output.status.code(), Some(0));
    house.set("CCOTEL_CLAUDE", house.path("nowhere"));
    assert_eq!(house.run(&["claude"]).status.code(), Some(127));
}

#[test]
fn wrappers_that_call_each_other_end_with_an_error() {
    let house = House::new();
    house.executable("bin/claude", &format!("#!/bin/sh\nexec {CCOTEL} claude \"$@\"\n"));
    let output = house.run(&["claude", "-p"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("CCOTEL_CLAUDE"));
}

#[test]
fn disabled_it_is_a_plain_exec() {
    let mut house = House::new();
    house.set("CCOTEL_DISABLE", "1").set("OTEL_RESOURCE_ATTRIBUTES", "as=it is");
    let launched = house.launch(&["-p", "--settings", "x"]);
    assert_eq!(launched.arguments, ["-p", "--settings", "x"]);
    assert_eq!(launched.environment["OTEL_RESOURCE_ATTRIBUTES"], "as=it is");
    assert!(!house.path("data").exists(), "nothing is written");
}

// What it gives.

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
    assert_eq!(problems.len(), 6, "{problems:?}");
    assert!(problems.iter().all(|what| what.starts_with("your own --settings")), "{problems:?}");
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

// The layers of Claude Code.

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
    assert!(launched.arguments[1].to_str().unwrap().ends_with(&format!("/{id}.json")));
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

// Fail open.

#[test]
fn without_an_agent_claude_starts_as_it_would_alone() {
    let house = House::new();
    house.write("data", "in the way of the data directory");
    let launched = house.launch(&["-p", "--settings", "{\"model\":\"opus\"}"]);
    assert_eq!(launched.arguments, ["-p", "--settings", "{\"model\":\"opus\"}"]);
    assert!(!launched.environment.keys().any(|name| name.starts_with("OTEL_")));
    let problems = house.launch_problems();
    assert!(problems[0].starts_with("this session is not counted"), "{problems:?}");
}

#[test]
fn without_a_home_directory_claude_starts() {
    let house = House::new();
    let mut command = house.command(CCOTEL);
    for name in ["HOME", "CCOTEL_CONFIG_DIR", "CCOTEL_DATA_DIR", "CCOTEL_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    // What a system without an entry for the user falls back to cannot be written here.
    command.args(["claude", "-p"]).env("CCOTEL_DISABLE", "1");
    assert_eq!(house.launched(&mut command).own_arguments(), ["-p"]);
}

#[test]
fn a_terminal_sees_one_line_a_day_and_a_script_none() {
    let house = House::new();
    house.write("home/work/.ccotel.toml", "teem = 1\n[tags]\nJOB = \"x\"\n[privcy]\n");
    let json = ["-p", "--output-format", "json"];
    assert_eq!(on_terminal(&house, &json), "", "a program reads the output");
    std::fs::remove_file(house.path("data/problems.jsonl")).unwrap();
    let said = on_terminal(&house, &["-p"]);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("ccotel: "), "{said}");
    assert!(said.contains("(and 2 more: `ccotel tags`)"), "{said}");
    assert_eq!(on_terminal(&house, &["-p"]), "", "said today");
}

/// Runs `ccotel claude` on a terminal, and returns what it showed.
fn on_terminal(house: &House, arguments: &[&str]) -> String {
    use std::io::Read as _;
    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    let controller = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&controller).unwrap();
    rustix::pty::unlockpt(&controller).unwrap();
    let name = rustix::pty::ptsname(&controller, Vec::new()).unwrap();
    let path = std::path::Path::new(OsStr::from_bytes(name.to_bytes())).to_owned();
    let terminal = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut command = house.command(CCOTEL);
    command.arg("claude").args(arguments);
    command.stdout(terminal.try_clone().unwrap()).stderr(terminal);
    let mut child = command.spawn().unwrap();
    drop(command);
    let reader = std::thread::spawn(move || {
        let mut shown = Vec::new();
        // The last one to leave a terminal is an error to its reader, on Linux.
        let _ = std::fs::File::from(controller).read_to_end(&mut shown);
        shown
    });
    assert!(child.wait().unwrap().success());
    String::from_utf8(reader.join().unwrap()).unwrap()
}

#[test]
fn a_broken_configuration_stops_nothing() {
    let house = House::new();
    house.write("config/config.toml", "[agent\nlisten = 5");
    let launched = house.launch(&["-p"]);
    assert_eq!(launched.own_arguments(), ["-p"]);
    assert_eq!(launched.attributes()["ccotel.privacy"], "minimal", "the file may have said so");
    assert_eq!(launched.stderr(), "", "a script must not see a line");
    assert!(house.launch_problems()[0].contains("config.toml:1: not valid TOML"));
}
