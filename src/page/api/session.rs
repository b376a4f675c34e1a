//! One session: what it came to, and everything that happened in it.

use serde_json::{Map, Value, json};

use super::{Document, facts, sessions};
use crate::page::reply::Failure;
use crate::report::history::reader::History;
use crate::report::story::{self, Entry, Request, What};
use crate::report::time::Clock;

/// Events that one answer tells; a page that draws more is not read by anybody.
const EVENTS_MAX: usize = 3_000;

pub(super) fn document(history: Option<&History>, clock: &Clock, id: &str) -> Document {
    let Some(history) = history else { return Err(Failure::NoSession) };
    let Some(story) = story::story(history, id)? else { return Err(Failure::NoSession) };
    let left_out = story.left_out + story.entries.len().saturating_sub(EVENTS_MAX);
    // The last ones: whoever looks while it runs wants to see what it does.
    let from = story.entries.len().saturating_sub(EVENTS_MAX);
    let events: Vec<Value> = story.entries[from..].iter().map(|it| event(it, clock)).collect();
    let mut document = Map::new();
    document.insert("schema".to_owned(), super::SCHEMA.into());
    if let Value::Object(session) = sessions::row(&story.session, clock) {
        document.extend(session);
    }
    document.insert("left_out".to_owned(), left_out.into());
    document.insert("events".to_owned(), Value::Array(events));
    Ok(Value::Object(document))
}

fn event(entry: &Entry, clock: &Clock) -> Value {
    let mut event = match &entry.what {
        What::Prompt { length, command } => {
            json!({ "kind": "prompt", "length": length, "command": command })
        }
        What::Request(it) => request(it),
        What::Error { model, query_source, class, status_code, attempt, duration_ms } => json!({
            "kind": "error", "model": model, "source": query_source, "class": class,
            "status": status_code, "attempt": attempt, "duration_ms": duration_ms,
        }),
        What::Tool { tool, success, duration_ms, error_type, accepted, source, tool_use_id } => {
            json!({
                "kind": "tool", "tool": tool, "success": success, "duration_ms": duration_ms,
                "error_type": error_type, "accepted": accepted, "source": source,
                "tool_use": tool_use_id,
            })
        }
        What::Decision { tool, accepted, source, tool_use_id } => json!({
            "kind": "decision", "tool": tool, "accepted": accepted, "source": source,
            "tool_use": tool_use_id,
        }),
    };
    event["at"] = facts::moment(clock, entry.time_ms).into();
    event["prompt"] = entry.prompt_id.as_deref().into();
    event["imported"] = entry.imported.into();
    event
}

fn request(it: &Request) -> Value {
    json!({
        "kind": "request",
        "model": it.model,
        "source": it.query_source,
        "cost_usd": it.cost_usd,
        "tokens": {
            "input": it.input_tokens,
            "output": it.output_tokens,
            "cache_read": it.cache_read_tokens,
            "cache_creation": it.cache_creation_tokens,
        },
        "duration_ms": it.duration_ms,
        "first_token_ms": it.ttft_ms,
        "effort": it.effort,
        "speed": it.speed,
    })
}
