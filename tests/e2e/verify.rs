//! `ccotel verify` after sessions of the real Claude Code: it agrees where nothing is wrong, and names
//! what is where something was made wrong.

mod written;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::Case;
use crate::harness::claude::{self, HAIKU, Printed, SONNET, print_arguments, terminal_arguments};
use crate::harness::mock_api::MockApi;
use crate::harness::poll;
use crate::harness::programs::Program;
use crate::harness::sandbox::Sandbox;
use crate::harness::scenario;
use crate::harness::script::{Script, Turn, Usage};
use crate::harness::terminal::Terminal;

/// What was done within the last seconds may still be on its way, and counters take longer.
const DEADLINE: Duration = Duration::from_mins(1);

/// Costs are sums of binary fractions of dollars.
const COST_TOLERANCE_USD: f64 = 1e-6;

const UNPRICED: &str = "a-gateways-own-model";

pub fn cases() -> Vec<Case> {
    let named = |name: &str, run: fn() -> Result<()>| Case::new(name, &[Program::Claude], run);
    vec![
        named("verify_agrees_to_the_cent_after_sessions_with_ccotel", agrees),
        named("verify_agrees_where_ids_are_hashed", agrees_at_minimal),
        Case::new("verify_expects_titles_in_no_transcript", &[], written::titles),
        Case::new("verify_names_a_count_that_differs", &[], written::count_differs),
        Case::new("verify_names_a_price_that_differs", &[], written::price_differs),
        Case::new("verify_names_events_that_were_lost", &[], written::events_lost),
        named("verify_names_a_session_without_ccotel", without_ccotel),
        named("verify_names_a_version_that_is_known_to_be_silent", known_bad),
        named("verify_names_a_stream_that_died", stream_died),
        named("verify_names_a_model_without_a_price", unpriced),
        named("verify_names_a_transcript_that_is_gone", transcript_gone),
        named("an_import_counts_prompts_and_commands_as_telemetry_does", prompts_alike),
    ]
}

struct World {
    api: MockApi,
    sandbox: Sandbox,
}

impl World {
    fn new() -> Result<Self> {
        Self::with(scenario::script())
    }

    fn with(script: Script) -> Result<Self> {
        Ok(Self { api: MockApi::start(script), sandbox: Sandbox::new()? })
    }

    fn print(&self, model: &str, more: &[&str], prompts: &[&str]) -> Result<String> {
        let command = self.sandbox.claude(&self.api, &print_arguments(model, more));
        Ok(claude::session(command, prompts)?.session_id)
    }

    fn print_bare(&self, model: &str, prompts: &[&str]) -> Result<String> {
        let command = self.sandbox.bare_claude(&self.api, &print_arguments(model, &[]))?;
        Ok(claude::session(command, prompts)?.session_id)
    }

    /// The document and the exit code.
    fn verify(&self, more: &[&str]) -> Result<(Value, i32)> {
        let arguments = [&["verify", "--json"], more].concat();
        let output = self.sandbox.ccotel(&arguments).stdin(Stdio::null()).output()?;
        let document = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("no document: {output:?}"))?;
        Ok((document, output.status.code().context("ended by a signal")?))
    }

    /// Until it agrees, with no more findings than these causes.
    fn verify_agrees(&self, expected: &[&str]) -> Result<Value> {
        poll::until("all sides to agree", DEADLINE, || {
            let (document, code) = self.verify(&[])?;
            ensure!(document["agree"] == true && code == 0, "exit code {code}: {document:#}");
            ensure!(causes(&document) == *expected, "{document:#}");
            Ok(document)
        })
    }

    /// Until it names this cause alone beside expected ones; the finding.
    fn verify_names(&self, cause: &str, session: &str) -> Result<Value> {
        poll::until(cause, DEADLINE, || {
            let (document, code) = self.verify(&[])?;
            ensure!(document["agree"] == false && code == 1, "exit code {code}: {document:#}");
            ensure!(!causes(&document).contains(&"still_arriving"), "{document:#}");
            let findings = document["findings"].as_array().context("no findings")?;
            let wrong: Vec<_> = findings.iter().filter(|it| it["expected"] == false).collect();
            ensure!(wrong.len() == 1 && wrong[0]["cause"] == cause, "{document:#}");
            ensure!(wrong[0]["session"] == session, "{document:#}");
            Ok(wrong[0].clone())
        })
    }

    /// Until the agent has heard of so many requests.
    fn wait_for_requests(&self, requests: u64) -> Result<()> {
        poll::until("events", DEADLINE, || {
            let report = self.sandbox.json(&["report", "--json", "--since", "1d"])?;
            ensure!(report["total"]["requests"] == requests, "{report}");
            Ok(())
        })
    }

    fn transcript(&self, session: &str) -> Result<PathBuf> {
        let projects = self.sandbox.home().join(".claude/projects");
        for project in fs::read_dir(projects)? {
            let path = project?.path().join(format!("{session}.jsonl"));
            if path.exists() {
                return Ok(path);
            }
        }
        anyhow::bail!("no transcript of {session}")
    }
}

