//! `ccotel connect otlp --inherit`: an existing feed, noticed by the wrapper, taken over in one step.

#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
#[expect(dead_code, clippy::unwrap_used, reason = "as in tests/deliver, which uses all of it")]
#[path = "../deliver/server.rs"]
mod server;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use harness::poll;
use harness::recorded::{self, Part};
use harness::sandbox::Sandbox;
use server::{Server, status};

const DEADLINE: Duration = Duration::from_mins(1);

fn collector() -> Server {
    Server::start(Vec::new(), status(200))
}

/// The user's own settings, with telemetry on.
fn settings(sandbox: &Sandbox, more: &[(&str, String)]) -> Result<()> {
    sandbox.write_user_settings(&json!({ "env": env(more) }))
}

fn env(more: &[(&str, String)]) -> Value {
    let mut env = json!({
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    });
    for (name, value) in more {
        env[*name] = json!(value);
    }
    env
}

fn launch(sandbox: &Sandbox) -> Result<()> {
    let mut command = sandbox.ccotel(&["claude", "-p", "hello"]);
    let output = command.env("CCOTEL_CLAUDE", "/bin/true").output()?;
    ensure!(output.status.success(), "{output:?}");
    sandbox.wait_for_agent()
}

fn connect(sandbox: &Sandbox, more: &[&str]) -> Result<(i32, String)> {
    let mut arguments = vec!["connect", "otlp", "--inherit"];
    arguments.extend(more);
    said(&sandbox.ccotel(&arguments).output()?)
}

fn said(output: &Output) -> Result<(i32, String)> {
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    Ok((output.status.code().context("a code")?, String::from_utf8(text)?))
}

fn config(sandbox: &Sandbox) -> Result<String> {
    Ok(std::fs::read_to_string(sandbox.config_dir().join("config.toml"))?)
}

fn mode(path: &Path) -> Result<u32> {
    Ok(path.metadata()?.permissions().mode() & 0o777)
}

fn requests(server: &Server) -> Vec<server::Request> {
    server.wait_for(server.count())
}

fn arrived(server: &Server, path: &str) -> Result<Vec<server::Request>> {
    poll::until(path, DEADLINE, || {
        let found: Vec<_> = requests(server)
            .into_iter()
            .filter(|it| it.path == path && it.body.len() > 500)
            .collect();
        ensure!(!found.is_empty(), "nothing yet");
        Ok(found)
    })
}

#[test]
fn what_the_wrapper_notices_is_inherited_and_records_arrive() -> Result<()> {
    let (sandbox, collector) = (Sandbox::new()?, collector());
    settings(
        &sandbox,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url("/otlp")),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20s3cr3t,X-Team=a%2Cb".into()),
        ],
    )?;
    launch(&sandbox)?;
    let tags = sandbox.json(&["tags", "--json"])?;
    let url = collector.url("/otlp");
    let noticed = &tags["launch_problems"][0];
    assert_eq!(noticed["what"], json!(format!("telemetry that went to {url} now goes to ccotel")));
    assert_eq!(noticed["remedy"], json!("`ccotel connect otlp --inherit` keeps sending it there"));
    let (code, words) = connect(&sandbox, &[])?;
    ensure!(code == 0, "{words}");
    ensure!(
        words.contains(&format!("metrics and logs go to {url} (OTEL_EXPORTER_OTLP_ENDPOINT in ")),
        "{words}"
    );
    ensure!(words.contains("settings.json), http/protobuf, with 2 headers"), "{words}");
    let text = config(&sandbox)?;
    ensure!(!text.contains("s3cr3t") && !words.contains("s3cr3t"), "{text}");
    let token = sandbox.config_dir().join("otlp-127-0-0-1.token");
    assert_eq!(std::fs::read_to_string(&token)?.trim(), "s3cr3t");
    assert_eq!((mode(&token)?, mode(&sandbox.config_dir().join("config.toml"))?), (0o600, 0o600));
    recorded::send(&sandbox, recorded::RICH, Part::Whole)?;
    for path in ["/otlp/v1/metrics", "/otlp/v1/logs"] {
        for request in arrived(&collector, path)? {
            assert_eq!(request.header("authorization"), Some("Bearer s3cr3t"));
            assert_eq!(request.header("x-team"), Some("a,b"));
        }
    }
    // A second time there is nothing to do, and the wrapper has nothing to say.
    let (code, words) = connect(&sandbox, &[])?;
    ensure!(code == 0 && words.contains("is the destination otlp-127-0-0-1 already"), "{words}");
    std::fs::remove_file(sandbox.data_dir().join("problems.jsonl"))?;
    launch(&sandbox)?;
    assert_eq!(sandbox.json(&["tags", "--json"])?["launch_problems"], json!([]));
    Ok(())
}

