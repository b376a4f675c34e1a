//! News: a request that is answered when there is something that its page has not seen.
//!
//! The stamp says what the history holds. A page sends the one it has seen, and has its answer at once
//! if there is another; else when the store has news and the history has them, or after a while with the
//! same stamp, so that a connection nobody reads any more does not stay.

use std::time::Duration;

use serde_json::json;

use super::Desk;
use super::api;
use super::query::Query;
use super::reply::{self, Failure, Reply};

/// Pages that may wait at once; a tab more is told to come back.
pub(super) const WAITING_MAX: usize = 16;
/// How long a request waits.
const WAIT: Duration = Duration::from_secs(50);
/// News gather for this long: a busy session sends every second.
const GATHER: Duration = Duration::from_millis(1_500);

pub(super) async fn wait(desk: &Desk, query: &str) -> Result<Reply, Failure> {
    let _place = desk.waiting.try_acquire().map_err(|_| Failure::Busy)?;
    let query = Query::parse(query)?;
    let mut news = desk.sources.news.clone();
    news.mark_unchanged();
    let mut stamp = stamp(desk).await?;
    if query.get("seen") == Some(stamp.as_str()) {
        let changed = tokio::time::timeout(WAIT, next(desk, &mut news, &stamp)).await;
        if let Ok(changed) = changed {
            stamp = changed?;
        }
    }
    Ok(reply::json(&json!({ "schema": api::SCHEMA, "stamp": stamp })))
}

/// The stamp after `seen`.
async fn next(
    desk: &Desk,
    news: &mut tokio::sync::watch::Receiver<u64>,
    seen: &str,
) -> Result<String, Failure> {
    loop {
        if news.changed().await.is_err() {
            // The store has ended, and with it this worker.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(GATHER).await;
        news.mark_unchanged();
        (desk.sources.catch_up)().await;
        let stamp = stamp(desk).await?;
        if stamp != seen {
            return Ok(stamp);
        }
    }
}

async fn stamp(desk: &Desk) -> Result<String, Failure> {
    api::read(desk, |history| Ok(api::stamp(history)?)).await
}
