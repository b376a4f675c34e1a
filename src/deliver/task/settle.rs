//! What a batch leaves behind: its books, and what it taught about the backend, in one commit.

use super::Task;
use crate::deliver::learned::Learned;
use crate::store::handle::{Content, Cursor, FrozenBatch, Lane, Refused, SeriesSamples, Settled};

impl Task {
    pub(super) async fn settle(&mut self, index: usize) -> Result<(), Refused> {
        let Some(delivery) = &self.lanes[index].delivery else { return Ok(()) };
        let lane = self.lanes[index].lane;
        if delivery.met_horizon() {
            self.horizon.learn((self.clock)());
        }
        let learned = self.learned_now();
        let settled = Settled { learned: learned.clone(), ..delivery.settled() };
        match (delivery.is_of_the_store(), learned.clone()) {
            (true, _) => self.store.settle(self.name.clone(), lane, settled).await?,
            (false, Some(learned)) => self.store.learn(self.name.clone(), learned).await?,
            (false, None) => {}
        }
        self.learned = learned.unwrap_or_else(|| std::mem::take(&mut self.learned));
        let lane = &mut self.lanes[index];
        lane.delivery = None;
        lane.maybe_more = true;
        Ok(())
    }

    pub(super) fn succeeded(&mut self, now_ms: i64) {
        self.pace.succeeded();
        if let Some(own) = &mut self.own {
            own.delivered();
        }
        self.has_delivered = true;
        self.health().last_success_ms = Some(now_ms);
    }

    /// What is known about the backend now, if the store does not have it.
    fn learned_now(&self) -> Option<String> {
        let negotiation = *self.negotiation();
        let batch_max = self.lanes.iter().filter_map(|lane| {
            let max = lane.learned_max()?;
            Some((lane.lane.name().to_owned(), max))
        });
        let learned = Learned {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            url: self.config.url.clone(),
            negotiation: (!negotiation.is_fixed()).then_some(negotiation),
            horizon: self.horizon.clone(),
            batch_max: batch_max.collect(),
            last_success_ms: self.health().last_success_ms,
        };
        Some(learned.write()).filter(|now| *now != self.learned)
    }
}

/// Last values that no row of the store carries any more, as a batch that the books do not know. Sent
/// before or not: what is there already is no error.
pub fn rest(series: Vec<SeriesSamples>, now_ms: i64) -> FrozenBatch {
    FrozenBatch {
        lane: Lane::Samples,
        start: Cursor::default(),
        end: Cursor::default(),
        replay: true,
        records: 0,
        oldest_ms: now_ms,
        content: Content::Samples(series),
    }
}
