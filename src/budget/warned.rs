//! What was warned of: once per budget, period and threshold, over restarts as well.
//!
//! `budget-warned.json` is a JSON object: a budget's key with its amount, to the period it was warned
//! of last and how far that went. It is written before the desktop is told: a warning may get lost
//! with the agent, but does not come again and again.
//!
//! ```json
//! {"daily project checkout 20":{"since":"2026-11-24T00:00:00+01:00","percent":80}}
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::standing::{Level, Standing};
use crate::agent::files::{self, FileError};

/// Budgets that are remembered; of more, those of the oldest periods are forgotten.
const REMEMBERED_MAX: usize = 128;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Warned(BTreeMap<String, Last>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    since: String,
    percent: u8,
}

impl Warned {
    /// What cannot be read is as if absent: then a warning comes twice.
    pub fn load(file: &Path) -> Self {
        let content = files::read_small(file).ok().flatten();
        content.and_then(|content| serde_json::from_slice(&content).ok()).unwrap_or_default()
    }

    pub fn save(&self, file: &Path) -> Result<(), FileError> {
        files::replace(file, &serde_json::to_vec(self).unwrap_or_default())
    }

    /// Those to warn of now, remembered as warned of. Of two thresholds that were passed at once only
    /// the higher one is.
    pub fn due<'s>(&mut self, standings: &'s [Standing]) -> Vec<&'s Standing> {
        let mut due = Vec::new();
        for standing in standings {
            let percent = match standing.level() {
                Level::Fine => continue,
                Level::Near => 80,
                Level::Over => 100,
            };
            let key = key(standing);
            let since = &standing.since;
            let known = self.0.get(&key).is_some_and(|last| {
                // A clock that was set back does not make an old period new.
                last.since > *since || (last.since == *since && last.percent >= percent)
            });
            if !known {
                self.0.insert(key, Last { since: since.clone(), percent });
                due.push(standing);
            }
        }
        while self.0.len() > REMEMBERED_MAX {
            let oldest = self.0.iter().min_by(|(_, one), (_, other)| one.since.cmp(&other.since));
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            self.0.remove(&key);
        }
        due
    }
}

/// A budget with another amount is another one: who raises it wants to hear of the new one.
fn key(standing: &Standing) -> String {
    let scope = match (&standing.project, &standing.team) {
        (Some(project), _) => format!("project {project}"),
        (_, Some(team)) => format!("team {team}"),
        _ => "total".to_owned(),
    };
    format!("{} {scope} {}", standing.period, standing.budget_usd)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(spent_usd: f64, since: &str) -> Standing {
        Standing {
            period: "daily".into(),
            project: Some("checkout".into()),
            team: None,
            budget_usd: 10.0,
            spent_usd,
            since: since.into(),
            until: String::new(),
        }
    }

    #[test]
    fn once_per_threshold_and_period_and_over_restarts() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("budget-warned.json");
        let steps = [
            (7.0, "2026-11-24T00:00:00+01:00", 0),
            (8.0, "2026-11-24T00:00:00+01:00", 1),
            (9.9, "2026-11-24T00:00:00+01:00", 0),
            (10.0, "2026-11-24T00:00:00+01:00", 1),
            (99.0, "2026-11-24T00:00:00+01:00", 0),
            (1.0, "2026-11-25T00:00:00+01:00", 0),
            // Both at once: one warning.
            (12.0, "2026-11-25T00:00:00+01:00", 1),
            (12.0, "2026-11-24T00:00:00+01:00", 0),
        ];
        for (spent, since, expected) in steps {
            let mut warned = Warned::load(&file);
            assert_eq!(warned.due(&[standing(spent, since)]).len(), expected, "{spent} {since}");
            warned.save(&file).unwrap();
        }
        let raised = Standing { budget_usd: 20.0, ..standing(17.0, "2026-11-25T00:00:00+01:00") };
        assert_eq!(Warned::load(&file).due(&[raised]).len(), 1);
    }

    #[test]
    fn a_damaged_file_is_as_if_absent_and_it_stays_small() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("budget-warned.json");
        std::fs::write(&file, "{\"a\":").unwrap();
        let mut warned = Warned::load(&file);
        assert_eq!(warned, Warned::default());
        for number in 0..300 {
            let project = Some(format!("p{number}"));
            let since = format!("2026-11-24T00:{:02}:00+01:00", number % 60);
            warned.due(&[Standing { project, ..standing(10.0, &since) }]);
        }
        assert_eq!(warned.0.len(), REMEMBERED_MAX);
    }
}
