//! What was spent in a budget's period, which is a calendar one in the local time zone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::budget::{Budget, PERIODS, Period, Scope};
use crate::report::answer::answer;
use crate::report::groups::Key;
use crate::report::history::reader::History;
use crate::report::history::schema::HistoryError;
use crate::report::question::{Dimension, Dimensions, Question};
use crate::report::row::Answer;
use crate::report::table::money;
use crate::report::time::{Clock, MinuteRange, Unit, buckets};

/// From this share on a budget is nearly spent.
pub const NEAR: f64 = 0.8;
/// Far enough ahead for every period to end before it.
const AHEAD_MINUTES: i64 = 40 * 24 * 60;

/// One budget, and how far it is spent. Also a line of `status --json`: keys are added, never renamed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// `daily`, `weekly`, `monthly`.
    pub period: String,
    /// Of this project alone, or this team; of all where both are `null`.
    pub project: Option<String>,
    pub team: Option<String>,
    pub budget_usd: f64,
    pub spent_usd: f64,
    /// When the period began, and when the next one does.
    pub since: String,
    pub until: String,
}

/// How close it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Fine,
    /// From [`NEAR`] on.
    Near,
    /// All of it.
    Over,
}

impl Standing {
    /// 1 is all of it.
    pub fn share(&self) -> f64 {
        self.spent_usd / self.budget_usd
    }

    /// Rounded down: what is not used up is not 100.
    pub fn percent(&self) -> f64 {
        (self.share() * 100.0 + 1e-9).floor()
    }

    pub fn level(&self) -> Level {
        match self.share() {
            share if share >= 1.0 => Level::Over,
            share if share >= NEAR => Level::Near,
            _ => Level::Fine,
        }
    }

    /// `$12.40 of $50.00 (24 %)`.
    pub fn amounts(&self) -> String {
        let (spent, budget) = (money(self.spent_usd), money(self.budget_usd));
        format!("{spent} of {budget} ({} %)", self.percent())
    }

    /// `checkout, this month`.
    pub fn name(&self) -> String {
        let known = PERIODS.into_iter().find(|it| it.name() == self.period);
        let period = known.map_or_else(|| self.period.clone(), |it| it.words().to_owned());
        match (&self.project, &self.team) {
            (Some(project), _) => format!("{project}, {period}"),
            (_, Some(team)) => format!("team {team}, {period}"),
            _ => period,
        }
    }
}

/// How far each budget is spent at the clock's moment; the questions of one period are asked once.
pub fn standings(
    history: Option<&History>,
    clock: &Clock,
    budgets: &[Budget],
) -> Result<Vec<Standing>, HistoryError> {
    let mut asked: BTreeMap<(Period, &'static str), Answer> = BTreeMap::new();
    let mut found = Vec::with_capacity(budgets.len());
    for budget in budgets {
        let (range, until) = period(clock, budget.period);
        let by = dimension(&budget.scope);
        let spent_usd = match (asked.get(&(budget.period, by)), history) {
            (Some(known), _) => spent(known, &budget.scope),
            (None, Some(history)) => {
                let known = answer(history, &question(clock, range, by))?;
                let usd = spent(&known, &budget.scope);
                asked.insert((budget.period, by), known);
                usd
            }
            (None, None) => 0.0,
        };
        let (project, team) = match &budget.scope {
            Scope::Total => (None, None),
            Scope::Project(name) => (Some(name.clone()), None),
            Scope::Team(name) => (None, Some(name.clone())),
        };
        found.push(Standing {
            period: budget.period.name().to_owned(),
            project,
            team,
            budget_usd: budget.usd,
            spent_usd,
            since: clock.rfc3339(range.start),
            until: clock.rfc3339(until),
        });
    }
    Ok(found)
}

/// The period around the clock's moment, up to and with the current minute, and where the next begins.
pub fn period(clock: &Clock, period: Period) -> (MinuteRange, i64) {
    let now = clock.minute();
    let range = clock.range(period.since(), None);
    let range = range.unwrap_or(MinuteRange { start: now, end: now + 1 });
    let unit = match period {
        Period::Day => Unit::Day,
        Period::Week => Unit::Week,
        Period::Month => Unit::Month,
    };
    let ahead = MinuteRange { start: range.start, end: range.start + AHEAD_MINUTES };
    let until = buckets(clock, ahead, unit).first().map_or(range.end, |it| it.minutes.end);
    (range, until)
}

/// A total is that of a grouping by anything: then one question answers for projects, too.
fn dimension(scope: &Scope) -> &'static str {
    match scope {
        Scope::Total | Scope::Project(_) => "project",
        Scope::Team(_) => "team",
    }
}

