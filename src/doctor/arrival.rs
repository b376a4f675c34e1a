//! Waiting until the mark is everywhere: queried back where a backend can be asked, and otherwise by the
//! agent's books, which say when nothing as old as the mark waits any more.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::timeout;

use super::check::Check;
use super::destinations::{ASK_WAIT, Looked, of, status};
use super::mark::Mark;
use super::query::{self, Asked};
use super::state;
use crate::agent::status::Status;
use crate::config::destination::DestinationConfig;
use crate::deliver::DestinationStatus;
use crate::deliver::client::Client;
use crate::deliver::status::State;
use crate::paths::Paths;

/// Longest that the mark is waited for, at all destinations together.
const ARRIVAL_WAIT: Duration = Duration::from_secs(20);
/// One that is parked, or pauses for longer, sends nothing, unless somebody has just said `ccotel retry`.
const RESTING_WAIT: Duration = Duration::from_secs(2);
/// Between two looks whether it has arrived.
const ARRIVAL_PAUSE: Duration = Duration::from_millis(200);

/// How far the mark came with one destination.
struct Waiting {
    config: DestinationConfig,
    client: Client,
    before: Option<DestinationStatus>,
    /// Why its query interface is of no use.
    closed: Option<String>,
    last: String,
}

/// Waits until the mark is everywhere, or the time is up.
pub async fn arrived(paths: &Paths, looked: &[Looked], before: &Status, mark: &Mark) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut waiting = Vec::new();
    for one in looked {
        let name = one.config.name.as_str();
        if one.closed {
            let why = "its address does not take data";
            checks.push(Check::not_checked("destination_record", why).of(name));
        } else if let Ok(client) = Client::new(&one.config) {
            let before = of(before, name);
            let config = one.config.clone();
            waiting.push(Waiting { config, client, before, closed: None, last: String::new() });
        }
    }
    let install = before.install_id.clone().unwrap_or_default();
    let deadline = Instant::now() + ARRIVAL_WAIT;
    while !waiting.is_empty() {
        let over = Instant::now() >= deadline;
        let status = status(paths);
        let mut left = Vec::new();
        for mut one in waiting {
            match settled(&mut one, paths, &install, mark, status.as_ref(), over).await {
                Some(check) => checks.push(check.of(&one.config.name)),
                None => left.push(one),
            }
        }
        waiting = left;
        if !waiting.is_empty() {
            tokio::time::sleep(ARRIVAL_PAUSE).await;
        }
    }
    checks
}

/// The verdict on one destination, if there is one yet, or has to be.
async fn settled(
    one: &mut Waiting,
    paths: &Paths,
    install: &str,
    mark: &Mark,
    status: Option<&Status>,
    over: bool,
) -> Option<Check> {
    let name = "destination_record";
    let now = status.and_then(|status| of(status, &one.config.name));
    if one.closed.is_none() {
        let asked = timeout(ASK_WAIT, query::ask(&one.client, &one.config, install, mark)).await;
        match asked.unwrap_or_else(|_| Asked::Unanswered("no answer in time".to_owned())) {
            Asked::Found => return Some(Check::ok(name, "the mark was sent, and queried back")),
            Asked::Closed(why) => one.closed = Some(why),
            Asked::Absent => "it is not there when asked for".clone_into(&mut one.last),
            Asked::Unanswered(why) => one.last = why,
        }
    }
    let now = now?;
    let refused = one.before.as_ref().is_some_and(|before| now.quarantined > before.quarantined);
    if refused {
        return Some(state::refused_check(name, paths, &one.config));
    }
    let gone = is_past(&now, mark);
    let since = Timestamp::now().duration_since(mark.sent);
    let rests = match now.state {
        State::Parked => true,
        State::Retrying => now.next_try.is_some_and(|at| at > mark.sent + ARRIVAL_WAIT),
        State::Idle | State::Ok => false,
    };
    let over = over || (rests && since.unsigned_abs() > RESTING_WAIT);
    match (&one.closed, gone) {
        (Some(why), true) => {
            return Some(Check::ok(name, format!("accepted, could not be queried back: {why}")));
        }
        _ if !over => return None,
        _ => {}
    }
    let waits = now.backlog;
    Some(match now.last_error {
        Some(error) if now.state != State::Ok => {
            Check::failed(name, format!("the mark waits: {error}"))
                .remedy(super::remedy::ours(&format!("retry {}", one.config.name)))
        }
        _ if !gone => Check::warning(
            name,
            format!("the mark waits behind a backlog: {}", state::waiting(waits)),
        )
        .by_hand("it drains by itself, oldest first; `ccotel status --watch` shows how fast"),
        _ => Check::failed(name, format!("accepted, and not found: {}", one.last)).by_hand(
            "whatever answers there takes data and does not keep it, or keeps it for somebody else: \
             check the address, and the tenant",
        ),
    })
}

/// Nothing waits that is as old as the mark: so it has had its fate.
fn is_past(now: &DestinationStatus, mark: &Mark) -> bool {
    let since = Timestamp::now().duration_since(mark.sent).as_secs();
    let oldest = i64::try_from(now.backlog.oldest_seconds).unwrap_or(i64::MAX);
    now.backlog.records == 0 || oldest + 1 < since
}
