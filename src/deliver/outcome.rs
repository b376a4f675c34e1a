//! Outcome: what a backend's answer means for the data that was sent.
//!
//! | answer | outcome |
//! | --- | --- |
//! | 2xx | [`Outcome::Accepted`], with what the backend says it left out |
//! | 2xx to remote_write 2.0 without `…-Written` headers; 415; 400 to the first 2.0 request | [`Outcome::Fallback`] |
//! | 2xx with a web page (a captive portal) | [`Outcome::Park`] |
//! | no answer, 408, 425, 5xx | [`Outcome::Retry`] |
//! | 400 for a time too far ahead, where the machine's own clock says the same | [`Outcome::Retry`] |
//! | 429 | [`Outcome::SlowDown`] |
//! | 413 | [`Outcome::TooLarge`] |
//! | 400, 409, 422; 500 for samples older than Prometheus' out-of-order window | [`Outcome::Refused`]: the data itself, to be bisected |
//! | 401, 403, 404, 405, redirects, TLS, credentials, every other status | [`Outcome::Park`] |
//!
//! What is not known to be the data's fault never costs data: it is tried again or parked. The
//! remote_write specification says not to retry a 401 or 404; a probe every 10 minutes is no retry
//! loop, and losing a month because a token expired is the worse failure.
//!
//! Pure: no clock, no I/O.

use std::time::Duration;

use super::backoff::retry_after;
use super::client::{Answer, Failure};
use super::negotiation::Negotiation;
use super::otlp::partial_success;
use super::wire::Wire;

/// How a 400 for a time too far ahead is worded: Prometheus, Mimir, Loki.
const TOO_NEW: [&str; 3] = ["too far in the future", "too-far-in-future", "has timestamp too new"];
/// How Prometheus up to 2.49 words a 500 that no retry ends: samples older than its out-of-order window
/// (<https://github.com/prometheus/prometheus/issues/13334>).
const TOO_OLD: &str = "too old sample";
/// What is this far ahead of the machine's own clock is not there because the clock is fast.
const AHEAD_MS_MAX: i64 = 15 * 60 * 1000;
/// Until it is less far ahead.
const TOO_NEW_PAUSE: Duration = Duration::from_mins(1);

/// The backend's words are kept up to this.
pub const ANSWER_BYTES_MAX: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken, but for so many records that the backend refused for good, in its own words.
    Accepted { refused: u64, status: u16, answer: String },
    /// Another version of the protocol, at once, with the same data.
    Fallback,
    /// The same request again, later.
    Retry { why: String, after: Option<Duration> },
    /// The same request again, later, and less at a time.
    SlowDown { why: String, after: Option<Duration> },
    /// The same data in smaller requests.
    TooLarge { answer: String },
    /// Something in this request is refused for good.
    Refused { status: u16, answer: String },
    /// Nothing gets through until somebody changes something; nothing is dropped.
    Park { why: String },
}

/// What was sent, as far as the answer's meaning depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub wire: Wire,
    /// Records in the request (for remote_write: samples).
    pub records: u64,
    /// The newest time in it, where its records have one.
    pub newest_ms: Option<i64>,
}

/// The meaning of what came back. `place` is the destination without credentials.
pub fn classify(
    sent: Sent,
    result: &Result<Answer, Failure>,
    negotiation: Negotiation,
    place: &str,
    now_ms: i64,
) -> Outcome {
    let answer = match result {
        Ok(answer) => answer,
        Err(failure) => return failed(failure),
    };
    let words = answer.words();
    let after = || answer.header("retry-after").and_then(|value| retry_after(value, now_ms));
    let why = |what: &str| with_words(format!("{place} {what} (status {})", answer.status), &words);
    match answer.status {
        200..=299 => success(sent, answer, place),
        400 if is_ahead(sent, &words, now_ms) => Outcome::Retry {
            why: why(
                "finds this data too new: set this machine's clock right; until then data waits",
            ),
            after: Some(TOO_NEW_PAUSE),
        },
        415 if sent.wire == Wire::RemoteWrite2 => Outcome::Fallback,
        400 if sent.wire == Wire::RemoteWrite2 => refused_v2(sent, answer, negotiation),
        400 | 409 | 422 => Outcome::Refused { status: answer.status, answer: words },
        413 => Outcome::TooLarge { answer: words },
        500 if is_remote_write(sent) && words.contains(TOO_OLD) => {
            Outcome::Refused { status: answer.status, answer: words }
        }
        408 | 425 | 500..=599 => {
            Outcome::Retry { why: why("cannot take data now"), after: after() }
        }
        429 => Outcome::SlowDown { why: why("asks for less at a time"), after: after() },
        401 | 407 => {
            Outcome::Park { why: why("wants other credentials; correct them in config.toml") }
        }
        403 => Outcome::Park { why: why("does not allow this; check the credentials and tenant") },
        404 | 405 => {
            Outcome::Park { why: why("is not the right path; correct the url in config.toml") }
        }
        300..=399 => Outcome::Park {
            why: format!(
                "{place} redirects to {}; put the address that is meant into config.toml",
                answer.header("location").map_or("nowhere", without_query)
            ),
        },
        _ => Outcome::Park { why: why("does not take this data") },
    }
}

