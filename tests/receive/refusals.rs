//! Every error, in every encoding.

use ccotel::receive::Kind;
use ccotel::store::handle::Refused;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use tonic::Code;

use crate::support::{Agent, Script, gzip, logs, logs_message};

/// A status and a code, told in the request's encoding.
async fn check(path: &str, headers: &[(&str, &str)], body: &[u8], status: u16, code: i32) {
    let agent = Agent::start();
    let answer = agent.post(path, headers, body).await;
    assert_eq!(answer.status, status, "{path} {headers:?}: {answer:?}");
    let json = headers.iter().any(|(_, value)| value.starts_with("application/json"));
    if json {
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.json()["code"], code, "{path}");
        assert_ne!(answer.json()["message"], "", "{path}");
    } else if answer.header("content-type") == Some("application/x-protobuf") {
        assert_eq!(answer.rpc().code, code, "{path}");
        assert_ne!(answer.rpc().message, "", "{path}");
    } else {
        assert_eq!(answer.json()["code"], code, "{path} {headers:?}");
    }
    assert!(agent.store.ingested().is_empty(), "nothing is stored of a refused request");
}

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");

#[tokio::test]
async fn what_is_broken_is_a_400_in_the_requests_encoding() {
    let (body, _) = logs();
    let zipped = gzip(&body);
    let mut flipped = zipped.clone();
    let end = flipped.len() - 6;
    flipped[end] ^= 0xff; // in the checksum
    let gzip = ("Content-Encoding", "gzip");
    check("/v1/logs", &[PROTOBUF], &body[..body.len() - 7], 400, 3).await;
    check("/v1/metrics", &[PROTOBUF], b"\xff\xff\xff\xff", 400, 3).await;
    check("/v1/traces", &[PROTOBUF], b"{}", 400, 3).await;
    check("/v1/logs", &[JSON], b"{\"resourceLogs\":[", 400, 3).await;
    check("/v1/logs", &[JSON], b"{\"resourceLogs\":7}", 400, 3).await;
    check("/v1/metrics", &[JSON], b"[]", 400, 3).await;
    check("/v1/logs", &[JSON], b"", 400, 3).await;
    check("/v1/logs", &[JSON], "[".repeat(100_000).as_bytes(), 400, 3).await;
    check("/v1/logs", &[PROTOBUF, gzip], &body, 400, 3).await;
    check("/v1/logs", &[PROTOBUF, gzip], &zipped[..zipped.len() - 9], 400, 3).await;
    check("/v1/logs", &[PROTOBUF, gzip], &flipped, 400, 3).await;
    check("/v1/logs", &[PROTOBUF, gzip], b"", 400, 3).await;
    check("/v1/logs", &[JSON, gzip], b"{}", 400, 3).await;
}

#[tokio::test]
async fn what_is_not_otlp_is_a_415() {
    for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/grpc", ""] {
        check("/v1/logs", &[("Content-Type", wrong)], b"", 415, 3).await;
    }
    for wrong in ["zstd", "deflate", "gzip, gzip"] {
        check("/v1/logs", &[PROTOBUF, ("Content-Encoding", wrong)], b"", 415, 12).await;
        check("/v1/logs", &[JSON, ("Content-Encoding", wrong)], b"", 415, 12).await;
    }
    let agent = Agent::start();
    let answer = agent.post("/v1/logs", &[PROTOBUF, ("Content-Encoding", "br")], b"").await;
    assert_eq!(answer.header("accept-encoding"), Some("gzip, identity"));
}

#[tokio::test]
async fn what_is_nowhere_is_a_404() {
    for path in ["/", "/v1", "/v1/profiles", "/v1/logs/", "/a/b/v1/logs", "/favicon.ico"] {
        check(path, &[PROTOBUF], b"", 404, 12).await;
        check(path, &[JSON], b"", 404, 12).await;
    }
}

#[tokio::test]
async fn the_wrong_method_is_a_405_that_names_the_right_one() {
    let agent = Agent::start();
    for (method, path, allow) in [
        ("GET", "/v1/logs", "POST"),
        ("PUT", "/v1/metrics", "POST"),
        ("OPTIONS", "/v1/traces", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("DELETE", "/metrics", "GET, HEAD"),
    ] {
        let answer =
            agent.raw(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_is_a_503_with_a_time_to_come_back() {
    let agent = Agent::start();
    agent.store.script(Script::Answer(Err(Refused::DiskFull("0 bytes free".to_owned()))));
    let (body, _) = logs();

    let answer = agent.post("/v1/logs", &[PROTOBUF], &body).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.rpc().code, Code::Unavailable as i32);
    assert_eq!(answer.rpc().details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
    assert_eq!(answer.rpc().details[0].value, [0x0a, 2, 8, 1], "a delay of one second");

    let json = crate::support::fixture("rich-http-json-delta/001-logs-http_json.bin");
    let answer = agent.post("/v1/logs", &[JSON], &json).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.json()["details"][0]["retryDelay"], "1s");

    let mut client = LogsServiceClient::connect(agent.url("")).await.unwrap();
    let status = client.export(logs_message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let retry_info = b"type.googleapis.com/google.rpc.RetryInfo";
    assert!(status.details().windows(retry_info.len()).any(|window| window == retry_info));

    let counts = agent.counts();
    assert_eq!((counts.requests, counts.refused, counts.received), (3, 3, 0));
    let troubles = agent.door.troubles();
    assert_eq!(troubles.len(), 1, "one of a kind");
    assert_eq!(troubles[0].kind, Kind::Refused);
    assert!(troubles[0].what.contains("the disk is full"), "{}", troubles[0].what);
}

#[tokio::test]
async fn what_went_wrong_is_counted_and_kept_in_words() {
    let agent = Agent::start();
    agent.post("/v1/logs", &[JSON], b"{").await;
    agent.post("/v1/logs", &[("Origin", "http://evil.example")], b"").await;
    agent.post("/nowhere", &[], b"").await;
    let counts = agent.counts();
    assert_eq!((counts.requests, counts.malformed, counts.denied), (1, 1, 1));
    let kinds: Vec<Kind> = agent.door.troubles().iter().map(|trouble| trouble.kind).collect();
    assert_eq!(kinds, [Kind::Malformed, Kind::Denied]);
}
