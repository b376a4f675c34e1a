//! Split: a request's content in halves, and by age. Pure.

use std::sync::Arc;

use super::horizon::HORIZON_MS;
use super::otlp::traces;
use crate::record::Event;
use crate::store::handle::{Content, SeriesSamples};

/// Records in a part: samples, events, spans.
pub fn count(content: &Content) -> u64 {
    match content {
        Content::Samples(series) => samples(series),
        Content::Events(events) => events.len() as u64,
        // One that cannot be read counts as one, so that no part is taken for empty.
        Content::Spans(spans) => spans.iter().map(|bytes| traces::count(bytes).max(1)).sum(),
    }
}

pub fn samples(series: &[SeriesSamples]) -> u64 {
    series.iter().map(|series| series.samples.len() as u64).sum()
}

pub fn is_old(series: &SeriesSamples, now_ms: i64) -> bool {
    series.samples.first().is_some_and(|(time_ms, _)| *time_ms < now_ms - HORIZON_MS)
}

pub fn is_young(series: &SeriesSamples, now_ms: i64) -> bool {
    series.samples.last().is_some_and(|(time_ms, _)| *time_ms >= now_ms - HORIZON_MS)
}

/// Two halves, the older first within a series or stream; or the single record itself.
pub fn halves(content: Content, now_ms: i64) -> Result<(Content, Content), Content> {
    match content {
        Content::Samples(series) => halve_series(series, now_ms)
            .map(|(left, right)| (Content::Samples(left), Content::Samples(right)))
            .map_err(Content::Samples),
        Content::Events(events) => halve(events)
            .map(|(left, right)| (Content::Events(left), Content::Events(right)))
            .map_err(|events: Vec<Event>| Content::Events(events)),
        Content::Spans(spans) => halve(spans)
            .map(|(left, right)| (Content::Spans(left), Content::Spans(right)))
            .map_err(Content::Spans),
    }
}

type SeriesHalves = (Vec<SeriesSamples>, Vec<SeriesSamples>);

fn halve_series(
    series: Vec<SeriesSamples>,
    now_ms: i64,
) -> Result<SeriesHalves, Vec<SeriesSamples>> {
    let mixed = series.iter().any(|series| is_old(series, now_ms))
        && series.iter().any(|series| is_young(series, now_ms));
    if mixed {
        return Ok(split_by_age(series, now_ms));
    }
    match halve(series) {
        Ok(halves) => Ok(halves),
        Err(mut one) => match one.pop() {
            Some(mut early) if early.samples.len() > 1 => {
                let border = early.samples.len() / 2;
                let late = split_off(&mut early, border);
                Ok((vec![early], vec![late]))
            }
            leaf => Err(leaf.into_iter().collect()),
        },
    }
}

pub fn split_by_age(series: Vec<SeriesSamples>, now_ms: i64) -> SeriesHalves {
    let (mut old, mut young) = (Vec::new(), Vec::new());
    for mut series in series {
        let border = series.samples.partition_point(|(time_ms, _)| *time_ms < now_ms - HORIZON_MS);
        let late = split_off(&mut series, border);
        if !late.samples.is_empty() {
            young.push(late);
        }
        if !series.samples.is_empty() {
            old.push(series);
        }
    }
    (old, young)
}

/// The samples from `border` on, as a series that begins where the rest of it ends.
pub fn split_off(series: &mut SeriesSamples, border: usize) -> SeriesSamples {
    let samples = series.samples.split_off(border);
    SeriesSamples {
        labels: Arc::clone(&series.labels),
        start_ms: series.start_ms,
        before: series.samples.last().map_or(series.before, |(_, value)| *value),
        samples,
    }
}

fn halve<T>(mut list: Vec<T>) -> Result<(Vec<T>, Vec<T>), Vec<T>> {
    if list.len() < 2 {
        return Err(list);
    }
    let right = list.split_off(list.len() / 2);
    Ok((list, right))
}
