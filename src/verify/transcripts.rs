//! The third side: what Claude Code's own transcripts say.

use std::ops::Range;
use std::path::PathBuf;

use super::sums::Sums;
use crate::import;
use crate::import::prices::canonical;
use crate::paths::Paths;

/// A request that a transcript tells of.
#[derive(Clone, Debug)]
pub struct Request {
    pub time_ms: i64,
    pub session: String,
    pub model: String,
    pub request_id: Option<String>,
    pub version: Option<String>,
    pub entrypoint: Option<String>,
    pub sums: Sums,
}

/// Requests in a range of milliseconds, of one session or of all, in order of time.
pub fn requests(
    paths: &Paths,
    roots: &[PathBuf],
    range: &Range<i64>,
    session: Option<&str>,
) -> Vec<Request> {
    let mut requests = Vec::new();
    import::answers(paths, roots, |told| {
        let (item, answer) = (told.item, told.answer);
        if !range.contains(&item.time_ms) || session.is_some_and(|session| session != told.session)
        {
            return;
        }
        let tokens = answer.usage.total;
        requests.push(Request {
            time_ms: item.time_ms,
            session: told.session.to_owned(),
            model: canonical(&answer.model),
            request_id: told.request_id.map(str::to_owned),
            version: item.place.version.clone(),
            entrypoint: item.place.entrypoint.clone(),
            sums: Sums {
                requests: 1,
                cost_usd: told.cost_usd.unwrap_or(0.0),
                input: tokens.input,
                output: tokens.output,
                cache_read: tokens.cache_read,
                cache_creation: tokens.cache_creation,
                unpriced_requests: i64::from(told.cost_usd.is_none()),
            },
        });
    });
    requests.sort_by(|one, other| {
        (one.time_ms, &one.request_id).cmp(&(other.time_ms, &other.request_id))
    });
    requests
}
