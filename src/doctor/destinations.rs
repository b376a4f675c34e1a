//! The destinations: whether the address takes data, whose clock is wrong, what waits and why, and
//! whether the mark has arrived.
//!
//! Everything is asked of all destinations at the same time, and each within a limit.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::address;
use super::check::Check;
use super::query;
use super::remedy::ours;
use super::state;
use crate::agent::control::{self, Answer, Request};
use crate::agent::sockets;
use crate::agent::status::Status;
use crate::config::Config;
use crate::config::destination::{DestinationConfig, DestinationType};
use crate::deliver::DestinationStatus;
use crate::deliver::client::Client;
use crate::deliver::credentials::COMMAND_TIMEOUT;
use crate::deliver::own_address;
use crate::deliver::probe::{Found, Verdict, probe};
use crate::deliver::status::State;
use crate::paths::Paths;

/// Longest that one question to a backend may take.
pub const ASK_WAIT: Duration = Duration::from_secs(12);
// A command that hangs is named, and not the backend that waits for its token.
const _: () = assert!(ASK_WAIT.as_secs() > COMMAND_TIMEOUT.as_secs());
/// A `Date` header has whole seconds, and a request takes some time.
const SKEW_SECONDS_MAX: i64 = 30;
/// Backends refuse what is further ahead; so does the agent's own clock rule.
const SKEW_SECONDS_FATAL: i64 = 300;

/// A destination without anything but a place for its address.
pub fn plain() -> DestinationConfig {
    DestinationConfig::new("", DestinationType::Otlp, "")
}

/// One destination, and what is known of it so far.
pub struct Looked {
    pub config: DestinationConfig,
    pub checks: Vec<Check>,
    /// Data will not get through as it is: nothing more is asked.
    pub closed: bool,
}

/// Everything but the mark.
pub async fn look(paths: &Paths, config: &Config, status: Option<&Status>) -> Vec<Looked> {
    let mut asking = JoinSet::new();
    let listened = sockets::listened(paths, config);
    for (at, destination) in config.destinations.iter().cloned().enumerate() {
        let paths = paths.clone();
        let known = status.and_then(|status| of(status, &destination.name));
        if own_address::is_own(&destination.url, &listened) {
            asking.spawn(async move { (at, own(destination)) });
            continue;
        }
        asking.spawn(async move { (at, look_at(&paths, destination, known).await) });
    }
    let mut all = asking.join_all().await;
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, looked)| looked).collect()
}

/// Nothing is asked of anybody.
pub fn unasked(config: &Config, status: Option<&Status>) -> Vec<Check> {
    let each = config.destinations.iter().flat_map(|destination| {
        let known = status.and_then(|status| of(status, &destination.name));
        let said = known.map_or_else(Vec::new, |known| state::checks(&known, &[]));
        let asked = ["destination_address", "destination_record"]
            .map(|name| Check::not_checked(name, "--offline: no backend is asked"));
        let name = destination.name.as_str();
        asked.into_iter().chain(said).map(move |check| check.of(name))
    });
    each.collect()
}

pub fn of(status: &Status, name: &str) -> Option<DestinationStatus> {
    let found = status.destinations.iter().find(|it| it["name"] == name)?;
    serde_json::from_value(found.clone()).ok()
}

/// What is sent there comes back.
fn own(config: DestinationConfig) -> Looked {
    let check = Check::failed("destination_address", own_address::words(&config.url))
        .by_hand("if another collector was meant, connect its address afterwards")
        .remedy(ours(&format!("disconnect {}", config.name)));
    let checks = vec![check.of(&config.name)];
    Looked { config, checks, closed: true }
}

