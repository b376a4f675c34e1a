//! Faults: what happens to the agent, and when. Always at a random microsecond after something was
//! acknowledged, or, once in four, after the worker before was replaced, so that starts are cut as well.

use std::time::Duration;

use anyhow::{Result, ensure};
use fastrand::Rng;
use rustix::process::{Pid, Signal};

use super::agent::{Agent, kill};
use super::power::Disk;
use super::truth::Truth;

/// Acknowledged requests between two faults.
const REQUESTS_MAX: u64 = 12;
const REQUESTS_PATIENCE: Duration = Duration::from_mins(1);
/// The random moment.
const DELAY_US_MAX: u64 = 20_000;
/// A holder answers so many deaths at once; then it pauses for seconds, which tests nothing more.
const WORKERS_A_HOLDER_MAX: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL of the worker.
    Worker,
    /// SIGKILL of the holder; the worker sees that it is alone.
    Holder,
    /// SIGKILL of both; the next `claude` starts another agent.
    Both,
    /// SIGSTOP of the worker for so long, then SIGCONT.
    Pause(Duration),
    /// What was not synced is gone.
    PowerCut,
}

pub type Choose = fn(&mut Rng) -> Fault;

pub fn kills(rng: &mut Rng) -> Fault {
    match rng.u8(..8) {
        0 => Fault::Both,
        1 => Fault::Holder,
        _ => Fault::Worker,
    }
}

/// Longer than these clients wait for an answer, and now and then a kill of who was paused.
pub fn pauses(rng: &mut Rng) -> Fault {
    match rng.u8(..4) {
        0 => Fault::Worker,
        _ => Fault::Pause(Duration::from_millis(rng.u64(1_200..2_000))),
    }
}

pub fn power_cuts(rng: &mut Rng) -> Fault {
    match rng.u8(..3) {
        0 => Fault::Worker,
        _ => Fault::PowerCut,
    }
}

pub struct Faults<'a> {
    pub agent: Agent<'a>,
    pub truth: &'a Truth,
    pub disk: Option<Disk>,
    pub rng: Rng,
    last: Option<Pid>,
    workers_killed: u32,
}

impl<'a> Faults<'a> {
    pub fn new(agent: Agent<'a>, truth: &'a Truth, disk: Option<Disk>, rng: Rng) -> Self {
        Self { agent, truth, disk, rng, last: None, workers_killed: 0 }
    }

    pub fn strike(&mut self, choose: Choose) -> Result<Fault> {
        let worker = self.agent.worker_after(self.last)?;
        if self.rng.u8(..4) != 0 {
            let requests = self.rng.u64(1..=REQUESTS_MAX);
            ensure!(
                self.truth.wait_for_more(requests, REQUESTS_PATIENCE),
                "no {requests} requests were acknowledged within {REQUESTS_PATIENCE:?}; {}",
                self.truth.counts()
            );
        }
        // The random moment is the test's input; nothing is waited for.
        std::thread::sleep(Duration::from_micros(self.rng.u64(..DELAY_US_MAX)));
        let mut fault = choose(&mut self.rng);
        if fault == Fault::Worker && self.workers_killed >= WORKERS_A_HOLDER_MAX {
            fault = Fault::Both;
        }
        self.happen(fault, worker)?;
        Ok(fault)
    }

    fn happen(&mut self, fault: Fault, worker: Pid) -> Result<()> {
        match fault {
            Fault::Worker => {
                kill(worker, Signal::KILL)?;
                self.workers_killed += 1;
                self.last = Some(worker);
                return Ok(());
            }
            Fault::Pause(pause) => {
                kill(worker, Signal::STOP)?;
                std::thread::sleep(pause);
                return kill(worker, Signal::CONT);
            }
            Fault::Holder => self.agent.kill_holder(None)?,
            Fault::Both => self.agent.kill_holder(Some(worker))?,
            Fault::PowerCut => {
                let disk = self.disk.as_mut().expect("a trial with power cuts has a disk");
                // No request is acknowledged any more, and what was, is known to its client.
                kill(worker, Signal::STOP)?;
                disk.copy_unsynced()?;
                self.agent.kill_holder(Some(worker))?;
                disk.swap()?;
            }
        }
        self.agent.start()?;
        self.workers_killed = 0;
        self.last = None;
        Ok(())
    }
}
