//! What the line says beside Claude Code's own words: today, the project, its budgets.

use std::path::Path;

use crate::budget::{Standing, standings};
use crate::config::budget::{Budget, Period, Scope};
use crate::launch::prepare;
use crate::paths::Paths;
use crate::report::history::reader::{History, Imported};
use crate::report::time::Clock;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub today_usd: Option<f64>,
    pub project: Option<String>,
    /// Of those that this session counts for, the one that is closest to its end.
    pub budget: Option<Standing>,
}

/// What can be known now. What cannot is left out: the line is no place for trouble.
pub fn gather(paths: &Paths, directory: Option<&Path>, clock: &Clock) -> Facts {
    let here = directory.map(|directory| prepare::look_around(paths, directory));
    let tag = |name: &str| {
        let tag = here.as_ref()?.resolved.tags.get(name)?;
        Some(tag.value.clone())
    };
    let (project, team) = (tag("project"), tag("team"));
    let config = match &here {
        Some(here) => here.loaded.config.clone(),
        None => crate::config::load(paths).config,
    };
    let is_mine = |budget: &Budget| match &budget.scope {
        Scope::Total => true,
        Scope::Project(name) => Some(name) == project.as_ref(),
        Scope::Team(name) => Some(name) == team.as_ref(),
    };
    let mut budgets: Vec<Budget> = config.budgets.all.into_iter().filter(is_mine).collect();
    let stated = here.iter().flat_map(|here| &here.resolved.budgets);
    budgets.extend(stated.map(|(budget, _)| budget.clone()));
    let history = History::open(paths, Imported::Include);
    let history = match &history {
        Ok(history) => history.as_ref(),
        Err(_) => return Facts { project, ..Facts::default() },
    };
    // Asked with the budgets: a question that two of them share is asked once.
    budgets.push(Budget { scope: Scope::Total, period: Period::Day, usd: 1.0 });
    let mut standings = standings(history, clock, &budgets).unwrap_or_default();
    let today = standings.pop().filter(|_| history.is_some());
    Facts {
        today_usd: today.map(|today| today.spent_usd),
        project,
        budget: standings.into_iter().max_by(|one, other| one.share().total_cmp(&other.share())),
    }
}
