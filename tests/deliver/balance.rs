//! The books of a real store: what was meant for a destination is always somewhere.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ccotel::config::destination::{DestinationConfig, DestinationType, Protocol};
use ccotel::deliver::remote_write_v1::{WriteRequest, unsnappy};
use ccotel::deliver::status::State;
use ccotel::deliver::{DestinationStatus, Manager};
use ccotel::record::{Batch, Event, Point, Temporality};
use ccotel::store::handle::Ingest;
use ccotel::store::{Clock, Options, Store, open};
use libtest_mimic::Trial;
use prost::Message;

use super::server::{Manner, Request, Server, status as reply};
use super::setup::{destination, event, prometheus, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("balance::faults_in_a_row_lose_no_sample", samples_in_a_row),
        trial("balance::faults_in_a_row_lose_no_event", events_in_a_row),
        trial("balance::expired_events_are_counted_and_do_not_cost_the_others", expired),
        trial("balance::what_otlp_rejects_in_part_is_quarantined", otlp_partial),
        trial("balance::what_was_quarantined_is_sent_again_as_it_was", put_back),
        trial("balance::what_a_backend_taught_survives_a_restart", learned),
    ]
}

/// The status once `is_there`; its books add up to `meant` at every look until then.
pub async fn watch(
    manager: &Manager,
    meant: u64,
    what: &str,
    is_there: impl Fn(&DestinationStatus) -> bool,
) -> DestinationStatus {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let now = manager.statuses().await.pop().expect("one destination is configured");
        let lost = now.expired + now.evicted + now.compacted + now.quarantined;
        assert_eq!(now.delivered + now.backlog.records + lost, meant, "{what}: {now:?}");
        assert_eq!(now.meant, meant, "{what}: {now:?}");
        if is_there(&now) {
            return now;
        }
        assert!(Instant::now() < deadline, "{what}: never there: {now:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A store on disk and what delivers from it.
pub struct Agent {
    store: Store,
    manager: Manager,
    meant: u64,
    next_hash: u128,
}

impl Agent {
    pub async fn start(directory: &Path, config: &DestinationConfig) -> Self {
        let options = Options {
            queue_db: directory.join("queue.db"),
            disk_bytes_max: 256 << 20,
            history_days: 400,
        };
        let store = open(options, Clock::System).unwrap();
        let manager = Manager::new(store.handle.clone(), Arc::clone(&store.install_id));
        manager.apply(std::slice::from_ref(config)).await;
        let next_hash = u128::from(std::process::id()) << 64;
        Self { store, manager, meant: 0, next_hash }
    }

    pub async fn ingest(&mut self, batch: Batch) {
        // A body of its own: times differ between two starts.
        self.next_hash += u128::from(ccotel::deliver::wall_clock_ms().unsigned_abs());
        self.meant += batch.records();
        let ingest = Ingest { body_hash: self.next_hash, batch };
        self.store.handle.ingest(ingest).await.unwrap();
        self.store.handle.tick().await.unwrap();
    }

    async fn watch(&self, is_there: impl Fn(&DestinationStatus) -> bool) -> DestinationStatus {
        watch(&self.manager, self.meant, "a real store", is_there).await
    }

    pub async fn drained(&self) -> DestinationStatus {
        self.watch(|now| now.backlog.records == 0).await
    }

    pub async fn stop(self) {
        self.manager.stop().await;
        self.store.handle.stop().await.unwrap();
        self.store.thread.join().unwrap();
    }
}

/// `count` series, each grown to `value`.
pub fn points(count: u32, value: f64) -> Batch {
    let time_ns = u64::try_from(ccotel::deliver::wall_clock_ms()).unwrap() * 1_000_000;
    let point = |number: u32| Point {
        metric: format!("s{number}_total").into(),
        labels: vec![("job".into(), "claude-code".into())],
        stream: u128::from(number),
        start_ns: 1,
        time_ns,
        value,
        temporality: Temporality::Cumulative,
    };
    Batch::Points((0..count).map(point).collect())
}

fn events(ages: &[Duration]) -> Batch {
    let numbered = |(number, age): (u128, &Duration)| Event { id: number, ..event(*age) };
    Batch::Events((0..).zip(ages).map(numbered).collect())
}

async fn samples_in_a_row() {
    let directory = tempfile::tempdir().unwrap();
    let script = vec![
        reply(503),
        reply(429),
        reply(204).manner(Manner::Cut),
        reply(204).manner(Manner::Cut),
        reply(413),
        reply(400),
        reply(204).manner(Manner::CutInBody),
    ];
    let server = Server::start(script, reply(204));
    let config = prometheus(&server.url("/write"));
    let mut agent = Agent::start(directory.path(), &config).await;
    for round in 1_u32..=5 {
        agent.ingest(points(30, f64::from(round))).await;
    }
    assert_eq!(agent.drained().await.delivered, 150);

    // Refused for good, in part, with a restart before the last word.
    let decide = |request: &Request| refuses_s7(request).then(|| reply(422).body("not s7"));
    let server = Server::deciding(vec![reply(401)], reply(204), Box::new(decide));
    let config = prometheus(&server.url("/write"));
    agent.manager.apply(std::slice::from_ref(&config)).await;
    agent.ingest(points(30, 6.0)).await;
    agent.watch(|now| now.state == State::Parked).await;
    let meant = agent.meant;
    agent.stop().await;
    let mut agent = Agent::start(directory.path(), &config).await;
    agent.meant = meant;
    let ended = agent.drained().await;
    assert_eq!((ended.delivered, ended.quarantined, ended.quarantine_kept), (179, 1, 1));
    agent.stop().await;
}

fn refuses_s7(request: &Request) -> bool {
    let plain = unsnappy(&request.body).unwrap();
    let request = WriteRequest::decode(plain.as_slice()).unwrap();
    let labels = request.timeseries.iter().flat_map(|series| &series.labels);
    labels.into_iter().any(|label| label.value == "s7_total")
}

async fn events_in_a_row() {
    let script = vec![
        reply(500),
        reply(429),
        reply(204).manner(Manner::Cut),
        reply(413),
        reply(400),
        reply(200).with("content-type", "text/html").body("<html>sign in"),
    ];
    for kind in [DestinationType::Loki, DestinationType::VictoriaLogs, DestinationType::Otlp] {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(script.clone(), reply(204));
        let mut agent =
            Agent::start(directory.path(), &destination(kind, &server.url("/push"))).await;
        agent.ingest(events(&[Duration::from_secs(9); 12])).await;
        agent.watch(|now| now.state == State::Parked).await;
        agent.manager.retry(None).await;
        assert_eq!(agent.drained().await.delivered, 12, "{kind:?}");
        agent.stop().await;
    }
}

async fn expired() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Vec::new(), reply(204));
    let config = destination(DestinationType::Loki, &server.url("/push"));
    let mut agent = Agent::start(directory.path(), &config).await;
    let day = Duration::from_hours(24);
    agent.ingest(events(&[30 * day, 8 * day, 7 * day, 6 * day, day, Duration::ZERO])).await;
    let ended = agent.drained().await;
    assert_eq!((ended.delivered, ended.expired), (3, 3));
    // All of a request too old: nothing is sent.
    let requests = server.count();
    agent.ingest(events(&[9 * day, 10 * day])).await;
    let ended = agent.drained().await;
    assert_eq!((ended.delivered, ended.expired, server.count()), (3, 5, requests));
    agent.stop().await;
}

