//! How large a model's context window is. Only counters say so (`claude-opus-4-8[1m]`), and they know
//! no sessions: the answer is certain where all that a project's counters say of a model agree.

use std::collections::{HashMap, HashSet};

use super::super::history::file::Origin;
use super::super::history::reader::History;
use super::super::history::schema::HistoryError;
use super::super::time::MinuteRange;

/// Tokens, unless the model's name says `[1m]`.
const WINDOW_TOKENS: i64 = 200_000;
const WINDOW_1M_TOKENS: i64 = 1_000_000;

/// The label that carries the suffix of a model's name, and its value for a million.
const CONTEXT_LABEL: &str = "context";
const CONTEXT_1M: &str = "1m";

const TOKEN_METRIC: &str = "claude_code_token_usage_tokens_total";

/// Which windows were in use in a range, by model and project.
#[derive(Debug, Default)]
pub struct Windows(HashMap<(String, Option<String>), HashSet<i64>>);

impl Windows {
    pub fn new(history: &History, range: MinuteRange) -> Result<Self, HistoryError> {
        let minutes = range.start..range.end;
        let mut windows = Self::default();
        for file in history.files().iter().filter(|file| file.origin() == Origin::Recorded) {
            let models = file.series_label("model")?;
            let contexts = file.series_label(CONTEXT_LABEL)?;
            let projects = file.series_label("project")?;
            let counted: HashSet<i64> = file
                .series()?
                .into_iter()
                .filter(|(_, metric)| metric == TOKEN_METRIC)
                .map(|(series, _)| series)
                .collect();
            let mut used = HashSet::new();
            file.counters(std::slice::from_ref(&minutes), |_, series, value| {
                if value > 0.0 && counted.contains(&series) {
                    used.insert(series);
                }
            })?;
            for series in used {
                let Some(model) = models.get(&series) else { continue };
                let tokens = match contexts.get(&series).map(String::as_str) {
                    Some(CONTEXT_1M) => WINDOW_1M_TOKENS,
                    _ => WINDOW_TOKENS,
                };
                let place = (model.clone(), projects.get(&series).cloned());
                windows.0.entry(place).or_default().insert(tokens);
            }
        }
        Ok(windows)
    }

    /// `None` where it is not certain: nothing has been counted yet, or both windows are in use.
    pub fn of(
        &self,
        model: Option<&str>,
        project: Option<&str>,
        context_tokens: Option<i64>,
    ) -> Option<i64> {
        if context_tokens.is_some_and(|tokens| tokens > WINDOW_TOKENS) {
            return Some(WINDOW_1M_TOKENS);
        }
        let known = self.0.get(&(model?.to_owned(), project.map(ToOwned::to_owned)))?;
        let mut known = known.iter();
        known.next().filter(|_| known.next().is_none()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(used: &[(&str, &str, i64)]) -> Windows {
        let mut windows = Windows::default();
        for (model, project, tokens) in used {
            let place = ((*model).to_owned(), Some((*project).to_owned()));
            windows.0.entry(place).or_default().insert(*tokens);
        }
        windows
    }

    #[test]
    fn what_all_counters_of_a_project_say_is_certain() {
        let windows = windows(&[
            ("opus", "a", WINDOW_1M_TOKENS),
            ("opus", "b", WINDOW_TOKENS),
            ("opus", "c", WINDOW_TOKENS),
            ("opus", "c", WINDOW_1M_TOKENS),
        ]);
        let of = |project| windows.of(Some("opus"), Some(project), Some(100));
        assert_eq!(of("a"), Some(1_000_000));
        assert_eq!(of("b"), Some(200_000));
        assert_eq!(of("c"), None, "both are in use");
        assert_eq!(of("d"), None, "nothing was counted");
        assert_eq!(windows.of(None, Some("a"), None), None);
    }

    #[test]
    fn a_context_beyond_the_small_window_is_in_the_large_one() {
        let windows = windows(&[("opus", "b", WINDOW_TOKENS)]);
        assert_eq!(windows.of(Some("opus"), Some("b"), Some(200_001)), Some(1_000_000));
        assert_eq!(windows.of(Some("opus"), Some("b"), Some(200_000)), Some(200_000));
    }
}