/// Without setup, too: no secret is left behind, and what stays is named with the true reason.
#[test]
fn a_purge_removes_the_secret_and_names_what_it_keeps() -> Result<()> {
    let (sandbox, collector) = (Sandbox::new()?, collector());
    let headers = "Authorization=Bearer%20s3cr3t".to_owned();
    settings(
        &sandbox,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url("")),
            ("OTEL_EXPORTER_OTLP_HEADERS", headers),
        ],
    )?;
    let token = sandbox.config_dir().join("otlp-127-0-0-1.token");
    let theirs = sandbox.config_dir().join("theirs.token");
    std::fs::write(&theirs, "mine\n")?;
    ensure!(connect(&sandbox, &[])?.0 == 0 && token.exists());
    let (code, words) = said(&sandbox.ccotel(&["uninstall", "--purge", "--yes"]).output()?)?;
    ensure!(code == 0 && !token.exists() && theirs.exists(), "{words}");
    let words = words.replace('\n', " ");
    ensure!(words.contains("otlp-127-0-0-1.token: removed"), "{words}");
    // The sandbox's own lines are in it.
    ensure!(words.contains("config.toml: kept, since `ccotel setup` did not make it"), "{words}");
    let text = config(&sandbox)?;
    ensure!(text.contains("listen") && !text.contains("[[destination]]"), "{text}");
    Ok(())
}

#[test]
fn what_cannot_be_inherited_is_named() -> Result<()> {
    let (sandbox, collector) = (Sandbox::new()?, collector());
    let mut env = env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url(""))]);
    let helped = json!({ "env": env, "otelHeadersHelper": "/bin/headers" });
    sandbox.write_user_settings(&helped)?;
    let (code, words) = connect(&sandbox, &[])?;
    ensure!(code == 0 && words.contains("left: otelHeadersHelper in "), "{words}");
    ensure!(words.contains("--token-command"), "{words}");
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] = json!("http://127.0.0.1:4317");
    env["OTEL_EXPORTER_OTLP_PROTOCOL"] = json!("");
    sandbox.write_user_settings(&json!({ "env": env }))?;
    let (code, words) = connect(&sandbox, &["--no-check"])?;
    ensure!(code == 1 && words.contains("without OTEL_EXPORTER_OTLP_PROTOCOL"), "{words}");
    ensure!(words.contains("given no protocol, its port is that of gRPC"), "{words}");
    ensure!(!config(&sandbox)?.contains("4317"), "{}", config(&sandbox)?);
    Ok(())
}

#[test]
fn signals_that_go_different_ways_are_two_destinations() -> Result<()> {
    let (sandbox, metrics, logs) = (Sandbox::new()?, collector(), collector());
    let with_user = metrics.url("/v1/metrics").replace("http://", "http://me:p%40ss@");
    settings(&sandbox, &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", with_user)])?;
    // The shell's is the weakest layer, and the user's own.
    let mut command = sandbox.ccotel(&["connect", "otlp", "--inherit"]);
    command.env("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", logs.url("/in/v1/logs"));
    command.env("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json");
    command.env(
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
        "Authorization=Basic bG9nczpwdw==,x-scope-orgid=t1",
    );
    let (code, words) = said(&command.output()?)?;
    ensure!(code == 0, "{words}");
    ensure!(
        words.contains("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT in the environment), http/json"),
        "{words}"
    );
    let text = config(&sandbox)?;
    ensure!(
        text.contains("signals = [\"metrics\"]") && text.contains("signals = [\"logs\"]"),
        "{text}"
    );
    ensure!(
        text.contains("tenant = \"t1\"") && !text.contains("p@ss") && !text.contains("\"pw\""),
        "{text}"
    );
    sandbox.start_agent()?;
    recorded::send(&sandbox, recorded::RICH, Part::Whole)?;
    let basic = |pair: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    };
    for request in arrived(&metrics, "/v1/metrics")? {
        assert_eq!(request.header("authorization"), Some(&*basic("me:p@ss")));
    }
    for request in arrived(&logs, "/in/v1/logs")? {
        assert_eq!(request.header("authorization"), Some(&*basic("logs:pw")));
    }
    for (server, only) in [(&metrics, "/v1/metrics"), (&logs, "/in/v1/logs")] {
        let strays = requests(server).into_iter().filter(|it| it.path != only).count();
        ensure!(strays == 0, "{:?}", requests(server));
    }
    Ok(())
}

