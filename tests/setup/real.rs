//! The real Claude Code, typed as `claude` after `ccotel setup`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::harness::cases::Case;
use crate::harness::claude::SONNET;
use crate::harness::mock_api::MockApi;
use crate::harness::poll;
use crate::harness::programs::Program;
use crate::harness::sandbox::{self, Sandbox};
use crate::harness::script::{Script, Turn, Usage};
use crate::harness::terminal::Terminal;

const ANSWER_DEADLINE: Duration = Duration::from_secs(90);

pub fn cases() -> Vec<Case> {
    let shells = [("bash", Program::Bash), ("zsh", Program::Zsh), ("fish", Program::Fish)];
    shells
        .map(|(name, shell)| {
            let needs = [shell, Program::Claude];
            let name = format!("real_claude_is_counted_as_{name}_types_it");
            Case::new(name, &needs, move || typed(shell))
        })
        .into()
}

fn typed(shell: Program) -> Result<()> {
    let api = MockApi::start(
        Script::default().prompt("hello", [Turn::text("answered", Usage::new(10, 5, 0, 0))]),
    );
    let sandbox = Sandbox::new()?;
    let program = shell.find().context("it was there")?;
    let name = program.file_name().context("a name")?.to_string_lossy().into_owned();
    let setup = sandbox
        .ccotel(&["setup", "--yes", "--shell", &name, "--without", "service"])
        .env("SHELL", &program)
        .stdin(Stdio::null())
        .output()?;
    ensure!(setup.status.success(), "{setup:?}");
    let mut command = sandbox.command(&program);
    command.arg("-i").env("HISTFILE", "/dev/null").env("PATH", path_with_claude()?);
    // By PATH, as for everybody.
    command.env_remove("CCOTEL_CLAUDE");
    sandbox::point_at(&mut command, &api);
    let mut terminal = Terminal::start(command)?;
    terminal.type_text(&format!("claude -p hello --model {SONNET}; echo over\r"))?;
    poll::until("the answer", ANSWER_DEADLINE, || {
        let screen = terminal.screen();
        let lines: Vec<_> = screen.lines().map(str::trim_end).collect();
        ensure!(lines.contains(&"answered"), "the screen says:\n{screen}");
        Ok(())
    })?;
    poll::until("the report", ANSWER_DEADLINE, || {
        let report = sandbox.json(&["report", "--since", "today", "--json"])?;
        ensure!(report["total"]["requests"].as_u64() >= Some(1), "{report}");
        ensure!(report["total"]["cost_usd"].as_f64() > Some(0.0), "{report}");
        Ok(())
    })?;
    sandbox.run(&["uninstall"])?;
    Ok(())
}

/// The directory of the real `claude` first.
pub fn path_with_claude() -> Result<std::ffi::OsString> {
    let claude: PathBuf = Program::Claude.find().context("it was there")?;
    let directory = claude.parent().context("a directory")?.to_path_buf();
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(std::iter::once(directory).chain(std::env::split_paths(&path)))?)
}
