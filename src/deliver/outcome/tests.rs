use http::{HeaderName, HeaderValue};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use prost::Message;

use super::*;
use crate::deliver::negotiation::Version;

/// 2026-11-21T12:00:00Z
const NOW_MS: i64 = 1_795_262_400_000;
/// Status, the header's value, what is known, and the outcome.
type Answered = (u16, Option<&'static str>, Negotiation, (&'static str, u64));

const WRITTEN: &str = "x-prometheus-remote-write-samples-written";

fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &[u8]) -> Answer {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    Answer { status, headers, body: body.to_vec() }
}

fn meaning(wire: Wire, result: &Result<Answer, Failure>, negotiation: Negotiation) -> Outcome {
    let sent = Sent { wire, records: 10, newest_ms: Some(NOW_MS) };
    classify(sent, result, negotiation, "host:9090/write", NOW_MS)
}

/// The name of an outcome, and the number in it.
fn short(outcome: &Outcome) -> (&'static str, u64) {
    let seconds = |after: &Option<Duration>| after.map_or(0, |after| after.as_secs());
    match outcome {
        Outcome::Accepted { refused, .. } => ("accepted", *refused),
        Outcome::Fallback => ("fallback", 0),
        Outcome::Retry { after, .. } => ("retry", seconds(after)),
        Outcome::SlowDown { after, .. } => ("slow down", seconds(after)),
        Outcome::TooLarge { .. } => ("too large", 0),
        Outcome::Refused { status, .. } => ("refused", u64::from(*status)),
        Outcome::Park { .. } => ("park", 0),
    }
}

#[test]
fn samples_older_than_the_out_of_order_window_are_refused_though_the_status_says_otherwise() {
    let too_old = Ok(answer(500, &[], b"too old sample\n"));
    for (wire, expected) in [
        (Wire::RemoteWrite1, "refused"),
        (Wire::RemoteWrite2, "refused"),
        (Wire::LokiPush, "retry"),
        (Wire::OtlpMetrics, "retry"),
    ] {
        assert_eq!(short(&meaning(wire, &too_old, Negotiation::Unknown)).0, expected, "{wire:?}");
    }
}

#[test]
fn every_status_has_one_meaning() {
    let table: &[(&[u16], &str)] = &[
        (&[200, 202, 204], "accepted"),
        (&[300, 301, 302, 303, 304, 307, 308], "park"),
        (&[400, 409, 422], "refused"),
        (&[401, 402, 403, 404, 405, 406, 407, 410, 411, 415, 418, 421, 426, 451], "park"),
        (&[408, 425, 500, 501, 502, 503, 504, 507, 520, 599], "retry"),
        (&[413], "too large"),
        (&[429], "slow down"),
    ];
    for wire in [Wire::RemoteWrite1, Wire::LokiPush, Wire::OtlpLogs] {
        for (statuses, expected) in table {
            for status in *statuses {
                let outcome = meaning(wire, &Ok(answer(*status, &[], b"")), Negotiation::Unknown);
                assert_eq!(short(&outcome).0, *expected, "{wire:?} {status}");
            }
        }
    }
}

#[test]
fn no_answer_is_tried_again_and_a_wrong_setup_parked() {
    let place = || "host".to_owned();
    let table = [
        (Failure::Unresolved { place: place() }, "retry"),
        (Failure::Unreachable { place: place(), why: "refused" }, "retry"),
        (Failure::TimedOut { place: place() }, "retry"),
        (Failure::Cut { place: place() }, "retry"),
        (Failure::Tls { place: place(), why: "expired".to_owned() }, "park"),
        (Failure::Setup("cannot read".to_owned()), "park"),
    ];
    for (failure, expected) in table {
        let outcome = meaning(Wire::LokiPush, &Err(failure.clone()), Negotiation::Unknown);
        assert_eq!(short(&outcome).0, expected, "{failure:?}");
    }
}

