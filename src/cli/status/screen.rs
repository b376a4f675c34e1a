//! The status as a screen: what is zero is not said.

use bytesize::ByteSize;
use jiff::Timestamp;
use serde::Deserialize;

use crate::agent::status::{
    RecordCounts, RequestCounts, SenderStatus, SessionCounts, Status, Warning,
};
use crate::budget::Level;
use crate::config::problem::printable;
use crate::statusline::limits;

/// What is shown of a `deliver::DestinationStatus`. A newer agent's additions are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Destination {
    pub name: String,
    pub r#type: String,
    pub state: String,
    pub meant: Option<u64>,
    pub backlog: Backlog,
    pub delivered: u64,
    pub expired: u64,
    pub evicted: u64,
    pub compacted: u64,
    pub quarantined: u64,
    pub quarantine_kept: Option<u64>,
    pub last_success: Option<Timestamp>,
    pub last_error: Option<serde_json::Value>,
    pub next_try: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Backlog {
    pub records: u64,
    pub bytes: u64,
    pub oldest_seconds: f64,
}

/// The whole screen. `before` is an earlier status, for the speed at which a backlog drains.
pub fn draw(status: &Status, before: Option<(Timestamp, &Status)>, now: Timestamp) -> String {
    let mut screen = String::new();
    headline(&mut screen, status, now);
    facts(&mut screen, status);
    if let Some(gateway) = &status.gateway {
        senders(&mut screen, &gateway.senders, now);
    }
    budgets(&mut screen, status, now);
    if !status.destinations.is_empty() {
        screen.push_str("\nDestinations\n");
    }
    for destination in destinations(status) {
        let earlier = before.and_then(|(at, status)| {
            let same = destinations(status).find(|other| other.name == destination.name)?;
            Some((now.duration_since(at).as_secs_f64(), same.delivered))
        });
        draw_destination(&mut screen, &destination, earlier, now);
    }
    if !status.warnings.is_empty() {
        screen.push_str("\nWarnings\n");
    }
    for warning in &status.warnings {
        draw_warning(&mut screen, warning, now);
    }
    screen
}

/// One line, without whatever a backend's words hold to steer a terminal with.
macro_rules! line {
    ($screen:expr, $($part:tt)*) => {
        $screen.push_str(&printable(&format!($($part)*)));
        $screen.push('\n');
    };
}

fn headline(screen: &mut String, status: &Status, now: Timestamp) {
    if !status.running {
        let why = if status.stopped_to_stay {
            "it was stopped with `ccotel agent stop --stay`; `ccotel agent start` starts it"
        } else {
            "the next `claude` starts one, `ccotel agent start` starts one now"
        };
        line!(screen, "No agent runs: {why}");
        return;
    }
    let version = status.version.as_deref().unwrap_or("of an unknown version");
    let pid = status.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let since = status.started.map(|at| format!(" for {}", span(now, at))).unwrap_or_default();
    line!(screen, "Agent {version} has been running{since}{pid}");
}

fn facts(screen: &mut String, status: &Status) {
    let addresses: Vec<_> = status.addresses.iter().map(ToString::to_string).collect();
    if !addresses.is_empty() {
        line!(screen, "  listens on  {}", addresses.join(", "));
    }
    if let Some(sessions) = &status.sessions {
        line!(screen, "  sessions    {}", session_words(sessions));
    }
    if let Some(records) = &status.records {
        line!(screen, "  records     {}", record_words(records));
    }
    if let Some(words) = status.requests.as_ref().and_then(request_words) {
        line!(screen, "  requests    {words}");
    }
    if status.running && status.destinations.is_empty() {
        line!(screen, "  forwards    to nobody; `ccotel connect` adds a backend");
    }
    let disk = ByteSize(status.disk_bytes);
    if status.disk_bytes > 0 {
        line!(screen, "  on disk     {disk} in {}", status.data_dir.display());
    }
}

/// Senders that are shown; `ccotel gateway token ls` has them all.
const SENDERS_SHOWN_MAX: usize = 20;

