//! What of a request is turned away, and why, in words for `partial_success`.

use std::fmt::Write;

/// Claude Code's instrumentation scopes: this one, and those below it (`.events`, `.tracing`).
const CLAUDE_CODE_SCOPE: &str = "com.anthropic.claude_code";

/// Why a record is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Foreign,
    NotASum,
    NotMonotonic,
    NoTemporality,
    NoValue,
    NotANumber,
    Negative,
    BeyondLimit,
    NoTime,
    TooManyAttributes,
    TooManyRecords,
}

const REASONS: [(Reason, &str); 11] = [
    (Reason::Foreign, "not from Claude Code ([agent] accept = \"any\" takes them)"),
    (Reason::NotASum, "not a sum (a gauge, histogram or summary)"),
    (Reason::NotMonotonic, "not monotonic"),
    (Reason::NoTemporality, "without a temporality"),
    (Reason::NoValue, "without a value"),
    (Reason::NotANumber, "not a finite number"),
    (Reason::Negative, "negative"),
    (
        Reason::BeyondLimit,
        "beyond a limit (1000000 USD, 1000000000000 of anything else of Claude Code's)",
    ),
    (Reason::NoTime, "without a time"),
    (Reason::TooManyAttributes, "with more than 128 attributes"),
    (Reason::TooManyRecords, "beyond the 65536th of a request"),
];

/// Counts of one request.
#[derive(Debug, Default)]
pub struct Rejections {
    counts: [u64; REASONS.len()],
}

impl Rejections {
    pub fn add(&mut self, reason: Reason, records: usize) {
        self.counts[reason as usize] += records as u64;
    }

    pub fn foreign(&self) -> u64 {
        self.counts[Reason::Foreign as usize]
    }

    /// All of them, foreign ones included.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// `3 records rejected: 2 negative, 1 without a time`.
    pub fn message(&self) -> Option<String> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let mut message = format!("{total} record{} rejected", if total == 1 { "" } else { "s" });
        let mut separator = ": ";
        for (reason, words) in REASONS {
            let count = self.counts[reason as usize];
            if count > 0 {
                write!(message, "{separator}{count} {words}").expect("a String takes all");
                separator = ", ";
            }
        }
        Some(message)
    }
}

/// Whether an instrumentation scope is Claude Code's.
pub fn is_claude_code(scope: &str) -> bool {
    let rest = scope.strip_prefix(CLAUDE_CODE_SCOPE);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_claude_code_are_told_from_others() {
        let check = |scope, expect| assert_eq!(is_claude_code(scope), expect, "{scope}");
        check("com.anthropic.claude_code", true);
        check("com.anthropic.claude_code.events", true);
        check("com.anthropic.claude_code.tracing", true);
        check("com.anthropic.claude_codex", false);
        check("io.opentelemetry.http", false);
        check("", false);
    }

    #[test]
    fn the_message_counts_and_gives_reasons() {
        let mut rejections = Rejections::default();
        assert_eq!(rejections.message(), None);
        rejections.add(Reason::NoTime, 1);
        assert_eq!(rejections.message().as_deref(), Some("1 record rejected: 1 without a time"));
        rejections.add(Reason::Negative, 2);
        let both = "3 records rejected: 2 negative, 1 without a time";
        assert_eq!(rejections.message().as_deref(), Some(both));
        assert_eq!((rejections.total(), rejections.foreign()), (3, 0));
    }

    #[test]
    fn the_limits_in_words_are_the_limits() {
        let said = |reason: Reason, limit: u64| {
            let (_, words) = REASONS[reason as usize];
            assert!(words.contains(&limit.to_string()), "{words}");
        };
        said(Reason::TooManyAttributes, crate::record::ATTRIBUTES_MAX as u64);
        said(Reason::TooManyRecords, crate::record::RECORDS_MAX as u64);
        said(Reason::BeyondLimit, crate::record::amounts::USD_MAX);
        said(Reason::BeyondLimit, crate::record::amounts::COUNT_MAX);
    }

    #[test]
    fn reasons_stand_in_their_order() {
        for (index, (reason, _)) in REASONS.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }
}
