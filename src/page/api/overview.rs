//! The overview: what a range came to, over time and by what it went to, and the year as a calendar.
//!
//! Its questions are independent, and a year of heavy use has millions of events: they are asked at the
//! same time, each in a look of its own.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::over_time::{self, Metric};
use super::{Asked, Document, facts, read};
use crate::page::query::Query;
use crate::page::reply::Failure;
use crate::page::{Desk, chart};
use crate::report::history::reader::History;
use crate::report::question::Dimension;
use crate::report::row::{Facts, Row};
use crate::report::time::Unit;
use crate::report::{prompts, summary, tools};

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
    let (of_chart, of_events, of_year) = (asked.clone(), asked.clone(), asked.clone());
    let (mut document, chart, lists, year) = tokio::try_join!(
        read(desk, move |history| totals(history, &asked)),
        read(desk, move |history| drawn(history, &of_chart, &look)),
        read(desk, move |history| lists(history, &of_events)),
        read(desk, move |history| calendar(history, &of_year)),
    )?;
    document.extend(lists);
    if let Value::Object(spending) = (desk.sources.spending)().await {
        document.extend(spending);
    }
    document.insert("chart".to_owned(), chart);
    document.insert("calendar".to_owned(), year);
    Ok(Value::Object(document))
}

/// What was counted: in all, before, and by project and model, which is one question.
fn totals(history: Option<&History>, asked: &Asked) -> Result<Map<String, Value>, Failure> {
    let mut document = facts::head(history, asked)?;
    let Some(history) = history else { return Ok(document) };
    let project: Dimension = "project".parse().expect("it is one");
    let answer = facts::ask(history, asked, asked.range, vec![project, Dimension::Model])?;
    let counted = !answer.of_events_only;
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    put("total", facts::of(&answer.total, counted).into());
    put("imported", facts::of(&answer.imported, false).into());
    put("projects", top(&answer.rows, 0));
    put("models", top(&answer.rows, 1));
    let question = facts::question(asked, asked.range, vec![Dimension::Model]);
    if let Some((before, total)) = summary::previous(history, &question)? {
        put("previous_total", facts::of(&total, counted).into());
        let words = |minute| asked.clock.rfc3339(minute);
        let range = before.range;
        put("previous", json!({ "since": words(range.start), "until": words(range.end) }));
    }
    Ok(document)
}

fn drawn(history: Option<&History>, asked: &Asked, look: &Look) -> Document {
    let Some(history) = history else { return Ok(Value::Null) };
    over_time::document(history, asked, (&look.by, look.metric, look.width))
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

/// The dearest of one of the dimensions of rows. A session may be in several rows, so none are counted.
fn top(rows: &[Row], dimension: usize) -> Value {
    let mut sums: HashMap<Option<&str>, Facts> = HashMap::new();
    for row in rows {
        if let Some(key) = row.keys.get(dimension) {
            sums.entry(facts::key(key)).or_default().add(&row.facts);
        }
    }
    let mut sums: Vec<(Option<&str>, Facts)> = sums.into_iter().collect();
    for (_, facts) in &mut sums {
        facts.denoise();
    }
    sums.retain(|(_, facts)| facts.cost_usd > 0.0 || facts.requests > 0);
    sums.sort_by(|(one, mine), (other, theirs)| {
        theirs.cost_usd.total_cmp(&mine.cost_usd).then_with(|| one.cmp(other))
    });
    sums.truncate(LIST_MAX);
    let row = |(key, facts): &(Option<&str>, Facts)| {
        json!({
            "key": key,
            "cost_usd": facts.cost_usd,
            "tokens": facts::tokens(&facts.tokens),
            "requests": facts.requests,
            "unpriced_requests": facts.unpriced_requests,
        })
    };
    sums.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_is_stacked_by_what_counters_know() {
        let look = |text: &str| Look::understand(&Query::parse(text).unwrap());
        assert!(look("by=tag:cost_center&metric=tokens&width=400").is_ok());
        for text in ["by=day", "by=session", "metric=happiness", "width=wide", "by=colour"] {
            assert!(matches!(look(text), Err(Failure::Question(_))), "{text}");
        }
    }
}
