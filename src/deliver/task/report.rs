//! What a task says about itself.

use tokio::time::Instant;

use super::Task;
use crate::deliver::horizon::HORIZON_MS;
use crate::deliver::lane::LaneState;
use crate::deliver::outcome::cut;
use crate::deliver::status::State;

impl Task {
    /// The worst lane is the destination's state.
    pub(super) fn publish(&self) {
        let worst = [State::Parked, State::Retrying].into_iter().find_map(|state| {
            let lanes = self.lanes.iter().filter_map(|lane| lane.problem.as_ref());
            lanes.chain(self.put_back.problem()).find(|one| one.state == state)
        });
        let next = self
            .lanes
            .iter()
            .filter(|lane| lane.problem.is_some())
            .filter_map(LaneState::due_at)
            .chain(self.put_back.due_at())
            .min();
        let next_try_ms = next.map(|at| {
            let pause = at.saturating_duration_since(Instant::now()).as_millis();
            (self.clock)().saturating_add(i64::try_from(pause).unwrap_or(i64::MAX))
        });
        let mut health = self.health();
        let good = if self.has_delivered { State::Ok } else { State::Idle };
        health.state = worst.map_or(good, |problem| problem.state);
        health.last_error =
            worst.map(|problem| problem.why.clone()).or_else(|| self.given_up.clone());
        health.next_try_ms = next_try_ms;
        health.horizon_ms = self.horizon.is_known((self.clock)()).then_some(HORIZON_MS);
    }

    pub(super) fn note_given_up(&mut self, records: u64, place: &str, status: u16, answer: &str) {
        let answer = cut(answer.lines().next().unwrap_or_default());
        let text = format!(
            "{place} refused {records} records for good (status {status}: {answer}); \
             they are in quarantine"
        );
        tracing::warn!(destination = %self.name, "{text}");
        self.given_up = Some(text);
    }
}
