//! The fortnight passes: every two minutes what happened is exported and samples are taken. That is often
//! enough for Prometheus, which takes a series to be gone after five.
//!
//! A time in which nobody works is passed over, as if the machine slept.

use std::collections::VecDeque;

use super::agent::ThrowAway;
use super::calendar::Fortnight;
use super::process::Process;
use crate::deliver::wire::Wire;

const STEP_MS: i64 = 2 * 60_000;
/// So long after the last export samples go on.
const AWAKE_FOR_MS: i64 = 4 * STEP_MS;

/// The fortnight on its way.
pub struct Filling<'a> {
    agent: &'a ThrowAway,
    now_ms: i64,
    end_ms: i64,
    /// Sessions that have not begun, by start.
    waiting: VecDeque<Process<'a>>,
    running: Vec<Process<'a>>,
    last_export_ms: i64,
}

impl<'a> Filling<'a> {
    pub fn new(agent: &'a ThrowAway, fortnight: &'a Fortnight) -> Self {
        Self {
            agent,
            now_ms: fortnight.start_ms,
            end_ms: fortnight.end_ms,
            waiting: fortnight.sessions.iter().map(Process::new).collect(),
            running: Vec::new(),
            last_export_ms: i64::MIN / 2,
        }
    }

    pub fn is_over(&self) -> bool {
        self.now_ms >= self.end_ms
    }

    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// One more step: how many happenings went out.
    pub async fn step(&mut self) -> anyhow::Result<usize> {
        self.now_ms = self.next_ms();
        self.agent.set_time(self.now_ms);
        while self.waiting.front().is_some_and(|process| process.start_ms() < self.now_ms) {
            self.running.extend(self.waiting.pop_front());
        }
        let mut sent = 0;
        for process in &mut self.running {
            let before = process.happenings_left();
            let exports = process.export(self.now_ms);
            sent += before - process.happenings_left();
            if let Some(body) = exports.logs {
                self.agent.send(Wire::OtlpLogs, body).await?;
            }
            if let Some(body) = exports.metrics {
                self.agent.send(Wire::OtlpMetrics, body).await?;
            }
        }
        self.running.retain(|process| !process.has_ended());
        if sent > 0 {
            self.last_export_ms = self.now_ms;
        }
        self.agent.rooms.store().tick().await?;
        Ok(sent)
    }

    fn next_ms(&self) -> i64 {
        let next_ms = self.now_ms + STEP_MS;
        let awake = !self.running.is_empty() || next_ms - self.last_export_ms <= AWAKE_FOR_MS;
        let wakes_ms = self
            .waiting
            .front()
            .map_or(self.end_ms, |process| (process.start_ms().div_euclid(STEP_MS) + 1) * STEP_MS);
        let next_ms = if awake { next_ms } else { wakes_ms.max(next_ms) };
        next_ms.min(self.end_ms)
    }
}
