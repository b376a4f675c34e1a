//! Lane state: where one lane of one destination stands.
//!
//! ```text
//!            news            freeze                  everything has its fate
//! resting ────────▶ looking ────────▶ delivering ──────────────────────────▶ looking
//!    ▲                 │ nothing there     │ ▲
//!    └─────────────────┘             failed│ │ due, kicked, or `ccotel retry`
//!                                          ▼ │
//!                                        waiting (retrying: backoff; parked: 10 min)
//! ```

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::delivery::Delivery;
use super::status::State;
use crate::store::handle::Lane;

/// How often a parked lane is tried.
pub const PARKED_PROBE: Duration = Duration::from_mins(10);
/// New data ends a backoff at most this often.
const KICK_INTERVAL: Duration = Duration::from_secs(30);
/// Samples a request.
const SAMPLES_MAX: u32 = 2000;
const SAMPLES_BYTES_MAX: usize = 512 * 1024;
/// Events or spans a request; their bytes are the closer limit.
const EVENTS_MAX: u32 = 2000;
const EVENTS_BYTES_MAX: usize = 1024 * 1024;
/// A 429 makes batches no smaller than this, a 413 no smaller than 1.
pub const RECORDS_MIN_FOR_RATE: u32 = 100;
/// After a 429, so many successes until batches are full again.
const GROWTH_STEPS: u32 = 20;

#[derive(Debug)]
pub struct LaneState {
    pub lane: Lane,
    /// The batch on its way.
    pub delivery: Option<Delivery>,
    /// The store may have more.
    pub maybe_more: bool,
    pub backoff: Backoff,
    wait: Option<Wait>,
    /// What failed last, until something is taken.
    pub problem: Option<Problem>,
    limits: Limits,
    kicked: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub state: State,
    pub why: String,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    until: Instant,
    /// New data may end it early: not where the backend named the time, nor where parked.
    kickable: bool,
}

/// How large a batch may be now, and at most.
#[derive(Clone, Copy, Debug)]
struct Limits {
    records: u32,
    bytes: usize,
    records_max: u32,
    bytes_max: usize,
}

impl LaneState {
    pub fn new(lane: Lane) -> Self {
        let (records, bytes) = usual_max(lane);
        Self {
            lane,
            delivery: None,
            maybe_more: true,
            backoff: Backoff::default(),
            wait: None,
            problem: None,
            limits: Limits { records, bytes, records_max: records, bytes_max: bytes },
            kicked: None,
        }
    }

    /// There is something to do at `now`.
    pub fn is_due(&self, now: Instant) -> bool {
        match self.wait {
            Some(wait) => wait.until <= now,
            None => self.delivery.is_some() || self.maybe_more,
        }
    }

    /// When a wait ends.
    pub fn due_at(&self) -> Option<Instant> {
        self.wait.map(|wait| wait.until)
    }

    /// The next batch may have so many records and bytes.
    pub fn batch_max(&self) -> (u32, usize) {
        (self.limits.records, self.limits.bytes)
    }

    /// Tries again after a pause: the backend's own wish, or the backoff's.
    pub fn retry_later(&mut self, why: String, after: Option<Duration>, draw: f64, now: Instant) {
        let backoff = self.backoff.next(draw);
        let wish = after.filter(|wish| !wish.is_zero());
        self.wait = Some(Wait { until: now + wish.unwrap_or(backoff), kickable: wish.is_none() });
        self.problem = Some(Problem { state: State::Retrying, why });
    }

    pub fn park(&mut self, why: String, now: Instant) {
        self.wait = Some(Wait { until: now + PARKED_PROBE, kickable: false });
        self.problem = Some(Problem { state: State::Parked, why });
    }

    /// Something was taken.
    pub fn succeeded(&mut self) {
        self.backoff.reset();
        self.wait = None;
        self.problem = None;
        let limits = &mut self.limits;
        let grown = limits.records.saturating_add((limits.records_max / GROWTH_STEPS).max(1));
        limits.records = grown.min(limits.records_max);
        let grown = limits.bytes.saturating_add(limits.bytes_max / GROWTH_STEPS as usize);
        limits.bytes = grown.min(limits.bytes_max);
    }

    /// The next request goes out at once: another version of the protocol, or a half.
    pub fn go_on(&mut self) {
        self.wait = None;
    }

    /// 429: smaller batches, until some were taken.
    pub fn shrink_for_rate(&mut self) {
        let records_min = RECORDS_MIN_FOR_RATE.min(self.limits.records_max);
        self.limits.records = (self.limits.records / 2).max(records_min);
        self.limits.bytes = (self.limits.bytes / 2).max(1);
    }