/// The ones heard of last, first.
fn senders(screen: &mut String, senders: &[SenderStatus], now: Timestamp) {
    let mut shown: Vec<&SenderStatus> = senders.iter().collect();
    shown.sort_by_key(|sender| (std::cmp::Reverse(sender.last_seen), sender.name.clone()));
    let known = senders.iter().filter(|sender| sender.known).count();
    line!(screen, "");
    line!(screen, "Senders ({known} may send)");
    for sender in shown.iter().take(SENDERS_SHOWN_MAX) {
        let mut words = vec![format!("{} records", count(sender.received))];
        for (number, what) in [
            (sender.rejected, "rejected"),
            (sender.refused, "requests told to come back"),
            (sender.malformed, "requests that could not be read"),
        ] {
            if number > 0 {
                words.push(format!("{} {what}", count(number)));
            }
        }
        words.push(sender.last_seen.map_or_else(
            || "not heard of since the worker began".to_owned(),
            |at| format!("last heard of {} ago", span(now, at)),
        ));
        if !sender.known {
            words.push("may not send any more".to_owned());
        }
        line!(screen, "  {}  {}", sender.name, words.join("; "));
    }
    if shown.len() > SENDERS_SHOWN_MAX {
        let more = shown.len() - SENDERS_SHOWN_MAX;
        line!(screen, "  and {more} more; `ccotel gateway token ls` has them all");
    }
}

fn budgets(screen: &mut String, status: &Status, now: Timestamp) {
    if status.budgets.is_empty() && status.rate_limits.0.is_empty() {
        return;
    }
    screen.push_str("\nBudgets\n");
    for budget in &status.budgets {
        let level = match budget.level() {
            Level::Fine => "",
            Level::Near => "; nearly used up",
            Level::Over => "; used up (nothing is stopped)",
        };
        line!(screen, "  {}: {}{level}", budget.name(), budget.amounts());
    }
    for (window, limit) in &status.rate_limits.0 {
        let resets = limit.resets_at.and_then(|at| Timestamp::from_second(at).ok());
        let resets = resets.map(|at| format!(", begins anew in {}", span(at, now)));
        let (name, used) = (limits::words(window), limit.used_percent.floor());
        line!(screen, "  {name}: {used} % used{}", resets.unwrap_or_default());
    }
}

fn session_words(sessions: &SessionCounts) -> String {
    match (sessions.active, sessions.today) {
        (0, 0) => "none today".into(),
        (0, today) => format!("{} today, none active", count(today)),
        (active, today) => format!("{} active, {} today", count(active), count(today)),
    }
}

fn record_words(records: &RecordCounts) -> String {
    if records.received == 0 && records.rejected == 0 && records.foreign == 0 {
        return "none received yet".into();
    }
    let stored = [
        (records.stored, "stored"),
        (records.unchanged, "that changed nothing"),
        (records.duplicate, "sent twice by Claude Code and counted once"),
    ];
    // An agent from before this was told apart says neither.
    let of_old = records.stored + records.unchanged == 0;
    let mut words = vec![match (of_old, records.duplicate) {
        (true, 0) => format!("{} received", count(records.received)),
        (true, twice) => {
            format!("{} received, {} {}", count(records.received), count(twice), stored[2].1)
        }
        (false, _) => balance(records.received, "received", &stored),
    }];
    for (number, what) in [
        (records.rejected, "rejected: malformed or beyond a limit"),
        (records.foreign, "of other programs, turned away"),
    ] {
        if number > 0 {
            words.push(format!("{} {what}", count(number)));
        }
    }
    words.join("; ")
}