fn failed(failure: &Failure) -> Outcome {
    let why = failure.to_string();
    match failure {
        Failure::Tls { .. } | Failure::Setup(_) => Outcome::Park { why },
        Failure::Unresolved { .. }
        | Failure::Unreachable { .. }
        | Failure::TimedOut { .. }
        | Failure::Cut { .. } => Outcome::Retry { why, after: None },
    }
}

fn success(sent: Sent, answer: &Answer, place: &str) -> Outcome {
    if answer.is_web_page() {
        return Outcome::Park {
            why: format!(
                "a web page answered instead of {place}: sign in to the network, or correct the url"
            ),
        };
    }
    let accepted = |refused: u64, words: String| Outcome::Accepted {
        refused: refused.min(sent.records),
        status: answer.status,
        answer: words,
    };
    match sent.wire {
        Wire::RemoteWrite2 => match answer.samples_written() {
            Some(written) => accepted(sent.records.saturating_sub(written), answer.words()),
            None => Outcome::Fallback,
        },
        Wire::OtlpLogs | Wire::OtlpMetrics | Wire::OtlpTraces => {
            let partial = partial_success(sent.wire, &answer.body);
            accepted(partial.rejected, cut(&partial.message))
        }
        Wire::RemoteWrite1 | Wire::LokiPush => accepted(0, String::new()),
    }
}

fn is_remote_write(sent: Sent) -> bool {
    matches!(sent.wire, Wire::RemoteWrite1 | Wire::RemoteWrite2)
}

/// The backend's clock is behind this machine's, and time alone makes the data welcome.
fn is_ahead(sent: Sent, words: &str, now_ms: i64) -> bool {
    TOO_NEW.iter().any(|one| words.contains(one))
        && sent.newest_ms.is_some_and(|newest_ms| newest_ms - now_ms <= AHEAD_MS_MAX)
}

/// remote_write 2.0 keeps the good samples of a request it answers with 400, and says how many.
fn refused_v2(sent: Sent, answer: &Answer, negotiation: Negotiation) -> Outcome {
    match answer.samples_written() {
        Some(written) if written > 0 => Outcome::Accepted {
            refused: sent.records.saturating_sub(written),
            status: answer.status,
            answer: answer.words(),
        },
        None if !negotiation.trusts_v2() => Outcome::Fallback,
        _ => Outcome::Refused { status: answer.status, answer: answer.words() },
    }
}

/// The first 1 KiB, at a character's border.
pub fn cut(words: &str) -> String {
    words[..words.floor_char_boundary(ANSWER_BYTES_MAX)].to_owned()
}

/// A query may carry credentials.
fn without_query(location: &str) -> &str {
    location.split(['?', '#']).next().unwrap_or(location)
}

/// One line of the backend's own words behind ours.
fn with_words(mut what: String, words: &str) -> String {
    const LINE_BYTES_MAX: usize = 200;
    let line = words.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    // A page of markup explains nothing in a status line.
    if !line.is_empty() && !line.starts_with('<') {
        what.push_str(": ");
        what.push_str(&line[..line.floor_char_boundary(LINE_BYTES_MAX)]);
    }
    what
}

#[cfg(test)]
mod tests;
