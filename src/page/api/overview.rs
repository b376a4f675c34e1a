//! The overview: what a range came to, over time and by what it went to, and the year as a calendar.
//!
//! Its questions are independent, and a year of heavy use has millions of events: they are asked at the
//! same time, each in a look of its own.

use std::sync::Arc;

use jiff::ToSpan as _;
use serde_json::{Map, Value, json};

use super::over_time::{self, Metric};
use super::{Asked, Document, facts, read};
use crate::page::query::Query;
use crate::page::reply::Failure;
use crate::page::{Desk, chart};
use crate::report::history::reader::History;
use crate::report::question::Dimension;
use crate::report::row::Row;
use crate::report::time::{Clock, MinuteRange, Unit};
use crate::report::{json, prompts, tools};

/// Rows of each list.
const LIST_MAX: usize = 7;
/// The calendar goes back so far.
const CALENDAR: &str = "371d";

/// How the page wants it.
pub(super) struct Look {
    by: Dimension,
    metric: Metric,
    width: u32,
}

impl Look {
    pub fn understand(query: &Query) -> Result<Self, Failure> {
        let by: Dimension = query.get_or("by", "project".parse().expect("it is one"))?;
        if matches!(by, Dimension::Time(_)) || by.is_of_events() {
            let words = "the chart is stacked by project, team, model or tag:NAME";
            return Err(Failure::Question(words.to_owned()));
        }
        Ok(Self {
            by,
            metric: query.get_or("metric", Metric::Cost)?,
            width: query.get_or("width", chart::WIDTH_USUAL)?,
        })
    }
}

pub(super) async fn document(desk: &Desk, asked: Asked, look: Look) -> Document {
    let asked = Arc::new(asked);
    let (of_counters, of_events, of_year) = (asked.clone(), asked.clone(), asked.clone());
    let (mut document, lists, year) = tokio::try_join!(
        read(desk, move |history| totals(history, &of_counters, &look)),
        read(desk, move |history| lists(history, &of_events)),
        read(desk, move |history| calendar(history, &of_year)),
    )?;
    document.extend(lists);
    document.insert("calendar".to_owned(), year);
    Ok(Value::Object(document))
}

/// What was counted: in all, before, over time, and by project and model.
fn totals(
    history: Option<&History>,
    asked: &Asked,
    look: &Look,
) -> Result<Map<String, Value>, Failure> {
    let mut document = facts::head(history, asked)?;
    let Some(history) = history else { return Ok(document) };
    let models = facts::ask(history, asked, asked.range, vec![Dimension::Model])?;
    let project: Dimension = "project".parse().expect("it is one");
    let projects = facts::ask(history, asked, asked.range, vec![project])?;
    let counted = !models.of_events_only;
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    put("total", facts::of(&models.total, counted).into());
    put("imported", facts::of(&models.imported, false).into());
    put("models", top(&models.rows));
    put("projects", top(&projects.rows));
    let before = previous(&asked.clock, asked.range);
    let is_known = history.extent()?.is_some_and(|extent| extent.start < before.end);
    if is_known {
        let answer = facts::ask(history, asked, before, vec![Dimension::Model])?;
        put("previous_total", facts::of(&answer.total, counted).into());
        let words = |minute| asked.clock.rfc3339(minute);
        put("previous", json!({ "since": words(before.start), "until": words(before.end) }));
    }
    put("chart", over_time::document(history, asked, (&look.by, look.metric, look.width))?);
    Ok(document)
}

/// What events tell of: tools, and prompts with all that was done for them.
fn lists(history: Option<&History>, asked: &Asked) -> Result<Map<String, Value>, Failure> {
    let Some(history) = history else { return Ok(Map::new()) };
    let tools = tools::list(history, asked.range, &asked.filters)?;
    let tools = tools.iter().take(LIST_MAX).map(super::tools::row).collect();
    let prompts = prompts::dearest(history, asked.range, &asked.filters, LIST_MAX)?;
    let prompts = prompts.iter().map(|prompt| {
        json!({
            "session": prompt.session_id,
            "prompt": prompt.prompt_id,
            "at": facts::moment(&asked.clock, prompt.first_ms),
            "project": prompt.project,
            "model": prompt.model,
            "command": prompt.command,
            "length": prompt.length,
            "cost_usd": prompt.cost_usd,
            "requests": prompt.requests,
            "tool_calls": prompt.tool_calls,
            "imported": prompt.imported,
        })
    });
    Ok(Map::from_iter([
        ("tools".to_owned(), Value::Array(tools)),
        ("prompts".to_owned(), prompts.collect()),
    ]))
}

