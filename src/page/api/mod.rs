//! The JSON API of the page. Each answer is one document with a `schema`, read in one look at the history.

mod facts;
mod filters;
mod health;
mod models;
mod over_time;
mod overview;
mod session;
mod sessions;
mod stamp;
mod tools;

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::Desk;
use super::query::Query;
use super::reply::{self, Failure, Reply};
use crate::report::history::reader::History;
use crate::report::question::Filter;
use crate::report::time::{Clock, MinuteRange};

/// Version of the documents.
pub(super) const SCHEMA: u32 = 1;

/// How long a question waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(10);
/// How long the history may take to come up to date. What it has not read by then comes as news.
const CATCH_UP_WAIT: Duration = Duration::from_secs(1);

/// What every view of a range is asked with.
struct Asked {
    clock: Clock,
    range: MinuteRange,
    filters: Vec<Filter>,
}

impl Asked {
    fn understand(desk: &Desk, query: &Query) -> Result<Self, Failure> {
        let clock = query.clock((desk.sources.now)())?;
        Ok(Self { range: query.range(&clock)?, filters: query.filters()?, clock })
    }
}

pub(super) use stamp::stamp;

type Document = Result<Value, Failure>;

pub(super) async fn answer(desk: &Desk, name: &str, query: &str) -> Result<Reply, Failure> {
    let query = Query::parse(query)?;
    let document = match name {
        "overview" => {
            let asked = Asked::understand(desk, &query)?;
            let look = overview::Look::understand(&query)?;
            up_to_date(desk).await;
            overview::document(desk, asked, look).await
        }
        "filters" => of_range(desk, &query, filters::document).await,
        "sessions" => of_range(desk, &query, sessions::document).await,
        "tools" => of_range(desk, &query, tools::document).await,
        "models" => of_range(desk, &query, models::document).await,
        "session" => {
            let clock = query.clock((desk.sources.now)())?;
            let id = query.get("id").ok_or(Failure::NotFound)?.to_owned();
            up_to_date(desk).await;
            read(desk, move |history| session::document(history, &clock, &id)).await
        }
        "health" => {
            let clock = query.clock((desk.sources.now)())?;
            health::document(desk, clock).await
        }
        _ => Err(Failure::NotFound),
    };
    Ok(reply::json(&document?))
}

async fn of_range(
    desk: &Desk,
    query: &Query,
    document: fn(Option<&History>, &Asked) -> Document,
) -> Document {
    let asked = Asked::understand(desk, query)?;
    up_to_date(desk).await;
    read(desk, move |history| document(history, &asked)).await
}

async fn up_to_date(desk: &Desk) {
    // One that takes longer goes on by itself.
    let _ = timeout(CATCH_UP_WAIT, (desk.sources.catch_up)()).await;
}

/// Asks the history where that may block, in a look of its own; `None` where there is none yet.
pub(super) async fn read<T: Send + 'static>(
    desk: &Desk,
    ask: impl FnOnce(Option<&History>) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let turn = timeout(TURN_WAIT, desk.reads.acquire()).await;
    let _turn = turn.map_err(|_| Failure::Busy)?.map_err(|_| Failure::Busy)?;
    let (recorded, imported) = (desk.sources.history_db.clone(), desk.sources.imported_db.clone());
    let reading = tokio::task::spawn_blocking(move || {
        ask(History::open_files(Some(&recorded), Some(&imported))?.as_ref())
    });
    reading
        .await
        .map_err(|error| Failure::Broken(format!("the question was not answered: {error}")))?
}
