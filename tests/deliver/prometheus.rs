//! Against a real Prometheus: the one on PATH, or named by `CCOTEL_TEST_PROMETHEUS`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ccotel::config::destination::{DestinationConfig, DestinationType};
use ccotel::deliver::probe::{Found, probe};
use ccotel::deliver::status::State;
use ccotel::deliver::{DestinationStatus, Manager};
use ccotel::store::handle::{Content, Lane, SeriesSamples};
use libtest_mimic::Trial;

use super::addresses::free_address;
use super::machine::{HOUR_MS, METRIC, MINUTE_MS, Machine};
use super::setup::{INSTALL, destination, running, series, status, status_when, trial};
use super::store::Store;

const READY_DEADLINE: Duration = Duration::from_mins(1);

pub fn trials() -> Vec<Trial> {
    let there = binary().is_some();
    let missing =
        if there { "" } else { " (needs `prometheus` on PATH or in CCOTEL_TEST_PROMETHEUS)" };
    [
        trial(format!("prometheus::takes_data_and_gives_it_back{missing}"), delivered),
        trial(format!("prometheus::a_sample_that_is_too_old_costs_only_itself{missing}"), too_old),
        trial(format!("prometheus::an_outage_of_days_keeps_its_total{missing}"), outage),
        trial(
            format!("prometheus::three_days_offline_with_restarts_at_work_again{missing}"),
            offline_at_work,
        ),
        trial(
            format!("prometheus::three_days_offline_and_nothing_since{missing}"),
            offline_at_rest,
        ),
        trial(format!("prometheus::without_its_receiver_is_told_so{missing}"), not_enabled),
    ]
    .map(|trial| trial.with_ignored_flag(!there))
    .into()
}

fn binary() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CCOTEL_TEST_PROMETHEUS") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("prometheus")).find(|file| file.is_file())
}

