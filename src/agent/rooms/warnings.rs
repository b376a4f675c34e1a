//! Warnings: what `status` says is wrong, in words, and what to do about it.

use jiff::Timestamp;

use super::super::status::Warning;
use crate::receive::{Counts, Kind, Trouble};

/// Unknown names that are shown; a new Claude Code adds a few.
const UNKNOWN_SHOWN_MAX: usize = 12;

pub fn warning(what: impl Into<String>, remedy: &str) -> Warning {
    Warning { at: Timestamp::now(), what: what.into(), remedy: remedy.to_owned() }
}

/// The last request of a kind that was turned away.
pub fn of_trouble(trouble: &Trouble, counts: &Counts, at_gateway: bool) -> Warning {
    let (times, remedy) = match trouble.kind {
        Kind::Denied if at_gateway => {
            let remedy = "`ccotel gateway token ls` shows who may send; `ccotel gateway token add NAME` \
                          makes a token";
            (counts.denied, remedy)
        }
        Kind::Denied => {
            let remedy = "if this was one of your sessions, start it again with `ccotel claude`";
            (counts.denied, remedy)
        }
        Kind::Malformed if at_gateway => {
            let remedy = "if that sender runs Claude Code, update the ccotel of this gateway; other \
                          programs belong elsewhere";
            (counts.malformed, remedy)
        }
        Kind::Malformed => {
            let remedy = "if this was Claude Code, update ccotel; other programs belong elsewhere";
            (counts.malformed, remedy)
        }
        Kind::Refused if at_gateway => {
            let remedy = "senders try again for some seconds; see that the disk has room, and whether one \
                          sender sends too much";
            (counts.refused, remedy)
        }
        Kind::Refused => {
            let remedy = "Claude Code tries again for some seconds; see that the disk has room";
            (counts.refused, remedy)
        }
        Kind::Misdirected => (1, ""),
    };
    let turned_away = match times {
        0 | 1 => "a request was turned away".to_owned(),
        times => format!("{times} requests were turned away, the last one"),
    };
    let at = Timestamp::try_from(trouble.at).unwrap_or_default();
    Warning { at, ..warning(format!("{turned_away}: {}", trouble.what), remedy) }
}

/// Names that are in no table of ours.
pub fn unknown(names: &[String]) -> Option<Warning> {
    let shown = names.iter().take(UNKNOWN_SHOWN_MAX).cloned().collect::<Vec<_>>().join(", ");
    let more = if names.len() > UNKNOWN_SHOWN_MAX { ", …" } else { "" };
    (!names.is_empty()).then(|| {
        warning(
            format!("Claude Code sends what this ccotel does not know: {shown}{more}"),
            "it is treated as content, so it stays out unless the level is full; a newer ccotel may \
             know it",
        )
    })
}
