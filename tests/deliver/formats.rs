//! What each type of destination is sent: paths, headers, bodies.

use std::io::Read;
use std::time::Duration;

use ccotel::config::destination::{Credentials, DestinationConfig, DestinationType, Protocol};
use ccotel::deliver::loki::PushRequest;
use ccotel::deliver::remote_write_v1::WriteRequest;
use ccotel::deliver::remote_write_v2::Request as RequestV2;
use ccotel::deliver::status::State;
use ccotel::store::handle::{Content, Lane, Since};
use libtest_mimic::Trial;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use prost::Message;

use super::server::{Request, Server, status as reply};
use super::setup::{
    INSTALL, destination, event, prometheus, running, samples, status, status_when, trial,
};

const WRITTEN: &str = "x-prometheus-remote-write-samples-written";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("formats::remote_write_1_where_2_is_not_confirmed", falls_back),
        trial("formats::remote_write_2_where_it_is", speaks_v2),
        trial("formats::remote_write_2_refused_in_part", v2_in_part),
        trial("formats::remote_write_2_asked_for_and_not_there_parks", v2_fixed),
        trial("formats::loki_push", loki_push),
        trial("formats::loki_gets_no_event_that_is_too_old", loki_expired),
        trial("formats::loki_over_otlp", loki_otlp),
        trial("formats::victorialogs", victorialogs),
        trial("formats::otlp_sends_every_signal_to_its_path", otlp),
        trial("formats::otlp_partial_success_is_in_the_books", otlp_partial),
        trial("formats::credentials_tenant_and_headers", credentials),
        trial("formats::the_store_learns_lanes_privacy_and_since", opened),
    ]
}

fn unsnap(request: &Request) -> Vec<u8> {
    assert_eq!(request.header("content-encoding"), Some("snappy"));
    snap::raw::Decoder::new().decompress_vec(&request.body).unwrap()
}

fn gunzip(request: &Request) -> Vec<u8> {
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(request.body.as_slice()).read_to_end(&mut plain).unwrap();
    plain
}

fn events(ages: &[Duration]) -> Content {
    Content::Events(ages.iter().map(|age| event(*age)).collect())
}

async fn falls_back() {
    // 204 without the headers is what Prometheus 2.42 and VictoriaMetrics say to a 2.0 body.
    for first in [reply(204), reply(415), reply(400)] {
        let server = Server::start(vec![first], reply(204));
        let config = destination(DestinationType::Prometheus, &server.url("/api/v1/write"));
        let (store, manager) = running(&config).await;
        store.add(Lane::Samples, 2, samples(2));
        assert_eq!(store.wait_for(1).await[0].1.delivered, 2);
        store.add(Lane::Samples, 1, samples(1));
        store.wait_for(2).await;
        let requests = server.wait_for(3);
        assert_eq!(requests[0].header("content-type"), Some(V2));
        assert_eq!(requests[0].header("x-prometheus-remote-write-version"), Some("2.0.0"));
        let v2 = RequestV2::decode(unsnap(&requests[0]).as_slice()).unwrap();
        assert_eq!(requests[1].header("content-type"), Some("application/x-protobuf"));
        assert_eq!(requests[1].header("x-prometheus-remote-write-version"), Some("0.1.0"));
        let v1 = WriteRequest::decode(unsnap(&requests[1]).as_slice()).unwrap();
        assert_eq!((v1.timeseries.len(), v2.timeseries.len()), (2, 2));
        assert_eq!(requests[2].header("content-type"), Some("application/x-protobuf"));
        manager.stop().await;
    }
}

async fn speaks_v2() {
    let server = Server::start(Vec::new(), reply(204).with(WRITTEN, "2"));
    let config = destination(DestinationType::Prometheus, &server.url("/api/v1/write"));
    let (store, manager) = running(&config).await;
    for count in 1..=2 {
        store.add(Lane::Samples, 2, samples(2));
        assert_eq!(store.wait_for(count).await[count - 1].1.delivered, 2);
    }
    let requests = server.wait_for(2);
    assert!(requests.iter().all(|request| request.header("content-type") == Some(V2)));
    assert!(requests[0].header("user-agent").unwrap().starts_with("ccotel/"));
    manager.stop().await;
}

