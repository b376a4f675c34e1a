//! What the agent has counted already: by request, and by when it heard of a session.
//!
//! An event may be lost on its way while the counters, which heal, have its cost. So whatever a session
//! did within five minutes of an event of it that arrived is taken as counted.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::item::{Key, key};
use crate::report::history::file::{HistoryFile, Origin};
use crate::report::history::schema::HistoryError;

/// How far around an event of its session something counts as counted.
const AROUND_MS: i64 = 5 * 60_000;

/// What is in the agent's history.
#[derive(Debug, Default)]
pub struct Covered {
    /// Stretches of time by session, in order, apart from each other.
    sessions: HashMap<String, Vec<(i64, i64)>>,
    /// Hashes: the ids of a year take 32 MB.
    requests: HashSet<u64>,
    history: bool,
}

impl Covered {
    /// Nothing, where there is no history.
    pub fn read(history_db: &Path) -> Result<Self, HistoryError> {
        let Some(history) = HistoryFile::open(history_db, Origin::Recorded)? else {
            return Ok(Self::default());
        };
        let mut covered = Self { history: true, ..Self::default() };
        history.checked(|connection| {
            let names: HashMap<i64, String> = connection
                .prepare("SELECT id, session_id FROM session")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let mut stretches: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
            for table in ["request", "api_error", "prompt", "tool_result"] {
                let mut query =
                    connection.prepare(&format!("SELECT session_id, time_ms FROM {table}"))?;
                let mut rows = query.query([])?;
                while let Some(row) = rows.next()? {
                    extend(stretches.entry(row.get(0)?).or_default(), row.get(1)?);
                }
            }
            let mut query = connection
                .prepare("SELECT request_id FROM request WHERE request_id IS NOT NULL")?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                covered.requests.insert(hash(row.get_ref(0)?.as_str()?));
            }
            for (session, stretches) in stretches {
                if let Some(name) = names.get(&session) {
                    covered.sessions.insert(name.clone(), joined(stretches));
                }
            }
            Ok(())
        })?;
        Ok(covered)
    }

    /// Whether there is a history at all.
    pub fn has_history(&self) -> bool {
        self.history
    }

    /// Whether the agent counted this; the ids as they are stored.
    pub fn has(&self, session: &str, time_ms: i64, request: Option<&str>) -> bool {
        if request.is_some_and(|request| self.requests.contains(&hash(request))) {
            return true;
        }
        let Some(stretches) = self.sessions.get(session) else { return false };
        let next = stretches.partition_point(|(_, end)| *end < time_ms);
        stretches.get(next).is_some_and(|(start, _)| *start <= time_ms)
    }
}

fn hash(id: &str) -> u64 {
    let key: Key = key("request", id);
    key.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// Rows come in the order of time, so nearly always the last stretch becomes longer.
fn extend(stretches: &mut Vec<(i64, i64)>, time_ms: i64) {
    let (start, end) = (time_ms - AROUND_MS, time_ms + AROUND_MS);
    match stretches.last_mut() {
        Some(last) if last.0 <= start && start <= last.1 => last.1 = last.1.max(end),
        _ => stretches.push((start, end)),
    }
}

fn joined(mut stretches: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    stretches.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (start, end) in stretches {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_minutes_around_an_event_of_the_session_are_covered() {
        let mut stretches = Vec::new();
        for time in [1_000_000, 1_200_000, 5_000_000, 900_000] {
            extend(&mut stretches, time);
        }
        let sessions = HashMap::from([("s".to_owned(), joined(stretches))]);
        let covered = Covered { sessions, requests: HashSet::from([hash("req_1")]), history: true };
        for (time, expected) in [
            (599_999, false),
            (600_000, true),
            (1_500_000, true),
            (1_500_001, false),
            (4_700_000, true),
            (5_300_001, false),
        ] {
            assert_eq!(covered.has("s", time, None), expected, "{time}");
        }
        assert!(!covered.has("other", 1_000_000, Some("req_2")));
        assert!(covered.has("other", 1_000_000, Some("req_1")), "a fork's copy has its id");
    }
}
