//! Notifications, by a `notify-send` that writes down what it was told.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::harness::recorded::{self, Part};
use crate::harness::sandbox::Sandbox;
use crate::harness::{http, poll};
use crate::numbers::{metrics_url, sandbox};

const DEADLINE: Duration = Duration::from_mins(1);
/// Far below what the recorded session costs, and far above.
const BUDGETS: &str = "[budget]\ndaily_usd = 0.02\nmonthly_usd = 1000\n\
    [budget.project.demo]\nweekly_usd = 0.03\n";

struct Desk {
    sandbox: Sandbox,
    directory: tempfile::TempDir,
    _bus: Option<UnixListener>,
}

impl Desk {
    fn new(budgets: &str, bus: bool, script: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let told = directory.path().join("told");
        let program = directory.path().join("notify-send");
        std::fs::write(
            &program,
            format!(
                "#!/bin/sh\nprintf '%s|' \"$@\" >> '{0}'\necho >> '{0}'\n{script}\n",
                told.display()
            ),
        )?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        let bus = bus.then(|| UnixListener::bind(directory.path().join("bus"))).transpose()?;
        Ok(Self { sandbox: sandbox(budgets)?, directory, _bus: bus })
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut command: Command = self.sandbox.ccotel(arguments);
        let path = std::env::var("PATH")?;
        command.env("PATH", format!("{}:{path}", self.directory.path().display()));
        command.env("XDG_RUNTIME_DIR", self.directory.path());
        let output = command.output()?;
        ensure!(output.status.success(), "{arguments:?}: {output:?}");
        Ok(())
    }

    fn start(&self) -> Result<()> {
        self.run(&["agent", "start"])?;
        self.sandbox.wait_for_agent()
    }

    fn told(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.directory.path().join("told")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn warned_file(&self) -> PathBuf {
        self.sandbox.data_dir().join("budget-warned.json")
    }

    /// Until the agent knows what was spent, by a look that would have warned.
    fn spent(&self) -> Result<()> {
        self.sandbox.run(&["report", "--since", "today"])?;
        poll::until("a budget that is spent", DEADLINE, || {
            let metrics = http::get(&metrics_url(&self.sandbox)?, &[])?.1;
            let line = metrics
                .lines()
                .find(|it| it.starts_with("ccotel_budget_spent_usd{period=\"daily\"}"));
            ensure!(line.is_some_and(|it| !it.ends_with(" 0")), "{line:?}");
            Ok(())
        })
    }
}

#[test]
fn each_threshold_once_and_not_again_after_a_restart() -> Result<()> {
    let desk = Desk::new(BUDGETS, true, "")?;
    desk.start()?;
    recorded::send(&desk.sandbox, recorded::RICH, Part::Whole)?;
    desk.spent()?;
    let told = poll::until("two warnings", DEADLINE, || {
        let told = desk.told();
        ensure!(told.len() >= 2, "{told:?}");
        Ok(told)
    })?;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("--app-name=ccotel|--|Claude Code budget used up|today: $"),
        "{told:?}"
    );
    assert!(told[1].contains("|demo, this week: $"), "{told:?}");
    let warned = std::fs::read(desk.warned_file())?;
    desk.sandbox.run(&["agent", "stop"])?;
    desk.start()?;
    desk.spent()?;
    looked(&desk, 2)?;
    assert_eq!(desk.told().len(), 2, "{:?}", desk.told());
    assert_eq!(std::fs::read(desk.warned_file())?, warned);
    Ok(())
}

/// The agent has looked again: a budget that is new to it is warned of.
fn looked(desk: &Desk, before: usize) -> Result<()> {
    let file = desk.sandbox.config_dir().join("config.toml");
    let text = std::fs::read_to_string(&file)?;
    let warned = std::fs::read(desk.warned_file())?;
    std::fs::write(&file, text.replace("daily_usd = 0.02", "daily_usd = 0.021"))?;
    poll::until("a warning of the new budget", DEADLINE, || {
        ensure!(desk.told().len() == before + 1, "{:?}", desk.told());
        Ok(())
    })?;
    // As if it had never been.
    let told = desk.directory.path().join("told");
    let lines: Vec<String> = desk.told().into_iter().take(before).collect();
    std::fs::write(told, lines.join("\n") + "\n")?;
    std::fs::write(desk.warned_file(), warned)?;
    Ok(())
}

#[test]
fn nobody_is_told_without_a_session_bus_or_where_it_is_switched_off() -> Result<()> {
    let off = BUDGETS.replace("[budget]\n", "[budget]\nnotify = false\n");
    for (budgets, bus) in [(BUDGETS, false), (off.as_str(), true)] {
        let desk = Desk::new(budgets, bus, "")?;
        desk.start()?;
        recorded::send(&desk.sandbox, recorded::RICH, Part::Whole)?;
        desk.spent()?;
        // Ends after what it has begun.
        desk.sandbox.run(&["agent", "stop"])?;
        assert_eq!(desk.told(), [""; 0]);
        assert!(!desk.warned_file().exists());
    }
    Ok(())
}

#[test]
fn a_desktop_that_hangs_holds_up_nothing() -> Result<()> {
    let desk = Desk::new(BUDGETS, true, "exec sleep 1000")?;
    desk.start()?;
    recorded::send(&desk.sandbox, recorded::RICH, Part::Whole)?;
    desk.spent()?;
    poll::until("a program that hangs", DEADLINE, || {
        ensure!(!desk.told().is_empty(), "not started yet");
        Ok(())
    })?;
    let status = desk.sandbox.json(&["status", "--json"])?;
    ensure!(status["worker"].is_object(), "{status}");
    // It is ended, and the next start does not tell of it again.
    poll::until("an end of it", DEADLINE, || {
        let log = std::fs::read_to_string(desk.sandbox.data_dir().join("agent.log"))?;
        ensure!(log.contains("it took more than 5 seconds"), "{}", tail(&log));
        Ok(())
    })?;
    ensure!(Path::exists(&desk.warned_file()), "nothing is remembered");
    Ok(())
}

fn tail(log: &str) -> &str {
    &log[log.len().saturating_sub(500)..]
}