/// Cost by day, whatever the range.
fn calendar(history: Option<&History>, asked: &Asked) -> Document {
    let mut days = Map::new();
    if let Some(history) = history {
        let range = asked.clock.range(CALENDAR, None);
        let range = range.map_err(|error| Failure::Question(error.to_string()))?;
        let answer = facts::ask(history, asked, range, vec![Dimension::Time(Unit::Day)])?;
        for row in &answer.rows {
            if let Some(day) = row.keys.first().and_then(facts::key)
                && row.facts.cost_usd > 0.0
            {
                days.insert(day.to_owned(), row.facts.cost_usd.into());
            }
        }
    }
    let today = asked.clock.now.strftime("%Y-%m-%d").to_string();
    Ok(json!({ "today": today, "days": days }))
}

fn top(rows: &[Row]) -> Value {
    rows.iter()
        .filter(|row| row.facts.cost_usd > 0.0 || row.facts.requests > 0)
        .take(LIST_MAX)
        .map(|row| {
            let mut object = json::facts(&row.facts, false);
            object.insert("key".to_owned(), row.keys.first().and_then(facts::key).into());
            Value::Object(object)
        })
        .collect()
}

/// As many days before, up to the same time of day: a week so far is compared with a week so far. What
/// does not begin with a day is compared with what was right before it.
fn previous(clock: &Clock, range: MinuteRange) -> MinuteRange {
    let (first, last) = (clock.zoned(range.start), clock.zoned(range.end - 1).date());
    let begins_a_day = first.start_of_day().is_ok_and(|midnight| midnight == first);
    let days = first.date().until(last).map_or(0, |span| span.get_days()) + 1;
    let back = |minute| {
        let then = clock.zoned(minute).checked_sub(days.days()).ok()?;
        Some(then.timestamp().as_second().div_euclid(60))
    };
    match (back(range.start), back(range.end)) {
        (Some(start), Some(end)) if begins_a_day && start < end => MinuteRange { start, end },
        _ => MinuteRange { start: 2 * range.start - range.end, end: range.start },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock { now: "2026-11-21T10:17:42+01:00[Europe/Paris]".parse().unwrap() }
    }

    #[test]
    fn the_time_before_has_as_many_days_and_ends_at_the_same_time_of_day() {
        let clock = clock();
        let check = |since: &str, until: Option<&str>, wanted: (&str, &str)| {
            let before = previous(&clock, clock.range(since, until).unwrap());
            let found = (clock.rfc3339(before.start), clock.rfc3339(before.end));
            assert_eq!((found.0.as_str(), found.1.as_str()), wanted, "{since}");
        };
        check("7d", None, ("2026-11-08T00:00:00+01:00", "2026-11-14T10:18:00+01:00"));
        check("today", None, ("2026-11-20T00:00:00+01:00", "2026-11-20T10:18:00+01:00"));
        // A month with the change of clocks in it: days of the calendar all the same.
        check("30d", None, ("2026-09-23T00:00:00+02:00", "2026-10-22T10:18:00+02:00"));
        let (first, last) = ("2026-11-02", Some("2026-11-09"));
        check(first, last, ("2026-10-26T00:00:00+01:00", "2026-11-02T00:00:00+01:00"));
        check("2h", None, ("2026-11-21T06:16:00+01:00", "2026-11-21T08:17:00+01:00"));
    }

    #[test]
    fn the_chart_is_stacked_by_what_counters_know() {
        let look = |text: &str| Look::understand(&Query::parse(text).unwrap());
        assert!(look("by=tag:cost_center&metric=tokens&width=400").is_ok());
        for text in ["by=day", "by=session", "metric=happiness", "width=wide", "by=colour"] {
            assert!(matches!(look(text), Err(Failure::Question(_))), "{text}");
        }
    }
}
