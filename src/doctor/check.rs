//! What a check found, and what mends it.

use serde::Serialize;

use crate::config::problem::printable;

/// Longest `why`, in characters: it is one line.
const WHY_CHARS_MAX: usize = 400;
/// Details of one check.
const DETAILS_MAX: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    /// Could not be looked at, and `why` says for what reason.
    NotChecked,
    /// Something is not as it should be, and nothing is lost by it.
    Warning,
    /// Data is lost, or does not arrive.
    Failed,
}

/// One check. Keys are added, never renamed.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Where it belongs on the screen.
    pub group: &'static str,
    /// Stable: scripts ask for it.
    pub name: &'static str,
    /// Of several of a kind, which one: a destination's name.
    pub subject: Option<String>,
    pub verdict: Verdict,
    pub why: String,
    /// One command, to be pasted into a shell, that mends it.
    pub remedy: Option<String>,
    /// What only a person can do, and where; with a `remedy` as well, this comes first.
    pub by_hand: Option<String>,
    pub details: Vec<String>,
}

impl Check {
    pub fn ok(name: &'static str, why: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, &why.into())
    }

    pub fn warning(name: &'static str, why: impl Into<String>) -> Self {
        Self::new(name, Verdict::Warning, &why.into())
    }

    pub fn failed(name: &'static str, why: impl Into<String>) -> Self {
        Self::new(name, Verdict::Failed, &why.into())
    }

    pub fn not_checked(name: &'static str, because: impl Into<String>) -> Self {
        Self::new(name, Verdict::NotChecked, &because.into())
    }

    fn new(name: &'static str, verdict: Verdict, why: &str) -> Self {
        Self {
            group: "",
            name,
            subject: None,
            verdict,
            why: one_line(why),
            remedy: None,
            by_hand: None,
            details: Vec::new(),
        }
    }

    #[must_use]
    pub fn remedy(mut self, command: impl Into<String>) -> Self {
        self.remedy = Some(command.into());
        self
    }

    #[must_use]
    pub fn maybe_remedy(mut self, command: Option<String>) -> Self {
        self.remedy = command;
        self
    }

    #[must_use]
    pub fn by_hand(mut self, words: impl Into<String>) -> Self {
        self.by_hand = Some(printable(&words.into()));
        self
    }

    #[must_use]
    pub fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details = lines.into_iter().take(DETAILS_MAX).map(|line| one_line(&line)).collect();
        self
    }

    /// All that is wrong, where `why` has the first.
    #[must_use]
    pub fn all_of(mut self, problems: impl IntoIterator<Item = String>) -> Self {
        self = self.details(problems);
        if let more @ 1.. = self.details.len().saturating_sub(1) {
            self.why = format!("{} (and {more} more)", self.why);
        }
        self
    }

    #[must_use]
    pub fn of(mut self, subject: &str) -> Self {
        self.subject = Some(subject.to_owned());
        self
    }

    #[must_use]
    pub fn within(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    pub fn is_failed(&self) -> bool {
        self.verdict == Verdict::Failed
    }
}

/// The worst of all: what the exit code follows. What was not checked is not held against anybody.
pub fn worst(checks: &[Check]) -> Verdict {
    let worst = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok);
    if worst == Verdict::NotChecked { Verdict::Ok } else { worst }
}

/// A backend's words may be long, and steer a terminal.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = printable(&words);
    match line.char_indices().nth(WHY_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_whatever_was_said() {
        let check = Check::failed("x", format!("a\n b\u{1b}[2J {}", "long ".repeat(200)));
        assert!(check.why.starts_with("a b?[2J long long"), "{}", check.why);
        assert_eq!(check.why.chars().count(), WHY_CHARS_MAX + 1);
    }

    #[test]
    fn what_was_not_checked_is_no_fault() {
        let checks = [Check::ok("a", ""), Check::not_checked("b", "")];
        assert_eq!(worst(&checks), Verdict::Ok);
        assert_eq!(worst(&[Check::warning("a", ""), Check::failed("b", "")]), Verdict::Failed);
        assert_eq!(worst(&[]), Verdict::Ok);
    }
}
