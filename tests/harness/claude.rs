//! Sessions of the real Claude Code, printed (`-p`) and in a terminal.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::mock_api::MockApi;
use super::terminal::Terminal;
use super::{http, poll};

pub const API_KEY: &str = "sk-ant-api03-loopback-mock-0000000000";

/// Neither is about to be retired, and their prices differ.
pub const SONNET: &str = "claude-sonnet-4-6";
pub const HAIKU: &str = "claude-haiku-4-5";

/// A scripted answer comes at once; starting takes a second or two, on a loaded machine more.
const ANSWER_DEADLINE: Duration = Duration::from_mins(1);

/// Lines that a session may be ahead of the test.
const LINES_MAX: usize = 4096;

/// What every printed session needs: prompts one by one on standard input, events as JSON lines.
const PRINT: [&str; 8] = [
    "-p",
    "--input-format",
    "stream-json",
    "--output-format",
    "stream-json",
    "--verbose",
    "--dangerously-skip-permissions",
    "--model",
];

/// Arguments for a printed session with this model.
pub fn print_arguments<'a>(model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&PRINT[..], &[model], more].concat()
}

/// What the CLI itself says at the end of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptResult {
    pub session_id: String,
    /// Of this process so far.
    pub cost_usd: f64,
    pub is_error: bool,
    /// `modelUsage`, by model.
    pub usage: Value,
    /// `total_cost_usd` by model is in here, too.
    pub whole: Value,
}

/// A running `claude -p` that takes one prompt after another. Killed when dropped.
pub struct Printed {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Printed {
    pub fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        Ok(Self { child, input, lines })
    }

    /// Sends a prompt without waiting for its end.
    pub fn send(&mut self, prompt: &str) -> Result<()> {
        let content = json!([{ "type": "text", "text": prompt }]);
        let message = json!({ "type": "user", "message": { "role": "user", "content": content } });
        let input = self.input.as_mut().context("the session's input is closed")?;
        writeln!(input, "{message}")?;
        Ok(input.flush()?)
    }

    /// As the editors' panels do it.
    pub fn set_permission_mode(&mut self, mode: &str) -> Result<()> {
        let request = json!({ "subtype": "set_permission_mode", "mode": mode });
        let message = json!({ "type": "control_request", "request_id": mode, "request": request });
        let input = self.input.as_mut().context("the session's input is closed")?;
        writeln!(input, "{message}")?;
        Ok(input.flush()?)
    }

    /// The result that ends the prompt sent last.
    pub fn result(&mut self) -> Result<PromptResult> {
        loop {
            let line = self.lines.recv_timeout(ANSWER_DEADLINE).context("no result from claude")?;
            let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
            if event["type"] == "result" {
                return parse_result(event);
            }
        }
    }

    pub fn ask(&mut self, prompt: &str) -> Result<PromptResult> {
        self.send(prompt)?;
        self.result()
    }

    /// Closes its input and waits for its end, when it has flushed its telemetry.
    pub fn finish(mut self) -> Result<i32> {
        drop(self.input.take());
        while self.lines.recv_timeout(ANSWER_DEADLINE).is_ok() {}
        Ok(self.child.wait()?.code().unwrap_or(-1))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Printed {
    fn drop(&mut self) {
        http::end(&mut self.child);
    }
}

fn parse_result(event: Value) -> Result<PromptResult> {
    Ok(PromptResult {
        session_id: event["session_id"].as_str().context("a result without session")?.to_owned(),
        cost_usd: event["total_cost_usd"].as_f64().context("a result without cost")?,
        is_error: event["is_error"].as_bool().unwrap_or(false),
        usage: event["modelUsage"].clone(),
        whole: event,
    })
}

/// A whole session: each prompt after the one before it, then a clean end. The last result.
pub fn session(command: Command, prompts: &[&str]) -> Result<PromptResult> {
    let mut printed = Printed::start(command)?;
    let mut last = None;
    for prompt in prompts {
        last = Some(printed.ask(prompt)?);
    }
    let code = printed.finish()?;
    let last = last.context("a session without a prompt")?;
    ensure!(code == i32::from(last.is_error), "claude ended with {code} after {last:?}");
    Ok(last)
}

/// Arguments for a session in the terminal interface that starts with a prompt.
pub fn terminal_arguments<'a>(model: &'a str, more: &[&'a str], prompt: &'a str) -> Vec<&'a str> {
    [&["--model", model, "--allowedTools", "Bash Edit Write Read"], more, &["--", prompt]].concat()
}

/// A whole session in the terminal interface: the first prompt came as an argument, the others are
/// typed, each once the mock has brought the one before it to its end.
pub fn terminal_session(command: Command, api: &MockApi, prompts: &[&str]) -> Result<()> {
    let mut terminal = Terminal::start(command)?;
    for (index, prompt) in prompts.iter().enumerate() {
        if index > 0 {
            terminal.type_text(prompt)?;
            terminal.wait_for("what was typed", |screen| screen.contains(prompt))?;
            terminal.type_text("\r")?;
        }
        poll::until("the last answer to a prompt", ANSWER_DEADLINE, || {
            ensure!(api.finished(prompt) > 0, "{prompt:?}: {:#?}", api.log());
            Ok(())
        })
        .with_context(|| format!("the screen says:\n{}", terminal.screen()))?;
        terminal.wait_for("an empty input line", has_empty_input)?;
    }
    // Twice: the first asks whether it is meant.
    terminal.type_text("\u{4}")?;
    terminal.wait_for("the question about leaving", |screen| screen.contains("again to exit"))?;
    terminal.type_text("\u{4}")?;
    let code = terminal.finish(ANSWER_DEADLINE)?;
    ensure!(code == Some(0), "claude ended with {code:?}");
    Ok(())
}

/// Idle, and ready for the next prompt.
pub fn has_empty_input(screen: &str) -> bool {
    let is_idle = !screen.contains("esc to interrupt");
    is_idle && screen.lines().any(|line| line.trim_end() == "❯")
}
