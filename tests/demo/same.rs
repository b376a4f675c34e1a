//! One seed and one end are one fortnight.

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::cases::Case;
use crate::harness::sandbox::Sandbox;
use crate::running::{self, Running};

const UNTIL: &str = "2026-11-20T16:40:00Z";
const RANGE: [&str; 4] = ["--since", "2026-11-07", "--until", UNTIL];

pub fn cases() -> Vec<Case> {
    vec![Case::new("the_same_seed_is_the_same_report_byte_for_byte", &[], same)]
}

fn same() -> Result<()> {
    let arguments = ["--seed", "3", "--until", UNTIL];
    let mut both = [
        Running::start(Sandbox::new()?, &arguments)?,
        Running::start(Sandbox::new()?, &arguments)?,
    ];
    let sandbox = Sandbox::new()?;
    let other = sandbox.ccotel(&["demo", "--seed", "4", "--until", UNTIL, "--exit", "--json"]);
    for one in &mut both {
        one.wait_until_filled()?;
    }
    for by in ["day", "hour", "project,model", "team,day", "session", "user", "tool", "branch"] {
        let asked = [&RANGE[..], &["--by", by]].concat();
        let [first, second] = [both[0].report(&asked)?, both[1].report(&asked)?];
        ensure!(first == second, "by {by}: {first}\n{second}");
        ensure!(first.len() > 500, "by {by}: {first}");
    }
    let total = both[0].report_json(&RANGE)?["total"].clone();
    for one in &mut both {
        one.signal(Signal::TERM)?;
        ensure!(one.wait()?.success(), "{}", one.stderr()?);
    }
    another(other, &total)
}

/// Another seed is another fortnight; the document of `--json` says which.
fn another(command: std::process::Command, total: &Value) -> Result<()> {
    let (status, stdout, stderr) = running::run(command)?;
    ensure!(status.success() && stderr.is_empty(), "{status}: {stderr}");
    let document: Value = serde_json::from_str(&stdout).with_context(|| stdout.clone())?;
    ensure!(document["schema"] == 1 && document["seed"] == 4, "{document}");
    ensure!(document["instance"] == "demo-4-20261120T1640Z", "{document}");
    let events = document["events"].as_u64().context("no events")?;
    ensure!((15_000..60_000).contains(&events), "{events} events");
    let report = &document["report"];
    ensure!(report["rows"].as_array().is_some_and(|rows| rows.len() >= 6), "{report}");
    ensure!(report["total"] != *total && report["total"]["cost_usd"].as_f64() > Some(50.0));
    Ok(())
}
