//! Sessions seen today and active now: a session is a distinct `session.id` with a prompt or a request.

use std::collections::HashMap;
use std::sync::Arc;

use crate::record::{Event, Value};

/// A session that said something so lately is active.
const ACTIVE_FOR_MS: i64 = 15 * 60_000;
/// Sessions remembered; beyond, the one heard of longest ago goes.
const SESSIONS_MAX: usize = 4_096;

/// When each session was heard of last.
#[derive(Default)]
pub struct Sessions {
    last_ms: HashMap<Arc<str>, i64>,
    /// Rows from before the start were counted.
    pub complete: bool,
}

impl Sessions {
    pub fn saw(&mut self, events: &[Event], now_ms: i64) {
        for event in
            events.iter().filter(|event| matches!(&*event.name, "user_prompt" | "api_request"))
        {
            if let Some(id) = session_id(event) {
                let last = self.last_ms.entry(id.clone()).or_insert(now_ms);
                *last = now_ms.max(*last);
            }
        }
        if self.last_ms.len() > SESSIONS_MAX
            && let Some(oldest) =
                self.last_ms.iter().min_by_key(|(_, at)| **at).map(|(id, _)| id.clone())
        {
            self.last_ms.remove(&oldest);
        }
    }

    pub fn active(&self, now_ms: i64) -> u64 {
        self.since(now_ms - ACTIVE_FOR_MS)
    }

    pub fn since(&self, start_ms: i64) -> u64 {
        self.last_ms.values().filter(|at| **at >= start_ms).count() as u64
    }
}

fn session_id(event: &Event) -> Option<&Arc<str>> {
    event.attributes.iter().find_map(|(key, value)| match value {
        Value::Text(id) if &**key == "session.id" => Some(id),
        _ => None,
    })
}
