//! One number for one question: report, status, page, top, gauges.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::harness::http;
use crate::harness::page::PageApi;
use crate::harness::recorded::{self, Part};
use crate::harness::sandbox::Sandbox;

/// Of the recorded session.
const PROJECT: &str = "demo";
const TEAM: &str = "platform";

const BUDGETS: &str = "[budget]\ndaily_usd = 1000\nweekly_usd = 0.01\nnotify = false\n\
    [budget.project.demo]\nmonthly_usd = 0.5\n[budget.project.elsewhere]\nmonthly_usd = 9\n\
    [budget.team.platform]\nweekly_usd = 3\n";

pub fn sandbox(budgets: &str) -> Result<Sandbox> {
    let sandbox = Sandbox::new()?;
    let file = sandbox.config_dir().join("config.toml");
    let listen = std::fs::read_to_string(&file)?;
    std::fs::write(file, format!("{listen}{budgets}"))?;
    Ok(sandbox)
}

/// What the report says was spent since then, by this, for this value; in all without one.
fn reported(sandbox: &Sandbox, since: &str, of: Option<(&str, &str)>) -> Result<Value> {
    let by = of.map_or("project", |(by, _)| by);
    let report = sandbox.json(&["report", "--since", since, "--by", by, "--json"])?;
    let Some((by, value)) = of else { return Ok(report["total"]["cost_usd"].clone()) };
    let rows = report["rows"].as_array().context("rows")?;
    Ok(rows.iter().find(|row| row[by] == value).map_or(json!(0.0), |row| row["cost_usd"].clone()))
}

#[test]
fn every_place_says_what_report_says() -> Result<()> {
    let sandbox = sandbox(BUDGETS)?;
    // Nothing was ever recorded, and no agent runs.
    let before = sandbox.ccotel(&["status", "--json"]).output()?;
    ensure!(before.status.code() == Some(3), "{before:?}");
    let before: Value = serde_json::from_slice(&before.stdout)?;
    assert_eq!(before["budgets"][0]["spent_usd"], json!(0.0), "{before}");
    sandbox.start_agent()?;
    recorded::send(&sandbox, recorded::RICH, Part::Whole)?;
    let expected = [
        ("daily", 1000.0, None, reported(&sandbox, "today", None)?),
        ("weekly", 0.01, None, reported(&sandbox, "this-week", None)?),
        (
            "monthly",
            0.5,
            Some(("project", PROJECT)),
            reported(&sandbox, "this-month", Some(("project", PROJECT)))?,
        ),
        ("monthly", 9.0, Some(("project", "elsewhere")), json!(0.0)),
        (
            "weekly",
            3.0,
            Some(("team", TEAM)),
            reported(&sandbox, "this-week", Some(("team", TEAM)))?,
        ),
    ];
    ensure!(expected[2].3.as_f64() > Some(0.01), "{expected:?}");
    let status = sandbox.json(&["status", "--json"])?;
    let top = sandbox.json(&["top", "--json"])?;
    sandbox.run(&["open", "--no-browser"])?;
    let page = PageApi::of_file(&sandbox.paths().page_file())?;
    let overview = page.get("overview", &[("since", "7d")])?;
    let metrics = http::get(&metrics_url(&sandbox)?, &[])?.1;
    for (index, (period, budget, of, spent)) in expected.iter().enumerate() {
        for (place, document) in [("status", &status), ("top", &top), ("page", &overview)] {
            let found = &document["budgets"][index];
            assert_eq!(found["period"], *period, "{place}: {found}");
            assert_eq!(found["budget_usd"], json!(budget), "{place}: {found}");
            assert_eq!(found["spent_usd"], *spent, "{place}: {found}");
            for key in ["project", "team"] {
                let name = of.filter(|(by, _)| *by == key).map(|(_, name)| name);
                assert_eq!(found[key], json!(name), "{place}: {found}");
            }
        }
        let of = of.map(|(by, name)| format!(",{by}=\"{name}\"")).unwrap_or_default();
        let labels = format!("{{period=\"{period}\"{of}}}");
        let spent = spent.as_f64().context("a number")?;
        for line in [
            format!("ccotel_budget_usd{labels} {budget}"),
            format!("ccotel_budget_spent_usd{labels} {spent}"),
        ] {
            assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
        }
    }
    let words = sandbox.run(&["status"])?;
    for line in [
        "  this week: ",
        "; used up (nothing is stopped)",
        "  demo, this month: ",
        "  team platform, this week: ",
    ] {
        assert!(words.contains(line), "{line}: {words}");
    }
    same_without_an_agent(&sandbox, &status)
}

fn same_without_an_agent(sandbox: &Sandbox, status: &Value) -> Result<()> {
    sandbox.run(&["agent", "stop"])?;
    let output = sandbox.ccotel(&["status", "--json"]).output()?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    let stopped: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(stopped["budgets"], status["budgets"]);
    Ok(())
}

#[test]
fn a_changed_budget_is_in_force_without_a_restart() -> Result<()> {
    let sandbox = sandbox("[budget]\nnotify = false\ndaily_usd = 5\n")?;
    sandbox.start_agent()?;
    let file = sandbox.config_dir().join("config.toml");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, text.replace("daily_usd = 5", "daily_usd = 6\nmonthly_usd = 70"))?;
    crate::harness::poll::until("the changed budgets", std::time::Duration::from_secs(20), || {
        let metrics = http::get(&metrics_url(&sandbox)?, &[])?.1;
        ensure!(metrics.contains("ccotel_budget_usd{period=\"daily\"} 6\n"), "{metrics}");
        ensure!(metrics.contains("ccotel_budget_usd{period=\"monthly\"} 70\n"), "{metrics}");
        Ok(())
    })
}

pub fn metrics_url(sandbox: &Sandbox) -> Result<String> {
    Ok(format!("http://{}/metrics", sandbox.agent_address()?))
}