async fn otlp_partial() {
    let directory = tempfile::tempdir().unwrap();
    // ExportLogsServiceResponse { partial_success { rejected_log_records: 2, error_message: "no" } }
    let partial = reply(200).body(b"\x0a\x06\x08\x02\x12\x02no".to_vec());
    let server = Server::start(vec![partial], reply(200));
    let config = destination(DestinationType::Otlp, &server.url(""));
    let mut agent = Agent::start(directory.path(), &config).await;
    agent.ingest(events(&[Duration::ZERO; 5])).await;
    agent.drained().await;
    // The words come with the task's next look at itself.
    let ended = agent.watch(|now| now.last_error.is_some()).await;
    assert_eq!((ended.delivered, ended.quarantined), (3, 2));
    assert!(ended.last_error.unwrap().contains("refused 2 records"));
    agent.stop().await;
}

async fn put_back() {
    let directory = tempfile::tempdir().unwrap();
    let wrong = Server::start(Vec::new(), reply(400).body("not today"));
    let config = prometheus(&wrong.url("/write"));
    let mut agent = Agent::start(directory.path(), &config).await;
    agent.ingest(points(2, 1.0)).await;
    assert_eq!(agent.drained().await.quarantined, 2);
    let entries = agent.store.handle.quarantine_list(0).await.unwrap();
    assert!(entries.iter().all(|entry| entry.status == 400 && entry.answer == "not today"));
    let ids: Vec<i64> = entries.iter().map(|entry| entry.id).collect();
    let refused: Vec<Vec<u8>> =
        wrong.wait_for(wrong.count()).into_iter().map(|request| request.body).collect();

    // Still refused: it stays, with the newer words.
    agent.store.handle.quarantine_put_back(ids.clone()).await.unwrap();
    assert!(agent.manager.put_back("backend").await && !agent.manager.put_back("other").await);
    let deadline = Instant::now() + Duration::from_mins(1);
    while agent.store.handle.quarantine_list(0).await.unwrap().iter().any(|one| one.waiting) {
        assert!(Instant::now() < deadline, "they are never refused again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(wrong.count(), refused.len() + ids.len());
    assert_eq!(agent.watch(|_| true).await.quarantined, 2);

    // A backend that takes them, after a fault; what waits survives a restart of the agent.
    let right = Server::start(vec![reply(503), reply(204).manner(Manner::Cut)], reply(204));
    let config = prometheus(&right.url("/write"));
    agent.store.handle.quarantine_put_back(ids).await.unwrap();
    let meant = agent.meant;
    agent.stop().await;
    let mut agent = Agent::start(directory.path(), &config).await;
    agent.meant = meant;
    let ended = agent.watch(|now| now.quarantined == 0).await;
    assert_eq!((ended.delivered, ended.quarantine_kept), (2, 0));
    let sent = right.wait_for(right.count());
    assert!(sent.iter().all(|request| refused.contains(&request.body)));
    assert!(sent.iter().all(|one| one.header("content-encoding") == Some("snappy")));
    agent.stop().await;
}

async fn learned() {
    let directory = tempfile::tempdir().unwrap();
    let decide = |request: &Request| {
        let two = request.header("x-prometheus-remote-write-version") == Some("2.0.0");
        two.then(|| reply(415))
    };
    let server = Server::deciding(Vec::new(), reply(204), Box::new(decide));
    let config = DestinationConfig { protocol: Protocol::Auto, ..prometheus(&server.url("/w")) };
    let versions = |server: &Server| -> Vec<String> {
        let requests = server.wait_for(server.count());
        let version =
            |one: &Request| one.header("x-prometheus-remote-write-version").map(str::to_owned);
        requests.iter().filter_map(version).collect()
    };
    let mut agent = Agent::start(directory.path(), &config).await;
    agent.ingest(points(1, 1.0)).await;
    let first = agent.drained().await;
    assert_eq!(versions(&server), ["2.0.0", "0.1.0"]);
    agent.stop().await;

    let mut agent = Agent::start(directory.path(), &config).await;
    agent.meant = 1;
    let again = agent.watch(|_| true).await;
    assert_eq!((again.state, again.last_success), (State::Idle, first.last_success));
    agent.ingest(points(1, 2.0)).await;
    agent.drained().await;
    assert_eq!(versions(&server), ["2.0.0", "0.1.0", "0.1.0"]);
    agent.stop().await;
}
