//! The sampler's clock: when samples are taken, and which times they carry.
//!
//! ```text
//!   last data          ≤ 15 min ago: every 15 s      ≤ 12 h ago: every 60 s      longer: never
//!   every 60 s and after a gap a tick is full: series that stayed flat are sent too
//! ```
//!
//! Ticks lie on a grid, so that all series of a machine share their times. Times strictly increase,
//! whatever the clock does: while it is behind the last tick, the next one is 1 ms later. Where it is
//! behind by more than [`AHEAD_MS_MAX`], backends would refuse that, and the store becomes a new install,
//! with new series, at the clock's time.

/// While a session is active.
const STEP_MS: i64 = 15_000;
/// While one might come back; and how often flat series are sent.
const SLOW_STEP_MS: i64 = 60_000;
const ACTIVE_FOR_MS: i64 = 15 * 60_000;
const ASLEEP_AFTER_MS: i64 = 12 * 3_600_000;
/// Two slow steps and a half without a tick: the sampler slept, or the machine did.
const GAP_MS: i64 = 150_000;

/// No sample is made further ahead of the clock.
pub const AHEAD_MS_MAX: i64 = 5 * 60_000;

/// The times of one row of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    pub at_ms: i64,
    pub lead_ms: i64,
    pub full: bool,
    pub gap: bool,
}

/// When the last tick was, and when data came last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sampler {
    ticked_ms: i64,
    data_ms: i64,
    /// The last full tick, for ticks off the grid that make the next full one late.
    full_ms: i64,
    /// The last time that was found to have nothing to say: not due again before the next one.
    looked_ms: i64,
}

impl Sampler {
    pub fn new(ticked_ms: i64, data_ms: i64) -> Self {
        Self { ticked_ms, data_ms, full_ms: ticked_ms, looked_ms: 0 }
    }

    pub fn data_came(&mut self, now_ms: i64) {
        // A clock that was far ahead must not keep the sampler awake until then.
        let ahead = self.data_ms - now_ms > AHEAD_MS_MAX;
        self.data_ms = if ahead { now_ms } else { self.data_ms.max(now_ms) };
    }

    /// When the next tick is due; `None` while asleep, until data comes.
    pub fn next_ms(&self, now_ms: i64) -> Option<i64> {
        let idle_ms = now_ms - self.data_ms;
        if self.data_ms == 0 || idle_ms > ASLEEP_AFTER_MS {
            return None;
        }
        let step = if idle_ms <= ACTIVE_FOR_MS { STEP_MS } else { SLOW_STEP_MS };
        // Times from before the clock was set back do not hold a tick up.
        let last_ms = self.ticked_ms.max(self.looked_ms);
        let last_ms = if last_ms - now_ms > AHEAD_MS_MAX { 0 } else { last_ms };
        let after = last_ms.max(now_ms.saturating_sub(step));
        Some((after.div_euclid(step) + 1) * step)
    }

    /// The last tick lies further ahead than any sample may.
    pub fn is_ahead(&self, now_ms: i64) -> bool {
        self.ticked_ms - now_ms >= AHEAD_MS_MAX
    }

    /// The clock was set back: the last tick now lies at `ticked_ms`.
    pub fn set_back(&mut self, ticked_ms: i64, now_ms: i64) {
        (self.ticked_ms, self.full_ms, self.looked_ms) = (ticked_ms, ticked_ms, 0);
        self.data_ms = self.data_ms.min(now_ms);
    }

    /// The times of a tick taken now.
    pub fn tick(&self, now_ms: i64) -> Tick {
        let at_ms = now_ms.max(self.ticked_ms + 1);
        let gap = self.ticked_ms > 0 && at_ms - self.ticked_ms > GAP_MS;
        let lead_ms = (at_ms - STEP_MS).max(self.ticked_ms + 1).min(at_ms - 1);
        let full =
            gap || at_ms - self.full_ms >= SLOW_STEP_MS || at_ms.rem_euclid(SLOW_STEP_MS) == 0;
        Tick { at_ms, lead_ms, full, gap }
    }

    /// The tick had nothing to say, and nothing was written.
    pub fn looked(&mut self, tick: Tick) {
        self.looked_ms = tick.at_ms;
    }

    /// The tick is on disk.
    pub fn ticked(&mut self, tick: Tick) {
        self.ticked_ms = tick.at_ms;
        if tick.full {
            self.full_ms = tick.at_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fast_while_active_slow_while_idle_asleep_after_twelve_hours() {
        let start = 1_000_000 * SLOW_STEP_MS;
        let mut sampler = Sampler::new(start, 0);
        assert_eq!(sampler.next_ms(start), None);
        sampler.data_came(start + 1);
        assert_eq!(sampler.next_ms(start + 1), Some(start + STEP_MS));
        let idle = start + ACTIVE_FOR_MS + 2;
        assert_eq!(sampler.next_ms(idle).map(|at| at % SLOW_STEP_MS), Some(0));
        assert_eq!(sampler.next_ms(start + ASLEEP_AFTER_MS + 2), None);
    }

    #[test]
    fn a_time_with_nothing_to_say_is_not_due_again() {
        let start = 1_000_000 * SLOW_STEP_MS;
        let mut sampler = Sampler::new(start, start);
        let due = sampler.next_ms(start + STEP_MS + 7);
        assert_eq!(due, Some(start + STEP_MS));
        let tick = sampler.tick(start + STEP_MS + 7);
        sampler.looked(tick);
        assert_eq!(sampler.next_ms(start + STEP_MS + 7), Some(start + 2 * STEP_MS));
    }

    #[test]
    fn a_gap_makes_a_full_tick_with_a_lead_after_the_last_one() {
        let mut sampler = Sampler::new(600_000, 1);
        let tick = sampler.tick(10_000_000);
        assert_eq!(tick, Tick { at_ms: 10_000_000, lead_ms: 9_985_000, full: true, gap: true });
        sampler.ticked(tick);
        assert_eq!(
            sampler.tick(9_000_000).at_ms,
            10_000_001,
            "a clock set back does not repeat a time"
        );
    }

    proptest! {
        #[test]
        fn times_strictly_increase_under_any_clock(clock in prop::collection::vec(0i64..100_000_000, 1..60)) {
            let mut sampler = Sampler::default();
            let mut last = 0;
            for now in clock {
                let tick = sampler.tick(now);
                prop_assert!(tick.at_ms > last);
                prop_assert!(tick.lead_ms < tick.at_ms);
                prop_assert!(tick.lead_ms > last || tick.at_ms == last + 1);
                sampler.ticked(tick);
                last = tick.at_ms;
            }
        }
    }
}
