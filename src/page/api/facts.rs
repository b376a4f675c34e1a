//! What is known of a row, as JSON: the facts of `ccotel report --json`, and what only the page shows.

use serde_json::{Map, Value, json};

use crate::report::answer::answer;
use crate::report::groups::Key;
use crate::report::history::reader::History;
use crate::report::history::schema::HistoryError;
use crate::report::json;
use crate::report::question::{Dimension, Dimensions, Question};
use crate::report::row::{Answer, Facts, Tokens};
use crate::report::time::{Clock, MinuteRange};

use super::Asked;

/// Of a whole answer. Without `counted`, what only counters know is not known.
pub(super) fn of(facts: &Facts, counted: bool) -> Map<String, Value> {
    let mut object = json::facts(facts, false);
    object.insert("cache_hit_ratio".to_owned(), cache_hit_ratio(&facts.tokens).into());
    object.insert("counted".to_owned(), counted.into());
    object
}

/// Tokens read from the cache out of all that went in, those written to it included.
pub(super) fn cache_hit_ratio(tokens: &Tokens) -> Option<f64> {
    let all = tokens.input + tokens.cache_read + tokens.cache_creation;
    (all > 0.0).then(|| tokens.cache_read / all)
}

pub(super) fn tokens(tokens: &Tokens) -> Value {
    json!({
        "input": json::whole(tokens.input),
        "output": json::whole(tokens.output),
        "cache_read": json::whole(tokens.cache_read),
        "cache_creation": json::whole(tokens.cache_creation),
    })
}

/// The value of a key; `null` where there is none.
pub(super) fn key(key: &Key) -> Option<&str> {
    match key {
        Key::Value(value) => Some(value),
        Key::Unset => None,
        Key::Unattributed => Some(json::UNATTRIBUTED),
    }
}

/// One question of a range.
pub(super) fn ask(
    history: &History,
    asked: &Asked,
    range: MinuteRange,
    by: Vec<Dimension>,
) -> Result<Answer, HistoryError> {
    answer(history, &question(asked, range, by))
}

/// The page's filters and zone, put as a question to the report.
pub(super) fn question(asked: &Asked, range: MinuteRange, by: Vec<Dimension>) -> Question {
    let by = Dimensions::new(by).expect("one dimension, or a time and another one");
    Question { clock: asked.clock.clone(), range, by, filters: asked.filters.clone() }
}

/// A moment at the viewer's place.
pub(super) fn moment(clock: &Clock, time_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default();
    at.to_zoned(clock.zone().clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

/// When the first thing was recorded, in words for the page to tell a new install by.
pub(super) fn first(
    history: Option<&History>,
    asked: &Asked,
) -> Result<Option<String>, HistoryError> {
    let Some(history) = history else { return Ok(None) };
    Ok(history.extent()?.map(|extent| asked.clock.rfc3339(extent.start)))
}

/// The head of every document of a range.
pub(super) fn head(
    history: Option<&History>,
    asked: &Asked,
) -> Result<Map<String, Value>, HistoryError> {
    let document = json!({
        "schema": super::SCHEMA,
        "first": first(history, asked)?,
        "since": asked.clock.rfc3339(asked.range.start),
        "until": asked.clock.rfc3339(asked.range.end),
        "time_zone": asked.clock.zone_name(),
    });
    let Value::Object(head) = document else { unreachable!("it was written as one") };
    Ok(head)
}
