//! A server of somebody else's as a process: started, waited for until it is ready, ended when dropped.
//! One that ends by itself is told at once, with the last of what it said.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::http;

/// The slowest of them on a busy machine.
const READY_DEADLINE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(50);
const LAST_LINES: usize = 10;

pub struct ServerProcess(Child);

impl ServerProcess {
    /// Ready is who answers 200 at `ready_url`. What the server says is kept in `directory`.
    pub fn start(command: &mut Command, directory: &Path, ready_url: &str) -> Result<Self> {
        let program = command.get_program().to_owned();
        let log = directory.join("said.log");
        let (stdout, stderr) = (File::create(&log)?, File::options().append(true).open(&log)?);
        let child = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn();
        let mut server = Self(child.with_context(|| format!("starting {}", program.display()))?);
        server.wait_until_ready(ready_url, &log).with_context(|| program.display().to_string())?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, url: &str, log: &Path) -> Result<()> {
        let end = Instant::now() + READY_DEADLINE;
        loop {
            // Asked first: whoever has its port may answer in its place.
            if let Some(status) = self.0.try_wait()? {
                bail!("ended with {status} before it was ready:\n{}", last_lines(log));
            }
            let not_ready = match http::get(url, &[]) {
                Ok((200, _)) => return Ok(()),
                Ok((status, body)) => format!("{status}: {body}"),
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() >= end {
                let within_s = READY_DEADLINE.as_secs();
                bail!("not ready within {within_s} s: {not_ready}\n{}", last_lines(log));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        http::end(&mut self.0);
    }
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}