fn question(clock: &Clock, range: MinuteRange, by: &str) -> Question {
    let dimension: Dimension = by.parse().expect("project and team are dimensions");
    let by = Dimensions::of(dimension);
    Question { clock: clock.clone(), range, by, filters: Vec::new() }
}

fn spent(answer: &Answer, scope: &Scope) -> f64 {
    let (Scope::Project(name) | Scope::Team(name)) = scope else { return answer.total.cost_usd };
    let is_it = |key: &Key| matches!(key, Key::Value(value) if value == name);
    let row = answer.rows.iter().find(|row| row.keys.first().is_some_and(is_it));
    row.map_or(0.0, |row| row.facts.cost_usd)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now: &str) -> Clock {
        Clock { now: now.parse().unwrap() }
    }

    /// Begin and end of each period.
    fn periods(now: &str) -> [String; 3] {
        let clock = at(now);
        PERIODS.map(|one| {
            let (range, until) = period(&clock, one);
            format!("{} {}", clock.rfc3339(range.start), clock.rfc3339(until))
        })
    }

    #[test]
    fn periods_are_the_calendars() {
        // A Tuesday; the month before has 31 days.
        assert_eq!(
            periods("2026-11-24T12:00:30+01:00[Europe/Paris]"),
            [
                "2026-11-24T00:00:00+01:00 2026-11-25T00:00:00+01:00",
                "2026-11-23T00:00:00+01:00 2026-11-30T00:00:00+01:00",
                "2026-11-01T00:00:00+01:00 2026-12-01T00:00:00+01:00",
            ]
        );
    }

    #[test]
    fn a_month_and_a_year_end_at_local_midnight() {
        let last = periods("2026-12-31T23:59:59-05:00[America/New_York]");
        assert_eq!(last[0], "2026-12-31T00:00:00-05:00 2027-01-01T00:00:00-05:00");
        assert_eq!(last[1], "2026-12-28T00:00:00-05:00 2027-01-04T00:00:00-05:00");
        assert_eq!(last[2], "2026-12-01T00:00:00-05:00 2027-01-01T00:00:00-05:00");
        let first = periods("2027-01-01T00:00:00-05:00[America/New_York]");
        assert_eq!(first[2], "2027-01-01T00:00:00-05:00 2027-02-01T00:00:00-05:00");
        let leap = periods("2028-02-29T12:00:00+00:00[UTC]");
        assert_eq!(leap[2], "2028-02-01T00:00:00+00:00 2028-03-01T00:00:00+00:00");
    }

    #[test]
    fn days_of_23_and_25_hours_are_days() {
        let spring = periods("2026-03-29T04:00:00+02:00[Europe/Paris]");
        assert_eq!(spring[0], "2026-03-29T00:00:00+01:00 2026-03-30T00:00:00+02:00");
        assert_eq!(spring[1], "2026-03-23T00:00:00+01:00 2026-03-30T00:00:00+02:00");
        let autumn = periods("2026-10-25T02:30:00+01:00[Europe/Paris]");
        assert_eq!(autumn[0], "2026-10-25T00:00:00+02:00 2026-10-26T00:00:00+01:00");
        // A day without a midnight begins when the clock has been put forward.
        let beirut = periods("2022-03-27T12:00:00+03:00[Asia/Beirut]");
        assert_eq!(beirut[0], "2022-03-27T01:00:00+03:00 2022-03-28T00:00:00+03:00");
    }

    #[test]
    fn all_of_it_is_over_and_four_fifths_near() {
        let standing = |spent_usd| Standing {
            period: "daily".into(),
            project: None,
            team: None,
            budget_usd: 50.0,
            spent_usd,
            since: String::new(),
            until: String::new(),
        };
        for (spent, level) in
            [(0.0, Level::Fine), (39.99, Level::Fine), (40.0, Level::Near), (50.0, Level::Over)]
        {
            assert_eq!(standing(spent).level(), level, "{spent}");
        }
        assert_eq!(standing(1.0).name(), "today");
        let of_team = Standing { team: Some("payments".into()), ..standing(1.0) };
        assert_eq!(of_team.name(), "team payments, today");
    }
}
