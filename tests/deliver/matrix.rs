//! Every status in every manner: what arrives in the end is everything, and the books add up at
//! every moment in between.

use std::time::{Duration, Instant};

use ccotel::config::destination::{DestinationConfig, DestinationType, Protocol};
use ccotel::deliver::status::State;
use ccotel::store::handle::{Content, Lane};
use libtest_mimic::Trial;
use tokio::task::JoinSet;

use super::balance::watch;
use super::server::{Manner, Reply, Server, status as reply};
use super::setup::{destination, event, prometheus, running, samples, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("matrix::every_status_in_every_manner_loses_nothing_of_remote_write", remote_write),
        trial("matrix::every_status_in_every_manner_loses_nothing_of_loki", loki),
        trial("matrix::every_status_in_every_manner_loses_nothing_of_otlp", otlp),
        trial("matrix::an_odd_wish_to_wait_is_bounded", odd_wishes),
    ]
}

const RECORDS: usize = 4;
/// By itself: after a pause, in halves, or at once.
const GOES_ON: &[u16] =
    &[200, 202, 204, 400, 408, 409, 413, 422, 425, 429, 500, 501, 502, 503, 504, 507, 529];
/// When somebody has changed something.
const PARKS: &[u16] = &[301, 302, 303, 307, 308, 401, 402, 403, 404, 405, 407, 410, 415, 418, 431];

fn manners(status: u16) -> Vec<Reply> {
    vec![
        reply(status),
        reply(status).body("it says why"),
        reply(status).body(vec![b'x'; 200_000]),
        reply(status).manner(Manner::CutInBody),
        // Taken or not, the answer got lost.
        reply(status).manner(Manner::Cut),
    ]
}

/// One request is answered so, all others with success.
async fn play(config: DestinationConfig, lane: Lane, content: Content, first: Reply, parks: bool) {
    let shown = format!("{} {:?}, {} bytes", first.status, first.manner, first.body.len());
    let server = Server::start(vec![first], reply(204));
    let config = DestinationConfig { url: server.url("/push"), ..config };
    let (store, manager) = running(&config).await;
    store.add(lane, RECORDS as u64, content);
    if parks {
        let parked = watch(&manager, RECORDS as u64, &shown, |now| now.state == State::Parked);
        assert_eq!(parked.await.backlog.records, RECORDS as u64, "{shown}");
        manager.retry(None).await;
    }
    let ended = watch(&manager, RECORDS as u64, &shown, |now| now.backlog.records == 0).await;
    assert_eq!(ended.delivered, RECORDS as u64, "{shown}: {ended:?}");
    manager.stop().await;
}

async fn all(config: DestinationConfig, lane: Lane, content: fn() -> Content) {
    let mut playing = JoinSet::new();
    for (statuses, parks) in [(GOES_ON, false), (PARKS, true)] {
        for first in statuses.iter().flat_map(|status| manners(*status)) {
            // An answer that never came has no status to park for.
            let parks = parks && first.manner != Manner::Cut;
            playing.spawn(play(config.clone(), lane, content(), first, parks));
        }
    }
    while let Some(played) = playing.join_next().await {
        played.unwrap();
    }
}

async fn remote_write() {
    all(prometheus(""), Lane::Samples, || samples(RECORDS)).await;
}

fn events() -> Content {
    let ages = (0..u64::try_from(RECORDS).unwrap()).rev();
    Content::Events(ages.map(|age| event(Duration::from_secs(age))).collect())
}

async fn loki() {
    all(destination(DestinationType::Loki, ""), Lane::Events, events).await;
}

async fn otlp() {
    let config =
        DestinationConfig { protocol: Protocol::Otlp, ..destination(DestinationType::Otlp, "") };
    all(config, Lane::Events, events).await;
}

async fn odd_wishes() {
    let soon = ["-5", "", "0", "soon", "1.5", "Sat, 01 Jan 2000 00:00:00 GMT", "1"];
    let mut playing = JoinSet::new();
    for (status, wish) in soon.iter().flat_map(|wish| [(429, *wish), (503, *wish)]) {
        let first = reply(status).with("retry-after", wish);
        playing.spawn(play(prometheus(""), Lane::Samples, samples(RECORDS), first, false));
    }
    while let Some(played) = playing.join_next().await {
        played.unwrap();
    }
    let never = ["99999999999", "99999999999999999999999999", "Fri, 31 Dec 2100 23:59:59 GMT"];
    for wish in never {
        let server = Server::start(vec![reply(429).with("retry-after", wish)], reply(204));
        let (store, manager) = running(&prometheus(&server.url("/write"))).await;
        store.add(Lane::Samples, 1, samples(1));
        let waiting = watch(&manager, 1, wish, |now| now.next_try.is_some()).await;
        let pause = waiting.next_try.unwrap().duration_since(jiff::Timestamp::now());
        assert!(pause.as_secs() <= 15 * 60 && pause.as_secs() > 14 * 60, "{wish}: {pause}");
        let started = Instant::now();
        manager.stop().await;
        assert!(started.elapsed() < Duration::from_secs(20), "a long wait does not hold up a stop");
    }
}
