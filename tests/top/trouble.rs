//! No agent, an agent that dies, no history, a damaged one, no terminal: a sentence each time.

use std::fs;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::cases::Case;
use crate::harness::sandbox::Sandbox;
use crate::harness::terminal::Terminal;
use crate::live::{start, with_rich_session};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("trouble::an_agent_that_dies_and_comes_back", &[], dies),
        Case::new("trouble::no_agent_and_no_history", &[], nothing),
        Case::new("trouble::a_damaged_history_and_its_repair", &[], damaged),
        Case::new("trouble::damaged_imports_take_nothing_from_what_runs", &[], damaged_imports),
        Case::new("trouble::no_terminal_or_one_that_cannot_be_drawn_on", &[], no_terminal),
        Case::new("trouble::a_snapshot_without_anything", &[], empty_snapshot),
    ]
}

fn dies() -> Result<()> {
    let sandbox = with_rich_session()?;
    let terminal = start(&sandbox, 24, 80)?;
    terminal.wait_for("agent and session", |screen| {
        screen.contains("● agent") && screen.contains("sonnet-4-5")
    })?;
    let (holder, worker) = (sandbox.holder_pid()?, sandbox.worker_pid()?);
    for pid in [holder, worker] {
        kill_process(Pid::from_raw(pid).context("a pid")?, Signal::KILL)?;
    }
    terminal.wait_for("that no agent runs", |screen| screen.contains("No agent runs"))?;
    ensure!(terminal.screen().contains("sonnet-4-5"), "the history is still there");
    sandbox.start_agent()?;
    terminal.wait_for("the agent again", |screen| screen.contains("● agent"))
}

fn nothing() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let terminal = start(&sandbox, 24, 80)?;
    terminal.wait_for("what to do", |screen| {
        screen.contains("Nothing has been recorded yet. `ccotel claude` starts a session")
            && screen.contains("No agent runs; `ccotel agent start` starts one")
    })
}

fn damaged() -> Result<()> {
    let sandbox = with_rich_session()?;
    sandbox.run(&["report"])?;
    sandbox.run(&["agent", "stop"])?;
    let history = sandbox.data_dir().join("history.db");
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(sandbox.data_dir().join(format!("history.db{suffix}")));
    }
    fs::write(&history, "this is no database, and it is longer than a head of one".repeat(99))?;
    let mut terminal = start(&sandbox, 24, 80)?;
    terminal.wait_for("that it is damaged", |screen| {
        screen.contains("is damaged") && screen.contains("`ccotel agent")
    })?;
    // Keys do not need a history.
    terminal.type_text("sr\r?x")?;
    let snapshot = output(&mut sandbox.ccotel(&["top", "--json"]))?;
    let text = String::from_utf8(snapshot.stdout)?;
    let document: serde_json::Value = serde_json::from_str(&text)?;
    ensure!(snapshot.status.code() == Some(1), "{}", snapshot.status);
    ensure!(document["error"].as_str().is_some_and(|it| it.contains("is damaged")), "{document}");
    sandbox.start_agent()?;
    terminal.wait_for("a history built again", |screen| screen.contains("sonnet-4-5"))
}

fn damaged_imports() -> Result<()> {
    let sandbox = with_rich_session()?;
    fs::write(sandbox.data_dir().join("imported.db"), "this is no database at all".repeat(99))?;
    let terminal = start(&sandbox, 24, 80)?;
    terminal.wait_for("the session, and what is wrong", |screen| {
        screen.contains("sonnet-4-5") && screen.contains("imported.db is damaged")
    })
}

fn no_terminal() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let piped = output(&mut sandbox.ccotel(&["top"]))?;
    let said = String::from_utf8(piped.stderr)?;
    ensure!(piped.status.code() == Some(2) && piped.stdout.is_empty(), "{}", piped.status);
    for word in ["terminal", "`ccotel top --json`", "`ccotel report`"] {
        ensure!(said.contains(word) && said.lines().count() == 1, "{said}");
    }
    for term in ["dumb", ""] {
        let mut command = sandbox.ccotel(&["top"]);
        command.env("TERM", term);
        let terminal = Terminal::start_sized(command, 24, 80)?;
        terminal.wait_for("a sentence", |screen| screen.contains("`ccotel top --json`"))?;
        ensure!(terminal.screen().contains("TERM"), "{}", terminal.screen());
        let code = terminal.finish(std::time::Duration::from_secs(20))?;
        ensure!(code == Some(2), "{code:?}");
    }
    Ok(())
}

fn empty_snapshot() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let output = output(&mut sandbox.ccotel(&["top", "--json"]))?;
    ensure!(output.status.success(), "{output:?}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    ensure!(document["schema"] == 1 && document["agent"]["running"] == false, "{document}");
    ensure!(document["sessions"].as_array().is_some_and(Vec::is_empty), "{document}");
    ensure!(document["today"]["cost_usd"] == 0.0 && document["error"].is_null(), "{document}");
    Ok(())
}

fn output(command: &mut Command) -> Result<Output> {
    Ok(command.stdin(std::process::Stdio::null()).output()?)
}
