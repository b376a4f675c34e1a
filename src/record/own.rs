//! Own: the marked record that `ccotel doctor` sends through the agent's own door.
//!
//! It goes the way of a session's records (admission, privacy, store, every destination), and must
//! change nobody's totals. So it has names of its own, and no session, model or cost:
//!
//! | | name | left out by |
//! | --- | --- | --- |
//! | counter | `ccotel_doctor_marks_total`, `job="ccotel"` | boards and rules, which ask for `claude_code_*` by name; the history (`store/history_page.rs`), and with it report, page, `top` and `verify` |
//! | event | `ccotel_doctor`, of the service `ccotel` | boards, which ask for `service_name=~"claude-code.*"`; the history, which counts events by name |
//!
//! The counter grows by one with each mark and never falls, so a backend that has the new value has
//! this mark; the event carries a trace id that is drawn for it. Its scope is Claude Code's, since the
//! door is what is to be tried. `status` counts it as the received record that it is.

use super::Labels;

/// The counter, as OTLP has it.
pub const MARKS_METRIC: &str = "ccotel.doctor.marks";
/// The counter, as Prometheus has it.
pub const MARKS_SERIES: &str = "ccotel_doctor_marks_total";
/// The event's name, and its body.
pub const MARK_EVENT: &str = "ccotel_doctor";
/// Its `service.name`, and so the `job` of the counter.
pub const SERVICE: &str = "ccotel";

/// Whether a series with `__name__` among its labels is the counter of marks.
pub fn is_marks(labels: &Labels) -> bool {
    labels.iter().any(|(name, value)| &**name == "__name__" && &**value == MARKS_SERIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_named_as_the_translation_names_it() {
        assert_eq!(super::super::names::metric_name(MARKS_METRIC, ""), MARKS_SERIES);
        let labels =
            |name: &str| vec![("__name__".into(), name.into()), ("job".into(), "x".into())];
        assert!(is_marks(&labels(MARKS_SERIES)));
        assert!(!is_marks(&labels("claude_code_commit_count_total")));
    }
}