struct Prometheus {
    process: Child,
    address: SocketAddr,
    _storage: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    async fn start(flags: &[&str]) -> Self {
        let storage = tempfile::tempdir().unwrap();
        let config = storage.path().join("prometheus.yml");
        std::fs::write(&config, "global: {}\n").unwrap();
        let address = free_address().unwrap();
        let process = Command::new(binary().expect("the trial is ignored without it"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", storage.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut started = Self { process, address, _storage: storage };
        let deadline = Instant::now() + READY_DEADLINE;
        while !started.get("/-/ready").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(started.process.try_wait().unwrap().is_none(), "Prometheus ended");
            assert!(Instant::now() < deadline, "Prometheus is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        started
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn query(&self, query: &str) -> String {
        self.get(&format!("/api/v1/query?query={query}")).unwrap()
    }

    /// The one value that a query gives.
    fn number(&self, query: &str) -> Option<f64> {
        let answer = self.query(query);
        let (_, json) = answer.split_once("\r\n\r\n")?;
        let json: serde_json::Value = serde_json::from_str(json).ok()?;
        json.pointer("/data/result/0/value/1")?.as_str()?.parse().ok()
    }

    fn destination(&self) -> DestinationConfig {
        let url = format!("http://{}/api/v1/write", self.address);
        destination(DestinationType::Prometheus, &url)
    }

    async fn receiving() -> (Self, Store, Manager) {
        let prometheus = Self::start(&["--web.enable-remote-write-receiver"]).await;
        let (store, manager) = running(&prometheus.destination()).await;
        (prometheus, store, manager)
    }
}

async fn delivered() {
    let (prometheus, store, manager) = Prometheus::receiving().await;
    assert_eq!(probe(&prometheus.destination()).await.found, Found::Reachable);
    let now_ms = ccotel::deliver::wall_clock_ms();
    let cost =
        series("claude_code_cost_usage_USD_total", &[(now_ms - 15_000, 0.0), (now_ms, 12.41)]);
    store.add(Lane::Samples, 2, Content::Samples(vec![cost]));
    assert_eq!(store.wait_for(1).await[0].1.delivered, 2);
    let answer = prometheus.query("claude_code_cost_usage_USD_total");
    assert!(answer.contains(r#""12.41""#), "{answer}");
    assert!(answer.contains(&format!(r#""instance":"{INSTALL}""#)), "{answer}");
    assert_eq!(status_when(&manager, State::Ok).await.last_error, None);

    // After a crash the same again is no loss, and not taken for one.
    let again = [(now_ms - 15_000, 0.0), (now_ms, 12.41)];
    let again = series("claude_code_cost_usage_USD_total", &again);
    store.add_replay(Lane::Samples, 2, Content::Samples(vec![again]));
    let (_, settled) = store.wait_for(2).await.remove(1);
    assert_eq!((settled.delivered, settled.quarantined.len()), (2, 0));
    manager.stop().await;
}

async fn too_old() {
    let (prometheus, store, manager) = Prometheus::receiving().await;
    let now_ms = ccotel::deliver::wall_clock_ms();
    let day_ms = 24 * 3_600_000;
    // An empty Prometheus takes the first time it sees for its head.
    store.add(Lane::Samples, 1, Content::Samples(vec![series("first_total", &[(now_ms, 1.0)])]));
    store.wait_for(1).await;
    let mut batch: Vec<_> =
        (0..20).map(|index| series(&format!("s{index}_total"), &[(now_ms, 7.0)])).collect();
    batch[13] = series("s13_total", &[(now_ms - day_ms, 6.0), (now_ms, 7.0)]);
    store.add(Lane::Samples, 21, Content::Samples(batch));
    let (_, settled) = store.wait_for(2).await.remove(1);
    assert_eq!((settled.delivered, settled.compacted), (20, 1), "{settled:?}");
    let answer = prometheus.query("count(%7B__name__%3D~%22s.%2B_total%22%7D)");
    assert!(answer.contains(r#""20""#), "{answer}");

    // The same timestamp with another value is refused for good, and alone.
    let clash = series("s1_total", &[(now_ms, 8.0)]);
    let good = series("s2_total", &[(now_ms + 1, 8.0)]);
    store.add(Lane::Samples, 2, Content::Samples(vec![clash, good]));
    let (_, settled) = store.wait_for(3).await.remove(2);
    assert_eq!(settled.delivered, 1);
    assert_eq!((settled.quarantined[0].records, settled.quarantined[0].status), (1, 400));
    assert!(settled.quarantined[0].answer.contains("duplicate sample"), "{settled:?}");
    manager.stop().await;
}

async fn outage() {
    let (prometheus, store, manager) = Prometheus::receiving().await;
    let minute_ms = 60_000;
    let now_ms = ccotel::deliver::wall_clock_ms();
    let name = "claude_code_cost_usage_USD_total";
    let cost = |before: f64, samples: &[(i64, f64)]| {
        let samples: Vec<_> =
            samples.iter().map(|(minute, value)| (now_ms + minute * minute_ms, *value)).collect();
        Content::Samples(vec![SeriesSamples { before, ..series(name, &samples) }])
    };
    // Taken three days ago; since then only others were online.
    store.add(Lane::Samples, 1, cost(0.0, &[(-3 * 24 * 60, 40.0)]));
    store.wait_for(1).await;
    let other = series("other_total", &[(now_ms, 1.0)]);
    store.add(Lane::Samples, 1, Content::Samples(vec![other]));
    store.wait_for(2).await;

    store.add(Lane::Samples, 3, cost(40.0, &[(-4000, 41.0), (-3000, 60.0), (-2000, 70.0)]));
    store.add(Lane::Samples, 3, cost(70.0, &[(-1000, 80.0), (-20, 90.0), (-1, 100.0)]));
    let settled = store.wait_for(4).await;
    let books = |index: usize| (settled[index].1.delivered, settled[index].1.compacted);
    assert_eq!((books(2), books(3)), ((0, 3), (2, 1)), "{settled:?}");
    let growth = format!("last_over_time({name}[2h])-min_over_time({name}[2h])");
    let answer = prometheus.query(&growth);
    assert!(answer.contains(r#""60""#), "{answer}");
    manager.stop().await;
}

async fn offline_at_work() {
    offline(20 * MINUTE_MS, 2 * MINUTE_MS).await;
}

async fn offline_at_rest() {
    offline(0, 5 * HOUR_MS).await;
}

/// A Prometheus without an out-of-order window, three days of absence with use on every day, and at
/// the end `work_ms` of use and `rest_ms` of none. The agent is ended in the midst of the drain.
async fn offline(work_ms: i64, rest_ms: i64) {
    let prometheus = Prometheus::start(&["--web.enable-remote-write-receiver"]).await;
    let config = prometheus.destination();
    let directory = tempfile::tempdir().unwrap();
    let now_ms = ccotel::deliver::wall_clock_ms();
    let begin_ms = now_ms - 72 * HOUR_MS;
    let mut machine = Machine::new(directory.path(), begin_ms, &config);
    machine.work(10 * MINUTE_MS);
    let online = machine.go_online(&config).await;
    let taken = drained(&online.manager).await.delivered;
    assert!(taken > 0);
    online.end().await;
    let before = machine.costs_usd;

    // Others were online, so its head is now.
    let (others, manager) = running(&config).await;
    let other = series("other_total", &[(now_ms, 1.0)]);
    others.add(Lane::Samples, 1, Content::Samples(vec![other]));
    others.wait_for(1).await;
    manager.stop().await;

    for hour in [8, 30, 52] {
        machine.pass(begin_ms + hour * HOUR_MS - machine.now_ms);
        machine.work(20 * MINUTE_MS);
    }
    machine.pass(now_ms - work_ms - rest_ms - machine.now_ms);
    machine.work(work_ms);
    machine.pass(now_ms - machine.now_ms);
    // Once the horizon is known and something was left out, and then again.
    for compacted in [1, 150] {
        let online = machine.go_online(&config).await;
        look_until(&online.manager, |now| now.compacted >= compacted).await;
        online.end().await;
    }
    let online = machine.go_online(&config).await;
    let is_over =
        |now: &DestinationStatus| now.backlog.records == 0 && now.horizon_seconds == Some(2700);
    let ended = look_until(&online.manager, is_over).await;
    assert_eq!(ended.quarantined, 0, "{ended:?}");
    // The series' last values follow once the backlog is empty.
    for (model, (total, before)) in machine.costs_usd.into_iter().zip(before).enumerate() {
        let selector = format!("{METRIC}%7Bmodel=%22m{model}%22%7D");
        let deadline = Instant::now() + READY_DEADLINE;
        let last = loop {
            let last = prometheus.number(&format!("last_over_time({selector}[1h])"));
            if last.is_some_and(|last| (last - total).abs() < 1e-9) || Instant::now() > deadline {
                break last;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(last.is_some_and(|last| (last - total).abs() < 1e-9), "{last:?}, not {total}");
        let growth = total - before;
        let increase = prometheus.number(&format!("increase({selector}[24h])")).unwrap();
        assert!((increase / growth - 1.0).abs() < 0.02, "m{model}: {increase}, not {growth}");
    }
    online.end().await;
}

async fn drained(manager: &Manager) -> DestinationStatus {
    look_until(manager, |now| now.backlog.records == 0).await
}

async fn look_until(
    manager: &Manager,
    is_there: impl Fn(&DestinationStatus) -> bool,
) -> DestinationStatus {
    let deadline = Instant::now() + READY_DEADLINE;
    loop {
        let now = status(manager).await;
        if is_there(&now) {
            return now;
        }
        assert!(Instant::now() < deadline, "never there: {now:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn not_enabled() {
    let prometheus = Prometheus::start(&[]).await;
    let verdict = probe(&prometheus.destination()).await;
    assert_eq!(verdict.found, Found::Wrong);
    assert!(verdict.words.contains("--web.enable-remote-write-receiver"), "{verdict:?}");
}
