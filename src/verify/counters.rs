//! Counters beside events: both are Claude Code's own, and come by different ways.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{Cause, Finding};
use super::sums::Sums;

/// Differences by model. Of one that `is_fresh`, counters may still be on their way.
pub fn compare(
    counters: &BTreeMap<String, Sums>,
    events: &BTreeMap<String, Sums>,
    is_fresh: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let models: BTreeSet<&String> =
        counters.keys().chain(events.keys()).filter(|model| !model.is_empty()).collect();
    let mut findings = Vec::new();
    for model in models {
        let of = |side: &BTreeMap<String, Sums>| side.get(model).copied().unwrap_or_default();
        let (counted, told) = (of(counters), of(events));
        if counted.same_tokens(&told) && counted.same_cost(&told) {
            continue;
        }
        let sum = |sums: &Sums| sums.tokens().iter().sum::<i64>();
        let ahead = (sum(&counted), counted.cost_usd) > (sum(&told), told.cost_usd);
        let (cause, what) = if is_fresh(model) {
            (
                Cause::StillArriving,
                "counters come every ten seconds, and requests of this model were just made",
            )
        } else if ahead {
            (
                Cause::CountersAhead,
                "counters say more than events: events that were not delivered are lost, counters catch up",
            )
        } else {
            (
                Cause::CountersBehind,
                "counters say less than events: a session was killed before it sent its last counters",
            )
        };
        findings.push(Finding {
            cause,
            expected: cause.is_expected(),
            session: None,
            model: Some(model.clone()),
            from_ms: None,
            to_ms: None,
            difference: Sums { requests: 0, ..counted - told },
            what: what.to_owned(),
            source: None,
        });
    }
    findings
}
