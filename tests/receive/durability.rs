//! Yes means on disk; and nobody who asked before the stop is left without an answer.

use std::time::Duration;

use ccotel::store::handle::{Ingested, Refused};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use tokio::time::timeout;

use ccotel::receive::Limits;

use crate::support::{Agent, PATIENCE, Script, admission, gzip, logs, logs_message, post};

/// Long enough for a wrong answer to arrive.
const QUIET: Duration = Duration::from_millis(150);

#[tokio::test]
async fn no_success_goes_out_before_the_store_said_so() {
    let agent = Agent::start();
    agent.store.script(Script::Hold);
    let (body, records) = logs();
    let mut http = agent.connect().await;
    http.send(&post("/v1/logs", &[], &body)).await;
    let mut client = LogsServiceClient::connect(agent.url("")).await.unwrap();
    let grpc = tokio::spawn(async move { client.export(logs_message()).await });
    agent.store.reached(2).await;
    assert!(timeout(QUIET, http.0.readable()).await.is_err(), "an answer without a commit");
    assert!(!grpc.is_finished(), "an answer without a commit");
    assert_eq!(agent.counts().received, 0);
    agent.store.release(&Ok(Ingested::Stored));
    assert_eq!(http.answer().await.status, 200);
    grpc.await.unwrap().unwrap();
    assert_eq!(agent.counts().received, 2 * records);
}

#[tokio::test]
async fn a_retried_body_has_the_same_hash_however_it_came() {
    let agent = Agent::start();
    let (body, records) = logs();
    agent.post("/v1/logs", &[], &body).await;
    agent.post("/v1/logs", &[("Content-Encoding", "gzip")], &gzip(&body)).await;
    let mut chunked = b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: \
        application/x-protobuf\r\nTransfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    for chunk in body.chunks(1000) {
        chunked.extend(format!("{:x}\r\n", chunk.len()).bytes());
        chunked.extend(chunk);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    assert_eq!(agent.raw(chunked).await.status, 200);
    let seen = agent.store.ingested();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|request| *request == seen[0]), "{seen:?}");
    assert_eq!(seen[0].1, records);
    agent.post("/v1/logs", &[], &gzip(&body)).await;
    assert_eq!(agent.store.ingested().len(), 3, "compressed without saying so is malformed");
}

#[tokio::test]
async fn rejected_records_of_a_retry_count_once() {
    use prost::Message as _;
    let agent = Agent::start();
    let mut message = logs_message();
    let mut foreign = message.resource_logs[0].clone();
    foreign.scope_logs[0].scope.as_mut().unwrap().name = "somebody.else".to_owned();
    message.resource_logs.push(foreign);
    let (_, records) = logs();
    let body = message.encode_to_vec();
    agent.post("/v1/logs", &[], &body).await;
    agent.store.script(Script::Answer(Ok(Ingested::Duplicate)));
    agent.post("/v1/logs", &[], &body).await;
    let counts = agent.counts();
    assert_eq!((counts.rejected, counts.foreign), (records, records));
    assert_eq!(counts.received, 2 * records);
}

#[tokio::test]
async fn a_stop_answers_what_has_begun_and_leaves_the_rest_in_the_backlog() {
    let agent = Agent::start();
    agent.store.script(Script::Hold);
    let (body, _) = logs();
    let mut waiting = agent.connect().await;
    waiting.send(&post("/v1/logs", &[], &body)).await;
    let mut half_sent = agent.connect().await;
    let request = post("/v1/logs", &[], &body);
    half_sent.send(&request[..request.len() - 100]).await;
    let mut idle = agent.connect().await;
    idle.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 200);
    let mut client = LogsServiceClient::connect(agent.url("")).await.unwrap();
    let grpc = tokio::spawn(async move { client.export(logs_message()).await });
    agent.store.reached(2).await;

    agent.stop.cancel();
    assert_eq!(idle.rest().await, b"", "an idle connection is closed");
    let mut late = agent.connect().await;
    late.send(&post("/v1/logs", &[], &body)).await;
    half_sent.send(&request[request.len() - 100..]).await;
    agent.store.reached(3).await;
    assert!(!agent.served.is_finished());
    agent.store.release(&Ok(Ingested::Stored));
    assert_eq!(waiting.answer().await.status, 200);
    assert_eq!(half_sent.answer().await.status, 200);
    grpc.await.unwrap().unwrap();
    timeout(PATIENCE, agent.served).await.expect("drained").unwrap();
    assert_eq!(agent.store.ingested().len(), 3);

    // The next worker finds the late one where the kernel kept it.
    let (next, _) = agent.socket.accept().expect("a connection in the backlog");
    drop(next);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let limits = Limits { drain_timeout: Duration::from_millis(100), ..Limits::default() };
    let agent = Agent::with(limits, admission());
    agent.store.script(Script::Hold);
    let (body, _) = logs();
    let mut stuck = agent.connect().await;
    stuck.send(&post("/v1/logs", &[], &body)).await;
    agent.store.reached(1).await;
    agent.stop.cancel();
    timeout(PATIENCE, agent.served).await.expect("cut").unwrap();
    assert_eq!(stuck.rest().await, b"");
    agent.store.release(&Err(Refused::Stopping));
}
