//! A demo that runs until it is ended, in a sandbox and a temporary directory of its own.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::page::PageApi;
use crate::harness::poll;
use crate::harness::sandbox::Sandbox;

/// A build without optimisation, on a machine that does other things.
const FILLED_DEADLINE: Duration = Duration::from_mins(8);
const ENDED_DEADLINE: Duration = Duration::from_mins(1);

/// Printed last: from then on it waits.
const READY: &str = "Ctrl-C ends the demo";

pub struct Running {
    sandbox: Sandbox,
    directory: TempDir,
    child: Child,
}

impl Running {
    pub fn start(sandbox: Sandbox, arguments: &[&str]) -> Result<Self> {
        let directory = TempDir::new()?;
        fs::create_dir(directory.path().join("tmp"))?;
        let mut command = sandbox.ccotel(&["demo", "--no-open"]);
        command
            .args(arguments)
            .env("TMPDIR", directory.path().join("tmp"))
            .stdin(Stdio::null())
            .stdout(fs::File::create(directory.path().join("stdout"))?)
            .stderr(fs::File::create(directory.path().join("stderr"))?);
        let child = command.spawn().context("running ccotel demo")?;
        Ok(Self { sandbox, directory, child })
    }

    pub fn stdout(&self) -> Result<String> {
        Ok(fs::read_to_string(self.directory.path().join("stdout"))?)
    }

    pub fn stderr(&self) -> Result<String> {
        Ok(fs::read_to_string(self.directory.path().join("stderr"))?)
    }

    /// Waits until the fortnight is over and the page is there.
    pub fn wait_until_filled(&mut self) -> Result<()> {
        poll::until("the demo", FILLED_DEADLINE, || {
            let (stdout, stderr) = (self.stdout()?, self.stderr()?);
            if let Some(status) = self.child.try_wait()? {
                return Ok(Err(anyhow::anyhow!("it ended with {status}: {stdout}{stderr}")));
            }
            ensure!(stdout.contains(READY), "{stdout}{stderr}");
            Ok(Ok(()))
        })?
    }

    /// Its directory, as soon as there is one.
    pub fn directory(&self) -> Result<PathBuf> {
        let mut entries = fs::read_dir(self.directory.path().join("tmp"))?;
        Ok(entries.next().context("no directory")??.path())
    }

    /// What `ccotel report --json` says of it, as somebody in another terminal sees it.
    pub fn report(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.sandbox.ccotel(&["report", "--json"]);
        command.args(arguments).env("CCOTEL_DATA_DIR", self.directory()?.join("data"));
        let output = command.stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    pub fn report_json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.report(arguments)?)?)
    }

    pub fn page(&self) -> Result<PageApi> {
        PageApi::of_file(&self.directory()?.join("run/open.html"))
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        Ok(kill_process(pid, signal)?)
    }

    /// Waits for its end, after which nothing of it may be left.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let status = poll::until("the demo's end", ENDED_DEADLINE, || {
            self.child.try_wait()?.context("it still runs")
        })?;
        let left: Vec<_> = fs::read_dir(self.directory.path().join("tmp"))?.collect();
        ensure!(left.is_empty(), "{left:?} is left");
        self.check_users_own()?;
        Ok(status)
    }

    /// Neither store nor agent of the user's was made.
    fn check_users_own(&self) -> Result<()> {
        if self.sandbox.data_dir().exists() {
            bail!("the user's data directory was made");
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A demo that ends by itself: its output, and whether anything is left in its temporary directory.
pub fn run(mut command: Command) -> Result<(ExitStatus, String, String)> {
    let directory = TempDir::new()?;
    let output = command.env("TMPDIR", directory.path()).stdin(Stdio::null()).output()?;
    let left: Vec<_> = fs::read_dir(directory.path())?.collect();
    ensure!(left.is_empty(), "{left:?} is left");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes);
    Ok((output.status, text(output.stdout)?, text(output.stderr)?))
}