async fn v2_in_part() {
    let server = Server::start(vec![reply(400).with(WRITTEN, "3").body("old")], reply(500));
    let config = destination(DestinationType::Prometheus, &server.url("/api/v1/write"));
    let (store, manager) = running(&config).await;
    store.add(Lane::Samples, 4, samples(4));
    let (_, settled) = store.wait_for(1).await.remove(0);
    assert_eq!((settled.delivered, settled.quarantined[0].records), (3, 1));
    assert_eq!(server.count(), 1);
    manager.stop().await;
}

async fn v2_fixed() {
    let server = Server::start(Vec::new(), reply(204));
    let mut config = destination(DestinationType::Prometheus, &server.url("/api/v1/write"));
    config.protocol = Protocol::RemoteWrite2;
    let (store, manager) = running(&config).await;
    store.add(Lane::Samples, 1, samples(1));
    let status = status_when(&manager, State::Parked).await;
    assert!(status.last_error.unwrap().contains("remote_write 2.0"));
    assert_eq!((store.settled(), server.count()), (0, 1));
    manager.stop().await;
}

async fn loki_push() {
    let server = Server::start(Vec::new(), reply(204));
    let config = destination(DestinationType::Loki, &server.url("/loki/api/v1/push"));
    let (store, manager) = running(&config).await;
    store.add(Lane::Events, 2, events(&[Duration::from_secs(2), Duration::from_secs(1)]));
    assert_eq!(store.wait_for(1).await[0].1.delivered, 2);
    let request = &server.wait_for(1)[0];
    assert_eq!(request.path, "/loki/api/v1/push");
    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
    let push = PushRequest::decode(unsnap(request).as_slice()).unwrap();
    assert_eq!(
        push.streams[0].labels,
        format!(
            r#"{{project="checkout", service_instance_id="{INSTALL}", service_name="claude-code"}}"#
        )
    );
    assert_eq!(push.streams[0].entries.len(), 2);
    assert_eq!(push.streams[0].entries[0].line, "claude_code.api_request");
    manager.stop().await;
}

async fn loki_expired() {
    let server = Server::start(Vec::new(), reply(204));
    let config = destination(DestinationType::Loki, &server.url("/loki/api/v1/push"));
    let (store, manager) = running(&config).await;
    let (old, young) = (Duration::from_hours(7 * 24), Duration::from_hours(6 * 24));
    store.add(Lane::Events, 3, events(&[old, old, young]));
    let (_, settled) = store.wait_for(1).await.remove(0);
    assert_eq!((settled.delivered, settled.expired), (1, 2));
    store.add(Lane::Events, 1, events(&[old]));
    assert_eq!(store.wait_for(2).await[1].1.expired, 1);
    let push = PushRequest::decode(unsnap(&server.wait_for(1)[0]).as_slice()).unwrap();
    assert_eq!(push.streams[0].entries.len(), 1);
    assert_eq!(server.count(), 1, "a batch of nothing is not sent");
    assert_eq!(status(&manager).await.state, State::Ok);
    manager.stop().await;
}

async fn loki_otlp() {
    let server = Server::start(Vec::new(), reply(204));
    let mut config = destination(DestinationType::Loki, &server.url("/otlp/v1/logs"));
    config.protocol = Protocol::Otlp;
    let (store, manager) = running(&config).await;
    let old = Duration::from_hours(7 * 24);
    store.add(Lane::Events, 2, events(&[old, Duration::ZERO]));
    let (_, settled) = store.wait_for(1).await.remove(0);
    assert_eq!((settled.delivered, settled.expired), (1, 1));
    let request = &server.wait_for(1)[0];
    assert_eq!(request.path, "/otlp/v1/logs");
    ExportLogsServiceRequest::decode(gunzip(request).as_slice()).unwrap();
    manager.stop().await;
}

