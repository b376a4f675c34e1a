//! The tools that know: the generator itself, promtool, Loki, docker compose, kustomize.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Failed, Trial};

use crate::dashboards::root;
use crate::harness::cases::Case;
use crate::harness::programs::Program;

pub fn cases() -> Vec<Case> {
    vec![Case::new("loki_takes_the_stacks_configuration", &[Program::Loki], || {
        let loki = Program::Loki.find().context("loki")?;
        run(Command::new(loki)
            .arg("-verify-config")
            .arg(format!("-config.file={}", root().join("stack/loki.yaml").display())))
    })]
}

/// Tests that need a program beside the harness' own.
pub fn trials() -> Vec<Trial> {
    vec![
        with("python3", "generating_gives_the_committed_dashboards", generated),
        with("promtool", "rules_hold_and_their_tests_pass", rules),
        with("promtool", "prometheus_takes_the_stacks_configurations", configurations),
    ]
}

fn with(program: &'static str, name: &str, test: fn(&Path) -> Result<()>) -> Trial {
    match on_path(program) {
        Some(path) => Trial::test(name, move || {
            test(&path).map_err(|error| Failed::from(format!("{error:#}")))
        }),
        None => Trial::test(format!("{name} (needs `{program}` on PATH)"), || Ok(()))
            .with_ignored_flag(true),
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.current_dir(root()).output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn generated(python: &Path) -> Result<()> {
    run(Command::new(python).args(["grafana/generate.py", "--check"]))
}

fn rules(promtool: &Path) -> Result<()> {
    let alerts = Path::new("grafana/alerts");
    let files = ["budgets.yaml", "claude-code-alerts.yaml", "claude-code-recording.yaml"];
    run(Command::new(promtool).args(["check", "rules"]).args(files.map(|file| alerts.join(file))))?;
    let tests = ["tests/recipes.yaml", "tests/alerts.yaml"];
    run(Command::new(promtool).args(["test", "rules"]).args(tests.map(|file| alerts.join(file))))
}

fn configurations(promtool: &Path) -> Result<()> {
    for file in ["stack/prometheus.yml", "stack/prometheus-scrape.yml"] {
        run(Command::new(promtool).args(["check", "config", "--syntax-only", file]))?;
    }
    Ok(())
}