    /// What the backend was found to take in one request, if that is less than usual.
    pub fn learned_max(&self) -> Option<(u32, usize)> {
        let usual = usual_max(self.lane);
        let learned = (self.limits.records_max, self.limits.bytes_max);
        (learned != usual).then_some(learned)
    }

    /// Begins with what was learned before.
    #[must_use]
    pub fn with_max(mut self, (records, bytes): (u32, usize)) -> Self {
        let usual = usual_max(self.lane);
        let (records, bytes) = (records.clamp(1, usual.0), bytes.clamp(1, usual.1));
        self.limits = Limits { records, bytes, records_max: records, bytes_max: bytes };
        self
    }

    /// 413: smaller batches, for good.
    pub fn shrink_for_good(&mut self) {
        self.limits.records_max = (self.limits.records_max / 2).max(1);
        self.limits.bytes_max = (self.limits.bytes_max / 2).max(1);
        self.limits.records = self.limits.records.min(self.limits.records_max);
        self.limits.bytes = self.limits.bytes.min(self.limits.bytes_max);
    }

    /// New data has arrived.
    pub fn news(&mut self, now: Instant) {
        self.maybe_more = true;
        let kicked_lately =
            self.kicked.is_some_and(|kicked| now.duration_since(kicked) < KICK_INTERVAL);
        if let Some(wait) = &mut self.wait
            && wait.kickable
            && wait.until > now
            && !kicked_lately
        {
            wait.until = now;
            self.kicked = Some(now);
        }
    }

    /// `ccotel retry`. True if there was something to wait for.
    pub fn retry_now(&mut self, now: Instant) -> bool {
        match &mut self.wait {
            Some(wait) => {
                wait.until = now;
                true
            }
            None => false,
        }
    }
}

fn usual_max(lane: Lane) -> (u32, usize) {
    match lane {
        Lane::Samples => (SAMPLES_MAX, SAMPLES_BYTES_MAX),
        Lane::Events | Lane::Spans => (EVENTS_MAX, EVENTS_BYTES_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn new_data_ends_a_backoff_once_in_thirty_seconds() {
        let mut lane = LaneState::new(Lane::Samples);
        let start = Instant::now();
        for _ in 0..8 {
            lane.retry_later("no".to_owned(), None, 1.0, start);
        }
        assert_eq!(lane.due_at(), Some(start + 128 * SECOND));
        lane.news(start);
        assert!(lane.is_due(start));
        lane.retry_later("no".to_owned(), None, 1.0, start);
        lane.news(start + 29 * SECOND);
        assert!(!lane.is_due(start + 29 * SECOND));
        lane.news(start + 30 * SECOND);
        assert!(lane.is_due(start + 30 * SECOND));
    }

    #[test]
    fn a_wish_and_a_parked_lane_are_not_kicked_but_retried_on_demand() {
        let now = Instant::now();
        let mut lane = LaneState::new(Lane::Events);
        assert!(!lane.retry_now(now));
        lane.retry_later("busy".to_owned(), Some(60 * SECOND), 0.0, now);
        lane.news(now);
        assert_eq!(lane.due_at(), Some(now + 60 * SECOND));
        lane.park("token".to_owned(), now);
        lane.news(now);
        assert_eq!(lane.due_at(), Some(now + PARKED_PROBE));
        assert!(lane.retry_now(now) && lane.is_due(now));
    }

    #[test]
    fn a_wish_of_zero_is_no_busy_loop() {
        let now = Instant::now();
        let mut lane = LaneState::new(Lane::Events);
        lane.retry_later("busy".to_owned(), Some(Duration::ZERO), 1.0, now);
        assert_eq!(lane.due_at(), Some(now + SECOND));
    }

    #[test]
    fn batches_shrink_for_a_rate_and_for_good() {
        let mut lane = LaneState::new(Lane::Samples);
        lane.shrink_for_rate();
        assert_eq!(lane.batch_max().0, SAMPLES_MAX / 2);
        lane.succeeded();
        assert_eq!(lane.batch_max().0, SAMPLES_MAX / 2 + 100);
        (0..10).for_each(|_| lane.succeeded());
        assert_eq!(lane.batch_max(), (SAMPLES_MAX, SAMPLES_BYTES_MAX));
        lane.shrink_for_good();
        lane.succeeded();
        assert_eq!(lane.batch_max(), (SAMPLES_MAX / 2, SAMPLES_BYTES_MAX / 2));
        (0..40).for_each(|_| lane.shrink_for_good());
        assert_eq!(lane.batch_max(), (1, 1));
    }
}
