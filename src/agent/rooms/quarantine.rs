//! The quarantine, for the control socket.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Rooms;
use crate::agent::control::Answer;
use crate::store::handle::QuarantineEntry;

/// Bytes of a body in one answer: in base64 well below a line's limit.
pub const BODY_PART_BYTES: usize = 512 * 1024;

/// One refused request, as `ccotel quarantine ls --json` prints it. Keys are added, never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineLine {
    pub id: i64,
    pub destination: String,
    /// `samples`, `events` or `spans`.
    pub lane: String,
    /// When it was refused last.
    pub at: Timestamp,
    /// HTTP status, or 0.
    pub status: u16,
    /// The backend's words.
    pub answer: String,
    pub records: u64,
    pub bytes: u64,
    /// `remote_write 1.0`, `Loki push`, …
    pub format: String,
    /// Put back: it is sent again by itself.
    pub waiting: bool,
}

impl From<QuarantineEntry> for QuarantineLine {
    fn from(entry: QuarantineEntry) -> Self {
        Self {
            id: entry.id,
            destination: entry.destination.to_string(),
            lane: entry.lane.name().to_owned(),
            at: Timestamp::from_millisecond(entry.at_ms).unwrap_or_default(),
            status: entry.status,
            answer: entry.answer,
            records: entry.records,
            bytes: entry.bytes,
            format: entry.wire,
            waiting: entry.waiting,
        }
    }
}

impl Rooms {
    pub async fn quarantine_list(&self, after: i64) -> Result<Answer, String> {
        let entries = self.store.quarantine_list(after).await.map_err(|error| error.to_string())?;
        Ok(Answer::Quarantine { entries: entries.into_iter().map(QuarantineLine::from).collect() })
    }

    pub async fn quarantine_body(&self, id: i64, offset: usize) -> Result<Answer, String> {
        let found = self.store.quarantine_get(id).await.map_err(|error| error.to_string())?;
        let (_, body) = found.ok_or_else(|| format!("there is no request {id} in quarantine"))?;
        let rest = body.get(offset..).unwrap_or_default();
        Ok(Answer::Body { base64: BASE64.encode(&rest[..rest.len().min(BODY_PART_BYTES)]) })
    }

    /// Sends these again; says which destinations do.
    pub async fn quarantine_retry(&self, ids: Vec<i64>) -> Result<Answer, String> {
        let mut requests = BTreeMap::<Arc<str>, usize>::new();
        for id in &ids {
            let found = self.store.quarantine_get(*id).await.map_err(|error| error.to_string())?;
            if let Some((entry, _)) = found {
                *requests.entry(entry.destination).or_default() += 1;
            }
        }
        self.store.quarantine_put_back(ids).await.map_err(|error| error.to_string())?;
        let mut words = Vec::new();
        for (destination, count) in requests {
            let noun = if count == 1 { "request" } else { "requests" };
            words.push(if self.deliver.put_back(&destination).await {
                format!("{destination} is sent {count} {noun} again")
            } else {
                format!("{destination} cannot be sent to now; {count} {noun} will wait for it")
            });
        }
        if words.is_empty() {
            return Err("none of these requests is in quarantine any more".to_owned());
        }
        Ok(Answer::Done { what: words.join("; ") })
    }

    pub async fn quarantine_drop(&self, ids: Vec<i64>) -> Result<Answer, String> {
        let dropped = self.store.quarantine_drop(ids).await.map_err(|error| error.to_string())?;
        let noun = if dropped == 1 { "request" } else { "requests" };
        Ok(Answer::Done { what: format!("dropped {dropped} {noun}") })
    }
}
