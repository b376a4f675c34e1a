//! How the agent does, and how far its numbers can be trusted.

use serde_json::{Value, json};

use super::{Asked, Document, facts, read};
use crate::page::Desk;
use crate::page::reply::Failure;
use crate::report::groups::Key;
use crate::report::history::reader::History;
use crate::report::question::Dimension;
use crate::report::time::Clock;

/// How far back events are compared with counters.
const COMPARED: &str = "30d";

pub(super) async fn document(desk: &Desk, clock: Clock) -> Document {
    let status = (desk.sources.status)().await;
    if status.is_null() {
        return Err(Failure::Broken("the agent is stopping".to_owned()));
    }
    let range = clock.range(COMPARED, None).map_err(|error| Failure::Broken(error.to_string()))?;
    let asked = Asked { range, clock, filters: Vec::new() };
    // A damaged history is one of the things that this view is for.
    let data = match read(desk, move |history| data(history, &asked)).await {
        Ok(data) => data,
        Err(Failure::History(error)) => json!({ "problem": error.to_string() }),
        Err(other) => return Err(other),
    };
    Ok(json!({ "schema": super::SCHEMA, "status": status, "data": data }))
}

/// From when to when there are data, and how much of the cost has events that say what it was for.
fn data(history: Option<&History>, asked: &Asked) -> Document {
    let Some(history) = history else { return Ok(Value::Null) };
    let Some(extent) = history.extent()? else { return Ok(Value::Null) };
    let by_session = facts::ask(history, asked, asked.range, vec![Dimension::Session])?;
    let unexplained = by_session
        .rows
        .iter()
        .filter(|row| row.keys.first() == Some(&Key::Unattributed))
        .map(|row| row.facts.cost_usd)
        .sum::<f64>();
    Ok(json!({
        "first": asked.clock.rfc3339(extent.start),
        "compared": COMPARED,
        "cost_usd": by_session.total.cost_usd,
        "unexplained_usd": unexplained,
        "imported_usd": by_session.imported.cost_usd,
    }))
}
