//! Models: what each came to, and how quick it was.
//!
//! Cost and tokens are the same as in `report --by model`; how long requests took is what events say.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::answer::answer;
use super::groups::Key;
use super::history::durations::{Duration, Kind};
use super::history::file::FacetColumn;
use super::history::reader::History;
use super::history::schema::HistoryError;
use super::latency::{self, Percentiles};
use super::question::{Dimension, Dimensions, Filter, Question};
use super::row::Facts;
use super::time::{Clock, MinuteRange};

#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// `None`: what names no model, such as prompts.
    pub model: Option<String>,
    pub facts: Facts,
    /// Of whole requests.
    pub duration: Option<Percentiles>,
    /// Where Claude Code sends it.
    pub first_token: Option<Percentiles>,
    /// Over whole requests, waiting included.
    pub output_tokens_per_second: Option<f64>,
}

/// Every model used in the range, the dearest first.
pub fn list(
    history: &History,
    range: MinuteRange,
    filters: &[Filter],
) -> Result<Vec<Model>, HistoryError> {
    let requests = durations(history, range, filters, Kind::Request)?;
    let first_tokens = durations(history, range, filters, Kind::FirstToken)?;
    let by = Dimensions::of(Dimension::Model);
    // Rows by model do not depend on the clock, which must only not be before the range's end.
    let end = Timestamp::from_second(range.end.saturating_mul(60)).unwrap_or(Timestamp::MAX);
    let clock = Clock { now: end.to_zoned(TimeZone::UTC) };
    let answer = answer(history, &Question { clock, range, by, filters: filters.to_vec() })?;
    Ok(answer
        .rows
        .into_iter()
        .map(|row| {
            let model = match row.keys.into_iter().next() {
                Some(Key::Value(model)) => Some(model),
                _ => None,
            };
            let request = requests.get(&model);
            Model {
                duration: request.and_then(Percentiles::of),
                first_token: first_tokens.get(&model).and_then(Percentiles::of),
                output_tokens_per_second: request.and_then(Duration::output_tokens_per_second),
                model,
                facts: row.facts,
            }
        })
        .collect())
}

fn durations(
    history: &History,
    range: MinuteRange,
    filters: &[Filter],
    kind: Kind,
) -> Result<HashMap<Option<String>, Duration>, HistoryError> {
    let mut sums: HashMap<Option<String>, Duration> = HashMap::new();
    for file in history.files() {
        let wanted = (kind, FacetColumn::Model);
        for (model, duration) in latency::by(file, range, filters, wanted)? {
            sums.entry(model).or_default().merge(&duration);
        }
    }
    Ok(sums)
}