fn causes(document: &Value) -> Vec<&str> {
    let findings = document["findings"].as_array().into_iter().flatten();
    let mut causes: Vec<&str> = findings.filter_map(|finding| finding["cause"].as_str()).collect();
    causes.dedup();
    causes
}

fn agrees() -> Result<()> {
    let world = World::new()?;
    let first = world.print(SONNET, &[], &scenario::FRESH)?;
    world.print(HAIKU, &["--resume", &first], &scenario::RESUMED)?;
    let document = world.verify_agrees(&[])?;
    check_models(&document, &world)?;
    // One session by itself, and words for people.
    let (of_session, code) = world.verify(&["--session", &first])?;
    ensure!(code == 0 && of_session["session"] == first.as_str(), "{of_session:#}");
    check_models(&of_session, &world)?;
    let text = world.sandbox.run(&["verify"])?;
    ensure!(text.contains("All sides agree.") && text.contains(SONNET), "{text}");
    Ok(())
}

fn agrees_at_minimal() -> Result<()> {
    let world = World::new()?;
    let path = world.sandbox.config_dir().join("config.toml");
    let config = fs::read_to_string(&path)? + "\n[privacy]\nlevel = \"minimal\"\n";
    fs::write(path, config)?;
    world.print(SONNET, &[], &scenario::FRESH)?;
    let document = world.verify_agrees(&[])?;
    check_models(&document, &world)
}

/// Every side has the mock's tokens and their price.
fn check_models(document: &Value, world: &World) -> Result<()> {
    let truth = world.api.truth();
    let models = document["models"].as_array().context("no models")?;
    ensure!(models.len() == truth.tokens.len(), "{document:#}");
    for (model, usage) in &truth.tokens {
        let row = models.iter().find(|row| row["model"] == model.as_str());
        let row = row.with_context(|| format!("no {model}: {document:#}"))?;
        let only = crate::harness::script::Truth {
            tokens: [(model.clone(), *usage)].into(),
            ..Default::default()
        };
        let cost_usd = scenario::cost_usd(&only)?;
        for side in ["counters", "events", "transcripts"] {
            let found = &row[side];
            ensure!(
                found["tokens"]
                    == json!({"input": usage.input, "output": usage.output,
                        "cache_read": usage.cache_read, "cache_creation": usage.cache_creation}),
                "{model}, {side}: {document:#}"
            );
            let cost = found["cost_usd"].as_f64().context("no cost")?;
            ensure!((cost - cost_usd).abs() < COST_TOLERANCE_USD, "{side}: {cost} for {cost_usd}");
        }
    }
    Ok(())
}

fn without_ccotel() -> Result<()> {
    let world = World::new()?;
    world.print(SONNET, &[], &scenario::CONCURRENT[..1])?;
    let bare = world.print_bare(HAIKU, &scenario::CONCURRENT[1..])?;
    let finding = world.verify_names("session_without_ccotel", &bare)?;
    ensure!(finding["difference"]["requests"] == -2, "{finding}");
    let text = world.sandbox.ccotel(&["verify"]).output()?;
    let text = String::from_utf8(text.stdout)?;
    ensure!(text.contains(&bare) && text.contains("The sides do not agree."), "{text}");
    Ok(())
}

/// A version that sends nothing, made of another's transcript.
fn known_bad() -> Result<()> {
    let world = World::new()?;
    world.print(SONNET, &[], &scenario::CONCURRENT[..1])?;
    let bare = world.print_bare(HAIKU, &scenario::CONCURRENT[1..])?;
    let path = world.transcript(&bare)?;
    let mut lines = Vec::new();
    for line in fs::read_to_string(&path)?.lines() {
        let mut line: Value = serde_json::from_str(line)?;
        if line["version"].is_string() {
            line["version"] = "2.1.252".into();
        }
        lines.push(format!("{line}\n"));
    }
    fs::write(&path, lines.concat())?;
    let finding = world.verify_names("known_bad_version", &bare)?;
    let source = finding["source"].as_str().unwrap_or_default();
    ensure!(source.starts_with("https://github.com/anthropics/claude-code/issues/"), "{finding}");
    Ok(())
}

