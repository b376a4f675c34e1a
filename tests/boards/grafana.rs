//! What Grafana makes of a panel's query before it sends it: the time range, the step, the variables.

use serde_json::Value;

use crate::dashboards::text;

const SCRAPE_S: i64 = 15;
/// Points where a panel does not say how many: the width of a panel in pixels.
const POINTS: i64 = 700;
/// Grafana's round steps, in seconds.
const STEPS: [i64; 17] =
    [1, 5, 15, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const DAY_S: i64 = 24 * 3600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub start_s: i64,
    pub end_s: i64,
    pub step_s: i64,
}

impl Range {
    /// Of a panel, in a dashboard that shows `from_s` to `end_s`; days are UTC's.
    pub fn of(panel: &Value, from_s: i64, end_s: i64) -> Self {
        let start_s = match text(panel, "timeFrom") {
            "" => from_s,
            "now/d" => end_s - end_s.rem_euclid(DAY_S),
            "now/M" => month_start(end_s),
            duration => end_s - seconds(duration),
        };
        let points = panel["maxDataPoints"].as_i64().unwrap_or(POINTS);
        let least = panel["interval"].as_str().map_or(SCRAPE_S, seconds);
        let wanted = ((end_s - start_s) / points).max(least);
        let step_s = STEPS.into_iter().find(|step| *step >= wanted).unwrap_or(DAY_S);
        Self { start_s, end_s, step_s }
    }

    /// Prometheus is asked at multiples of the step.
    pub fn aligned(self) -> Self {
        let down = |at: i64| at - at.rem_euclid(self.step_s);
        Self { start_s: down(self.start_s), end_s: down(self.end_s), ..self }
    }

    /// The built-in variables, and a session where one is asked for; others are the choice's.
    pub fn fill(self, expr: &str, session: &str) -> String {
        let mut expr = expr.replace("$session", session);
        let rate_s = (self.step_s + SCRAPE_S).max(4 * SCRAPE_S);
        for (name, value_s) in [
            ("$__rate_interval", rate_s),
            ("$__range", self.end_s - self.start_s),
            ("$__interval", self.step_s),
            ("$__auto", self.step_s),
        ] {
            expr = expr.replace(name, &format!("{value_s}s"));
        }
        expr
    }
}

/// `24h`, `5m`, `1h`.
fn seconds(duration: &str) -> i64 {
    let (number, unit) = duration.split_at(duration.len() - 1);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => DAY_S,
        _ => panic!("{duration} is no duration of ours"),
    };
    number.parse::<i64>().expect("a number") * factor
}

fn month_start(end_s: i64) -> i64 {
    let at = jiff::Timestamp::from_second(end_s).expect("a time").to_zoned(jiff::tz::TimeZone::UTC);
    at.first_of_month().and_then(|it| it.start_of_day()).expect("a day").timestamp().as_second()
}