async fn look_at(
    paths: &Paths,
    config: DestinationConfig,
    known: Option<DestinationStatus>,
) -> Looked {
    let verdict = timeout(ASK_WAIT, probe(&config)).await.unwrap_or_else(|_| Verdict {
        found: Found::Unknown,
        words: format!("no answer within {} seconds", ASK_WAIT.as_secs()),
    });
    let mut checks = vec![address::check(paths, &config, &verdict, known.as_ref()).await];
    let closed = verdict.found != Found::Reachable;
    if !closed && let Ok(client) = Client::new(&config) {
        if let Ok(Some(check)) = timeout(ASK_WAIT, clock(&client)).await {
            checks.push(check);
        }
        if config.kind == DestinationType::Prometheus
            && let Ok(Some(has)) = timeout(ASK_WAIT, query::out_of_order_window(&client)).await
        {
            checks.push(window(has));
        }
    }
    let checks = checks.into_iter().map(|check| check.of(&config.name)).collect();
    Looked { config, checks, closed }
}

/// How each is doing, after the mark: what it met on its way counts as well.
pub fn states(paths: &Paths, looked: &Looked, status: Option<&Status>) -> Vec<Check> {
    let Some(known) = status.and_then(|status| of(status, &looked.config.name)) else {
        return vec![Check::not_checked("destination_state", "no agent says how it is doing")];
    };
    let kept = known.quarantine_kept > 0;
    let refused = if kept { state::refused(paths, &known.name) } else { Vec::new() };
    let mut checks = state::checks(&known, &refused);
    // What keeps it from sending was said of the address already.
    if looked.closed && matches!(known.state, State::Parked | State::Retrying) {
        checks.retain(|check| check.name != state::STATE);
    }
    checks.into_iter().map(|it| it.of(&known.name)).collect()
}

/// What any answer of the server says the time is.
async fn clock(client: &Client) -> Option<Check> {
    let before = Timestamp::now();
    let mut url = client.url().clone();
    url.set_path("/");
    url.set_query(None);
    let answer = client.get(url).await.ok()?;
    let date = answer.header("date")?;
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    let ours = before + Timestamp::now().duration_since(before) / 2;
    let ahead = ours.as_second() - theirs.as_second();
    Some(skew(ahead))
}

fn skew(ahead_seconds: i64) -> Check {
    let name = "destination_clock";
    let off = ahead_seconds.abs();
    if off <= SKEW_SECONDS_MAX {
        return Check::ok(name, "its clock and this machine's agree");
    }
    let which = if ahead_seconds > 0 { "ahead of" } else { "behind" };
    let why = format!("this machine's clock is {off} s {which} the backend's");
    let check = if off >= SKEW_SECONDS_FATAL {
        Check::failed(
            name,
            format!("{why}: samples ahead of its time are refused, and late ones too"),
        )
    } else {
        Check::warning(name, why)
    };
    let command = if cfg!(target_os = "macos") {
        "sudo sntp -sS time.apple.com"
    } else {
        "sudo timedatectl set-ntp true"
    };
    check.by_hand(format!("set the clock that is wrong; here `{command}` has it set by itself"))
}

fn window(has: bool) -> Check {
    let name = "destination_window";
    if has {
        return Check::ok(name, "it takes samples that are late, at their own time");
    }
    Check::warning(
        name,
        "it takes no late samples: what waited for more than an hour arrives as one step, with exact totals",
    )
    .by_hand(
        "in its prometheus.yml: `storage: { tsdb: { out_of_order_time_window: 7d } }`, and reload it",
    )
}

/// What the agent says now.
pub fn status(paths: &Paths) -> Option<Status> {
    match control::ask(paths, Request::Status) {
        Ok(Answer::Status { status }) => serde_json::from_value(status).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict as Judged;
    use super::*;

    #[test]
    fn a_clock_that_is_a_little_off_is_no_failure() {
        assert_eq!(skew(-20).verdict, Judged::Ok);
        assert_eq!(skew(90).verdict, Judged::Warning);
        let far = skew(-400);
        assert_eq!(far.verdict, Judged::Failed);
        assert!(far.why.contains("400 s behind the backend's"), "{}", far.why);
    }
}
