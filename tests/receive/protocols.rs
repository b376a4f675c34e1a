//! What senders speak: OTLP over gRPC and HTTP, and HTTP in all its manners.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use serde_json::json;
use tonic::codec::CompressionEncoding;

use crate::support::{Agent, fixture, gzip, logs, logs_message, post};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Every request of two recorded sessions, over the protocol it was recorded from.
#[tokio::test]
async fn recorded_sessions_are_accepted_whole() {
    for (folder, content_type) in [
        ("rich-http-protobuf-cumulative", "application/x-protobuf"),
        ("rich-http-json-delta", "application/json"),
    ] {
        let agent = Agent::start();
        let mut connection = agent.connect().await;
        let index = String::from_utf8(fixture(&format!("{folder}/index.jsonl"))).unwrap();
        let mut requests = 0;
        for line in index.lines() {
            let request: serde_json::Value = serde_json::from_str(line).unwrap();
            let body = fixture(&format!("{folder}/{}.bin", request["file"].as_str().unwrap()));
            let path = request["path"].as_str().unwrap();
            connection.send(&post(path, &[("Content-Type", content_type)], &body)).await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, 200, "{folder} {line}");
            assert_eq!(answer.header("content-type"), Some(content_type));
            let nothing_to_say: &[u8] = if content_type == JSON.1 { b"{}" } else { b"" };
            assert_eq!(answer.body, nothing_to_say, "{folder} {line}");
            requests += 1;
        }
        let counts = agent.counts();
        assert_eq!((counts.requests, counts.rejected, counts.malformed), (requests, 0, 0));
        let stored: u64 = agent.store.ingested().iter().map(|(_, records)| records).sum();
        assert_eq!(counts.received, stored);
        assert!(stored > 50, "{folder}: {stored}");
    }
}

#[tokio::test]
async fn grpc_takes_all_three_signals_plain_and_compressed() {
    let agent = Agent::start();
    let metrics = fixture("rich-http-protobuf-cumulative/002-metrics-http_protobuf.bin");
    let metrics = ExportMetricsServiceRequest::decode(metrics.as_slice()).unwrap();
    let (_, records) = logs();
    let mut client = LogsServiceClient::connect(agent.url("")).await.unwrap();
    let answer = client.export(logs_message()).await.unwrap();
    assert_eq!(answer.into_inner().partial_success, None);
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    client.export(logs_message()).await.unwrap();
    let mut client = MetricsServiceClient::connect(agent.url("")).await.unwrap();
    client.export(metrics).await.unwrap();
    let mut client = TraceServiceClient::connect(agent.url("")).await.unwrap();
    client.export(ExportTraceServiceRequest::default()).await.unwrap();
    let stored = agent.store.ingested();
    assert_eq!(stored.len(), 3, "an empty request needs no store");
    assert_eq!(stored[0], stored[1], "compression changes no hash");
    assert_eq!(stored[0].1, records);
    assert_eq!(agent.counts().requests, 4);
}

#[tokio::test]
async fn another_programs_records_are_a_partial_success_in_every_encoding() {
    let agent = Agent::start();
    let (_, records) = logs();
    let mut foreign = logs_message();
    foreign.resource_logs[0].scope_logs[0].scope.as_mut().unwrap().name = "my.app".to_owned();

    let answer = agent.post("/v1/logs", &[], &foreign.encode_to_vec()).await;
    assert_eq!(answer.status, 200);
    let response = ExportLogsServiceResponse::decode(answer.body.as_slice()).unwrap();
    let partial = response.partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, i64::try_from(records).unwrap());
    assert_ne!(partial.error_message, "");

    let mut client = LogsServiceClient::connect(agent.url("")).await.unwrap();
    let response = client.export(foreign).await.unwrap().into_inner();
    assert_eq!(response.partial_success, Some(partial));

    let json = fixture("rich-http-json-delta/001-logs-http_json.bin");
    let json =
        String::from_utf8(json).unwrap().replace("com.anthropic.claude_code.events", "my.app");
    let answer = agent.post("/v1/logs", &[JSON], json.as_bytes()).await;
    assert_eq!(answer.json()["partialSuccess"]["rejectedLogRecords"], records.to_string());
    assert!(agent.store.ingested().is_empty());
    let counts = agent.counts();
    assert_eq!((counts.foreign, counts.rejected, counts.received), (3 * records, 3 * records, 0));
}

