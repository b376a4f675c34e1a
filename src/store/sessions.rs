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
                // A gateway's senders have sessions of their own.
                let id = match event.sender() {
                    Some(sender) => format!("{sender}/{id}").into(),
                    None => id.clone(),
                };
                let last = self.last_ms.entry(id).or_insert(now_ms);
                *last = now_ms.max(*last);
            }
        }
        self.forget_oldest();
    }

    fn forget_oldest(&mut self) {
        let surplus = self.last_ms.len().saturating_sub(SESSIONS_MAX);
        if surplus == 0 {
            return;
        }
        let mut sessions: Vec<(i64, Arc<str>)> =
            self.last_ms.iter().map(|(id, at)| (*at, id.clone())).collect();
        sessions.sort_unstable();
        for (_, id) in &sessions[..surplus] {
            self.last_ms.remove(id);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn event(session: usize) -> Event {
        Event {
            time_ns: 1,
            name: "user_prompt".into(),
            body: "".into(),
            service: "claude-code".into(),
            tags: Vec::new(),
            id: 0,
            attributes: vec![("session.id".into(), Value::Text(session.to_string().into()))],
        }
    }

    #[test]
    fn beyond_the_limit_all_that_are_too_many_go_and_the_oldest_first() {
        let mut sessions = Sessions::default();
        sessions.saw(&[event(0), event(1), event(2)], 1_000);
        let newer: Vec<Event> = (3..SESSIONS_MAX + 2).map(event).collect();
        sessions.saw(&newer, 2_000);
        assert_eq!(sessions.last_ms.len(), SESSIONS_MAX);
        assert_eq!(sessions.since(2_000), SESSIONS_MAX as u64 - 1);
    }
}
