//! Everything has a limit: bodies, time, connections.

use std::time::Duration;

use ccotel::receive::Limits;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use prost::Message as _;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use crate::support::{Agent, Script, admission, eventually, gzip, logs, logs_message, post};

const MIB: usize = 1 << 20;

fn client() -> reqwest::Client {
    // No TLS is used; the builder wants a provider all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A valid request of about so many bytes.
fn large(bytes: usize) -> Vec<u8> {
    let mut message = logs_message();
    let records = &mut message.resource_logs[0].scope_logs[0].log_records;
    records.truncate(1);
    records[0].attributes[0].key = "k".repeat(bytes);
    message.encode_to_vec()
}

#[tokio::test]
async fn a_body_of_33_mib_is_too_large_and_the_sender_hears_it() {
    let agent = Agent::start();
    let request = client().post(agent.url("/v1/logs")).body(vec![0; 33 * MIB]);
    let answer = request.header("content-type", "application/json").send().await.unwrap();
    assert_eq!(answer.status(), 413);
    let status: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(status["code"], Code::ResourceExhausted as i32);
    assert!(status["message"].as_str().unwrap().contains("33554432 bytes"), "{status}");

    let mut message = logs_message();
    message.resource_logs[0].schema_url = "x".repeat(33 * MIB);
    let client = LogsServiceClient::connect(agent.url("")).await.unwrap();
    let status = client.max_encoding_message_size(40 * MIB).export(message).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(agent.counts().malformed, 2);
}

#[tokio::test]
async fn a_body_of_31_mib_is_not_too_large() {
    let agent = Agent::start();
    let request = client().post(agent.url("/v1/logs")).body(large(31 * MIB));
    let answer = request.header("content-type", "application/x-protobuf").send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_bomb_is_noticed_over_http_and_over_grpc() {
    let limits = Limits { decompressed_bytes_max: 4 * MIB, ..Limits::default() };
    let agent = Agent::with(limits, admission());
    let encoding = ("Content-Encoding", "gzip");
    let bomb = gzip(&vec![0; 40 * MIB]);
    assert!(bomb.len() < MIB);
    let answer = agent.post("/v1/logs", &[encoding], &bomb).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.rpc().code, Code::ResourceExhausted as i32);
    // Many small members are one large body.
    let members = gzip(&vec![0; MIB]).repeat(5);
    assert_eq!(agent.post("/v1/logs", &[encoding], &members).await.status, 413);
    let exact = large(4 * MIB - 10_000);
    assert_eq!(agent.post("/v1/logs", &[encoding], &gzip(&exact)).await.status, 200);

    let client = LogsServiceClient::connect(agent.url("")).await.unwrap();
    let client = client.send_compressed(CompressionEncoding::Gzip);
    let mut message = logs_message();
    message.resource_logs[0].schema_url = "x".repeat(5 * MIB);
    let status = client.max_encoding_message_size(40 * MIB).export(message).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(agent.counts().malformed, 3);
}

#[tokio::test]
async fn all_bodies_together_have_a_budget_and_give_it_back() {
    let limits = Limits { budget_bytes_max: MIB, ..Limits::default() };
    let agent = Agent::with(limits, admission());
    agent.store.script(Script::Hold);
    let (body, _) = logs();
    let too_much = large(2 * MIB);
    let answer = agent.post("/v1/logs", &[], &too_much).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    let answer = agent.post("/v1/logs", &[("Content-Encoding", "gzip")], &gzip(&too_much)).await;
    assert_eq!(answer.status, 503);
    agent.store.script(Script::Answer(Ok(ccotel::store::handle::Ingested::Stored)));
    for _ in 0..200 {
        assert_eq!(
            agent.post("/v1/logs", &[], &body).await.status,
            200,
            "the budget is free again"
        );
    }
}

#[tokio::test]
async fn a_slow_body_is_a_408() {
    let limits = Limits { body_timeout: Duration::from_millis(50), ..Limits::default() };
    let agent = Agent::with(limits, admission());
    let (body, _) = logs();
    let request = post("/v1/logs", &[], &body);
    let mut slow = agent.connect().await;
    slow.send(&request[..request.len() - 1]).await;
    let answer = slow.answer().await;
    assert_eq!((answer.status, answer.rpc().code), (408, Code::DeadlineExceeded as i32));
    assert_eq!(slow.rest().await, b"", "what comes later belongs to nothing");
    assert!(agent.store.ingested().is_empty());
}

#[tokio::test]
async fn a_length_that_is_not_true_stores_nothing() {
    let agent = Agent::start();
    let (body, _) = logs();
    let head = |length: usize| {
        format!(
            "POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    // More is announced than comes, and the sender waits for an answer.
    let mut liar = agent.connect().await;
    liar.send(head(body.len() + 10).as_bytes()).await;
    liar.send(&body).await;
    tokio::io::AsyncWriteExt::shutdown(&mut liar.0).await.unwrap();
    liar.rest().await;
    eventually("the cut body is counted", || agent.counts().malformed == 1).await;
    // A length nobody can mean costs nothing.
    let answer = agent.raw(format!("{}x", head(usize::MAX / 2))).await;
    assert_eq!(answer.status, 413);
    // Less is announced than comes: a cut body, then nonsense.
    let mut liar = agent.connect().await;
    liar.send(&[head(body.len() - 10).as_bytes(), &body].concat()).await;
    assert_eq!(liar.answer().await.status, 400);
    assert!(agent.store.ingested().is_empty());
}

#[tokio::test]
async fn a_grpc_message_that_announces_more_than_comes_is_refused() {
    let agent = Agent::start();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let export = agent.url("/opentelemetry.proto.collector.logs.v1.LogsService/Export");
    for body in [&b""[..], b"\0", b"\0\x7f\xff\xff\xff", b"\0\0\0\0\x01", b"\0\0\0\0\0\0"] {
        let request = client.post(&export).header("content-type", "application/grpc");
        let answer = request.header("te", "trailers").body(body.to_vec()).send().await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "3", "{body:?}");
    }
    assert_eq!(agent.counts().malformed, 5);
}

#[tokio::test]
async fn strangers_have_a_short_time_and_guests_have_all_of_it() {
    let limits = Limits { first_request_timeout: Duration::from_millis(100), ..Limits::default() };
    let agent = Agent::with(limits, admission());
    let (body, _) = logs();
    let mut guest = agent.connect().await;
    guest.send(&post("/v1/logs", &[], &body)).await;
    assert_eq!(guest.answer().await.status, 200);
    let mut silent = agent.connect().await;
    let mut dripping = agent.connect().await;
    dripping.send(b"POST /v1/logs HTTP/1.1\r\nHost: loc").await;
    assert_eq!(silent.rest().await, b"");
    assert_eq!(dripping.rest().await, b"");
    guest.send(&post("/v1/logs", &[], &body)).await;
    assert_eq!(guest.answer().await.status, 200, "longer idle than a stranger may be");
}

#[tokio::test]
async fn a_connection_too_many_waits_until_there_is_room() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let agent = Agent::with(limits, admission());
    let (body, _) = logs();
    let mut first = agent.connect().await;
    let second = agent.connect().await;
    first.send(&post("/v1/logs", &[], &body)).await;
    assert_eq!(first.answer().await.status, 200);
    let mut third = agent.connect().await;
    third.send(&post("/v1/logs", &[], &body)).await;
    let quiet = tokio::time::timeout(Duration::from_millis(100), third.0.readable()).await;
    assert!(quiet.is_err(), "no room yet");
    drop(second);
    assert_eq!(third.answer().await.status, 200);
}

#[tokio::test]
async fn headers_have_a_limit() {
    let agent = Agent::start();
    let long = "x".repeat(200_000);
    let answer = agent.post("/v1/logs", &[("X-Long", &long)], b"").await;
    assert_eq!(answer.status, 431);
}
