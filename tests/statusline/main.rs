//! `ccotel statusline`, given what Claude Code gives, and what it might.

mod absent;
mod chained;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod shown;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::sandbox::Sandbox;

/// Below what somebody would call hanging, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs it with this standard input; what it printed, if it ended well and in time.
fn line(sandbox: &Sandbox, arguments: &[&str], input: &str) -> Result<String> {
    let mut words = vec!["statusline"];
    words.extend(arguments);
    run(sandbox.ccotel(&words), input)
}

fn run(mut command: Command, input: &str) -> Result<String> {
    let began = Instant::now();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // It may have ended without reading.
    let _ = child.stdin.take().context("a pipe")?.write_all(input.as_bytes());
    let output: Output = child.wait_with_output()?;
    ensure!(output.status.success(), "{output:?}");
    ensure!(began.elapsed() < PATIENCE, "took {:?}", began.elapsed());
    ensure!(output.stderr.is_empty(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}
