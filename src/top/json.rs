//! One snapshot as JSON, for scripts. Keys are added, never renamed.

use jiff::{Timestamp, Zoned};
use serde_json::{Value, json};

use crate::agent::status::Status;
use crate::report::live::{BURN_MINUTES, Live, LiveSession, RATE_MS};
use crate::report::row::Tokens;
use crate::top::shown::Shown;

/// Version of the document.
const SCHEMA: u32 = 1;

/// The document. `problem` says why the history cannot be read; that there is none is no problem.
pub fn document(shown: &Shown, status: &Status, problem: Option<&str>, now: &Zoned) -> Value {
    let nothing = Live::default();
    let live = shown.live.as_ref().unwrap_or(&nothing);
    let today = &live.today;
    json!({
        "schema": SCHEMA,
        "at": now.timestamp().to_string(),
        "error": problem,
        "imports_damaged": shown.imports_damaged,
        "today": {
            "since": time(today.since_ms),
            "cost_usd": today.cost_usd,
            "counters_cost_usd": today.cost_of_counters_usd,
            "events_cost_usd": today.cost_of_events_usd,
            "tokens": tokens(&today.tokens),
            "sessions": today.sessions,
            "prompts": today.prompts,
            "requests": today.requests,
            "errors": today.errors,
        },
        "burn": { "minutes": BURN_MINUTES, "cost_usd_per_hour": live.burn_usd_per_hour },
        "sessions": live.sessions.iter().map(session).collect::<Vec<_>>(),
        "budgets": status.budgets,
        "rate_limits": status.rate_limits,
        "agent": {
            "running": status.running,
            "answers": status.worker.is_some(),
            "warnings": status.warnings.len(),
            "destinations": status.destinations,
        },
    })
}

fn session(session: &LiveSession) -> Value {
    json!({
        "session": session.session_id,
        "active": session.active,
        "project": session.project,
        "team": session.team,
        "repo": session.repository,
        "branch": session.branch,
        "model": session.model,
        "doing": {
            "state": session.doing.state(),
            "tool": session.doing.tool(),
            "since": session.doing.since_ms().map(time),
        },
        "cost_usd": session.cost_usd,
        "tokens": tokens(&session.tokens),
        "recent": { "minutes": RATE_MS / 60_000, "tokens": tokens(&session.recent_tokens) },
        "tokens_per_minute": session.tokens_per_minute(),
        "context": { "tokens": session.context_tokens, "window": session.context_window },
        "prompts": session.prompts,
        "requests": session.requests,
        "errors": session.errors,
        "tool_calls": session.tool_calls,
        "first": time(session.first_ms),
        "last": time(session.last_ms),
    })
}

fn tokens(tokens: &Tokens) -> Value {
    json!({
        "input": tokens.input,
        "output": tokens.output,
        "cache_read": tokens.cache_read,
        "cache_creation": tokens.cache_creation,
    })
}

fn time(ms: i64) -> Option<String> {
    Timestamp::from_millisecond(ms).ok().filter(|_| ms > 0).map(|time| time.to_string())
}
