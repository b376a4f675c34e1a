//! Backoff: how long to wait after a failed request.
//!
//! Full jitter: a uniform draw between 0 and a ceiling that doubles from 1 s to 5 min, so that a
//! fleet of laptops coming back from one outage does not arrive at once.

use std::time::Duration;

/// The first ceiling.
const CEILING_MIN: Duration = Duration::from_secs(1);
/// The last one.
const CEILING_MAX: Duration = Duration::from_mins(5);
/// A `Retry-After` further away than this is not believed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_mins(15);
/// Pause between two requests after the first 429; doubles up to [`PACE_MAX`].
const PACE_MIN: Duration = Duration::from_millis(200);
const PACE_MAX: Duration = Duration::from_secs(30);
/// What a success leaves of the pause.
const PACE_KEPT: f64 = 0.9;

/// Failures in a row.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause before the next try; `draw` is uniform in `0.0..1.0`.
    pub fn next(&mut self, draw: f64) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(draw.clamp(0.0, 1.0))
    }

    pub fn reset(&mut self) {
        self.failures = 0;
    }

    fn ceiling(&self) -> Duration {
        // 2^9 s is beyond the maximum already.
        CEILING_MIN.saturating_mul(1 << self.failures.min(9)).min(CEILING_MAX)
    }
}

/// The pause between two requests that a backend's 429s led to: doubled by each, let go of slowly, so
/// that the pace settles where the backend takes it.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    pause: Duration,
}

impl Pace {
    pub fn slow_down(&mut self) {
        self.pause = (self.pause * 2).clamp(PACE_MIN, PACE_MAX);
    }

    pub fn succeeded(&mut self) {
        self.pause = self.pause.mul_f64(PACE_KEPT);
        if self.pause < PACE_MIN / 4 {
            self.pause = Duration::ZERO;
        }
    }

    pub fn pause(&self) -> Duration {
        self.pause
    }
}

/// A uniform draw in `0.0..1.0`.
pub fn draw() -> f64 {
    // Without the system's random numbers every agent waits the full ceiling: slow, never wrong.
    getrandom::u32().map_or(1.0, |bits| f64::from(bits) / (f64::from(u32::MAX) + 1.0))
}

/// `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3), as a pause from `now_ms`, capped.
///
/// What cannot be read, or lies in the past, is no wish at all.
pub fn retry_after(value: &str, now_ms: i64) -> Option<Duration> {
    let value = value.trim();
    let wish = if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        // A number too large for u64 is capped like any other large one.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_millisecond();
        Duration::from_millis(u64::try_from(at.saturating_sub(now_ms)).ok()?)
    };
    Some(wish.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_to_five_minutes_and_reset() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u64> = (0..11).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        backoff.reset();
        assert_eq!(backoff.next(1.0), Duration::from_secs(1));
    }

    #[test]
    fn jitter_is_full() {
        assert_eq!(Backoff { failures: 4 }.next(0.0), Duration::ZERO);
        assert_eq!(Backoff { failures: 4 }.next(0.5), Duration::from_secs(8));
        assert!((0..100).map(|_| draw()).all(|draw| (0.0..1.0).contains(&draw)));
    }

    #[test]
    fn retry_after_in_both_forms() {
        // 2026-11-21T12:00:00Z
        let now_ms = 1_795_262_400_000;
        let seconds = |value| retry_after(value, now_ms).map(|pause| pause.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("86400"), Some(900));
        assert_eq!(seconds("99999999999999999999999"), Some(900));
        assert_eq!(seconds("Sat, 21 Nov 2026 12:00:30 GMT"), Some(30));
        assert_eq!(seconds("Sat, 21 Nov 2026 18:00:00 GMT"), Some(900));
        for nonsense in ["", "-5", "soon", "1.5", "Sat, 21 Nov 2026 11:00:00 GMT"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn pace_grows_and_lets_go() {
        let mut pace = Pace::default();
        assert_eq!(pace.pause(), Duration::ZERO);
        pace.slow_down();
        pace.slow_down();
        assert_eq!(pace.pause(), Duration::from_millis(400));
        pace.succeeded();
        assert_eq!(pace.pause(), Duration::from_millis(360));
        (0..30).for_each(|_| pace.succeeded());
        assert_eq!(pace.pause(), Duration::ZERO);
        (0..20).for_each(|_| pace.slow_down());
        assert_eq!(pace.pause(), PACE_MAX);
    }
}
