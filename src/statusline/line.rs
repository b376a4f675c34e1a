//! The line itself: the session's cost, today's, the project, a budget, the context, the limits.

use jiff::Timestamp;

use super::facts::Facts;
use super::input::Input;
use super::limits::Limit;
use crate::budget::Level;
use crate::config::problem::printable;
use crate::report::table::money;

/// Longest project name that is shown whole.
const PROJECT_CHARS_MAX: usize = 32;
/// From these percents on, context and limits are looked at.
const WARN_PERCENT: f64 = 80.0;
const BAD_PERCENT: f64 = 95.0;

const DIM: &str = "2";
const YELLOW: &str = "33";
const RED: &str = "31";

/// The line; `ccotel` where there is nothing to say, since Claude Code takes an empty one for a fault.
pub fn line(input: &Input, facts: &Facts, now: Timestamp, colour: bool) -> String {
    let paint = |text: String, code: &str| {
        if colour && !code.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text }
    };
    let mut parts = Vec::new();
    if let Some(usd) = input.cost_usd {
        parts.push(format!("{} {}", money(usd), paint("session".to_owned(), DIM)));
    }
    if let Some(usd) = facts.today_usd {
        parts.push(format!("{} {}", money(usd), paint("today".to_owned(), DIM)));
    }
    if let Some(project) = &facts.project {
        parts.push(shortened(project));
    }
    if let Some(budget) = &facts.budget {
        let code = match budget.level() {
            Level::Fine => "",
            Level::Near => YELLOW,
            Level::Over => RED,
        };
        let name = shortened(&budget.name());
        let words = format!("{}% of {} {name}", budget.percent(), money(budget.budget_usd));
        parts.push(paint(words, code));
    }
    if let Some(percent) = input.context_percent {
        let used = paint(format!("{}%", percent.floor()), level(percent));
        parts.push(format!("{} {used}", paint("context".to_owned(), DIM)));
    }
    for (window, name) in [("five_hour", "5h"), ("seven_day", "7d")] {
        let limit = input.limits.0.get(window).filter(|limit| limit.is_sane(now.as_second()));
        let Some(limit) = limit else { continue };
        let used = paint(format!("{}%", limit.used_percent.floor()), level(limit.used_percent));
        parts.push(format!("{} {used}{}", paint(name.to_owned(), DIM), rest(limit, now)));
    }
    if parts.is_empty() { "ccotel".to_owned() } else { parts.join(&paint(" · ".to_owned(), DIM)) }
}

fn level(percent: f64) -> &'static str {
    match percent {
        percent if percent >= BAD_PERCENT => RED,
        percent if percent >= WARN_PERCENT => YELLOW,
        _ => "",
    }
}

/// ` (2h10m)` until it begins anew.
fn rest(limit: &Limit, now: Timestamp) -> String {
    let Some(at) = limit.resets_at else { return String::new() };
    let minutes = (at.saturating_sub(now.as_second()) / 60).max(1);
    match (minutes / (24 * 60), minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!(" ({minutes}m)"),
        (0, hours, minutes) => format!(" ({hours}h{minutes:02}m)"),
        (days, hours, _) => format!(" ({days}d{hours}h)"),
    }
}

/// Without what steers a terminal: a name may come from a repository.
fn shortened(text: &str) -> String {
    let text = printable(text);
    if text.chars().count() <= PROJECT_CHARS_MAX {
        return text;
    }
    let kept: String = text.chars().take(PROJECT_CHARS_MAX - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::*;
    use crate::budget::Standing;

    const NOW: i64 = 1_790_000_000;

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    fn whole() -> (Input, Facts) {
        let limit = |used_percent, after| Limit { used_percent, resets_at: Some(NOW + after) };
        let limits = [
            ("five_hour".to_owned(), limit(23.9, 2 * 3600 + 60)),
            ("seven_day".to_owned(), limit(96.0, 3 * 86_400 + 7200)),
        ];
        let input = Input {
            directory: None,
            cost_usd: Some(1.234),
            context_percent: Some(81.0),
            limits: Limits(limits.into()),
        };
        let budget = Standing {
            period: "monthly".into(),
            project: Some("checkout".into()),
            team: None,
            budget_usd: 200.0,
            spent_usd: 214.0,
            since: String::new(),
            until: String::new(),
        };
        let facts =
            Facts { today_usd: Some(12.4), project: Some("checkout".into()), budget: Some(budget) };
        (input, facts)
    }

    #[test]
    fn everything_on_one_line() {
        let (input, facts) = whole();
        assert_eq!(
            line(&input, &facts, now(), false),
            "$1.23 session · $12.40 today · checkout · 107% of $200.00 checkout, this month · \
             context 81% · 5h 23% (2h01m) · 7d 96% (3d2h)"
        );
        let coloured = line(&input, &facts, now(), true);
        assert!(coloured.contains("\u{1b}[31m107% of"), "{coloured}");
        assert!(coloured.contains("\u{1b}[33m81%\u{1b}[0m"), "{coloured}");
    }

    #[test]
    fn what_is_absent_is_left_out_and_a_line_stays_one() {
        let nothing = (Input::default(), Facts::default());
        assert_eq!(line(&nothing.0, &nothing.1, now(), true), "ccotel");
        let (mut input, _) = whole();
        input.cost_usd = None;
        let later = Timestamp::from_second(NOW + 3 * 3600).unwrap();
        assert_eq!(line(&input, &Facts::default(), later, false), "context 81% · 7d 96% (2d23h)");
        let project = Some(format!("a\n\u{1b}[2J{}", "x".repeat(100)));
        let text = line(&Input::default(), &Facts { project, ..Facts::default() }, now(), false);
        assert!(!text.contains(char::is_control) && text.chars().count() <= 32, "{text:?}");
    }
}
