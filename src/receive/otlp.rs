//! One OTLP request, whatever it came by: decode → record → store → answer.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use opentelemetry_proto::tonic::collector::{logs, metrics, trace};
use prost::Message;
use serde_json::json;

use super::Door;
use super::admit::Admitted;
use super::expansion::{self, VALUES_MAX};
use super::failure::Failure;
use super::json::{self as otlp_json, Decoded};
use crate::record::{Recorded, Sender};
use crate::store::handle::{Ingest, Ingested};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Metrics,
    Logs,
    Traces,
}

/// The two encodings of OTLP's messages. Errors outside OTLP are written as JSON, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    pub const PROTOBUF: &str = "application/x-protobuf";
    pub const JSON: &str = "application/json";

    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => Self::PROTOBUF,
            Self::Json => Self::JSON,
        })
    }
}

/// Takes a decompressed body and answers with the bytes of an `Export*ServiceResponse`, after the
/// store has it on disk.
pub(super) async fn accept(
    door: &Door,
    admitted: &Admitted,
    signal: Signal,
    encoding: Encoding,
    body: Bytes,
) -> Result<Vec<u8>, Failure> {
    check_values(signal, encoding, &body)?;
    let sender = admitted.sender();
    let facts = sender.map(|sender| &sender.facts);
    let body_hash = body_hash(facts, &body);
    let (recorded, unreadable) = record(door, facts, signal, encoding, &body)?;
    drop(body);
    let received = recorded.batch.records();
    let rejected = recorded.rejected + unreadable.records;
    let message = unreadable.message(recorded.message);
    // Nothing to keep means nothing to wait for.
    let duplicate = received > 0
        && door.store.ingest(Ingest { body_hash, batch: recorded.batch }).await?
            == Ingested::Duplicate;
    door.counters.accepted(received);
    if let Some(sender) = sender {
        sender.usage.received(received);
    }
    if !duplicate {
        door.counters.rejected(rejected, recorded.foreign);
        if let Some(sender) = sender {
            sender.usage.rejected(rejected);
        }
    }
    Ok(reply(signal, encoding, rejected, message))
}

fn check_values(signal: Signal, encoding: Encoding, body: &[u8]) -> Result<(), Failure> {
    let shape = match signal {
        Signal::Metrics => &expansion::METRICS,
        Signal::Logs => &expansion::LOGS,
        Signal::Traces => &expansion::TRACES,
    };
    let values = match encoding {
        Encoding::Protobuf => expansion::protobuf_values(body, shape, VALUES_MAX),
        Encoding::Json => expansion::json_values(body, VALUES_MAX),
    };
    if values > VALUES_MAX { Err(Failure::TooManyValues(VALUES_MAX)) } else { Ok(()) }
}

/// Two senders may send the same bytes, and both count.
fn body_hash(sender: Option<&Arc<Sender>>, body: &[u8]) -> u128 {
    let hash = match sender {
        None => blake3::hash(body),
        Some(sender) => {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&sender.name.len().to_le_bytes());
            hasher.update(sender.name.as_bytes()).update(body).finalize()
        }
    };
    let (half, _) = hash.as_bytes().as_chunks::<16>();
    u128::from_le_bytes(half[0])
}

fn record(
    door: &Door,
    sender: Option<&Arc<Sender>>,
    signal: Signal,
    encoding: Encoding,
    body: &Bytes,
) -> Result<(Recorded, Unreadable), Failure> {
    let recorder = &door.recorder;
    Ok(match (signal, encoding) {
        (Signal::Metrics, Encoding::Protobuf) => {
            (recorder.metrics_from(&protobuf(body)?, sender), Unreadable::default())
        }
        (Signal::Logs, Encoding::Protobuf) => {
            (recorder.logs_from(&protobuf(body)?, sender), Unreadable::default())
        }
        (Signal::Traces, Encoding::Protobuf) => {
            (recorder.traces_from(protobuf(body)?, sender), Unreadable::default())
        }
        (Signal::Metrics, Encoding::Json) => {
            let (request, unreadable) = json(otlp_json::metrics(body))?;
            (recorder.metrics_from(&request, sender), unreadable)
        }
        (Signal::Logs, Encoding::Json) => {
            let (request, unreadable) = json(otlp_json::logs(body))?;
            (recorder.logs_from(&request, sender), unreadable)
        }
        (Signal::Traces, Encoding::Json) => {
            let (request, unreadable) = json(otlp_json::traces(body))?;
            (recorder.traces_from(request, sender), unreadable)
        }
    })
}

fn protobuf<M: Message + Default>(body: &Bytes) -> Result<M, Failure> {
    // From `Bytes` by value, so that `bytes` fields would not be copied.
    M::decode(body.clone())
        .map_err(|error| Failure::Malformed(format!("the body is no OTLP protobuf: {error}")))
}

fn json<M>(decoded: Result<Decoded<M>, otlp_json::Unreadable>) -> Result<(M, Unreadable), Failure> {
    let decoded = decoded
        .map_err(|error| Failure::Malformed(format!("the body is no OTLP JSON: {error}")))?;
    let unreadable = Unreadable { records: decoded.unreadable, first: decoded.reason };
    Ok((decoded.request, unreadable))
}

/// Records of a readable JSON request that could not be read themselves.
#[derive(Debug, Default)]
struct Unreadable {
    records: u64,
    first: Option<String>,
}

impl Unreadable {
    /// What the recorder says, with what could not even be shown to it.
    fn message(self, recorders: Option<String>) -> Option<String> {
        let Some(first) = self.first else { return recorders };
        let ours =
            format!("{} records could not be read, the first because: {first}", self.records);
        Some(match recorders {
            Some(recorders) => format!("{recorders}; {ours}"),
            None => ours,
        })
    }
}

/// An `Export*ServiceResponse`. Without anything to say it is empty (`{}` in JSON).
fn reply(signal: Signal, encoding: Encoding, rejected: u64, message: Option<String>) -> Vec<u8> {
    let partial = rejected > 0 || message.is_some();
    let error_message = message.unwrap_or_default();
    match encoding {
        Encoding::Json if !partial => b"{}".to_vec(),
        Encoding::Json => {
            let name = match signal {
                Signal::Metrics => "rejectedDataPoints",
                Signal::Logs => "rejectedLogRecords",
                Signal::Traces => "rejectedSpans",
            };
            let partial = json!({ name: rejected.to_string(), "errorMessage": error_message });
            json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
        Encoding::Protobuf if !partial => Vec::new(),
        Encoding::Protobuf => {
            let rejected = i64::try_from(rejected).unwrap_or(i64::MAX);
            match signal {
                Signal::Metrics => metrics::v1::ExportMetricsServiceResponse {
                    partial_success: Some(metrics::v1::ExportMetricsPartialSuccess {
                        rejected_data_points: rejected,
                        error_message,
                    }),
                }
                .encode_to_vec(),
                Signal::Logs => logs::v1::ExportLogsServiceResponse {
                    partial_success: Some(logs::v1::ExportLogsPartialSuccess {
                        rejected_log_records: rejected,
                        error_message,
                    }),
                }
                .encode_to_vec(),
                Signal::Traces => trace::v1::ExportTraceServiceResponse {
                    partial_success: Some(trace::v1::ExportTracePartialSuccess {
                        rejected_spans: rejected,
                        error_message,
                    }),
                }
                .encode_to_vec(),
            }
        }
    }
}
