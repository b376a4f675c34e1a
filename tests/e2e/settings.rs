//! The user's own settings: still counted, and still in effect.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::Case;
use crate::harness::claude::{self, PromptResult, SONNET, print_arguments};
use crate::harness::mock_api::MockApi;
use crate::harness::programs::Program;
use crate::harness::sandbox::Sandbox;
use crate::harness::script::{Script, Turn, Usage};
use crate::harness::terminal::Terminal;
use crate::harness::{addresses, http, poll, totals};

const PROMPT: &str = "is the marker there";

/// Set by the user's own settings: a command that looks for it tells whether they are in effect.
const MARKER: &str = "A_SETTING_OF_THE_USER";

pub fn cases() -> Vec<Case> {
    let claude = &[Program::Claude];
    vec![
        Case::new("telemetry_off_in_user_settings_is_counted", claude, user_settings),
        Case::new("another_endpoint_in_project_settings_is_not_adopted", claude, project_settings),
        Case::new("an_endpoint_for_one_signal_in_the_shell_is_counted", claude, shell),
        Case::new("an_own_settings_file_is_merged", claude, settings_file),
        Case::new("own_settings_inline_are_merged", claude, settings_inline),
        Case::new(
            "managed_settings_are_said_and_not_fought",
            &[Program::Claude, Program::MountNamespace],
            managed_settings,
        ),
    ]
}

fn script() -> Script {
    let look = format!("test \"${MARKER}\" = kept");
    let turns = [
        Turn::bash(&look, Usage::new(31, 7, 0, 900)),
        Turn::text("It is.", Usage::new(4, 3, 900, 12)),
    ];
    Script::default().prompt(PROMPT, turns)
}

/// The session is in the report, whole, and its command found the marker.
fn counted(sandbox: &Sandbox, api: &MockApi, command: Command) -> Result<PromptResult> {
    let result = claude::session(command, &[PROMPT])?;
    let truth = api.truth();
    ensure!(
        truth.tools.get("Bash").is_some_and(|runs| runs.succeeded == 1),
        "the user's settings are not in effect: {truth:?}"
    );
    totals::report_says(sandbox, &truth)?;
    Ok(result)
}

fn user_settings() -> Result<()> {
    let (sandbox, api) = (Sandbox::new()?, MockApi::start(script()));
    sandbox.write_user_settings(&json!({
        "env": { "CLAUDE_CODE_ENABLE_TELEMETRY": "0", "OTEL_METRICS_EXPORTER": "none", MARKER: "kept" },
    }))?;
    let command = sandbox.claude(&api, &print_arguments(SONNET, &[]));
    counted(&sandbox, &api, command).map(drop)
}

fn project_settings() -> Result<()> {
    let (sandbox, api) = (Sandbox::new()?, MockApi::start(script()));
    let other = Other::listen()?;
    sandbox.write_project_settings(&json!({
        "env": { "OTEL_EXPORTER_OTLP_ENDPOINT": other.url(), MARKER: "kept" },
    }))?;
    let command = sandbox.claude(&api, &print_arguments(SONNET, &[]));
    counted(&sandbox, &api, command)?;
    other.was_left_alone()
}

fn shell() -> Result<()> {
    let (sandbox, api) = (Sandbox::new()?, MockApi::start(script()));
    let other = Other::listen()?;
    let mut command = sandbox.claude(&api, &print_arguments(SONNET, &[]));
    command
        .env("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", format!("{}/v1/metrics", other.url()))
        .env("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc")
        .env(MARKER, "kept");
    counted(&sandbox, &api, command)?;
    other.was_left_alone()
}

fn settings_file() -> Result<()> {
    let (sandbox, api) = (Sandbox::new()?, MockApi::start(script()));
    let file = sandbox.home().join("own.json");
    std::fs::write(&file, own_settings().to_string())?;
    let path = file.to_str().context("a temporary path is text")?;
    let command = sandbox.claude(&api, &print_arguments(SONNET, &["--settings", path]));
    counted(&sandbox, &api, command).map(drop)
}

fn settings_inline() -> Result<()> {
    let (sandbox, api) = (Sandbox::new()?, MockApi::start(script()));
    let inline = format!("--settings={}", own_settings());
    let command = sandbox.claude(&api, &print_arguments(SONNET, &[&inline]));
    counted(&sandbox, &api, command).map(drop)
}

fn own_settings() -> Value {
    json!({ "env": { MARKER: "kept", "OTEL_LOGS_EXPORTER": "none" } })
}

/// In a mount namespace of its own, with a managed file that sends telemetry somewhere else.
fn managed_settings() -> Result<()> {
    let (sandbox, api) = (Sandbox::new()?, MockApi::start(script()));
    let managed = json!({
        "env": {
            "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": api.url(),
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": format!("{}/v1/metrics", api.url()),
        },
    });
    let settings = sandbox.home().join("managed.json");
    std::fs::write(&settings, managed.to_string())?;
    // The agent first: it must outlive the namespace.
    sandbox.start_agent()?;

    let launch = || -> Result<String> {
        let claude = sandbox.claude(&api, &["-p", "--model", SONNET, PROMPT]);
        let command = in_namespace(&sandbox, &claude, &settings)?;
        let terminal = Terminal::start(command)?;
        terminal.wait_for("the answer", |screen| screen.contains("It is."))?;
        let screen = terminal.screen();
        // Its own end, since it sends its metrics then.
        let code = terminal.finish(http::TIMEOUT)?;
        ensure!(code == Some(0), "it ended with {code:?}:\n{screen}");
        Ok(screen)
    };
    let (first, second) = (launch()?, launch()?);
    ensure!(first.to_lowercase().contains("managed"), "the wrapper does not say so:\n{first}");
    ensure!(!second.to_lowercase().contains("managed"), "said twice:\n{second}");
    let status = sandbox.json(&["status", "--json"])?;
    let warnings = status["warnings"].to_string().to_lowercase();
    ensure!(warnings.contains("managed"), "status does not say so: {status}");
    poll::until("metrics at the managed endpoint", http::TIMEOUT, || {
        let log = api.log();
        ensure!(log.iter().any(|line| line.contains("/v1/metrics")), "{log:?}");
        Ok(())
    })
}

/// The same command, where `/etc/claude-code/managed-settings.json` is this file.
fn in_namespace(
    sandbox: &Sandbox,
    command: &Command,
    settings: &std::path::Path,
) -> Result<Command> {
    const ENTER: &str = r#"
        copy="$HOME/etc" && mkdir -p "$copy/claude-code"
        cp -a /etc/. "$copy" 2>/dev/null
        cp "$1" "$copy/claude-code/managed-settings.json" && mount --bind "$copy" /etc || exit 70
        shift && exec "$@"
    "#;
    let mut entered = sandbox.command("unshare");
    entered.args(["-rm", "sh", "-c", ENTER, "enter"]).arg(settings);
    entered.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        entered.env(name, value.context("the sandbox only sets variables")?);
    }
    Ok(entered)
}

/// Somebody else's collector, which must not be spoken to.
struct Other(TcpListener);

impl Other {
    fn listen() -> Result<Self> {
        let listener = TcpListener::bind(addresses::free_address()?)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("it is bound"))
    }

    /// A connection would be waiting in the queue.
    fn was_left_alone(&self) -> Result<()> {
        match self.0.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
            Ok((_, from)) => anyhow::bail!("{from} connected to the other endpoint"),
        }
    }
}
