//! The marked record: sent over OTLP as Claude Code sends, and looked for on disk. What it is, and
//! why it changes nobody's totals: [`crate::record::own`].

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use reqwest::Url;
use tokio::time::timeout;

use super::check::Check;
use super::remedy::ours;
use crate::agent::control;
use crate::agent::ensure::Endpoint;
use crate::agent::{VERSION, files};
use crate::config::destination::{DestinationConfig, DestinationType};
use crate::deliver::client::{Answer, Client, Failure};
use crate::deliver::otlp::partial_success;
use crate::deliver::wire::{Encoded, Wire};
use crate::paths::Paths;
use crate::record::own;

/// The agent answers within milliseconds; a disk that hangs takes longer.
const AGENT_WAIT: Duration = Duration::from_secs(5);

/// Claude Code's own scopes: the door is to take it as it takes a session's.
const METRICS_SCOPE: &str = "com.anthropic.claude_code";
const EVENTS_SCOPE: &str = "com.anthropic.claude_code.events";

/// A mark that is on disk.
#[derive(Clone, Debug)]
pub struct Mark {
    pub sent: Timestamp,
    /// Of the event, in hexadecimal digits.
    pub trace_id: String,
    /// The counter's labels, without `instance`, and its value with this mark in it.
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Sends one, and finds it in the store. The checks say how far it came.
pub async fn send(paths: &Paths, endpoint: &Endpoint) -> (Option<Mark>, Vec<Check>) {
    let unstored = |because: &str| Check::not_checked("record_stored", because);
    let client = match Client::new(&door(endpoint)) {
        Ok(client) => client,
        Err(failure) => {
            let why = hidden(&failure.to_string(), endpoint);
            return (
                None,
                vec![Check::failed("record_accepted", why), unstored("nothing was sent")],
            );
        }
    };
    let before = counters(&client, endpoint).await.unwrap_or_default();
    let (sent, trace_id) = (Timestamp::now(), random_id());
    for request in [metrics(sent), logs(sent, trace_id)] {
        let answer = timeout(AGENT_WAIT, client.send(&request)).await;
        if let Some(check) = refused(request.wire, answer.ok(), endpoint) {
            return (None, vec![check, unstored("the agent did not accept it")]);
        }
    }
    let place = endpoint.address;
    let accepted = format!("http://{place} accepted a marked metric and event (http/protobuf)");
    let mut checks = vec![Check::ok("record_accepted", accepted)];
    let synced = control::sync(paths);
    let after = counters(&client, endpoint).await.unwrap_or_default();
    let grown = after
        .into_iter()
        .find(|(labels, value)| *value > before.get(labels).copied().unwrap_or_default());
    let mark = grown.map(|(mut labels, value)| {
        labels.remove("instance");
        Mark { sent, trace_id: format!("{:032x}", u128::from_be_bytes(trace_id)), labels, value }
    });
    checks.push(match (&mark, synced) {
        (Some(_), None) => Check::ok("record_stored", "it is in the store, synced to disk"),
        (Some(_), Some(why)) => Check::warning("record_stored", format!("it is stored, but {why}")),
        (None, _) => {
            let why = "the agent accepted it, and its counter has not grown";
            Check::failed("record_stored", why).remedy(ours("agent restart"))
        }
    });
    (mark, checks)
}

/// The agent, as a destination: the same client as for any other backend.
fn door(endpoint: &Endpoint) -> DestinationConfig {
    DestinationConfig {
        name: "the agent".to_owned(),
        kind: DestinationType::Otlp,
        url: format!("http://{}/{}", endpoint.address, endpoint.token),
        ..super::destinations::plain()
    }
}

/// The token is in the path, and stays out of every message.
fn hidden(text: &str, endpoint: &Endpoint) -> String {
    text.replace(&endpoint.token, "TOKEN")
}

/// Why the agent did not take it.
fn refused(
    wire: Wire,
    answer: Option<Result<Answer, Failure>>,
    endpoint: &Endpoint,
) -> Option<Check> {
    let name = "record_accepted";
    let restart = || ours("agent restart");
    let answer = match answer {
        None => {
            let why = format!("{} did not answer within 5 seconds", endpoint.address);
            return Some(Check::failed(name, why).remedy(restart()));
        }
        Some(Err(failure)) => {
            let why = hidden(&failure.to_string(), endpoint);
            return Some(Check::failed(name, why).remedy(restart()));
        }
        Some(Ok(answer)) => answer,
    };
    let words = || hidden(&answer.words(), endpoint);
    match answer.status {
        200 => {
            let left_out = partial_success(wire, &answer.body);
            (left_out.rejected > 0).then(|| {
                let why = format!("the agent turned {} away: {}", wire.name(), left_out.message);
                Check::failed(name, why).remedy(restart())
            })
        }
        401 | 403 => {
            let why = "the agent does not know the token that sessions are given";
            Some(Check::failed(name, why).remedy(restart()))
        }
        503 => Some(
            Check::failed(name, format!("the agent can store nothing now: {}", words()))
                .by_hand("see what is said of the disk"),
        ),
        status => {
            let why = format!("{} answered {status}: {}", endpoint.address, words());
            Some(Check::failed(name, why).remedy(restart()))
        }
    }
}

/// The counters of marks as the store has them, by their labels.
async fn counters(client: &Client, endpoint: &Endpoint) -> Option<BTreeMap<Labels, f64>> {
    let url = Url::parse(&format!("http://{}/metrics", endpoint.address)).ok()?;
    let answer = timeout(AGENT_WAIT, client.get(url)).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    Some(text.lines().filter_map(counter).collect())
}

type Labels = BTreeMap<String, String>;

/// `ccotel_doctor_marks_total{job="ccotel",team="a\"b"} 3`.
fn counter(line: &str) -> Option<(Labels, f64)> {
    let rest = line.strip_prefix(own::MARKS_SERIES)?;
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once("} ")?,
        None => ("", rest.trim()),
    };
    let mut found = Labels::new();
    let mut rest = labels;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut text = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => match letters.next()?.1 {
                    'n' => text.push('\n'),
                    other => text.push(other),
                },
                (_, other) => text.push(other),
            }
        };
        found.insert(name.to_owned(), text);
        rest = after[end + 1..].trim_start_matches(',');
    }
    Some((found, value.trim().parse().ok()?))
}

