//! `ccotel privacy preview`: of what is stored, of the sample, and never more than was kept.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::harness::recorded::{self, Part};
use crate::harness::sandbox::Sandbox;

fn preview(sandbox: &Sandbox, more: &[&str]) -> Result<Output> {
    let mut arguments = vec!["privacy", "preview"];
    arguments.extend(more);
    Ok(sandbox.ccotel(&arguments).output()?)
}

fn document(sandbox: &Sandbox, more: &[&str]) -> Result<Value> {
    let output = preview(sandbox, &[&["--json"], more].concat())?;
    ensure!(output.status.success(), "{output:?}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn record<'d>(document: &'d Value, name: &str) -> Result<&'d Value> {
    let records = document["records"].as_array().context("records")?;
    records.iter().find(|it| it["name"] == name).with_context(|| format!("{name}: {document}"))
}

fn attribute<'r>(record: &'r Value, name: &str) -> Result<&'r Value> {
    let attributes = record["attributes"].as_array().context("attributes")?;
    attributes.iter().find(|it| it["name"] == name).with_context(|| format!("{name}: {record}"))
}

#[test]
fn where_nothing_is_stored_the_sample_shows_each_level() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let found = document(&sandbox, &[])?;
    assert_eq!((&found["source"], &found["level"]), (&json!("sample"), &json!("standard")));
    let email = attribute(record(&found, "api_request")?, "user.email")?;
    assert_eq!(email["minimal"], json!({"outcome": "dropped", "value": null}));
    assert_eq!(email["standard"], json!({"outcome": "kept", "value": "developer@example.com"}));
    let prompt = attribute(record(&found, "user_prompt")?, "prompt")?;
    assert_eq!(prompt["standard"], json!({"outcome": "length", "value": "61"}));
    ensure!(!prompt["full"].to_string().contains("AAAAAAAA"), "a secret is masked at every level");
    // With an agent that has nothing, it is the same.
    sandbox.start_agent()?;
    assert_eq!(document(&sandbox, &[])?, found);
    let text = String::from_utf8(preview(&sandbox, &[])?.stdout)?;
    ensure!(
        text.contains("A recorded session with made-up content, since nothing is stored yet"),
        "{text}"
    );
    ensure!(
        text.contains("ATTRIBUTE") && text.contains("dropped") && text.contains("hashed: "),
        "{text}"
    );
    Ok(())
}

#[test]
fn one_level_is_shown_alone_and_a_wrong_one_is_refused() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let found = document(&sandbox, &["--level", "minimal"])?;
    let cost = attribute(record(&found, "api_request")?, "cost_usd")?;
    ensure!(cost.get("minimal").is_some() && cost.get("standard").is_none(), "{cost}");
    let wrong = preview(&sandbox, &["--level", "tight"])?;
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    assert_eq!(sandbox.ccotel(&["privacy"]).output()?.status.code(), Some(2));
    Ok(())
}

#[test]
fn what_is_stored_is_shown_as_far_as_it_was_kept() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    recorded::send(&sandbox, recorded::RICH, Part::Whole)?;
    let found = document(&sandbox, &[])?;
    assert_eq!(found["source"], json!("stored"), "{found}");
    let request = record(&found, "api_request")?;
    let session = attribute(request, "session.id")?;
    let known = recorded::events(recorded::RICH, "api_request")?;
    let known = &known[0]["session.id"];
    assert_eq!(session["value"], json!(known));
    assert_eq!(session["standard"], json!({"outcome": "kept", "value": known}));
    assert_eq!(session["minimal"]["outcome"], json!("hashed"));
    ensure!(session["minimal"]["value"] != session["value"], "{session}");
    ensure!(session["full"].is_null(), "nobody knows what full would have kept: {session}");
    ensure!(
        found["records"].as_array().is_some_and(|it| it.iter().any(|it| it["kind"] == "series")),
        "{found}"
    );
    // The hash is the one that a minimal destination is sent, and the same each time.
    assert_eq!(document(&sandbox, &[])?, found);
    assert_eq!(document(&sandbox, &["--sample"])?["source"], json!("sample"));
    Ok(())
}
