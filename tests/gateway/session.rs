//! The real Claude Code with nothing but environment variables, as on a CI runner.

use anyhow::{Context, Result, ensure};

use super::gateway::Gateway;
use super::harness::claude::{self, SONNET, print_arguments};
use super::harness::mock_api::MockApi;
use super::harness::programs::Program;
use super::harness::scenario;
use crate::Case;

pub fn cases() -> Vec<Case> {
    vec![Case::new(
        "a_session_with_plain_variables_counts_for_its_sender",
        &[Program::Claude],
        session,
    )]
}

fn session() -> Result<()> {
    let gateway = Gateway::start(&["other"], "")?;
    let url = format!("https://{}", gateway.address);
    let add = ["gateway", "token", "add", "ci-shop", "--url", &url, "--json"];
    let added = gateway.sandbox.json(&add)?;
    super::harness::poll::until("the sender is known", super::gateway::DEADLINE, || {
        gateway.sender("ci-shop").map(drop)
    })?;
    let api = MockApi::start(scenario::script());
    let mut command = gateway.sandbox.bare_claude(&api, &print_arguments(SONNET, &[]))?;
    let variables = added["environment"].as_object().with_context(|| added.to_string())?;
    for (name, value) in variables {
        command.env(name, value.as_str().unwrap_or_default());
    }
    command.env("NODE_EXTRA_CA_CERTS", gateway.authority.path("ca.crt"));
    command.env("OTEL_RESOURCE_ATTRIBUTES", "project=shop,sender=other");
    let result = claude::session(command, &scenario::FRESH)?;
    let rows = gateway.report()?;
    ensure!(rows.len() == 1 && rows[0].0 == "ci-shop", "{rows:?}");
    let (_, cost, sessions, requests) = &rows[0];
    ensure!((cost - result.cost_usd).abs() < 1e-9, "{cost} of {}", result.cost_usd);
    ensure!(*sessions == 1 && *requests > 0, "{rows:?}");
    let document = gateway.sandbox.json(&["report", "--by", "project", "--json"])?;
    ensure!(document["rows"][0]["project"] == "shop", "{document}");
    ensure!(gateway.denied()? == 0, "{}", gateway.status()?);
    Ok(())
}