async fn victorialogs() {
    let server = Server::start(Vec::new(), reply(200));
    let path = "/insert/opentelemetry/v1/logs";
    let config = destination(DestinationType::VictoriaLogs, &server.url(path));
    let (store, manager) = running(&config).await;
    store.add(Lane::Events, 1, events(&[Duration::ZERO]));
    store.wait_for(1).await;
    let request = &server.wait_for(1)[0];
    assert_eq!(request.path, path);
    let fields = request.header("vl-stream-fields").unwrap();
    assert_eq!(fields, "service.name,service.instance.id,project,sender,team");
    let logs = ExportLogsServiceRequest::decode(gunzip(request).as_slice()).unwrap();
    let record = &logs.resource_logs[0].scope_logs[0].log_records[0];
    assert!(record.attributes.iter().any(|attribute| attribute.key == "ccotel.event_id"));
    manager.stop().await;
}

async fn otlp() {
    let server = Server::start(Vec::new(), reply(200));
    let config = destination(DestinationType::Otlp, &server.url("/otlp?tenant=1"));
    let (store, manager) = running(&config).await;
    store.add(Lane::Samples, 1, samples(1));
    store.add(Lane::Events, 1, events(&[Duration::ZERO]));
    store.add(Lane::Spans, 1, Content::Spans(vec![Vec::new()]));
    store.wait_for(3).await;
    let mut paths: Vec<_> = server.wait_for(3).into_iter().map(|request| request.path).collect();
    paths.sort();
    assert_eq!(
        paths,
        ["/otlp/v1/logs?tenant=1", "/otlp/v1/metrics?tenant=1", "/otlp/v1/traces?tenant=1"]
    );
    manager.stop().await;
}

async fn otlp_partial() {
    let body = ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess {
            rejected_log_records: 1,
            error_message: "too large".to_owned(),
        }),
    };
    let server = Server::start(vec![reply(200).body(body.encode_to_vec())], reply(200));
    let (store, manager) = running(&destination(DestinationType::Otlp, &server.url(""))).await;
    store.add(Lane::Events, 3, events(&[Duration::ZERO; 3]));
    let (_, settled) = store.wait_for(1).await.remove(0);
    assert_eq!((settled.delivered, settled.quarantined[0].records), (2, 1));
    assert_eq!(settled.quarantined[0].answer, "too large");
    manager.stop().await;
}

async fn credentials() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "open sesame\n").unwrap();
    let basic =
        Credentials::Basic { username: "Aladdin".to_owned(), password_file: secret.clone() };
    let table = [
        (Credentials::None, None),
        (Credentials::BearerFile(secret), Some("Bearer open sesame")),
        (Credentials::BearerCommand("printf 'abc\\nmore'".to_owned()), Some("Bearer abc")),
        (basic, Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
    ];
    for (credentials, expected) in table {
        let server = Server::start(Vec::new(), reply(204));
        let config = DestinationConfig {
            credentials,
            tenant: Some("team-a".to_owned()),
            headers: vec![
                ("X-Key".to_owned(), "k".to_owned()),
                ("Content-Encoding".to_owned(), "never".to_owned()),
            ],
            ..prometheus(&server.url("/write"))
        };
        let (store, manager) = running(&config).await;
        store.add(Lane::Samples, 1, samples(1));
        store.wait_for(1).await;
        let request = &server.wait_for(1)[0];
        assert_eq!(request.header("authorization"), expected);
        assert_eq!(request.header("x-scope-orgid"), Some("team-a"));
        assert_eq!(request.header("x-key"), Some("k"));
        assert_eq!(request.header("content-encoding"), Some("snappy"));
        manager.stop().await;
    }
}

async fn opened() {
    let mut config = destination(DestinationType::Otlp, "http://127.0.0.1:1");
    config.since = Since::All;
    config.privacy = ccotel::record::PrivacyLevel::Minimal;
    let (store, manager) = running(&config).await;
    let key = store.kept.lock().unwrap().opened[0].clone();
    assert_eq!((key.since, key.privacy), (config.since, config.privacy));
    assert_eq!(key.lanes, [Lane::Samples, Lane::Events, Lane::Spans]);
    assert_eq!(status(&manager).await.state, State::Idle);
    manager.stop().await;
}
