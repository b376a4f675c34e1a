//! `[budget]`: what may be spent in a day, a week or a month, in all, of a project or of a team.
//!
//! ```toml
//! [budget]
//! daily_usd = 50
//! monthly_usd = 600
//! notify = true            # a desktop notification at 80 % and at 100 %
//! [budget.project.checkout]
//! monthly_usd = 200
//! [budget.team.payments]
//! weekly_usd = 400
//! ```
//!
//! A budget warns and stops nothing. A layer's budget takes the place of a lower one's of the same
//! scope and period, and leaves the others.

use std::fmt;

use super::limits::BUDGETS_MAX;
use super::shape::proven;
use super::table::{At, Table};
use crate::tags::rules;

/// Smallest amount: a cent.
const USD_MIN: f64 = 0.01;
/// Greatest amount: above it somebody meant cents, or nothing at all.
const USD_MAX: f64 = 1e9;

/// `[budget]` of all layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Budgets {
    /// Whether the desktop is told.
    pub notify: bool,
    /// In the order in which they are shown: in all, projects, teams; the shortest period first.
    pub all: Vec<Budget>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self { notify: true, all: Vec::new() }
    }
}

/// So much in each such period.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    pub scope: Scope,
    pub period: Period,
    pub usd: f64,
}

/// Whose spending counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Total,
    Project(String),
    Team(String),
}

/// Calendar ones, in the local time zone; a week begins on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    Day,
    Week,
    Month,
}

pub const PERIODS: [Period; 3] = [Period::Day, Period::Week, Period::Month];

impl Period {
    /// The key in a file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Day => "daily_usd",
            Self::Week => "weekly_usd",
            Self::Month => "monthly_usd",
        }
    }

    /// The word in JSON and in labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
        }
    }

    /// Where it begins, as `report --since` says it.
    pub fn since(self) -> &'static str {
        match self {
            Self::Day => "today",
            Self::Week => "this-week",
            Self::Month => "this-month",
        }
    }

    /// `today`, `this week`, `this month`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Day => "today",
            Self::Week => "this week",
            Self::Month => "this month",
        }
    }
}

impl Budget {
    /// The dotted key: `budget.project.checkout.monthly_usd`.
    pub fn key(&self) -> String {
        let period = self.period.key();
        match &self.scope {
            Scope::Total => format!("budget.{period}"),
            Scope::Project(name) => format!("budget.project.{name}.{period}"),
            Scope::Team(name) => format!("budget.team.{name}.{period}"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total => out.write_str("in all"),
            Self::Project(name) => write!(out, "project {name}"),
            Self::Team(name) => write!(out, "team {name}"),
        }
    }
}

/// One file's worth.
#[derive(Debug, Default, PartialEq)]
pub struct ReadBudgets {
    pub notify: Option<At<bool>>,
    pub all: Vec<At<Budget>>,
}

/// Reads `[budget]` of a `config.toml`.
pub fn read(mut table: Table<'_>) -> ReadBudgets {
    let mut all = amounts(&mut table, &Scope::Total);
    for (key, scope) in [("project", Scope::Project as fn(String) -> Scope), ("team", Scope::Team)]
    {
        let Some(names) = table.table(key) else { continue };
        for (name, mut one) in names.named() {
            if let Err(why) = rules::check(key, &name) {
                let what = format!("`{name}` is the name of no {key}: {}", why.what);
                one.refuse_self(what, why.remedy);
                continue;
            }
            all.extend(amounts(&mut one, &scope(name)));
            one.finish();
        }
    }
    let notify = table.boolean("notify");
    if all.len() > BUDGETS_MAX {
        let what = format!("more than {BUDGETS_MAX} budgets; the last ones are left out");
        table.refuse_self(what, "keep those that somebody looks at");
        all.truncate(BUDGETS_MAX);
    }
    table.finish();
    ReadBudgets { notify, all }
}

/// The amounts of one table, of a `.ccotel.toml` as well.
pub fn amounts(table: &mut Table<'_>, scope: &Scope) -> Vec<At<Budget>> {
    let mut found = Vec::new();
    for period in PERIODS {
        let amount = table.number(period.key());
        if let Some(At { value: usd, line }) = proven(table, period.key(), amount, usd) {
            found.push(At { value: Budget { scope: scope.clone(), period, usd }, line });
        }
    }
    found
}

fn usd(amount: f64) -> Result<f64, String> {
    if !amount.is_finite() || amount < USD_MIN {
        return Err(format!("must be at least {USD_MIN}; leave it out for no budget"));
    }
    if amount > USD_MAX {
        return Err("must be at most 1,000,000,000; it is in US dollars".to_owned());
    }
    Ok(amount)
}
