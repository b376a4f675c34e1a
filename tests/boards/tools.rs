//! The tools that know: the generator itself, promtool, Loki, docker compose.

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
        with("docker-compose", "compose_takes_the_stack_with_every_profile", compose),
        schema(),
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

pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

pub fn run(command: &mut Command) -> Result<()> {
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

fn compose(compose: &Path) -> Result<()> {
    let profiles = [
        "",
        "victoria",
        "renderer",
        "collector",
        "scrape",
        "scrape-desktop",
        "victoria,renderer,collector,scrape",
    ];
    for profiles in profiles {
        run(Command::new(compose)
            .args(["-f", "stack/compose.yaml", "config", "-q"])
            .env("GRAFANA_ADMIN_PASSWORD", "of-the-test")
            .env("COMPOSE_PROFILES", profiles))?;
    }
    let mut unset = Command::new(compose);
    unset.args(["-f", "stack/compose.yaml", "config", "-q"]).env_remove("GRAFANA_ADMIN_PASSWORD");
    ensure!(run(&mut unset).is_err(), "there is no default password");
    Ok(())
}

/// Grafana's published types, where Python has them.
fn schema() -> Trial {
    let name = "grafanas_schema_knows_everything_in_the_dashboards";
    let python =
        std::env::var_os("CCOTEL_TEST_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let mut has = Command::new(&python);
    has.args(["-c", "import grafana_foundation_sdk"]).stderr(std::process::Stdio::null());
    if !has.status().is_ok_and(|status| status.success()) {
        let name =
            format!("{name} (needs Python's `grafana-foundation-sdk`, or CCOTEL_TEST_PYTHON)");
        return Trial::test(name, || Ok(())).with_ignored_flag(true);
    }
    Trial::test(name, move || {
        run(Command::new(&python).args(["tests/boards/schema.py", "grafana"]))
            .map_err(|error| Failed::from(format!("{error:#}")))
    })
}

fn configurations(promtool: &Path) -> Result<()> {
    for file in ["stack/prometheus.yml", "stack/prometheus-scrape.yml"] {
        run(Command::new(promtool).args(["check", "config", "--syntax-only", file]))?;
    }
    Ok(())
}
