//! The document of `ccotel report --session ID --json`. Keys are added, never renamed.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Entry, Story, What};
use crate::report::json::{SCHEMA, facts};
use crate::report::sessions::Session;
use crate::report::time::Clock;

/// One JSON document: the session with its sums, and everything that happened in it.
pub fn document(clock: &Clock, story: &Story) -> Value {
    let entries: Vec<Value> = story.entries.iter().map(|one| entry(clock, one)).collect();
    json!({
        "schema": SCHEMA,
        "time_zone": clock.zone_name(),
        "session": session(clock, &story.session),
        "entries": entries,
        "left_out": story.left_out,
    })
}

/// A session as an object.
pub fn session(clock: &Clock, session: &Session) -> Value {
    let of_session = &session.of_session;
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("id", session.id.as_str().into());
    put("first", at(clock, session.first_ms).into());
    put("last", at(clock, session.last_ms).into());
    put("project", json!(session.project));
    put("team", json!(session.team));
    put("repo", json!(session.repository));
    put("branch", json!(session.branch));
    put("user", json!(session.user));
    put("models", json!(session.models));
    put("terminal", json!(of_session.terminal));
    put("entrypoint", json!(of_session.entrypoint));
    put("version", json!(of_session.version));
    put("plan", json!(of_session.plan));
    put("signed_in", of_session.signed_in.into());
    put("imported", session.imported.into());
    object.extend(facts(&session.facts, true));
    Value::Object(object)
}

fn entry(clock: &Clock, entry: &Entry) -> Value {
    let mut object = Map::new();
    object.insert("at".to_owned(), at(clock, entry.time_ms).into());
    object.insert("prompt_id".to_owned(), json!(entry.prompt_id));
    object.insert("imported".to_owned(), entry.imported.into());
    if let Value::Object(what) = what(&entry.what) {
        object.extend(what);
    }
    Value::Object(object)
}

fn what(what: &What) -> Value {
    match what {
        What::Prompt { length, command } => {
            json!({"type": "prompt", "length": length, "command": command})
        }
        What::Request(request) => json!({
            "type": "request",
            "model": request.model,
            "query_source": request.query_source,
            "cost_usd": request.cost_usd,
            "tokens": {
                "input": request.input_tokens,
                "output": request.output_tokens,
                "cache_read": request.cache_read_tokens,
                "cache_creation": request.cache_creation_tokens,
            },
            "duration_ms": request.duration_ms,
            "ttft_ms": request.ttft_ms,
            "effort": request.effort,
            "speed": request.speed,
            "request_id": request.request_id,
        }),
        What::Error { model, class, status_code, attempt, duration_ms, .. } => json!({
            "type": "error",
            "model": model,
            "class": class,
            "status_code": status_code,
            "attempt": attempt,
            "duration_ms": duration_ms,
        }),
        What::Tool { tool, success, duration_ms, error_type, accepted, source, tool_use_id } => {
            json!({
                "type": "tool",
                "tool": tool,
                "success": success,
                "duration_ms": duration_ms,
                "error_type": error_type,
                "accepted": accepted,
                "source": source,
                "tool_use_id": tool_use_id,
            })
        }
        What::Decision { tool, accepted, source, tool_use_id } => json!({
            "type": "decision",
            "tool": tool,
            "accepted": accepted,
            "source": source,
            "tool_use_id": tool_use_id,
        }),
    }
}

/// RFC 3339 with milliseconds, as the clock on the wall shows it.
fn at(clock: &Clock, time_ms: i64) -> String {
    let time = Timestamp::from_millisecond(time_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(clock.zone().clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}
