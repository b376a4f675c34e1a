//! Loki's documented rules, behind moods.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;

use super::backend::{Answer, Rules};
use super::harness::loki_rules::Streams;

#[derive(Default)]
pub struct Loki {
    streams: Streams,
    /// What was answered to requests that Loki would have refused.
    pub refusals: Vec<String>,
}

impl Loki {
    /// How often each request id is there.
    pub fn request_ids(&self) -> BTreeMap<String, u64> {
        let mut ids = BTreeMap::new();
        for entry in self.streams.entries() {
            let id = entry.field("request_id").unwrap_or("none").to_owned();
            *ids.entry(id).or_default() += 1;
        }
        ids
    }
}

impl Rules for Loki {
    fn take(&mut self, headers: &HeaderMap, body: &[u8]) -> Answer {
        let content_type = headers.get("content-type").and_then(|it| it.to_str().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
        let now_ns = i64::try_from(now).expect("before 2262");
        let answer = self.streams.push(now_ns, content_type.unwrap_or_default(), body);
        if answer.status != 204 {
            self.refusals.push(answer.text.clone());
        }
        Answer { status: answer.status, text: answer.text }
    }
}
