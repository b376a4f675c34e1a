//! What a backend's answers do to the data: nothing is lost, nothing is sent for nothing.

use std::time::Duration;

use ccotel::config::destination::{Credentials, DestinationConfig, DestinationType};
use ccotel::deliver::remote_write_v1::WriteRequest;
use ccotel::deliver::status::State;
use ccotel::store::handle::{Content, Lane};
use libtest_mimic::Trial;
use prost::Message;

use super::server::{Request, Server, status as reply};
use super::setup::{destination, prometheus, running, samples, series, status_when, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("faults::an_error_of_the_server_is_retried_with_the_same_bytes", retried),
        trial("faults::retry_after_is_waited_for_and_a_large_batch_halved", slowed_down),
        trial("faults::credentials_park_and_retry_delivers", parked),
        trial("faults::a_web_page_parks", captive_portal),
        trial("faults::a_redirect_to_another_host_is_not_followed", redirected),
        trial("faults::a_redirect_on_the_same_host_is_followed", redirected_on_host),
        trial("faults::too_large_is_halved_for_good", too_large),
        trial("faults::one_refused_series_is_quarantined", quarantined),
        trial("faults::a_changed_destination_goes_on_a_removed_one_is_given_up", applied),
        trial("faults::one_lane_parks_and_the_others_go_on", lanes_by_themselves),
        trial("faults::no_credentials_in_any_words", no_secrets),
    ]
}

pub fn decode(request: &Request) -> WriteRequest {
    let plain = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
    WriteRequest::decode(plain.as_slice()).unwrap()
}

async fn retried() {
    let server = Server::start(vec![reply(503).body("starting"), reply(500)], reply(204));
    let (store, manager) = running(&prometheus(&server.url("/write"))).await;
    store.add(Lane::Samples, 3, samples(3));
    let settled = store.wait_for(1).await;
    assert_eq!(settled[0].1.delivered, 3);
    let requests = server.wait_for(3);
    assert!(requests.iter().all(|request| request.body == requests[0].body));
    let status = status_when(&manager, State::Ok).await;
    assert_eq!((status.last_error, status.next_try), (None, None));
    assert!(status.last_success.is_some());
    manager.stop().await;
}

async fn slowed_down() {
    let server = Server::start(vec![reply(429).with("retry-after", "1")], reply(204));
    let (store, manager) = running(&prometheus(&server.url("/write"))).await;
    store.add(Lane::Samples, 200, samples(200));
    let status = status_when(&manager, State::Retrying).await;
    assert!(status.last_error.unwrap().contains("less at a time"));
    assert!(status.next_try.is_some());
    // News does not shorten the pause that the backend asked for.
    store.add(Lane::Samples, 1, samples(1));
    store.wait_for(2).await;
    let requests = server.wait_for(4);
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1));
    let sizes: Vec<_> = requests.iter().map(|one| decode(one).timeseries.len()).collect();
    assert_eq!(sizes, [200, 100, 100, 1]);
    let records_max = store.kept.lock().unwrap().records_max.clone();
    assert!(records_max[0] == 2000 && records_max.contains(&1200), "{records_max:?}");
    manager.stop().await;
}

async fn parked() {
    for code in [401, 403, 404, 405] {
        let server = Server::start(vec![reply(code)], reply(204));
        let (store, manager) = running(&prometheus(&server.url("/write"))).await;
        store.add(Lane::Samples, 3, samples(3));
        let status = status_when(&manager, State::Parked).await;
        assert_eq!((store.settled(), status.backlog.records), (0, 3), "{code}");
        assert!(status.last_error.unwrap().contains(&format!("status {code}")));
        assert_eq!(manager.retry(Some("another")).await, 0);
        assert_eq!(manager.retry(Some("backend")).await, 1);
        assert_eq!(store.wait_for(1).await[0].1.delivered, 3);
        manager.stop().await;
    }
}

async fn captive_portal() {
    let page = reply(200).with("content-type", "text/html").body("<html>Welcome");
    let server = Server::start(vec![page], reply(204));
    let (store, manager) = running(&prometheus(&server.url("/write"))).await;
    store.add(Lane::Samples, 1, samples(1));
    let status = status_when(&manager, State::Parked).await;
    assert!(status.last_error.unwrap().contains("web page"));
    assert_eq!(store.settled(), 0);
    manager.stop().await;
}

async fn redirected() {
    let other = Server::start(Vec::new(), reply(204));
    // 127.0.0.1 and localhost are different hosts to everybody.
    let location = format!("http://localhost:{}/write?key=secret", other.address.port());
    let server = Server::start(Vec::new(), reply(307).with("location", &location));
    let (store, manager) = running(&prometheus(&server.url("/write"))).await;
    store.add(Lane::Samples, 1, samples(1));
    let words = status_when(&manager, State::Parked).await.last_error.unwrap();
    assert!(words.contains("redirects to http://localhost") && !words.contains("secret"));
    assert_eq!(other.count(), 0);
    manager.stop().await;
}

