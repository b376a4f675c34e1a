//! The agent's own metrics: sent beside the series, and never at their expense.

use std::sync::Arc;

use ccotel::config::destination::{DestinationConfig, DestinationType};
use ccotel::deliver::remote_write_v1::{WriteRequest, unsnappy};
use ccotel::deliver::status::State;
use ccotel::deliver::{Manager, OwnValue};
use ccotel::store::handle::Lane;
use libtest_mimic::Trial;
use prost::Message;

use super::server::{Reply, Request, Server, status as reply};
use super::setup::{INSTALL, destination, prometheus, samples, status_when, trial};
use super::store::Store;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("own::metrics_follow_the_series_once_a_minute", once_a_minute),
        trial("own::metrics_that_are_refused_cost_no_series", refused),
        trial("own::a_stop_does_not_wait_for_metrics", stopped),
        trial("own::only_prometheus_gets_them", only_prometheus),
    ]
}

fn values() -> Vec<OwnValue> {
    let labels = vec![("destination", "logs".to_owned())];
    let backlog =
        OwnValue { name: "ccotel_destination_backlog_records", labels: labels.clone(), value: 7.0 };
    let gone = OwnValue { name: "ccotel_destination_evicted_records_total", labels, value: 1.0 };
    vec![gone, backlog]
}

async fn running(config: &DestinationConfig) -> (Store, Manager) {
    let store = Store::start();
    let manager = Manager::new(store.handle.clone(), INSTALL.into());
    manager.send_own(Arc::new(|| Box::pin(async { values() })));
    manager.apply(std::slice::from_ref(config)).await;
    (store, manager)
}

fn names(request: &Request) -> Vec<String> {
    let plain = unsnappy(&request.body).unwrap();
    let series = WriteRequest::decode(plain.as_slice()).unwrap().timeseries;
    let name = |labels: &[ccotel::deliver::remote_write_v1::Label]| {
        labels.iter().find(|label| label.name == "__name__").unwrap().value.clone()
    };
    series.iter().map(|series| name(&series.labels)).collect()
}

fn is_own(request: &Request) -> bool {
    names(request).iter().all(|name| name.starts_with("ccotel_"))
}

async fn once_a_minute() {
    let server = Server::start(Vec::new(), reply(204));
    let (store, manager) = running(&prometheus(&server.url("/write"))).await;
    store.add(Lane::Samples, 3, samples(3));
    store.wait_for(1).await;
    let requests = server.wait_for(2);
    assert!(!is_own(&requests[0]) && is_own(&requests[1]), "first what matters");
    let plain = unsnappy(&requests[1].body).unwrap();
    let series = WriteRequest::decode(plain.as_slice()).unwrap().timeseries;
    let labels = |at: usize| -> Vec<(String, String)> {
        let labels = series[at].labels.iter();
        labels.map(|label| (label.name.clone(), label.value.clone())).collect()
    };
    let wanted = [
        ("__name__", "ccotel_destination_backlog_records"),
        ("destination", "logs"),
        ("instance", INSTALL),
        ("job", "ccotel"),
    ];
    assert_eq!(labels(1), wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(series[1].samples[0].value, 7.0);
    for count in 2..5 {
        store.add(Lane::Samples, 3, samples(3));
        store.wait_for(count).await;
    }
    manager.stop().await;
    let requests = server.wait_for(5);
    assert_eq!((server.count(), requests.iter().filter(|one| is_own(one)).count()), (5, 1));
}

async fn refused() {
    for refusal in [400, 401, 429, 500] {
        let server = Server::deciding(Vec::new(), reply(204), refusing_own(reply(refusal)));
        let (store, manager) = running(&prometheus(&server.url("/write"))).await;
        for count in 1..4 {
            store.add(Lane::Samples, 3, samples(3));
            assert_eq!(store.wait_for(count).await[count - 1].1.delivered, 3, "{refusal}");
        }
        let status = status_when(&manager, State::Ok).await;
        assert_eq!((status.last_error, status.next_try, status.delivered), (None, None, 9));
        manager.stop().await;
    }
}

fn refusing_own(refusal: Reply) -> Box<dyn FnMut(&Request) -> Option<Reply> + Send> {
    Box::new(move |request| is_own(request).then(|| refusal.clone()))
}

async fn stopped() {
    let server = Server::start(Vec::new(), reply(204));
    let store = Store::start();
    let manager = Manager::new(store.handle.clone(), INSTALL.into());
    let (asked, mut is_asked) = tokio::sync::mpsc::channel(1);
    manager.send_own(Arc::new(move || {
        let asked = asked.clone();
        // Values that never come: whoever has them waits for the stop itself.
        Box::pin(async move {
            let _ = asked.send(()).await;
            std::future::pending().await
        })
    }));
    manager.apply(&[prometheus(&server.url("/write"))]).await;
    store.add(Lane::Samples, 3, samples(3));
    is_asked.recv().await.unwrap();
    manager.stop().await;
    assert_eq!((server.count(), store.settled()), (1, 1));
}

async fn only_prometheus() {
    let server = Server::start(Vec::new(), reply(204));
    let config = destination(DestinationType::Otlp, &server.url(""));
    let (store, manager) = running(&config).await;
    for count in 1..4 {
        store.add(Lane::Samples, 3, samples(3));
        store.wait_for(count).await;
    }
    manager.stop().await;
    assert_eq!(server.count(), 3);
}
