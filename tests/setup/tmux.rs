//! Claude Code's own interface, in tmux, as a shell with the hook starts it: what a terminal and a
//! shell see of it is what they see without us.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::harness::cases::Case;
use crate::harness::claude::{SONNET, has_empty_input};
use crate::harness::mock_api::MockApi;
use crate::harness::poll;
use crate::harness::programs::Program;
use crate::harness::sandbox::{self, Sandbox};
use crate::harness::script::{Script, Turn, Usage};
use crate::real::path_with_claude;

const DEADLINE: Duration = Duration::from_secs(90);

pub fn cases() -> Vec<Case> {
    let needs = [Program::Tmux, Program::Bash, Program::Claude];
    vec![Case::new("real_claude_in_tmux_is_a_terminal_program_like_any", &needs, like_any)]
}

/// A server of its own, ended when dropped.
struct Tmux {
    program: PathBuf,
    socket: PathBuf,
}

impl Tmux {
    /// A shell in a window of 120 × 40.
    fn start(sandbox: &Sandbox, api: &MockApi) -> Result<Self> {
        let program = Program::Tmux.find().context("it was there")?;
        let tmux = Self { program: program.clone(), socket: sandbox.home().join("tmux.socket") };
        let shell = Program::Bash.find().context("it was there")?;
        let mut command = sandbox.command(&program);
        command.arg("-S").arg(&tmux.socket).args(["-f", "/dev/null", "new-session", "-d"]);
        command.args(["-x", "120", "-y", "40"]).arg(format!("{} -i", shell.display()));
        command.env("HISTFILE", "/dev/null").env("PATH", path_with_claude()?);
        // By PATH, as for everybody.
        command.env_remove("CCOTEL_CLAUDE");
        sandbox::point_at(&mut command, api);
        let output = command.stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(tmux)
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.arg("-S").arg(&self.socket).args(arguments).stdin(Stdio::null());
        command.output().with_context(|| format!("tmux {arguments:?}"))
    }

    fn says(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        ensure!(output.status.success(), "tmux {arguments:?}: {output:?}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn press(&self, key: &str) -> Result<()> {
        self.says(&["send-keys", key]).map(drop)
    }

    fn types(&self, text: &str) -> Result<()> {
        self.says(&["send-keys", "-l", text]).map(drop)
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&str) -> bool) -> Result<()> {
        poll::until(what, DEADLINE, || {
            let screen = self.says(&["capture-pane", "-p"])?;
            ensure!(holds(&screen), "the screen says:\n{screen}");
            Ok(())
        })
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.run(&["kill-server"]);
    }
}

fn has_line(screen: &str, wanted: &str) -> bool {
    screen.lines().any(|line| line.trim_end() == wanted)
}

/// The lines around the input are as wide as the terminal.
fn is_drawn_for(screen: &str, columns: usize) -> bool {
    let widest = screen.lines().map(|line| line.trim_end().chars().count()).max();
    widest == Some(columns) && has_empty_input(screen)
}

fn like_any() -> Result<()> {
    let turns = [Turn::text("The answer.", Usage::new(10, 5, 0, 0))];
    let api = MockApi::start(Script::default().prompt("a question", turns));
    let sandbox = Sandbox::new()?;
    sandbox.run(&["setup", "--yes", "--shell", "bash", "--without", "service"])?;
    let tmux = Tmux::start(&sandbox, &api)?;
    tmux.types(&format!("claude --model {SONNET}"))?;
    tmux.press("Enter")?;
    tmux.wait_for("its interface", |screen| is_drawn_for(screen, 120))?;
    let title = tmux.says(&["display-message", "-p", "#{pane_title}"])?;
    ensure!(title.contains("Claude Code"), "the title is {title:?}");

    tmux.says(&["resize-window", "-x", "80", "-y", "24"])?;
    tmux.wait_for("its interface, smaller", |screen| is_drawn_for(screen, 80))?;

    tmux.types("never sent")?;
    tmux.wait_for("what was typed", |screen| screen.contains("never sent"))?;
    tmux.press("C-c")?;
    tmux.wait_for("an empty input", has_empty_input)?;

    tmux.press("C-z")?;
    tmux.wait_for("a stopped job", |screen| screen.contains("Stopped"))?;
    tmux.types("fg")?;
    tmux.press("Enter")?;
    tmux.wait_for("its interface again", has_empty_input)?;

    tmux.types("a question")?;
    tmux.wait_for("what was typed", |screen| screen.contains("a question"))?;
    tmux.press("Enter")?;
    tmux.wait_for("the answer", |screen| {
        screen.contains("The answer.") && has_empty_input(screen)
    })?;
    tmux.press("C-d")?;
    tmux.wait_for("the question about leaving", |screen| screen.contains("again to exit"))?;
    tmux.press("C-d")?;
    tmux.wait_for("the shell", |screen| screen.trim_end().ends_with(['#', '$']))?;
    tmux.types("echo \"code-$?\"")?;
    tmux.press("Enter")?;
    tmux.wait_for("its code", |screen| has_line(screen, "code-0"))?;

    tmux.types("claude --there-is-no-such-option; echo \"then-$?\"")?;
    tmux.press("Enter")?;
    tmux.wait_for("the code of a failure", |screen| has_line(screen, "then-1"))?;

    poll::until("the report", DEADLINE, || {
        let report = sandbox.json(&["report", "--since", "today", "--json"])?;
        ensure!(report["total"]["requests"].as_u64() >= Some(1), "{report}");
        Ok(())
    })
}