async fn redirected_on_host() {
    let server = Server::start(vec![reply(308).with("location", "/api/v1/write")], reply(204));
    let (store, manager) = running(&prometheus(&server.url("/write"))).await;
    store.add(Lane::Samples, 1, samples(1));
    store.wait_for(1).await;
    let requests = server.wait_for(2);
    assert_eq!(requests[1].path, "/api/v1/write");
    assert_eq!(requests[1].body, requests[0].body);
    manager.stop().await;
}

async fn too_large() {
    let decide = |request: &Request| (decode(request).timeseries.len() > 2).then(|| reply(413));
    let server = Server::deciding(Vec::new(), reply(204), Box::new(decide));
    let (store, manager) = running(&prometheus(&server.url("/write"))).await;
    store.add(Lane::Samples, 8, samples(8));
    assert_eq!(store.wait_for(1).await[0].1.delivered, 8);
    store.add(Lane::Samples, 1, samples(1));
    store.wait_for(2).await;
    // 8, 4 and again 4 were too large.
    assert!(store.kept.lock().unwrap().records_max.contains(&(2000 / 8)));
    manager.stop().await;
}

async fn quarantined() {
    let decide = |request: &Request| {
        let bad = |name: &str| name == "s0037_total";
        let write = decode(request);
        let refused =
            write.timeseries.iter().flat_map(|one| &one.labels).any(|label| bad(&label.value));
        refused.then(|| reply(400).body("invalid label"))
    };
    let server = Server::deciding(Vec::new(), reply(204), Box::new(decide));
    let (store, manager) = running(&prometheus(&server.url("/write"))).await;
    store.add(Lane::Samples, 100, samples(100));
    let (_, settled) = store.wait_for(1).await.remove(0);
    assert_eq!((settled.delivered, settled.quarantined.len()), (99, 1));
    let one = &settled.quarantined[0];
    assert_eq!((one.records, one.status, one.answer.as_str()), (1, 400, "invalid label"));
    let plain = snap::raw::Decoder::new().decompress_vec(&one.body).unwrap();
    let kept = WriteRequest::decode(plain.as_slice()).unwrap();
    assert_eq!(kept.timeseries[0].labels[0].value, "s0037_total");
    assert!(server.count() <= 21, "{}", server.count());
    let status = status_when(&manager, State::Ok).await;
    assert!(status.last_error.unwrap().contains("refused 1 records for good"));
    manager.stop().await;
}

async fn applied() {
    let (first, second) =
        (Server::start(Vec::new(), reply(204)), Server::start(Vec::new(), reply(204)));
    let config = prometheus(&first.url("/write"));
    let (store, manager) = running(&config).await;
    manager.apply(std::slice::from_ref(&config)).await;
    assert_eq!(store.kept.lock().unwrap().opened.len(), 1, "nothing changed, nothing restarts");

    manager.apply(&[DestinationConfig { url: second.url("/write"), ..config }]).await;
    store.add(Lane::Samples, 1, samples(1));
    store.wait_for(1).await;
    assert_eq!((first.count(), second.count()), (0, 1));
    assert!(store.kept.lock().unwrap().removed.is_empty());

    manager.apply(&[]).await;
    assert_eq!(store.kept.lock().unwrap().removed, ["backend"]);
    assert!(manager.statuses().await.is_empty());
}

async fn lanes_by_themselves() {
    let decide = |request: &Request| (request.path == "/v1/metrics").then(|| reply(404));
    let server = Server::deciding(Vec::new(), reply(200), Box::new(decide));
    let (store, manager) = running(&destination(DestinationType::Otlp, &server.url("/"))).await;
    store.add(Lane::Samples, 1, samples(1));
    store.add(Lane::Events, 1, Content::Events(vec![super::setup::event(Duration::ZERO)]));
    let settled = store.wait_for(1).await;
    assert_eq!(settled[0].0, Lane::Events);
    let status = status_when(&manager, State::Parked).await;
    assert_eq!(status.backlog.records, 1);
    store.add(Lane::Events, 1, Content::Events(vec![super::setup::event(Duration::ZERO)]));
    assert_eq!(store.wait_for(2).await[1].0, Lane::Events);
    manager.stop().await;
}

async fn no_secrets() {
    let server = Server::start(Vec::new(), reply(401));
    let url = server.url("/write?token=hidden1").replace("://", "://me:hidden2@");
    let mut config = prometheus(&url);
    config.headers = vec![("x-key".to_owned(), "hidden3".to_owned())];
    let (store, manager) = running(&config).await;
    store.add(Lane::Samples, 1, Content::Samples(vec![series("a_total", &[(1, 1.0)])]));
    let words = status_when(&manager, State::Parked).await.last_error.unwrap();
    assert!(!words.contains("hidden"), "{words}");
    manager.stop().await;

    let mut config = prometheus("http://127.0.0.1:1/write");
    config.credentials = Credentials::BearerFile("/nonexistent/token".into());
    manager.apply(&[config]).await;
    let words = status_when(&manager, State::Parked).await.last_error.unwrap();
    assert!(words.contains("bearer_token_file /nonexistent/token"), "{words}");
    manager.stop().await;
}