fn metrics(at: Timestamp) -> Encoded {
    let time_ns = nanoseconds(at);
    // A start of its own makes it a stream of its own: it adds one to the counter.
    let point = NumberDataPoint {
        start_time_unix_nano: time_ns - 1,
        time_unix_nano: time_ns,
        value: Some(Number::AsDouble(1.0)),
        ..NumberDataPoint::default()
    };
    let sum = Sum {
        data_points: vec![point],
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
        is_monotonic: true,
    };
    let metric = Metric {
        name: own::MARKS_METRIC.to_owned(),
        data: Some(Data::Sum(sum)),
        ..Metric::default()
    };
    let scope_metrics = ScopeMetrics {
        scope: Some(scope(METRICS_SCOPE)),
        metrics: vec![metric],
        ..ScopeMetrics::default()
    };
    let resource_metrics = ResourceMetrics {
        resource: Some(resource()),
        scope_metrics: vec![scope_metrics],
        ..ResourceMetrics::default()
    };
    let request = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] };
    encoded(Wire::OtlpMetrics, request.encode_to_vec())
}

fn logs(at: Timestamp, trace_id: [u8; 16]) -> Encoded {
    let time_ns = nanoseconds(at);
    let record = LogRecord {
        time_unix_nano: time_ns,
        observed_time_unix_nano: time_ns,
        body: Some(AnyValue { value: Some(AnyKind::StringValue(own::MARK_EVENT.to_owned())) }),
        attributes: vec![text("event.name", own::MARK_EVENT)],
        trace_id: trace_id.to_vec(),
        ..LogRecord::default()
    };
    let scope_logs = ScopeLogs {
        scope: Some(scope(EVENTS_SCOPE)),
        log_records: vec![record],
        ..ScopeLogs::default()
    };
    let resource_logs = ResourceLogs {
        resource: Some(resource()),
        scope_logs: vec![scope_logs],
        ..ResourceLogs::default()
    };
    let request = ExportLogsServiceRequest { resource_logs: vec![resource_logs] };
    encoded(Wire::OtlpLogs, request.encode_to_vec())
}

/// Not compressed: neither is what Claude Code sends.
fn encoded(wire: Wire, body: Vec<u8>) -> Encoded {
    let headers = vec![("content-type", "application/x-protobuf".to_owned())];
    Encoded { wire, headers, body }
}

fn resource() -> Resource {
    let attributes = vec![text("service.name", own::SERVICE), text("service.version", VERSION)];
    Resource { attributes, ..Resource::default() }
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: name.to_owned(),
        version: VERSION.to_owned(),
        ..InstrumentationScope::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(AnyKind::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(1)
}

fn random_id() -> [u8; 16] {
    *uuid::Uuid::new_v4().as_bytes()
}

/// Whether the agent's socket can be connected to at all, for who sends nothing.
pub fn reachable(endpoint: &Endpoint) -> Check {
    let name = "record_accepted";
    match std::net::TcpStream::connect_timeout(&endpoint.address, AGENT_WAIT) {
        Ok(_) => Check::not_checked(name, "--offline: nothing was sent; the port answers"),
        Err(error) => {
            let why = format!("{} cannot be reached: {}", endpoint.address, files::words(&error));
            Check::failed(name, why).remedy(ours("agent restart"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_read_with_its_labels() {
        let line = r#"ccotel_doctor_marks_total{job="ccotel",team="a\"b, c=\"",x="\\"} 3"#;
        let (labels, value) = counter(line).unwrap();
        let pairs: Vec<_> = labels.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(pairs, [("job", "ccotel"), ("team", "a\"b, c=\""), ("x", "\\")]);
        assert_eq!(value.to_string(), "3");
        assert_eq!(counter("ccotel_doctor_marks_total 1").unwrap().0, Labels::new());
        assert!(counter("claude_code_commit_count_total 1").is_none());
    }
}
