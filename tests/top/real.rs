//! A session of the real Claude Code, watched while it goes on.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::harness::cases::Case;
use crate::harness::claude::{self, SONNET, print_arguments};
use crate::harness::mock_api::MockApi;
use crate::harness::programs::Program;
use crate::harness::sandbox::{PROJECT, Sandbox};
use crate::harness::script::{Gate, Script, Turn, Usage};
use crate::harness::terminal::Terminal;
use crate::live::start;

const PROMPT: &str = "Wait for the file, then say that it came.";
/// What the tool waits for, in the repository.
const FILE: &str = "come";

pub fn cases() -> Vec<Case> {
    let name = "real::a_session_is_watched_from_its_tool_to_its_end";
    vec![Case::new(name, &[Program::Claude], watched)]
}

fn watched() -> Result<()> {
    let (sandbox, gate) = (Sandbox::new()?, Gate::closed());
    let command = format!("until [ -e {FILE} ]; do sleep 0.1; done");
    let turns = [
        Turn::bash(&command, Usage::new(100, 20, 0, 5000)),
        Turn::text("It came.", Usage::new(7, 13, 5000, 210)).held_by(&gate),
    ];
    let api = MockApi::start(Script::default().prompt(PROMPT, turns));
    sandbox.start_agent()?;
    let mut top = start(&sandbox, 24, 80)?;
    let session = sandbox.claude(&api, &print_arguments(SONNET, &[]));
    let session = std::thread::spawn(move || claude::session(session, &[PROMPT]));
    let seen = tool_and_thinking(&sandbox, &top);
    // Whatever was seen: the session must be able to end.
    fs::write(sandbox.repository().join(FILE), "")?;
    gate.open();
    let result = session.join().ok().context("the session's thread panicked")?;
    seen?;
    let cost = ccotel::report::table::money(result?.cost_usd);
    top.wait_for("its end and its cost", |screen| {
        screen.lines().any(|line| line.contains(PROJECT) && line.contains("idle"))
            && screen.matches(&*cost).count() == 2
    })?;
    top.type_text("\r")?;
    top.wait_for("its story", |screen| screen.contains("▶ prompt") && screen.contains("  Bash"))?;
    let story = top.screen();
    ensure!(!story.contains("come"), "what the tool was told is not kept:\n{story}");
    Ok(())
}

fn tool_and_thinking(sandbox: &Sandbox, top: &Terminal) -> Result<()> {
    let doing = |what: &'static str| {
        move |screen: &str| screen.lines().any(|line| line.contains(PROJECT) && line.contains(what))
    };
    top.wait_for("the tool that waits", doing("Bash "))?;
    fs::write(sandbox.repository().join(FILE), "")?;
    top.wait_for("the answer that is held back", doing("thinking"))
}
