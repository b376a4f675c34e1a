//! The agent under test: its processes, and ways to end them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ccotel::agent::control::{self, Request};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::harness::poll;
use super::harness::sandbox::Sandbox;
use super::sender::Epoch;

/// A process is replaced or gone long before.
const DEADLINE: Duration = Duration::from_mins(1);

/// A user's agent, and whether its holder lives.
pub struct Agent<'a> {
    pub sandbox: &'a Sandbox,
    pub epoch: &'a Epoch,
}

impl Agent<'_> {
    /// The worker, as soon as there is one that is not `old`: often before it answers anything.
    pub fn worker_after(&self, old: Option<Pid>) -> Result<Pid> {
        let end = Instant::now() + DEADLINE;
        loop {
            let worker = self.worker()?;
            if worker.is_some() && worker != old {
                return worker.context("just seen");
            }
            ensure!(
                Instant::now() < end,
                "no worker after {old:?}: {:?}",
                self.sandbox.json(&["status", "--json"])
            );
            std::thread::park_timeout(Duration::from_micros(200));
        }
    }

    fn worker(&self) -> Result<Option<Pid>> {
        let holder = self.sandbox.holder_pid()?;
        let number = match std::fs::read_to_string(format!("/proc/{holder}/task/{holder}/children"))
        {
            Ok(children) => children.split_whitespace().next().and_then(|pid| pid.parse().ok()),
            // No Linux: whoever answers.
            Err(_) => self.sandbox.worker_pid().ok(),
        };
        Ok(number.and_then(Pid::from_raw))
    }

    /// Waits until the worker answers.
    pub fn answers(&self) -> Result<()> {
        poll::until("the agent answers", DEADLINE, || self.ask(Request::Status))
    }

    /// Whoever is there; an agent that is dead now says nothing.
    pub fn ask(&self, request: Request) -> Result<()> {
        control::ask(&self.sandbox.paths(), request)?;
        Ok(())
    }

    /// Holder, and with it the worker: at once, or left to see that it is alone. Nobody listens until
    /// [`Self::start`].
    pub fn kill_holder(&self, worker: Option<Pid>) -> Result<()> {
        let holder = Pid::from_raw(self.sandbox.holder_pid()?).context("no holder")?;
        self.epoch.change();
        kill(holder, Signal::KILL)?;
        if let Some(worker) = worker {
            kill(worker, Signal::KILL)?;
        }
        poll::until("the holder is gone", DEADLINE, || {
            ensure!(test_kill_process(holder).is_err(), "{holder:?} is still there");
            Ok(())
        })
    }

    /// As the next `claude` would.
    pub fn start(&self) -> Result<()> {
        self.sandbox.run(&["agent", "start"])?;
        self.epoch.change();
        Ok(())
    }
}

/// A process that is gone already is no fault here.
pub fn kill(pid: Pid, signal: Signal) -> Result<()> {
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{signal:?} for {pid:?}")),
    }
}