fn request_words(requests: &RequestCounts) -> Option<String> {
    let words: Vec<_> = [
        (requests.refused, "refused, since nothing could be stored"),
        (requests.malformed, "that could not be read"),
        (requests.denied, "of somebody who may not come in"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{} {what}", count(number)))
    .collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// `9 received = 7 stored + 2 sent twice`; what is zero is not said, and a sum of one part is that part.
fn balance(sum: u64, of: &str, parts: &[(u64, &str)]) -> String {
    let there: Vec<_> = parts.iter().filter(|(number, _)| *number > 0).collect();
    let words: Vec<_> =
        there.iter().map(|(number, what)| format!("{} {what}", count(*number))).collect();
    let adds_up = parts.iter().map(|(number, _)| number).sum::<u64>() == sum;
    match (adds_up, words.as_slice()) {
        (true, [_, _, ..]) => format!("{} {of} = {}", count(sum), words.join(" + ")),
        (true, [one]) if of != "received" => one.clone(),
        (true, _) => format!("{} {of}", count(sum)),
        // Never so; if it is, that is a mistake of ours, and is not to be hidden.
        (false, _) => {
            format!("{} {of}, but these do not add up to it: {}", count(sum), words.join(" + "))
        }
    }
}

pub fn destinations(status: &Status) -> impl Iterator<Item = Destination> {
    let values = status.destinations.iter();
    values.filter_map(|value| serde_json::from_value(value.clone()).ok())
}

fn draw_destination(
    screen: &mut String,
    destination: &Destination,
    earlier: Option<(f64, u64)>,
    now: Timestamp,
) {
    let state = match destination.state.as_str() {
        "ok" => "in order",
        "retrying" => "not reachable for now, is tried again by itself",
        "parked" => "refuses us; needs a change",
        "idle" if destination.delivered > 0 => "in order, nothing to send",
        "idle" => "nothing to send yet",
        other => other,
    };
    line!(screen, "  {} ({}): {state}", destination.name, destination.r#type);
    let mut delivered = Vec::new();
    let meant = destination.meant.unwrap_or(destination.delivered);
    if meant > 0 {
        delivered.push(balance(meant, "meant for it", &parts(destination)));
    }
    if let Some(at) = destination.last_success {
        delivered.push(format!("last success {} ago", span(now, at)));
    }
    if !delivered.is_empty() {
        line!(screen, "    {}", delivered.join(", "));
    }
    if let Some(error) = &destination.last_error {
        line!(screen, "    last error: {}", error_words(error));
    }
    let backlog = &destination.backlog;
    if backlog.records > 0 {
        line!(
            screen,
            "    waiting: {} record{} ({}), the oldest for {}{}",
            count(backlog.records),
            if backlog.records == 1 { "" } else { "s" },
            ByteSize(backlog.bytes),
            seconds_words(backlog.oldest_seconds),
            draining(destination, earlier)
        );
    }
    if let Some(at) = destination.next_try.filter(|&at| at > now) {
        line!(screen, "    next try in {}; `ccotel retry {}` now", span(at, now), destination.name);
    }
    let kept = destination.quarantine_kept.unwrap_or(destination.quarantined);
    let gone = destination.quarantined.saturating_sub(kept);
    for (number, what) in [
        (destination.expired, "older than the backend accepts; kept here for reports only"),
        (destination.evicted, "dropped, oldest first, to stay within `[agent] max_disk`"),
        (destination.compacted, "too old for their own time, sent as exact totals at a later one"),
        (kept, "refused by the backend for good; see `ccotel quarantine ls`"),
        (gone, "refused by the backend for good, and no longer kept"),
    ] {
        if number > 0 {
            line!(screen, "    {} records {what}", count(number));
        }
    }
}

/// What became of everything that was meant for it.
fn parts(destination: &Destination) -> Vec<(u64, &'static str)> {
    let mut parts = vec![(destination.delivered, "delivered")];
    if destination.meant.is_some() {
        parts.extend([
            (destination.backlog.records, "waiting"),
            (destination.expired, "expired"),
            (destination.evicted, "evicted"),
            (destination.compacted, "compacted"),
            (destination.quarantined, "quarantined"),
        ]);
    }
    parts
}

/// How fast a backlog drains, once there are two looks at it.
fn draining(destination: &Destination, earlier: Option<(f64, u64)>) -> String {
    let Some((seconds, before)) = earlier else { return String::new() };
    let sent = destination.delivered.saturating_sub(before);
    if sent == 0 || seconds <= 0.0 {
        return String::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let (left, speed) = (destination.backlog.records as f64, sent as f64 / seconds);
    format!("; {speed:.0} a second, done in about {}", seconds_words(left / speed))
}

fn draw_warning(screen: &mut String, warning: &Warning, now: Timestamp) {
    let ago = now.duration_since(warning.at).as_secs_f64();
    let when = if ago < 60.0 { String::new() } else { format!(" ({} ago)", seconds_words(ago)) };
    line!(screen, "  ! {}{when}", warning.what);
    if !warning.remedy.is_empty() {
        line!(screen, "    {}", warning.remedy);
    }
}

fn error_words(error: &serde_json::Value) -> String {
    error.as_str().map_or_else(|| error.to_string(), ToOwned::to_owned)
}

fn span(later: Timestamp, earlier: Timestamp) -> String {
    seconds_words(later.duration_since(earlier).as_secs_f64())
}

/// Two units at most: `45 s`, `3 min`, `5 h 12 min`, `8 d 3 h`.
pub fn seconds_words(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    let seconds = seconds.max(0.0) as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let with_rest = |rest: u64, unit: &str| match rest {
        0 => String::new(),
        rest => format!(" {rest} {unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h{}", with_rest(minutes % 60, "min")),
        (days, hours, _) => format!("{days} d{}", with_rest(hours % 24, "h")),
    }
}

/// `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests;
