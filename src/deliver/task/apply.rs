//! What an answer means for the batch in flight and for its lane.

use tokio::time::Instant;

use super::Task;
use crate::deliver::backoff::draw;
use crate::deliver::delivery::Verdict;
use crate::deliver::lane::RECORDS_MIN_FOR_RATE;
use crate::deliver::outcome::Outcome;
use crate::deliver::wire::{Encoded, Wire};
use crate::store::handle::Quarantined;

impl Task {
    pub(super) fn apply(&mut self, index: usize, outcome: Outcome, request: Encoded) {
        let now = Instant::now();
        let now_ms = (self.clock)();
        let place = self.client.place();
        let negotiation_fixed = self.negotiation().is_fixed();
        let lane = &mut self.lanes[index];
        let Some(delivery) = lane.delivery.as_mut() else { return };
        match outcome {
            Outcome::Accepted { refused, status, answer } => {
                let quarantined = (refused > 0).then(|| Quarantined {
                    at_ms: now_ms,
                    records: refused,
                    status,
                    answer: answer.clone(),
                    wire: request.wire.name().to_owned(),
                    body: request.body,
                });
                // Old samples are carried by later ones: none of them is quarantined.
                let given_up = refused > 0 && !delivery.is_old(now_ms);
                delivery.accepted(quarantined, now_ms);
                lane.succeeded();
                self.succeeded(now_ms);
                if given_up {
                    self.note_given_up(refused, &place, status, &answer);
                }
            }
            Outcome::Refused { status, answer } => {
                let verdict = delivery.refused(status, &answer, request, now_ms);
                lane.go_on();
                if let Verdict::GivenUp { quarantined, compacted } = verdict {
                    self.horizon.left_out(&compacted);
                    if quarantined > 0 {
                        self.note_given_up(quarantined, &place, status, &answer);
                    }
                }
            }
            Outcome::TooLarge { answer } => {
                let halved = delivery.too_large(&answer, request, now_ms);
                lane.shrink_for_good();
                lane.go_on();
                if !halved {
                    self.note_given_up(1, &place, 413, &answer);
                }
            }
            Outcome::Fallback if negotiation_fixed => lane.park(
                format!(
                    "{place} does not take remote_write 2.0; set protocol to \"auto\" or \"1.0\""
                ),
                now,
            ),
            Outcome::Fallback => {
                // Prometheus 3.5 answers 415 and takes the data all the same.
                delivery.outcome_unknown();
                lane.go_on();
            }
            Outcome::Retry { why, after } => {
                if request.wire == Wire::RemoteWrite2 {
                    // It may have taken what it could.
                    delivery.outcome_unknown();
                }
                lane.retry_later(why, after, draw(), now);
            }
            Outcome::SlowDown { why, after } => {
                // What is too much for the rate at once would be so for ever.
                delivery.halve(RECORDS_MIN_FOR_RATE.into(), now_ms);
                lane.shrink_for_rate();
                lane.retry_later(why, after, draw(), now);
                self.pace.slow_down();
            }
            Outcome::Park { why } => {
                tracing::warn!(destination = %self.name, "parked: {why}");
                lane.park(why, now);
            }
        }
    }
}
