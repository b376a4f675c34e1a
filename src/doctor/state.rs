//! How a destination is doing, as the agent says: state, backlog, quarantine.

use super::check::Check;
use super::remedy::ours;
use crate::agent::control::{self, Answer, Request};
use crate::agent::rooms::quarantine::QuarantineLine;
use crate::config::destination::DestinationConfig;
use crate::deliver::DestinationStatus;
use crate::deliver::status::{Backlog, State};
use crate::paths::Paths;

/// A backlog that drains is no reason to worry before that.
const BACKLOG_SECONDS_MAX: u64 = 3600;

/// The check that a wrong address explains already.
pub const STATE: &str = "destination_state";

/// `refused` is what is in quarantine, where the backend was asked.
pub fn checks(known: &DestinationStatus, refused: &[QuarantineLine]) -> Vec<Check> {
    vec![state(known), backlog(known), quarantine(known, refused)]
}

fn state(known: &DestinationStatus) -> Check {
    let name = STATE;
    let retry = ours(&format!("retry {}", known.name));
    let error = known.last_error.as_deref().unwrap_or("it says no more");
    match known.state {
        State::Ok => Check::ok(name, "the last request was taken"),
        State::Idle if known.delivered > 0 => Check::ok(name, "in order, nothing to send"),
        State::Idle => Check::ok(name, "nothing to send yet"),
        State::Retrying => Check::warning(
            name,
            format!("{error}; it is tried again by itself, and what is due waits on disk"),
        )
        .remedy(retry),
        State::Parked => {
            let why = format!("parked, nothing is sent to it: {error}");
            Check::failed(name, why).remedy(retry)
        }
    }
}

fn backlog(known: &DestinationStatus) -> Check {
    let name = "destination_backlog";
    let backlog = known.backlog;
    if backlog.records == 0 {
        return Check::ok(name, "nothing waits");
    }
    let words = waiting(backlog);
    if backlog.oldest_seconds > BACKLOG_SECONDS_MAX {
        return Check::warning(name, words).remedy(ours(&format!("retry {}", known.name)));
    }
    Check::ok(name, words)
}

/// How much, and for how long.
pub fn waiting(backlog: Backlog) -> String {
    let age = match backlog.oldest_seconds {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    };
    match backlog.records {
        1 => format!("1 record waits, for {age}"),
        records => format!("{records} records wait, the oldest for {age}"),
    }
}

fn quarantine(known: &DestinationStatus, refused: &[QuarantineLine]) -> Check {
    let name = "destination_quarantine";
    if known.quarantine_kept == 0 {
        return Check::ok(name, "nothing was refused for good");
    }
    let last = refused.last().map_or(String::new(), |line| format!(": {}", line.answer));
    let why = match known.quarantine_kept {
        1 => format!("1 record was refused for good{last}"),
        records => format!("{records} records were refused for good{last}"),
    };
    let check = Check::warning(name, why);
    let check = match refused.last().and_then(|line| cause(&line.answer)) {
        Some(cause) => check.by_hand(cause),
        None => check.by_hand(format!(
            "`ccotel quarantine ls` and `show` say what; once the backend takes it, or with `drop` \
             instead of `retry`, {} is clear again",
            known.name
        )),
    };
    check.remedy(ours(&format!("quarantine retry --destination {}", known.name)))
}

/// The mark itself was refused.
pub fn refused_check(name: &'static str, paths: &Paths, config: &DestinationConfig) -> Check {
    let refused = refused(paths, &config.name);
    let last = refused.last();
    let answer = last.map_or("it does not say why", |line| line.answer.as_str());
    let check = Check::failed(name, format!("the mark was refused for good: {answer}"));
    let words = last.and_then(|line| cause(&line.answer));
    check
        .by_hand(words.unwrap_or("`ccotel quarantine ls` and `show` say what was refused"))
        .remedy(ours(&format!("quarantine retry --destination {}", config.name)))
}

/// What is to be changed at a backend that says this.
pub fn cause(answer: &str) -> Option<&'static str> {
    let answer = answer.to_lowercase();
    let says = |words: &str| answer.contains(words);
    if says("structured metadata") || says("structured_metadata") {
        Some(
            "in Loki's configuration: `limits_config: { allow_structured_metadata: true }`, with schema \
             v13 and index tsdb (Loki 3.0 or newer); restart it",
        )
    } else if says("out of order")
        || says("out of bounds")
        || says("too old")
        || says("too far behind")
    {
        Some(
            "the backend takes nothing that old: `out_of_order_time_window` of Prometheus, \
             `reject_old_samples_max_age` of Loki",
        )
    } else {
        None
    }
}

/// What the agent keeps of a destination's refusals, oldest first; empty if it cannot be told.
pub fn refused(paths: &Paths, destination: &str) -> Vec<QuarantineLine> {
    match control::ask(paths, Request::QuarantineList { after: 0 }) {
        Ok(Answer::Quarantine { entries }) => {
            entries.into_iter().filter(|it| it.destination == destination).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    #[test]
    fn what_a_backend_says_is_known_by_its_cause() {
        let loki = "stream '{service_name=\"x\"}' includes structured metadata, but this feature is disallowed";
        assert!(cause(loki).unwrap().contains("allow_structured_metadata"));
        assert!(cause("out of bounds").unwrap().contains("out_of_order_time_window"));
        assert_eq!(cause("label name too long"), None);
    }

    #[test]
    fn a_backlog_that_drains_is_fine_and_an_old_one_is_not() {
        let mut known: DestinationStatus = serde_json::from_value(serde_json::json!({
            "name": "a", "type": "loki", "state": "ok", "meant": 9,
            "backlog": {"records": 2, "bytes": 0, "oldest_seconds": 61}, "delivered": 7,
            "expired": 0, "evicted": 0, "compacted": 0, "quarantined": 0, "quarantine_kept": 0,
            "horizon_seconds": null, "last_success": null, "last_error": "no", "next_try": null,
        }))
        .unwrap();
        assert_eq!(backlog(&known).verdict, Verdict::Ok);
        known.backlog.oldest_seconds = 7200;
        assert_eq!(backlog(&known).verdict, Verdict::Warning);
        known.state = State::Parked;
        assert!(state(&known).is_failed() && state(&known).why.ends_with(": no"));
    }
}
