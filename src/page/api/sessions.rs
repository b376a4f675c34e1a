//! Sessions of a range, those that ended last first.

use serde_json::{Value, json};

use super::{Asked, Document, facts};
use crate::report::history::reader::History;
use crate::report::sessions::{self, Session};
use crate::report::time::Clock;

/// Rows that a table can show and somebody can read.
const ROWS_MAX: usize = 200;

pub(super) fn document(history: Option<&History>, asked: &Asked) -> Document {
    let mut document = facts::head(history, asked)?;
    let mut sessions = match history {
        Some(history) => sessions::list(history, asked.range, &asked.filters, ROWS_MAX + 1)?,
        None => Vec::new(),
    };
    document.insert("more".to_owned(), (sessions.len() > ROWS_MAX).into());
    sessions.truncate(ROWS_MAX);
    let rows = sessions.iter().map(|session| row(session, &asked.clock));
    document.insert("rows".to_owned(), rows.collect());
    Ok(Value::Object(document))
}

pub(super) fn row(session: &Session, clock: &Clock) -> Value {
    let facts = &session.facts;
    json!({
        "session": session.id,
        "started": facts::moment(clock, session.first_ms),
        "last": facts::moment(clock, session.last_ms),
        "project": session.project,
        "team": session.team,
        "repo": session.repository,
        "branch": session.branch,
        "user": session.user,
        "models": session.models,
        "imported": session.imported,
        "plan": session.of_session.plan,
        "terminal": session.of_session.terminal,
        "version": session.of_session.version,
        "cost_usd": facts.cost_usd,
        "tokens": facts::tokens(&facts.tokens),
        "cache_hit_ratio": facts::cache_hit_ratio(&facts.tokens),
        "prompts": facts.prompts,
        "requests": facts.requests,
        "errors": facts.errors,
        "tool_calls": facts.tool_calls,
        "tool_failures": facts.tool_failures,
        "tool_rejections": facts.tool_rejections,
        "unpriced_requests": facts.unpriced_requests,
    })
}
