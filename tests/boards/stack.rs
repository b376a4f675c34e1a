//! `ccotel stack` with a stand-in for `docker` that writes down what it is told: which calls are made,
//! which files are there then, and what is said where there is no engine.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};

use crate::harness::cases::Case;
use crate::harness::sandbox::Sandbox;

/// Answers as Docker does; `$DOCKER_IS_DOWN` is an engine that does not run.
const DOCKER: &str = r#"#!/bin/sh
echo "$@" >> "$DOCKER_CALLS"
if [ "$1" = info ] && [ -n "$DOCKER_IS_DOWN" ]; then echo "Cannot connect to the Docker daemon" >&2; exit 1; fi
if [ "$2" = version ] && [ -n "$DOCKER_HAS_NO_COMPOSE" ]; then echo "unknown command" >&2; exit 1; fi
if [ "$2" = up ]; then
  while read -r line; do case $line in COMPOSE_PROFILES=*) echo "$line" >> "$DOCKER_CALLS";; esac; done < .env
  echo "no such image" >&2; exit 18
fi
exit 0
"#;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("stack_without_an_engine_says_what_to_install", &[], no_engine),
        Case::new("stack_with_an_engine_that_does_not_run_says_how_to_start_it", &[], not_running),
        Case::new("stack_without_compose_says_so", &[], no_compose),
        Case::new("stack_up_writes_its_files_and_runs_compose", &[], up),
        Case::new("stack_before_its_first_up", &[], before),
    ]
}

fn stack(
    sandbox: &Sandbox,
    with_docker: bool,
    variable: &str,
    arguments: &[&str],
) -> Result<Output> {
    let programs = sandbox.home().join("programs");
    std::fs::create_dir_all(&programs)?;
    if with_docker {
        let docker = programs.join("docker");
        if !docker.exists() {
            std::fs::write(&docker, DOCKER)?;
            std::fs::set_permissions(&docker, PermissionsExt::from_mode(0o755))?;
        }
    }
    // Whoever is strict has this in a startup file.
    let ccotel = sandbox.ccotel(&[&["stack"], arguments].concat());
    let mut command = sandbox.command("/bin/sh");
    command.args(["-c", "umask 077; exec \"$0\" \"$@\""]);
    command.arg(ccotel.get_program()).args(ccotel.get_args());
    command.env("PATH", &programs).env("DOCKER_CALLS", sandbox.home().join("calls"));
    if !variable.is_empty() {
        command.env(variable, "1");
    }
    Ok(command.output()?)
}

fn says(output: &Output, code: i32, words: &[&str]) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(code), "{:?}: {said}", output.status);
    for word in words {
        ensure!(said.contains(word), "{word:?} is not in: {said}");
    }
    Ok(())
}

fn no_engine() -> Result<()> {
    let sandbox = Sandbox::new()?;
    says(
        &stack(&sandbox, false, "", &["up"])?,
        1,
        &["neither Docker nor Podman", "ccotel connect"],
    )?;
    ensure!(!sandbox.data_dir().join("stack/.env").exists(), "nothing is written for nothing");
    Ok(())
}

fn not_running() -> Result<()> {
    let sandbox = Sandbox::new()?;
    says(
        &stack(&sandbox, true, "DOCKER_IS_DOWN", &["up"])?,
        1,
        &["does not run", "Cannot connect", "start"],
    )
}

fn no_compose() -> Result<()> {
    let sandbox = Sandbox::new()?;
    says(&stack(&sandbox, true, "DOCKER_HAS_NO_COMPOSE", &["up"])?, 1, &["compose is not"])
}

fn before() -> Result<()> {
    let sandbox = Sandbox::new()?;
    says(&stack(&sandbox, true, "", &["down"])?, 1, &["ccotel stack up"])?;
    let status = stack(&sandbox, true, "", &["status", "--json"])?;
    says(&status, 1, &["\"schema\":1", "\"written\":false"])?;
    says(&stack(&sandbox, true, "", &["path"])?, 0, &["stack"])
}

/// The stand-in refuses to start anything, so what came before is all there is.
fn up() -> Result<()> {
    let sandbox = Sandbox::new()?;
    says(
        &stack(&sandbox, true, "", &["up", "--profile", "victoria"])?,
        1,
        &["failed", "no such image"],
    )?;
    let directory = sandbox.data_dir().join("stack");
    for file in [
        "compose.yaml",
        "loki.yaml",
        "grafana/dashboards/claude-code.json",
        "grafana/alerts/budgets.yaml",
    ] {
        ensure!(directory.join(file).is_file(), "{file} is missing");
    }
    for (path, wanted) in [("grafana/alerts", 0o755), ("grafana", 0o755), ("loki.yaml", 0o644)] {
        let mode = std::fs::metadata(directory.join(path))?.permissions().mode() & 0o777;
        ensure!(mode == wanted, "{path} is {mode:o}, which no container could read");
    }
    let settings = private(&directory.join(".env"))?;
    ensure!(settings.starts_with("# Made by `ccotel stack up`"), "{settings}");
    ensure!(settings.contains("COMPOSE_PROFILES=\n"), "it did not start: {settings}");
    ensure!(!settings.contains("datasources-victoria"), "{settings}");
    ensure!(settings.contains("PROMETHEUS_CONFIG_HASH="), "{settings}");
    let password = |text: &str| {
        text.lines().find(|line| line.starts_with("GRAFANA_ADMIN_PASSWORD=")).map(str::to_owned)
    };
    let first = password(&settings).context("a password")?;
    ensure!(first.len() > 40, "{first}");
    let calls = std::fs::read_to_string(sandbox.home().join("calls"))?;
    let expected =
        ["compose version", "info", "compose up -d --remove-orphans", "COMPOSE_PROFILES=victoria"];
    ensure!(calls.lines().collect::<Vec<_>>() == expected, "{calls}");

    says(&stack(&sandbox, true, "", &["up"])?, 1, &[])?;
    ensure!(password(&private(&directory.join(".env"))?) == Some(first), "the password stays");
    std::fs::write(
        directory.join(".env"),
        settings.replace("COMPOSE_PROFILES=", "COMPOSE_PROFILES=victoria"),
    )?;
    let both = ["up", "--profile", "victoria", "--without", "victoria"];
    says(&stack(&sandbox, true, "", &both)?, 2, &["one of them"])?;
    says(&stack(&sandbox, true, "", &["up", "--without", "victoria"])?, 1, &[])?;
    let settings = std::fs::read_to_string(directory.join(".env"))?;
    ensure!(settings.contains("COMPOSE_PROFILES=\n"), "it is off: {settings}");
    let calls = std::fs::read_to_string(sandbox.home().join("calls"))?;
    ensure!(calls.contains("compose stop victoria-metrics victoria-logs\n"), "{calls}");
    says(&stack(&sandbox, true, "", &["reset"])?, 1, &["--yes"])?;
    says(&stack(&sandbox, true, "", &["reset", "--yes"])?, 0, &["empty"])?;
    says(&stack(&sandbox, true, "", &["down"])?, 0, &["stays"])?;
    let calls = std::fs::read_to_string(sandbox.home().join("calls"))?;
    ensure!(calls.contains("compose down --volumes --remove-orphans"), "{calls}");
    let config =
        std::fs::read_to_string(sandbox.config_dir().join("config.toml")).unwrap_or_default();
    ensure!(!config.contains("stack-"), "nothing is connected that did not start: {config}");
    Ok(())
}

fn private(path: &Path) -> Result<String> {
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{} is {mode:o}", path.display());
    Ok(std::fs::read_to_string(path)?)
}
