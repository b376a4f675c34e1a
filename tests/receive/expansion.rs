//! Small on the wire, large in memory: so many records and values, and no more.

use ccotel::receive::expansion::VALUES_MAX;
use ccotel::record::RECORDS_MAX;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tonic::Code;

use crate::support::{Agent, fixture, gzip, logs_message};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const GZIP: (&str, &str) = ("Content-Encoding", "gzip");

/// So many records with nothing but a time; at 0, of two bytes each.
fn records(count: usize, time_unix_nano: u64) -> ExportLogsServiceRequest {
    let mut message = logs_message();
    let record = LogRecord { time_unix_nano, ..LogRecord::default() };
    message.resource_logs[0].scope_logs[0].log_records = vec![record; count];
    message
}

#[tokio::test]
async fn records_beyond_the_limit_are_rejected_and_counted() {
    let agent = Agent::start();
    let body = records(RECORDS_MAX + 10, 1).encode_to_vec();
    let answer = agent.post("/v1/logs", &[], &body).await;
    assert_eq!(answer.status, 200);
    let said = ExportLogsServiceResponse::decode(&*answer.body).unwrap().partial_success.unwrap();
    assert_eq!(said.rejected_log_records, 10);
    assert_eq!(said.error_message, "10 records rejected: 10 beyond the 65536th of a request");
    let counts = agent.counts();
    assert_eq!((counts.received, counts.rejected), (RECORDS_MAX as u64, 10));
    assert_eq!(agent.store.ingested()[0].1, RECORDS_MAX as u64);
}

#[tokio::test]
async fn a_request_of_a_million_empty_records_is_refused_before_it_is_decoded() {
    let agent = Agent::start();
    let message = records(VALUES_MAX, 0);
    let body = gzip(&message.encode_to_vec());
    assert!(body.len() < 64 << 10);
    let answer = agent.post("/v1/logs", &[GZIP], &body).await;
    assert_eq!((answer.status, answer.rpc().code), (413, Code::ResourceExhausted as i32));
    assert!(answer.rpc().message.contains("1048576 values"), "{answer:?}");

    let list = "{},".repeat(VALUES_MAX / 2 + 1);
    let records =
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{list}{{}}]}}]}}]}}"#);
    let answer = agent.post("/v1/logs", &[JSON, GZIP], &gzip(records.as_bytes())).await;
    assert_eq!((answer.status, answer.json()["code"].as_i64()), (413, Some(8)));

    let client = LogsServiceClient::connect(agent.url("")).await.unwrap();
    let status = client.max_encoding_message_size(64 << 20).export(message).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?} {:?}", agent.door.troubles());
    assert_eq!(agent.counts().malformed, 3);
    assert!(agent.store.ingested().is_empty());
}

#[tokio::test]
async fn spans_and_points_have_the_same_limit() {
    let agent = Agent::start();
    let body = fixture("traces-http-protobuf/006-traces-http_protobuf.bin");
    let mut message = ExportTraceServiceRequest::decode(&*body).unwrap();
    let spans = &mut message.resource_spans[0].scope_spans[0].spans;
    *spans = vec![Span::default(); RECORDS_MAX];
    let group = message.resource_spans[0].clone();
    message.resource_spans.push(group);
    assert_eq!(agent.post("/v1/traces", &[], &message.encode_to_vec()).await.status, 200);
    assert_eq!(agent.counts().received, RECORDS_MAX as u64);
    assert!(agent.counts().rejected >= RECORDS_MAX as u64, "the second group, and what was beside");

    let body = fixture("rich-http-protobuf-cumulative/002-metrics-http_protobuf.bin");
    let mut message = ExportMetricsServiceRequest::decode(&*body).unwrap();
    let metrics = &mut message.resource_metrics[0].scope_metrics[0].metrics;
    metrics.truncate(1);
    let Some(Data::Sum(sum)) = &mut metrics[0].data else { panic!("a sum") };
    sum.data_points.truncate(1);
    let good = sum.data_points[0].clone();
    sum.data_points[0].attributes = vec![KeyValue::default(); 129];
    sum.data_points.push(good);
    let answer = agent.post("/v1/metrics", &[], &message.encode_to_vec()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(agent.store.ingested()[1].1, 1, "the one with 129 attributes would be another");
}