#[tokio::test]
async fn one_unreadable_record_costs_only_itself() {
    let agent = Agent::start();
    let body = fixture("rich-http-json-delta/002-metrics-http_json.bin");
    let mut body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let metrics = &mut body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    let points: usize = (metrics.as_array().unwrap().iter())
        .map(|metric| metric["sum"]["dataPoints"].as_array().unwrap().len())
        .sum();
    metrics[0]["sum"]["aggregationTemporality"] = json!("AGGREGATION_TEMPORALITY_DELTA");
    metrics[1]["sum"]["dataPoints"][0]["timeUnixNano"] = json!("yesterday");
    metrics.as_array_mut().unwrap().push(json!({ "name": "odd", "novelty": {} }));
    let answer = agent.post("/v1/metrics", &[JSON], body.to_string().as_bytes()).await;
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedDataPoints"], "2");
    assert!(partial["errorMessage"].as_str().unwrap().contains("timeUnixNano"), "{partial}");
    assert_eq!(agent.store.ingested()[0].1, points as u64 - 1);
    assert_eq!(agent.counts().rejected, 2);
}

#[tokio::test]
async fn every_framing_of_a_body_is_understood() {
    let agent = Agent::start();
    let (body, _) = logs();
    let head = "Host: localhost\r\nContent-Type: application/x-protobuf\r\n";
    let mut bytewise =
        format!("POST /v1/logs HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for byte in &body {
        bytewise.extend([b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    }
    bytewise.extend(b"0\r\n\r\n");
    assert_eq!(agent.raw(bytewise).await.status, 200);

    let old = format!("POST /v1/logs HTTP/1.0\r\n{head}Content-Length: {}\r\n\r\n", body.len());
    let mut connection = agent.connect().await;
    connection.send(&[old.as_bytes(), &body].concat()).await;
    assert_eq!(connection.answer().await.status, 200);
    assert_eq!(connection.rest().await, b"", "HTTP/1.0 closes");

    let expecting = post("/v1/logs", &[("Expect", "100-continue")], &body);
    let mut connection = agent.connect().await;
    connection.send(&expecting[..expecting.len() - body.len()]).await;
    assert_eq!(connection.answer().await.status, 100);
    connection.send(&body).await;
    assert_eq!(connection.answer().await.status, 200);

    let hashes: Vec<_> = agent.store.ingested();
    assert_eq!(hashes.len(), 3);
    assert!(hashes.iter().all(|seen| *seen == hashes[0]));
}

#[tokio::test]
async fn one_connection_carries_all_signals_and_pipelined_requests() {
    let agent = Agent::start();
    let (body, _) = logs();
    let metrics = fixture("rich-http-protobuf-cumulative/002-metrics-http_protobuf.bin");
    let mut connection = agent.connect().await;
    let requests = [
        post("/v1/logs", &[], &body),
        post("/v1/metrics", &[], &metrics),
        post("/v1/logs", &[JSON], b"{"),
        post("/v1/traces", &[], b""),
    ];
    connection.send(&requests.concat()).await;
    for status in [200, 200, 400, 200] {
        assert_eq!(connection.answer().await.status, status);
    }
    connection.send(&post("/v1/logs", &[("Content-Encoding", "gzip")], &gzip(&body))).await;
    assert_eq!(connection.answer().await.status, 200);
}

#[tokio::test]
async fn http2_carries_many_requests_at_once() {
    let agent = Agent::start();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let (body, records) = logs();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let request = client.post(agent.url("/v1/logs")).body(body.clone());
        let request = request.header("content-type", "application/x-protobuf");
        tasks.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    assert!(tasks.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(agent.counts().received, 300 * records);
}

#[tokio::test]
async fn a_sender_that_closes_its_half_still_gets_its_answer() {
    let agent = Agent::start();
    let (body, _) = logs();
    let mut connection = agent.connect().await;
    connection.send(&post("/v1/logs", &[], &body)).await;
    tokio::io::AsyncWriteExt::shutdown(&mut connection.0).await.unwrap();
    assert_eq!(connection.answer().await.status, 200);
}
