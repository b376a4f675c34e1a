//! What a connection that breaks, or is none, does to the data: nothing is lost, nothing is counted twice.

use std::time::Duration;

use ccotel::config::destination::DestinationConfig;
use ccotel::deliver::Manager;
use ccotel::deliver::status::State;
use ccotel::store::handle::{Content, Lane};
use libtest_mimic::Trial;

use super::faults::decode;
use super::server::{Manner, Request, Server, status as reply};
use super::setup::{INSTALL, prometheus, running, samples, series, status, status_when, trial};
use super::store::Store;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("connections::a_connection_cut_before_the_answer_is_used_again", cut),
        trial("connections::what_was_taken_and_not_answered_is_not_quarantined", answer_lost),
        trial("connections::an_answer_cut_in_its_body_counts", cut_in_body),
        trial("connections::a_store_that_cannot_open_is_asked_again", opened_later),
        trial("connections::nothing_listening_is_retried_until_something_does", unreachable),
        trial("connections::no_tls_there_parks", no_tls),
        trial("connections::what_has_no_outcome_at_the_stop_is_sent_again", replayed),
    ]
}

async fn cut() {
    let server = Server::start(vec![reply(204).manner(Manner::Cut)], reply(204));
    let (store, manager) = running(&prometheus(&server.url("/write"))).await;
    store.add(Lane::Samples, 1, samples(1));
    store.wait_for(1).await;
    let requests = server.wait_for(2);
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(status(&manager).await.state, State::Ok);
    manager.stop().await;
}

/// A Prometheus without an out-of-order window: the latest sample may be repeated, an older one not.
fn in_order_only() -> impl FnMut(&Request) -> Option<super::server::Reply> + Send {
    let mut newest = std::collections::HashMap::new();
    let mut first = true;
    move |request| {
        let write = decode(request);
        let key = |labels: &[ccotel::deliver::remote_write_v1::Label]| labels[0].value.clone();
        let refused = write.timeseries.iter().any(|one| {
            let newest = newest.get(&key(&one.labels)).copied().unwrap_or(i64::MIN);
            one.samples.iter().any(|sample| sample.timestamp < newest)
        });
        if refused {
            return Some(reply(400).body("out of order sample"));
        }
        for one in &write.timeseries {
            let last = one.samples.iter().map(|sample| sample.timestamp).max();
            newest.insert(key(&one.labels), last.unwrap());
        }
        let lost = std::mem::take(&mut first);
        Some(if lost { reply(204).manner(Manner::Cut) } else { reply(204) })
    }
}

async fn answer_lost() {
    let server = Server::deciding(Vec::new(), reply(204), Box::new(in_order_only()));
    let (store, manager) = running(&prometheus(&server.url("/write"))).await;
    let now_ms = ccotel::deliver::wall_clock_ms();
    let three = [(now_ms - 2000, 1.0), (now_ms - 1000, 2.0), (now_ms, 3.0)];
    let batch = |names: [&str; 2]| Content::Samples(names.map(|name| series(name, &three)).into());
    store.add(Lane::Samples, 6, batch(["a_total", "b_total"]));
    let (_, settled) = store.wait_for(1).await.remove(0);
    assert_eq!((settled.delivered, settled.quarantined.len()), (6, 0));
    // As it came, again, and the newest of each.
    assert_eq!(server.count(), 3);
    manager.stop().await;
}

async fn cut_in_body() {
    let server = Server::start(vec![reply(200).manner(Manner::CutInBody)], reply(500));
    let (store, manager) = running(&prometheus(&server.url("/write"))).await;
    store.add(Lane::Samples, 1, samples(1));
    assert_eq!(store.wait_for(1).await[0].1.delivered, 1);
    assert_eq!(server.count(), 1);
    manager.stop().await;
}

async fn unreachable() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let (store, manager) = running(&prometheus(&format!("http://{address}/write"))).await;
    store.add(Lane::Samples, 1, samples(1));
    let status = status_when(&manager, State::Retrying).await;
    let words = status.last_error.unwrap();
    assert!(words.contains(&address.to_string()) && words.contains("refused"), "{words}");
    assert!(!words.contains("os error"), "{words}");
    let server = Server::start_at(address, reply(204));
    assert_eq!(store.wait_for(1).await[0].1.delivered, 1);
    assert_eq!(server.count(), 1);
    manager.stop().await;
}

async fn opened_later() {
    let server = Server::start(Vec::new(), reply(204));
    let store = Store::start();
    store.kept.lock().unwrap().opens_failing = 3;
    let manager = Manager::new(store.handle.clone(), INSTALL.into());
    let config = prometheus(&server.url("/write"));
    manager.apply(std::slice::from_ref(&config)).await;
    let status = status_when(&manager, State::Retrying).await;
    assert!(status.last_error.unwrap().contains("the disk is full"));
    assert!(status.next_try.is_some());
    store.add(Lane::Samples, 3, samples(3));
    // By itself, and the same configuration changes nothing.
    manager.apply(std::slice::from_ref(&config)).await;
    assert_eq!(store.wait_for(1).await[0].1.delivered, 3);
    let status = status_when(&manager, State::Ok).await;
    assert_eq!((status.last_error, status.next_try), (None, None));
    manager.stop().await;
}

async fn no_tls() {
    let server = Server::start(Vec::new(), reply(204));
    let url = server.url("/write").replace("http://", "https://");
    let mut config = prometheus(&url);
    // Whatever the platform trusts: the handshake fails before a certificate is seen.
    config.tls.ca = None;
    let (store, manager) = running(&config).await;
    store.add(Lane::Samples, 1, samples(1));
    let status = status_when(&manager, State::Parked).await;
    assert!(status.last_error.unwrap().contains("TLS"));
    assert_eq!(store.settled(), 0);
    manager.stop().await;
}

async fn replayed() {
    let held = Server::start(Vec::new(), reply(204).manner(Manner::Held));
    let config = prometheus(&held.url("/write"));
    let (store, manager) = running(&config).await;
    store.add(Lane::Samples, 3, samples(3));
    while held.count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = std::time::Instant::now();
    manager.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(store.settled(), 0);

    let server = Server::start(Vec::new(), reply(204));
    let manager = Manager::new(store.handle.clone(), INSTALL.into());
    manager.apply(&[DestinationConfig { url: server.url("/write"), ..config }]).await;
    assert_eq!(store.wait_for(1).await[0].1.delivered, 3);
    assert_eq!(server.wait_for(1)[0].body, held.wait_for(1)[0].body);
    manager.stop().await;
}
