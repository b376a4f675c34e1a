//! Probe: what answers at a destination's address, found out by a write of nothing.
//!
//! | destination | request | what a real one says |
//! | --- | --- | --- |
//! | prometheus | `WriteRequest` without series | 200, 204 |
//! | loki | `PushRequest` without streams | 422 "at least one stream" (Loki), 200, 204 (others) |
//! | victorialogs, otlp | `Export…ServiceRequest` without records | 200, 204 |

use super::client::{Answer, Client, Failure};
use super::task::lanes;
use super::wire::{Encoded, Wire};
use super::{loki, otlp, remote_write_v1, remote_write_v2};
use crate::config::destination::{Credentials, DestinationConfig, DestinationType, Protocol};
use crate::store::handle::Lane;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Takes data.
    Reachable,
    /// Nothing to hold against the address: offline is normal.
    Unknown,
    /// Data will not get through like this.
    Wrong,
}

/// What was found, in words: what answered, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub found: Found,
    pub words: String,
}

/// Asks the destination's address; for `otlp` once a signal.
pub async fn probe(config: &DestinationConfig) -> Verdict {
    let client = match Client::new(config) {
        Ok(client) => client,
        Err(failure) => return Verdict { found: Found::Wrong, words: failure.to_string() },
    };
    let place = client.place();
    let mut verdicts = Vec::new();
    for request in requests(config) {
        let given = config.credentials != Credentials::None;
        let answer = client.send(&request).await;
        let verdict = judge(config.kind, request.wire, &answer, &place, given);
        if verdict.found == Found::Unknown {
            return verdict;
        }
        verdicts.push((request.wire, verdict));
    }
    combine(verdicts)
}

fn requests(config: &DestinationConfig) -> Vec<Encoded> {
    match (config.kind, config.protocol) {
        (DestinationType::Prometheus, Protocol::RemoteWrite2) => vec![remote_write_v2::encode(&[])],
        (DestinationType::Prometheus, _) => vec![remote_write_v1::encode(&[])],
        (DestinationType::Loki, protocol) if protocol != Protocol::Otlp => {
            vec![loki::encode(&[], "")]
        }
        (DestinationType::Loki | DestinationType::VictoriaLogs, _) => {
            vec![otlp::logs::encode(&[], "", config.kind)]
        }
        (DestinationType::Otlp, _) => lanes(config)
            .into_iter()
            .map(|lane| match lane {
                Lane::Samples => otlp::metrics::encode(&[], ""),
                Lane::Events => otlp::logs::encode(&[], "", config.kind),
                Lane::Spans => otlp::traces::encode(&[], ""),
            })
            .collect(),
    }
}

/// An OTLP backend may take some signals and not others; what the others say is passed on.
fn combine(verdicts: Vec<(Wire, Verdict)>) -> Verdict {
    let reachable = verdicts.iter().any(|(_, verdict)| verdict.found == Found::Reachable);
    if !reachable {
        let first = verdicts.into_iter().next().map(|(_, verdict)| verdict);
        return first.unwrap_or(Verdict { found: Found::Unknown, words: "not asked".to_owned() });
    }
    let words: Vec<String> = verdicts
        .into_iter()
        .enumerate()
        .filter(|(index, (_, verdict))| *index == 0 || verdict.found == Found::Wrong)
        .map(|(_, (wire, verdict))| match (verdict.found, wire.signal()) {
            (Found::Wrong, Some(signal)) => format!("{signal:?}: {}", verdict.words).to_lowercase(),
            _ => verdict.words,
        })
        .collect();
    Verdict { found: Found::Reachable, words: words.join("; ") }
}

fn judge(
    kind: DestinationType,
    wire: Wire,
    result: &Result<Answer, Failure>,
    place: &str,
    given: bool,
) -> Verdict {
    let wrong = |words: String| Verdict { found: Found::Wrong, words };
    let answer = match result {
        Ok(answer) => answer,
        Err(failure @ (Failure::Tls { .. } | Failure::Setup(_))) => {
            return wrong(failure.to_string());
        }
        Err(failure) => {
            return Verdict { found: Found::Unknown, words: failure.to_string() };
        }
    };
    let status = answer.status;
    let reachable = |words: String| Verdict { found: Found::Reachable, words };
    match status {
        200..=299 if answer.is_web_page() => wrong(format!(
            "a web page answered at {place}: a network's sign-in page, or not {}",
            endpoint(wire)
        )),
        200..=299 => reachable(format!("{place} takes data")),
        // What Loki says to a push without streams.
        400 | 422 if kind == DestinationType::Loki && mentions(answer, "stream") => {
            reachable(format!("{place} takes data"))
        }
        401 | 407 if given => {
            wrong(format!("{place} refuses the credentials it was given (status {status})"))
        }
        401 | 407 => wrong(format!(
            "{place} wants credentials that it was not given (status {status}): --bearer-token-file, \
             --token-command, or --username with --password-file"
        )),
        403 => wrong(format!(
            "{place} does not allow this (status 403): check the credentials, and --tenant"
        )),
        // Up to 2.5x it names a flag there that has another name since 2.33.
        404 | 405 if mentions(answer, "remote-write-receiver") => wrong(format!(
            "Prometheus at {place} does not take remote_write: \
             start it with --web.enable-remote-write-receiver"
        )),
        404 | 405 | 415 => {
            wrong(format!("{place} answered (status {status}), but is not {}", endpoint(wire)))
        }
        300..=399 => wrong(format!(
            "{place} redirects to {}: give the address that is meant",
            answer.header("location").unwrap_or("nowhere").split('?').next().unwrap_or_default()
        )),
        408 | 425 | 429 | 500..=599 => Verdict {
            found: Found::Unknown,
            words: format!("{place} answered that it cannot take data now (status {status})"),
        },
        _ => wrong(format!(
            "{place} refuses {} (status {status}): {}",
            endpoint(wire),
            answer.words().lines().next().unwrap_or_default()
        )),
    }
}

