//! What every test here begins with.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ccotel::config::destination::{DestinationConfig, DestinationType, Protocol};
use ccotel::deliver::status::State;
use ccotel::deliver::{DestinationStatus, Manager};
use ccotel::record::{Event, Value};
use ccotel::store::handle::{Content, SeriesSamples};
use libtest_mimic::Trial;

use super::store::Store;

pub const INSTALL: &str = "6e9fd1b4";

/// A trial with a runtime of its own.
pub fn trial<F: Future<Output = ()> + 'static>(name: impl Into<String>, test: fn() -> F) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
        // Held requests of a stopped server need no good-bye.
        runtime.shutdown_background();
        Ok(())
    })
}

pub fn destination(kind: DestinationType, url: &str) -> DestinationConfig {
    DestinationConfig::new("backend", kind, url)
}

/// A Prometheus of which the version is known, so that a test is about something else.
pub fn prometheus(url: &str) -> DestinationConfig {
    DestinationConfig {
        protocol: Protocol::RemoteWrite1,
        ..destination(DestinationType::Prometheus, url)
    }
}

pub async fn running(config: &DestinationConfig) -> (Store, Manager) {
    let store = Store::start();
    let manager = Manager::new(store.handle.clone(), INSTALL.into());
    manager.apply(std::slice::from_ref(config)).await;
    (store, manager)
}

pub async fn status(manager: &Manager) -> DestinationStatus {
    manager.statuses().await.pop().expect("one destination is configured")
}

/// The status, once it is in this state.
pub async fn status_when(manager: &Manager, state: State) -> DestinationStatus {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let status = status(manager).await;
        if status.state == state {
            return status;
        }
        assert!(Instant::now() < deadline, "never {state:?}: {status:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Series with one sample each, of now.
pub fn samples(count: usize) -> Content {
    let now_ms = ccotel::deliver::wall_clock_ms();
    Content::Samples(
        (0..count).map(|index| series(&format!("s{index:04}_total"), &[(now_ms, 1.0)])).collect(),
    )
}

pub fn series(name: &str, samples: &[(i64, f64)]) -> SeriesSamples {
    let labels = vec![
        (Arc::from("__name__"), Arc::from(name)),
        (Arc::from("instance"), Arc::from(INSTALL)),
        (Arc::from("job"), Arc::from("claude-code")),
    ];
    let start_ms = samples.first().map_or(0, |(time_ms, _)| time_ms - 60_000);
    SeriesSamples { labels: Arc::new(labels), start_ms, before: 0.0, samples: samples.to_vec() }
}

pub fn event(age: Duration) -> Event {
    let now_ms = ccotel::deliver::wall_clock_ms();
    let time_ms = u64::try_from(now_ms).unwrap() - u64::try_from(age.as_millis()).unwrap();
    Event {
        time_ns: time_ms * 1_000_000,
        name: "api_request".into(),
        body: "claude_code.api_request".into(),
        service: "claude-code".into(),
        tags: vec![("project".into(), "checkout".into())],
        id: u128::from(time_ms),
        attributes: vec![("session.id".into(), Value::Text("s".into()))],
    }
}
