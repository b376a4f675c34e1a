//! The limits of a subscription, as Claude Code tells its status line: how much of the five-hour and
//! of the seven-day window is used, and when it begins anew. OpenTelemetry says nothing of them.
//!
//! Sessions side by side tell of the same windows, each as of its own last answer. Within a window
//! use only grows, so the larger number is the newer one; of two windows the one heard of last holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One account's moments of renewal differ by no more than this between sessions.
const SAME_WINDOW_SECONDS: i64 = 300;
/// How long a limit counts that does not say when it ends.
const KEPT_SECONDS: i64 = 15 * 60;
/// Farthest ahead that a window can end: the longest has seven days.
const AHEAD_SECONDS_MAX: i64 = 8 * 24 * 3600;
/// Percent; more than all of it does happen.
const USED_PERCENT_MAX: f64 = 1000.0;
/// Of one session.
const COST_USD_MAX: f64 = 1e6;

/// The windows that are known of. A name from elsewhere would become a label's value.
pub const WINDOWS: [&str; 2] = ["five_hour", "seven_day"];

/// Whether a share can be so; a number that is none is not.
pub fn is_sane_percent(percent: f64) -> bool {
    (0.0..=USED_PERCENT_MAX).contains(&percent)
}

/// Whether a session can have cost this.
pub fn is_sane_cost(usd: f64) -> bool {
    (0.0..=COST_USD_MAX).contains(&usd)
}

/// A window, for people.
pub fn words(window: &str) -> &str {
    match window {
        "five_hour" => "five-hour limit",
        "seven_day" => "seven-day limit",
        other => other,
    }
}

/// What is said of one window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    pub used_percent: f64,
    /// Seconds since the epoch.
    pub resets_at: Option<i64>,
}

/// By window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limits(pub BTreeMap<String, Limit>);

/// What the sessions of this machine have said.
#[derive(Debug, Default)]
pub struct Heard(BTreeMap<&'static str, (Limit, i64)>);

impl Limit {
    /// Whether it can be so, and holds: what a window that has ended used says nothing of the next.
    pub fn is_sane(&self, now: i64) -> bool {
        let is_ahead = |at: i64| at > now && at < now + AHEAD_SECONDS_MAX;
        is_sane_percent(self.used_percent) && self.resets_at.is_none_or(is_ahead)
    }

    fn is_same_window(&self, other: &Self) -> bool {
        match (self.resets_at, other.resets_at) {
            (Some(one), Some(other)) => (one - other).abs() <= SAME_WINDOW_SECONDS,
            _ => false,
        }
    }
}

impl Heard {
    /// What one session says at this moment, in seconds.
    pub fn hear(&mut self, said: &Limits, now: i64) {
        for window in WINDOWS {
            let Some(limit) = said.0.get(window).filter(|limit| limit.is_sane(now)) else {
                continue;
            };
            let newer = match self.0.get(window) {
                Some((known, _)) if known.is_same_window(limit) => {
                    limit.used_percent >= known.used_percent
                }
                _ => true,
            };
            if newer {
                self.0.insert(window, (*limit, now));
            }
        }
    }

    /// What holds at this moment: a window that has ended says nothing of the next one.
    pub fn current(&self, now: i64) -> Limits {
        let holds = |limit: &Limit, heard: i64| match limit.resets_at {
            Some(at) => now < at,
            None => now < heard + KEPT_SECONDS,
        };
        let current = self.0.iter().filter(|(_, (limit, heard))| holds(limit, *heard));
        Limits(current.map(|(window, (limit, _))| ((*window).to_owned(), *limit)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn said(window: &str, used_percent: f64, resets_at: Option<i64>) -> Limits {
        Limits([(window.to_owned(), Limit { used_percent, resets_at })].into())
    }

    fn used(heard: &Heard, now: i64) -> Vec<f64> {
        heard.current(now).0.values().map(|limit| limit.used_percent).collect()
    }

    #[test]
    fn two_sessions_tell_of_one_window_and_the_newer_answer_holds() {
        let mut heard = Heard::default();
        heard.hear(&said("five_hour", 40.0, Some(NOW + 3600)), NOW);
        heard.hear(&said("five_hour", 12.0, Some(NOW + 3590)), NOW + 1);
        assert_eq!(used(&heard, NOW + 2), [40.0]);
        heard.hear(&said("five_hour", 41.5, Some(NOW + 3601)), NOW + 2);
        assert_eq!(used(&heard, NOW + 2), [41.5]);
        // The next window begins from nothing.
        heard.hear(&said("five_hour", 1.0, Some(NOW + 3600 + 18_000)), NOW + 3700);
        assert_eq!(used(&heard, NOW + 3700), [1.0]);
    }

    #[test]
    fn what_has_ended_is_dropped() {
        let mut heard = Heard::default();
        heard.hear(&said("seven_day", 70.0, Some(NOW + 10)), NOW);
        assert_eq!(used(&heard, NOW + 9), [70.0]);
        assert_eq!(used(&heard, NOW + 10), [0.0; 0]);
        // A session that slept over it says what was.
        heard.hear(&said("seven_day", 70.0, Some(NOW + 10)), NOW + 11);
        assert_eq!(used(&heard, NOW + 11), [0.0; 0]);
        heard.hear(&said("five_hour", 5.0, None), NOW);
        assert_eq!(used(&heard, NOW + 899), [5.0]);
        assert_eq!(used(&heard, NOW + 900), [0.0; 0]);
    }

    #[test]
    fn what_cannot_be_so_is_not_heard() {
        let mut heard = Heard::default();
        for (window, percent, resets_at) in [
            ("one_year", 5.0, None),
            ("five_hour", -1.0, None),
            ("five_hour", f64::NAN, None),
            ("five_hour", 1e9, None),
            ("five_hour", 5.0, Some(NOW * 1000)),
        ] {
            heard.hear(&said(window, percent, resets_at), NOW);
        }
        assert_eq!(heard.current(NOW), Limits::default());
        heard.hear(&said("five_hour", 105.0, Some(NOW + 60)), NOW);
        assert_eq!(used(&heard, NOW), [105.0]);
    }
}