fn mentions(answer: &Answer, word: &str) -> bool {
    String::from_utf8_lossy(&answer.body).to_lowercase().contains(word)
}

fn endpoint(wire: Wire) -> &'static str {
    match wire {
        Wire::RemoteWrite1 | Wire::RemoteWrite2 => "a remote_write endpoint",
        Wire::LokiPush => "Loki's push endpoint",
        Wire::OtlpLogs | Wire::OtlpMetrics | Wire::OtlpTraces => "an OTLP/HTTP endpoint",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            })
            .collect();
        Answer { status, headers, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn verdicts_in_words() {
        use DestinationType::{Loki, Otlp, Prometheus};
        use Found::{Reachable, Unknown, Wrong};
        use Wire::{LokiPush, OtlpLogs, RemoteWrite1};
        let refused =
            Failure::Unreachable { place: "h:1/x".into(), why: "the connection was refused" };
        let tls = Failure::Tls { place: "h:1/x".into(), why: "its certificate has expired".into() };
        let prometheus_404 =
            "remote write receiver needs to be enabled with --enable-feature=remote-write-receiver";
        let table = [
            (Prometheus, RemoteWrite1, Ok(answer(204, &[], "")), Reachable, "takes data"),
            (
                Loki,
                LokiPush,
                Ok(answer(422, &[], "error at least one valid stream is required for ingestion")),
                Reachable,
                "takes data",
            ),
            (Prometheus, RemoteWrite1, Ok(answer(422, &[], "stream")), Wrong, "refuses"),
            (Prometheus, RemoteWrite1, Ok(answer(401, &[], "")), Wrong, "--bearer-token-file"),
            (
                Prometheus,
                RemoteWrite1,
                Ok(answer(404, &[], prometheus_404)),
                Wrong,
                "start it with",
            ),
            (
                Prometheus,
                RemoteWrite1,
                Ok(answer(404, &[], "page not found")),
                Wrong,
                "not a remote_write endpoint",
            ),
            (Loki, LokiPush, Ok(answer(405, &[], "")), Wrong, "not Loki's push endpoint"),
            (
                Otlp,
                OtlpLogs,
                Ok(answer(200, &[("content-type", "text/html")], "<p>hi")),
                Wrong,
                "web page",
            ),
            (
                Otlp,
                OtlpLogs,
                Ok(answer(302, &[("location", "https://portal/?user=me")], "")),
                Wrong,
                "redirects to https://portal/:",
            ),
            (Otlp, OtlpLogs, Ok(answer(503, &[], "")), Unknown, "cannot take data now"),
            (Prometheus, RemoteWrite1, Err(refused), Unknown, "refused"),
            (Prometheus, RemoteWrite1, Err(tls), Wrong, "expired"),
        ];
        for (kind, wire, result, found, words) in table {
            let verdict = judge(kind, wire, &result, "h:1/x", false);
            assert_eq!(verdict.found, found, "{verdict:?}");
            assert!(verdict.words.contains(words), "{verdict:?}");
        }
    }

    #[test]
    fn an_otlp_backend_may_lack_a_signal() {
        let wrong = Verdict { found: Found::Wrong, words: "h answered (status 404)".to_owned() };
        let good = Verdict { found: Found::Reachable, words: "h takes data".to_owned() };
        let verdict = combine(vec![
            (Wire::OtlpMetrics, good.clone()),
            (Wire::OtlpLogs, good),
            (Wire::OtlpTraces, wrong.clone()),
        ]);
        assert_eq!(verdict.found, Found::Reachable);
        assert_eq!(verdict.words, "h takes data; traces: h answered (status 404)");
        assert_eq!(combine(vec![(Wire::OtlpLogs, wrong.clone())]), wrong);
    }
}
