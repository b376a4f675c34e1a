//! The document of `ccotel report --json`. Others script against it: keys are added, never renamed.

use serde_json::{Map, Value, json};

use super::groups::Key;
use super::question::Question;
use super::row::{Answer, Facts};
use super::summary::Summary;

/// Version of the document.
pub const SCHEMA: u32 = 1;

/// One JSON document. A tag that is not set is `null`; what no event explains is `(unattributed)`.
pub fn document(question: &Question, answer: &Answer, summary: &Summary) -> Value {
    let clock = &question.clock;
    let by: Vec<&str> =
        question.by.as_slice().iter().map(super::question::Dimension::key).collect();
    let with_tools = question.by.have_tool();
    let rows: Vec<Value> = answer
        .rows
        .iter()
        .map(|row| {
            let mut object = Map::new();
            for (name, key) in by.as_slice().iter().zip(&row.keys) {
                object.insert((*name).to_owned(), key_value(key));
            }
            object.extend(facts(&row.facts, with_tools));
            Value::Object(object)
        })
        .collect();
    let filters: Vec<Value> = question
        .filters
        .iter()
        .map(|filter| json!({"key": filter.dimension.key(), "value": filter.value}))
        .collect();
    let previous = summary.previous.as_ref().map(|(previous, total)| {
        json!({
            "since": clock.rfc3339(previous.range.start),
            "until": clock.rfc3339(previous.range.end),
            "total": Value::Object(facts(total, with_tools)),
        })
    });
    json!({
        "schema": SCHEMA,
        "since": clock.rfc3339(question.range.start),
        "until": clock.rfc3339(question.range.end),
        "time_zone": clock.zone_name(),
        "by": by,
        "rows": rows,
        "total": Value::Object(facts(&answer.total, with_tools)),
        "imported": Value::Object(facts(&answer.imported, with_tools)),
        "filters": filters,
        "usage_from": if answer.of_events_only { "events" } else { "counters" },
        "cost_is": if summary.signed_in { "list_price_equivalent" } else { "list_price" },
        "previous": previous,
    })
}

/// What went wrong, for who reads the document and not the words beside it.
pub fn error(words: &str) -> Value {
    json!({"schema": SCHEMA, "error": words})
}

/// The words for what no event explains.
pub const UNATTRIBUTED: &str = "(unattributed)";

fn key_value(key: &Key) -> Value {
    match key {
        Key::Value(value) => Value::from(value.as_str()),
        Key::Unset => Value::Null,
        Key::Unattributed => Value::from(UNATTRIBUTED),
    }
}

pub fn facts(facts: &Facts, with_tools: bool) -> Map<String, Value> {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("cost_usd", facts.cost_usd.into());
    put(
        "tokens",
        json!({
            "input": whole(facts.tokens.input),
            "output": whole(facts.tokens.output),
            "cache_read": whole(facts.tokens.cache_read),
            "cache_creation": whole(facts.tokens.cache_creation),
        }),
    );
    put("sessions", facts.sessions.into());
    put("prompts", facts.prompts.into());
    put("requests", facts.requests.into());
    put("errors", facts.errors.into());
    put("active_seconds", facts.active_seconds.into());
    put("lines_added", whole(facts.lines_added).into());
    put("lines_removed", whole(facts.lines_removed).into());
    put("commits", whole(facts.commits).into());
    put("pull_requests", whole(facts.pull_requests).into());
    put("unpriced_requests", facts.unpriced_requests.into());
    put("imported_cost_usd", facts.imported_cost_usd.into());
    if with_tools {
        put("tool_rejections", facts.tool_rejections.into());
        put("tool_calls", facts.tool_calls.into());
        put("tool_failures", facts.tool_failures.into());
    }
    object
}

/// Claude Code sends counts as doubles.
pub fn whole(count: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and no count comes near")]
    let whole = count.round() as i64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::question::Dimensions;
    use crate::report::row::{KEYS, Row};
    use crate::report::time::Clock;

    fn question(by: &str) -> Question {
        let clock = Clock { now: "2026-11-21T10:17:42+01:00[Europe/Paris]".parse().unwrap() };
        Question {
            range: clock.range("7d", None).unwrap(),
            clock,
            by: Dimensions::new(vec![by.parse().unwrap()]).unwrap(),
            filters: Vec::new(),
        }
    }

    #[test]
    fn the_document_that_others_script_against() {
        let facts = Facts {
            cost_usd: 12.41,
            sessions: 5,
            active_seconds: 3600.0,
            lines_added: 10.0,
            ..Facts::default()
        };
        let keys = [Key::Value("checkout".to_owned()), Key::Unset];
        let rows = keys.map(|key| Row { keys: vec![key], facts }).to_vec();
        let answer = Answer { rows, total: facts, ..Answer::default() };
        let document = document(&question("project"), &answer, &Summary::default());
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
    }

    #[test]
    fn no_fact_has_a_key_that_a_tag_could_take() {
        for name in facts(&Facts::default(), true).keys() {
            assert!(KEYS.contains(&name.as_str()), "{name}");
        }
    }
}