/// The agent is stopped in the middle of a session, and there again for the next one.
fn stream_died() -> Result<()> {
    let steps = ["the first step", "the second step", "of another session"];
    let script = steps.iter().fold(Script::default(), |script, step| {
        script.prompt(step, [Turn::text("Done.", Usage::new(31, 7, 0, 900))])
    });
    let world = World::with(script)?;
    world.sandbox.start_agent()?;
    let mut session =
        Printed::start(world.sandbox.claude(&world.api, &print_arguments(SONNET, &[])))?;
    session.ask(steps[0])?;
    world.wait_for_requests(1)?;
    // Counters come later than events, and would be lost, too.
    world.verify_agrees(&[])?;
    world.sandbox.run(&["agent", "stop", "--stay"])?;
    let id = session.ask(steps[1])?.session_id;
    session.finish()?;
    let finding = world.verify_names("agent_down", &id)?;
    ensure!(finding["difference"]["requests"] == -1, "{finding}");

    world.sandbox.start_agent()?;
    world.print(SONNET, &[], &steps[2..])?;
    world.wait_for_requests(2)?;
    let finding = world.verify_names("stream_died", &id)?;
    ensure!(finding["difference"]["requests"] == -1, "{finding}");
    Ok(())
}

/// Claude Code counts it at a price of its own; tokens agree all the same.
fn unpriced() -> Result<()> {
    let world = World::new()?;
    world.print(UNPRICED, &[], &scenario::CONCURRENT[..1])?;
    let document = world.verify_agrees(&["unpriced_model"])?;
    let row = &document["models"][0];
    ensure!(row["model"] == UNPRICED, "{document:#}");
    ensure!(row["transcripts"]["unpriced_requests"] == 2, "{document:#}");
    ensure!(row["transcripts"]["tokens"] == row["events"]["tokens"], "{document:#}");
    Ok(())
}

fn transcript_gone() -> Result<()> {
    let world = World::new()?;
    let session = world.print(SONNET, &[], &scenario::CONCURRENT[..1])?;
    world.verify_agrees(&[])?;
    fs::remove_file(world.transcript(&session)?)?;
    let finding = world.verify_names("not_in_transcript", &session)?;
    ensure!(finding["difference"]["requests"] == 2, "{finding}");
    Ok(())
}

/// What counts as a prompt: what is typed, and commands such as `/clear`, which no model answers.
fn prompts_alike() -> Result<()> {
    let world = World::new()?;
    let arguments = terminal_arguments(SONNET, &[], scenario::TERMINAL[0]);
    let mut terminal = Terminal::start(world.sandbox.claude(&world.api, &arguments))?;
    finished(&world, &terminal, scenario::TERMINAL[0])?;
    for command in ["/context", "/clear"] {
        enter(&mut terminal, command)?;
    }
    enter(&mut terminal, scenario::TERMINAL[1])?;
    finished(&world, &terminal, scenario::TERMINAL[1])?;
    enter(&mut terminal, "/exit")?;
    let code = terminal.finish(DEADLINE)?;
    ensure!(code == Some(0), "claude ended with {code:?}");

    let elsewhere = world.sandbox.home().join("elsewhere");
    let mut import = world.sandbox.ccotel(&["import", "--json"]);
    let output = import.env("CCOTEL_DATA_DIR", &elsewhere).output()?;
    let imported: Value = serde_json::from_slice(&output.stdout)?;
    poll::until("the prompts of both", DEADLINE, || {
        let report = world.sandbox.json(&["report", "--json", "--since", "1d"])?;
        let (told, written) = (&report["total"], &imported["added"]);
        ensure!(written["prompts"] == 4, "{imported}");
        // No transcript has `/exit`.
        ensure!(told["prompts"] == 5, "{told} is told, and {written} written");
        Ok(())
    })
}

fn finished(world: &World, terminal: &Terminal, prompt: &str) -> Result<()> {
    poll::until("an answer", DEADLINE, || {
        ensure!(world.api.finished(prompt) > 0, "{}", terminal.screen());
        Ok(())
    })?;
    terminal.wait_for("an empty input line", claude::has_empty_input)
}

fn enter(terminal: &mut Terminal, text: &str) -> Result<()> {
    terminal.type_text(text)?;
    terminal.wait_for("what was typed", |screen| screen.contains(text))?;
    terminal.type_text("\r")?;
    if text != "/exit" {
        terminal.wait_for("an empty input line", claude::has_empty_input)?;
    }
    Ok(())
}