#[test]
fn remote_write_2_is_trusted_by_its_headers_only() {
    let (unknown, v2, v1) =
        (Negotiation::Unknown, Negotiation::V2, Negotiation::V1 { since_ms: 7 });
    let fixed = Negotiation::Fixed(Version::V2);
    let table: &[Answered] = &[
        (204, Some("10"), unknown, ("accepted", 0)),
        (204, Some("7"), unknown, ("accepted", 3)),
        (204, Some("99"), unknown, ("accepted", 0)),
        (204, Some("many"), unknown, ("fallback", 0)),
        (204, None, unknown, ("fallback", 0)),
        (204, None, v2, ("fallback", 0)),
        (415, None, unknown, ("fallback", 0)),
        (415, None, v2, ("fallback", 0)),
        (400, None, unknown, ("fallback", 0)),
        (400, None, v1, ("fallback", 0)),
        (400, None, v2, ("refused", 400)),
        (400, None, fixed, ("refused", 400)),
        (400, Some("0"), unknown, ("refused", 400)),
        (400, Some("9"), unknown, ("accepted", 1)),
        (500, None, unknown, ("retry", 0)),
    ];
    for (status, written, negotiation, expected) in table {
        let headers: Vec<_> = written.iter().map(|written| (WRITTEN, *written)).collect();
        let outcome =
            meaning(Wire::RemoteWrite2, &Ok(answer(*status, &headers, b"")), *negotiation);
        assert_eq!(short(&outcome), *expected, "{status} {written:?} {negotiation:?}");
    }
}

#[test]
fn a_web_page_is_no_success() {
    for (headers, body) in [
        (&[("content-type", "text/html; charset=utf-8")][..], &b"<p>Welcome to the hotel"[..]),
        (&[], b"\n <!DOCTYPE HTML><html>"),
        (&[("content-type", "text/plain")], b"<HTML>"),
    ] {
        let outcome =
            meaning(Wire::LokiPush, &Ok(answer(200, headers, body)), Negotiation::Unknown);
        let Outcome::Park { why } = outcome else { panic!("{outcome:?}") };
        assert!(why.contains("a web page answered"), "{why}");
    }
    let empty = answer(204, &[("content-type", "text/html")], b"");
    assert_eq!(short(&meaning(Wire::LokiPush, &Ok(empty), Negotiation::Unknown)).0, "accepted");
}

#[test]
fn retry_after_is_obeyed_in_both_forms() {
    for (value, seconds) in [("7", 7), ("Sat, 21 Nov 2026 12:00:30 GMT", 30), ("9999", 900)] {
        for (status, expected) in [(503, "retry"), (429, "slow down")] {
            let busy = answer(status, &[("retry-after", value)], b"");
            let outcome = meaning(Wire::RemoteWrite1, &Ok(busy), Negotiation::Unknown);
            assert_eq!(short(&outcome), (expected, seconds), "{status} {value}");
        }
    }
}

#[test]
fn partial_success_is_counted() {
    let body = ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess {
            rejected_log_records: 4,
            error_message: "too old".to_owned(),
        }),
    }
    .encode_to_vec();
    let outcome = meaning(Wire::OtlpLogs, &Ok(answer(200, &[], &body)), Negotiation::Unknown);
    assert_eq!(
        outcome,
        Outcome::Accepted { refused: 4, status: 200, answer: "too old".to_owned() }
    );
}

#[test]
fn words_are_kept_short_and_without_credentials() {
    let long = "é".repeat(5000);
    let refused =
        meaning(Wire::LokiPush, &Ok(answer(400, &[], long.as_bytes())), Negotiation::Unknown);
    let Outcome::Refused { answer: words, .. } = refused else { panic!("{refused:?}") };
    assert!(words.len() <= ANSWER_BYTES_MAX && words.starts_with('é'));

    let busy = meaning(
        Wire::LokiPush,
        &Ok(answer(503, &[], b"\n ring is empty \nsecond line")),
        Negotiation::Unknown,
    );
    let Outcome::Retry { why, .. } = busy else { panic!("{busy:?}") };
    assert_eq!(why, "host:9090/write cannot take data now (status 503): ring is empty");

    let moved = answer(302, &[("location", "https://login.example/?token=secret")], b"");
    let moved = meaning(Wire::LokiPush, &Ok(moved), Negotiation::Unknown);
    let Outcome::Park { why } = moved else { panic!("{moved:?}") };
    assert!(why.contains("https://login.example/") && !why.contains("secret"), "{why}");
}

#[test]
fn what_only_time_makes_welcome_is_sent_later() {
    let words: [&[u8]; 2] = [
        b"out of bounds: timestamp is too far in the future for series {}",
        b"entry for stream '{}' has timestamp too new: 2026-11-21T12:11:00Z",
    ];
    for (wire, words) in [Wire::RemoteWrite1, Wire::LokiPush].into_iter().zip(words) {
        let refused = Ok(answer(400, &[], words));
        assert_eq!(short(&meaning(wire, &refused, Negotiation::Unknown)), ("retry", 60));
        // Not by this machine's clock: the clock was wrong once, and the data is for good.
        let sent = Sent { wire, records: 10, newest_ms: Some(NOW_MS + 3_600_000) };
        let outcome = classify(sent, &refused, Negotiation::Unknown, "host", NOW_MS);
        assert_eq!(short(&outcome), ("refused", 400));
    }
}
