//! What it shows with an agent, a history and budgets, and what becomes of the limits.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::recorded::{self, Part};
use crate::harness::sandbox::Sandbox;
use crate::harness::{http, poll};
use crate::line;

const DEADLINE: Duration = Duration::from_mins(1);

fn input(sandbox: &Sandbox) -> String {
    let directory = sandbox.repository();
    json!({"cwd": directory, "workspace": {"project_dir": directory}, "cost": {"total_cost_usd": 0.25},
           "context_window": {"used_percentage": 42}})
    .to_string()
}

fn limited(percent: f64, resets_at: i64) -> String {
    json!({"rate_limits": {"five_hour": {"used_percentage": percent, "resets_at": resets_at}}})
        .to_string()
}

fn metrics(sandbox: &Sandbox) -> Result<String> {
    Ok(http::get(&format!("http://{}/metrics", sandbox.agent_address()?), &[])?.1)
}

#[test]
fn today_is_that_of_report_and_the_closest_budget_is_named() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let file = sandbox.config_dir().join("config.toml");
    let listen = std::fs::read_to_string(&file)?;
    let budgets = "[budget]\ndaily_usd = 1000\n[budget.project.elsewhere]\ndaily_usd = 0.01\n";
    std::fs::write(file, format!("{listen}{budgets}"))?;
    sandbox.start_agent()?;
    recorded::send(&sandbox, recorded::RICH, Part::Whole)?;
    let report = sandbox.json(&["report", "--since", "today", "--json"])?;
    let cost = report["total"]["cost_usd"].as_f64().context("a cost")?;
    ensure!(cost > 0.01, "{report}");
    let words = format!(
        "$0.25 session · ${cost:.2} today · checkout · 0% of $1,000.00 today · context 42%\n"
    );
    assert_eq!(line(&sandbox, &["--no-color"], &input(&sandbox))?, words);
    // A repository's own is shown, too; nothing of the recorded session is its project's.
    let project = sandbox.repository().join(".ccotel.toml");
    std::fs::write(project, "project = \"demo\"\n[budget]\nmonthly_usd = 0.02\n")?;
    let said = line(&sandbox, &["--no-color"], &input(&sandbox))?;
    ensure!(said.contains("% of $0.02 demo, this month"), "{said}");
    sandbox.run(&["agent", "stop"])?;
    assert_eq!(line(&sandbox, &["--no-color"], &input(&sandbox))?, said);
    Ok(())
}

#[test]
fn colours_are_the_terminals_unless_they_are_not_wanted() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let later = Timestamp::now().as_second() + 7230;
    let coloured = line(&sandbox, &[], &limited(97.0, later))?;
    ensure!(coloured.contains("\u{1b}[31m97%\u{1b}[0m"), "{coloured:?}");
    let mut command = sandbox.ccotel(&["statusline"]);
    command.env("NO_COLOR", "1");
    let plain = crate::run(command, &limited(97.0, later))?;
    ensure!(!plain.contains('\u{1b}') && plain.contains("5h 97% (2h00m)"), "{plain:?}");
    Ok(())
}

#[test]
fn limits_become_gauges_of_the_newest_answer_until_their_window_ends() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    let now = Timestamp::now().as_second();
    // Two sessions of one account: the second one's last answer is older.
    line(&sandbox, &[], &limited(40.0, now + 3600))?;
    let gauge = |percent: &str| {
        format!("ccotel_rate_limit_used_percent{{window=\"five_hour\"}} {percent}\n")
    };
    let has = |text: &str| {
        poll::until(text, DEADLINE, || {
            let metrics = metrics(&sandbox)?;
            ensure!(metrics.contains(text), "{metrics}");
            Ok(())
        })
    };
    has(&gauge("40"))?;
    line(&sandbox, &[], &limited(12.0, now + 3598))?;
    line(&sandbox, &[], &json!({"rate_limits": {"seven_day": {"used_percentage": 81.5, "resets_at": now + 90_000}}}).to_string())?;
    has("ccotel_rate_limit_used_percent{window=\"seven_day\"} 81.5\n")?;
    has(&gauge("40"))?;
    has(&format!(
        "ccotel_rate_limit_resets_timestamp_seconds{{window=\"five_hour\"}} {}\n",
        now + 3600
    ))?;
    let status = sandbox.json(&["status", "--json"])?;
    assert_eq!(status["rate_limits"]["five_hour"]["used_percent"], json!(40.0), "{status}");
    let words = sandbox.run(&["status"])?;
    ensure!(words.contains("five-hour limit: 40 % used, begins anew in 59 min"), "{words}");
    ensure!(words.contains("seven-day limit: 81 % used"), "{words}");
    let top = sandbox.json(&["top", "--json"])?;
    assert_eq!(top["rate_limits"], status["rate_limits"]);
    // Another window, which ends soon.
    line(&sandbox, &[], &limited(99.0, Timestamp::now().as_second() + 3))?;
    poll::until("the end of a window", DEADLINE, || {
        let metrics = metrics(&sandbox)?;
        ensure!(!metrics.contains("five_hour"), "{metrics}");
        ensure!(metrics.contains("seven_day"), "{metrics}");
        Ok(())
    })
}

#[test]
fn what_cannot_be_so_reaches_nobody() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    let now = Timestamp::now().as_second();
    for input in [
        limited(-5.0, now + 60),
        limited(1e300, now + 60),
        limited(5.0, i64::MAX),
        limited(5.0, now - 60),
    ] {
        line(&sandbox, &[], &input)?;
    }
    let strange =
        r#"{"rate_limits":{"five_hour":{"used_percentage":"5"},"a\"b":{"used_percentage":5}}}"#;
    line(&sandbox, &[], strange)?;
    line(
        &sandbox,
        &[],
        &json!({"rate_limits": {"seven_day": {"used_percentage": 1, "resets_at": now + 60}}})
            .to_string(),
    )?;
    poll::until("what can be so", DEADLINE, || {
        let metrics = metrics(&sandbox)?;
        ensure!(metrics.contains("window=\"seven_day\"} 1\n"), "{metrics}");
        let lines = metrics.lines().filter(|it| it.starts_with("ccotel_rate_limit_used_percent"));
        ensure!(lines.count() == 1, "{metrics}");
        Ok(())
    })?;
    let status: Value = sandbox.json(&["status", "--json"])?;
    ensure!(status["warnings"] == json!([]), "{status}");
    Ok(())
}
