//! A measure over time, stacked by what it went to: the numbers, and the chart of them.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Asked;
use super::facts;
use crate::page::chart::{self, Bars, COLOURS, Measure};
use crate::page::reply::Failure;
use crate::report::history::reader::History;
use crate::report::question::Dimension;
use crate::report::row::Facts;
use crate::report::time::{Bucket, MinuteRange, Unit, buckets};

const DAY_MINUTES: i64 = 24 * 60;
/// Up to here a bar is an hour, a day, a week; beyond, a month.
const HOURS_MAX: i64 = 2 * DAY_MINUTES + 60;
const DAYS_MAX: i64 = 100 * DAY_MINUTES;
const WEEKS_MAX: i64 = 800 * DAY_MINUTES;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    Cost,
    Tokens,
    Active,
    Lines,
    Commits,
}

impl std::str::FromStr for Metric {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Ok(match word {
            "cost" => Self::Cost,
            "tokens" => Self::Tokens,
            "active" => Self::Active,
            "lines" => Self::Lines,
            "commits" => Self::Commits,
            _ => return Err(()),
        })
    }
}

impl Metric {
    fn of(self, facts: &Facts) -> f64 {
        let tokens = &facts.tokens;
        match self {
            Self::Cost => facts.cost_usd,
            Self::Tokens => {
                tokens.input + tokens.output + tokens.cache_read + tokens.cache_creation
            }
            Self::Active => facts.active_seconds,
            Self::Lines => facts.lines_added + facts.lines_removed,
            Self::Commits => facts.commits,
        }
    }

    fn measure(self) -> Measure {
        match self {
            Self::Cost => Measure::Dollars,
            Self::Active => Measure::Seconds,
            Self::Tokens | Self::Lines | Self::Commits => Measure::Count,
        }
    }
}

/// One part of each bar.
struct Series {
    key: Option<String>,
    values: Vec<f64>,
    total: f64,
}

/// The chart's part of the overview.
pub(super) fn document(
    history: &History,
    asked: &Asked,
    (by, metric, width): (&Dimension, Metric, u32),
) -> Result<Value, Failure> {
    let (range, unit) = shown(history, asked)?;
    let buckets = buckets(&asked.clock, range, unit);
    let series = series(history, asked, (range, unit, by, metric), &buckets)?;
    let (own, rest) = series.split_at(series.len().min(COLOURS));
    let rest = (!rest.is_empty()).then(|| together(rest, buckets.len()));
    let mut drawn: Vec<(Option<usize>, &[f64])> =
        own.iter().enumerate().map(|(number, it)| (Some(number), it.values.as_slice())).collect();
    drawn.extend(rest.iter().map(|(_, it)| (None, it.values.as_slice())));
    let labels = buckets.iter().map(|bucket| label(asked, bucket, unit)).collect();
    let bars = Bars { measure: metric.measure(), labels, series: drawn, width };
    let (svg, plot) = chart::draw(&bars).map_err(Failure::Broken)?;
    let mut named: Vec<Value> = own
        .iter()
        .enumerate()
        .map(|(number, it)| {
            json!({ "key": it.key, "color": number, "total": it.total, "values": it.values })
        })
        .collect();
    named.extend(rest.map(|(count, it)| {
        json!({ "key": null, "other": count, "color": null, "total": it.total, "values": it.values })
    }));
    Ok(json!({
        "svg": svg,
        "width": width,
        "plot": plot,
        "unit": word(unit),
        "by": by.key(),
        "buckets": buckets.iter().map(|bucket| json!({
            "key": bucket.key,
            "since": asked.clock.rfc3339(bucket.minutes.start),
            "until": asked.clock.rfc3339(bucket.minutes.end),
        })).collect::<Vec<_>>(),
        "series": named,
    }))
}

/// The range that is drawn, and in what steps. A century begins with the first thing recorded.
fn shown(history: &History, asked: &Asked) -> Result<(MinuteRange, Unit), Failure> {
    let range = asked.range;
    let unit = match range.end - range.start {
        length if length <= HOURS_MAX => Unit::Hour,
        length if length <= DAYS_MAX => Unit::Day,
        length if length <= WEEKS_MAX => Unit::Week,
        _ => Unit::Month,
    };
    if unit != Unit::Month {
        return Ok((range, unit));
    }
    let recorded = history.extent()?.unwrap_or(range.start..range.end);
    let end = range.end.min(recorded.end.max(asked.clock.minute() + 1)).max(range.start + 1);
    let start = range.start.max(recorded.start).min(end - 1);
    Ok((MinuteRange { start, end }, unit))
}

fn series(
    history: &History,
    asked: &Asked,
    (range, unit, by, metric): (MinuteRange, Unit, &Dimension, Metric),
    buckets: &[Bucket],
) -> Result<Vec<Series>, Failure> {
    let answer = facts::ask(history, asked, range, vec![Dimension::Time(unit), by.clone()])?;
    let places: HashMap<&str, usize> =
        buckets.iter().enumerate().map(|(place, bucket)| (bucket.key.as_str(), place)).collect();
    let mut all: Vec<Series> = Vec::new();
    let mut known: HashMap<Option<String>, usize> = HashMap::new();
    for row in &answer.rows {
        let [when, what] = row.keys.as_slice() else { continue };
        let Some(&place) = facts::key(when).and_then(|key| places.get(key)) else { continue };
        let value = metric.of(&row.facts);
        if value == 0.0 {
            continue;
        }
        let key = facts::key(what).map(str::to_owned);
        let number = *known.entry(key.clone()).or_insert_with(|| {
            all.push(Series { key, values: vec![0.0; buckets.len()], total: 0.0 });
            all.len() - 1
        });
        all[number].values[place] += value;
        all[number].total += value;
    }
    all.sort_by(|one, other| other.total.total_cmp(&one.total).then(one.key.cmp(&other.key)));
    Ok(all)
}

fn together(rest: &[Series], length: usize) -> (usize, Series) {
    let mut sum = Series { key: None, values: vec![0.0; length], total: 0.0 };
    for it in rest {
        sum.total += it.total;
        for (mine, theirs) in sum.values.iter_mut().zip(&it.values) {
            *mine += theirs;
        }
    }
    (rest.len(), sum)
}

fn word(unit: Unit) -> &'static str {
    match unit {
        Unit::Hour => "hour",
        Unit::Day => "day",
        Unit::Week => "week",
        Unit::Month => "month",
    }
}

/// Below a bar.
fn label(asked: &Asked, bucket: &Bucket, unit: Unit) -> String {
    let at = asked.clock.zoned(bucket.minutes.start);
    let form = match unit {
        Unit::Hour if at.hour() == 0 => "%b %-d",
        Unit::Hour => "%H:%M",
        Unit::Day | Unit::Week => "%b %-d",
        Unit::Month => "%b %Y",
    };
    at.strftime(form).to_string()
}
