//! Requests from the quarantine that are sent again, as they were, when no lane has anything to do.

use std::time::Duration;

use tokio::time::Instant;

use super::Task;
use crate::deliver::backoff::{Backoff, draw};
use crate::deliver::lane::{PARKED_PROBE, Problem};
use crate::deliver::otlp::logs::header_of;
use crate::deliver::outcome::{Outcome, Sent, classify, cut};
use crate::deliver::remote_write_v2;
use crate::deliver::status::State;
use crate::deliver::wire::{Encoded, Wire};
use crate::store::handle::{QuarantineEntry, Refused, Retried};

/// Where this stands.
#[derive(Debug)]
pub struct PutBack {
    /// The store may have some.
    maybe_more: bool,
    backoff: Backoff,
    wait: Option<Instant>,
    problem: Option<Problem>,
}

impl Default for PutBack {
    fn default() -> Self {
        Self { maybe_more: true, backoff: Backoff::default(), wait: None, problem: None }
    }
}

impl PutBack {
    /// There is some, or the user wants it tried now.
    pub fn look(&mut self) {
        self.maybe_more = true;
        self.wait = None;
    }

    pub fn is_due(&self, now: Instant) -> bool {
        self.maybe_more && self.wait.is_none_or(|until| until <= now)
    }

    pub fn due_at(&self) -> Option<Instant> {
        self.wait
    }

    pub fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    fn retry_later(&mut self, why: String, after: Option<Duration>) {
        let backoff = self.backoff.next(draw());
        let wish = after.filter(|wish| !wish.is_zero());
        self.wait = Some(Instant::now() + wish.unwrap_or(backoff));
        self.problem = Some(Problem { state: State::Retrying, why });
    }

    fn park(&mut self, why: String) {
        self.wait = Some(Instant::now() + PARKED_PROBE);
        self.problem = Some(Problem { state: State::Parked, why });
    }

    fn go_on(&mut self) {
        self.backoff.reset();
        self.wait = None;
        self.problem = None;
    }
}

impl Task {
    /// At most one request. False once the store is gone or the task was stopped.
    pub(super) async fn step_put_back(&mut self) -> bool {
        let (entry, body) = match self.store.quarantine_next_waiting(self.name.clone()).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.put_back.go_on();
                self.put_back.maybe_more = false;
                return true;
            }
            Err(refused) => return self.put_back_failed(&refused),
        };
        let Some(wire) = Wire::from_name(&entry.wire) else {
            let answer = format!("this version of ccotel does not know the format {}", entry.wire);
            return self.settle_put_back(&entry, Retried::Refused { status: 0, answer }).await;
        };
        let mut headers = wire.headers();
        if wire == Wire::OtlpLogs {
            headers.extend(header_of(self.config.kind));
        }
        let request = Encoded { wire, headers, body };
        let Some(result) = self.send_or_stop(&request).await else { return false };
        let now_ms = (self.clock)();
        // Of a request that was taken in part, the records kept here are not all.
        let in_body = match wire {
            Wire::RemoteWrite2 => remote_write_v2::samples_in(&request.body),
            _ => None,
        };
        let sent = Sent { wire, records: in_body.unwrap_or(entry.records), newest_ms: None };
        let negotiation = *self.negotiation();
        let place = self.client.place();
        let retried = match classify(sent, &result, negotiation, &place, now_ms) {
            Outcome::Accepted { refused, status, answer } => {
                self.succeeded(now_ms);
                Retried::Taken { refused, status, answer }
            }
            Outcome::Refused { status, answer } => {
                Retried::Refused { status, answer: cut(&answer) }
            }
            Outcome::TooLarge { answer } => Retried::Refused { status: 413, answer: cut(&answer) },
            Outcome::Fallback => {
                let answer = format!("{place} does not take {} any more", wire.name());
                Retried::Refused { status: 415, answer }
            }
            Outcome::Retry { why, after } | Outcome::SlowDown { why, after } => {
                self.put_back.retry_later(why, after);
                return true;
            }
            Outcome::Park { why } => {
                self.put_back.park(why);
                return true;
            }
        };
        self.settle_put_back(&entry, retried).await
    }

    async fn settle_put_back(&mut self, entry: &QuarantineEntry, retried: Retried) -> bool {
        match self.store.quarantine_settle(entry.id, retried).await {
            Ok(()) => {
                self.put_back.go_on();
                true
            }
            Err(refused) => self.put_back_failed(&refused),
        }
    }

    fn put_back_failed(&mut self, refused: &Refused) -> bool {
        if matches!(refused, Refused::Stopping) {
            return false;
        }
        self.put_back.retry_later(refused.to_string(), None);
        true
    }
}