#[test]
fn a_repositorys_is_never_taken_and_a_managed_one_is_told() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://evil.example.com".to_owned());
    sandbox.write_project_settings(&json!({ "env": env(std::slice::from_ref(&endpoint)) }))?;
    let before = config(&sandbox)?;
    let (code, words) = connect(&sandbox, &["--no-check"])?;
    ensure!(code == 1 && words.contains("export to no other collector"), "{words}");
    ensure!(words.contains("names a collector: a repository's is never taken over"), "{words}");
    assert_eq!(config(&sandbox)?, before);
    // With telemetry on by the user, and the address by the repository, it is the same.
    settings(&sandbox, &[])?;
    ensure!(connect(&sandbox, &["--no-check"])?.0 == 1);
    let managed = sandbox.home().join("managed");
    std::fs::create_dir_all(&managed)?;
    std::fs::write(
        managed.join("managed-settings.json"),
        json!({ "env": env(&[endpoint]) }).to_string(),
    )?;
    let mut command = sandbox.ccotel(&["connect", "otlp", "--inherit"]);
    let (code, words) = said(&command.env("CCOTEL_MANAGED_SETTINGS_DIR", managed).output()?)?;
    ensure!(code == 1 && words.contains("an organisation's, which outranks ccotel"), "{words}");
    assert_eq!(config(&sandbox)?, before);
    Ok(())
}

#[test]
fn what_cannot_be_inherited_says_why() -> Result<()> {
    let none = "export to no other collector";
    for (more, words) in [
        (vec![], none),
        (
            vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4317"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ],
            "is spoken to in grpc",
        ),
        (
            vec![("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://h/custom")],
            "does not end in /v1/metrics",
        ),
        (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")], "is no address"),
        (
            vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic !!"),
            ],
            "Basic authorization is malformed",
        ),
        (
            vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h"),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such.pem"),
            ],
            "there is no file /no/such.pem",
        ),
        (
            vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h"),
                ("CLAUDE_CODE_ENABLE_TELEMETRY", "0"),
            ],
            none,
        ),
    ] {
        let sandbox = Sandbox::new()?;
        let more: Vec<_> = more.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        settings(&sandbox, &more)?;
        let before = config(&sandbox)?;
        let (code, said) = connect(&sandbox, &["--no-check"])?;
        ensure!(code == 1 && said.contains(words), "{words}: {said}");
        assert_eq!(config(&sandbox)?, before);
    }
    let sandbox = Sandbox::new()?;
    for arguments in [
        &["connect", "loki", "--inherit"][..],
        &["connect", "otlp"],
        &["connect", "otlp", "http://x", "--inherit"],
    ] {
        let (code, words) = said(&sandbox.ccotel(arguments).output()?)?;
        ensure!(code == 2, "{arguments:?}: {words}");
    }
    Ok(())
}

#[test]
fn a_collector_that_refuses_leaves_no_secret_behind() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let refusing = Server::start(Vec::new(), status(401));
    settings(
        &sandbox,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", refusing.url("")),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer x".into()),
        ],
    )?;
    let before = config(&sandbox)?;
    let (code, words) = connect(&sandbox, &[])?;
    ensure!(code == 1 && words.contains("nothing was changed"), "{words}");
    assert_eq!(config(&sandbox)?, before);
    ensure!(std::fs::read_dir(sandbox.config_dir())?.count() == 1, "only config.toml");
    Ok(())
}
