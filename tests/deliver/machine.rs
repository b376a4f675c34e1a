//! A machine whose time passes when told to: three days of use in seconds, in a store on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use ccotel::config::destination::DestinationConfig;
use ccotel::deliver::Manager;
use ccotel::record::{Batch, Point, Temporality};
use ccotel::store::core::Core;
use ccotel::store::handle::{DestinationKey, Ingest, Lane, Since};
use ccotel::store::{Clock, Options, Store, open};

pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// As ccotel sets it for Claude Code.
const EXPORT_MS: i64 = 10_000;

pub const METRIC: &str = "claude_code_cost_usage_USD_total";

pub struct Machine {
    queue_db: PathBuf,
    core: Option<Core>,
    pub now_ms: i64,
    requests: u128,
    /// By model.
    pub costs_usd: [f64; 2],
}

/// The machine's agent at work: its store, and what delivers from it.
pub struct Online {
    pub store: Store,
    pub manager: Manager,
}

impl Machine {
    pub fn new(directory: &Path, now_ms: i64, config: &DestinationConfig) -> Self {
        let queue_db = directory.join("queue.db");
        let mut machine = Self { queue_db, core: None, now_ms, requests: 0, costs_usd: [0.0; 2] };
        let key = DestinationKey {
            name: config.name.as_str().into(),
            privacy: config.privacy,
            lanes: vec![Lane::Samples],
            since: Since::All,
        };
        machine.core().open_destination(&key, now_ms).unwrap();
        machine
    }

    fn options(&self) -> Options {
        Options { queue_db: self.queue_db.clone(), disk_bytes_max: 256 << 20, history_days: 400 }
    }

    fn core(&mut self) -> &mut Core {
        let (options, now_ms) = (self.options(), self.now_ms);
        self.core.get_or_insert_with(|| Core::open(options, now_ms).unwrap())
    }

    /// Lets time pass, ticks included.
    pub fn pass(&mut self, duration_ms: i64) {
        let end_ms = self.now_ms + duration_ms;
        loop {
            let now_ms = self.now_ms;
            let due_ms = self.core().next_tick_ms(now_ms).filter(|due_ms| *due_ms <= end_ms);
            let Some(due_ms) = due_ms else { break };
            self.now_ms = due_ms;
            self.core().tick(due_ms).unwrap();
        }
        self.now_ms = end_ms;
    }

    /// Spends every export interval for so long; the second model rarely.
    pub fn work(&mut self, duration_ms: i64) {
        for step in 0..duration_ms / EXPORT_MS {
            // Neither regular nor round, and sometimes nothing.
            let cents = [3.0, 0.0, 17.5, 1.25, 0.0, 0.0, 42.0, 7.125];
            self.costs_usd[0] += cents[usize::try_from(step % 8).unwrap()] / 100.0;
            self.costs_usd[1] += if step % 20 == 3 { 0.25 } else { 0.0 };
            self.export();
            self.pass(EXPORT_MS);
        }
    }

    fn export(&mut self) {
        self.requests += 1;
        let time_ns = u64::try_from(self.now_ms).unwrap() * 1_000_000;
        let models = ["m0", "m1"].into_iter().zip(self.costs_usd).zip(1_u128..);
        let points = models.map(|((model, value), stream)| Point {
            metric: METRIC.into(),
            labels: vec![("job".into(), "claude-code".into()), ("model".into(), model.into())],
            stream,
            start_ns: 1,
            time_ns,
            value,
            temporality: Temporality::Cumulative,
        });
        let batch = Batch::Points(points.collect());
        let ingest = Ingest { body_hash: self.requests, batch };
        let now_ms = self.now_ms;
        self.core().ingest(&mut [ingest], now_ms).remove(0).unwrap();
    }

    /// The agent starts, and its clock stands still.
    pub async fn go_online(&mut self, config: &DestinationConfig) -> Online {
        if let Some(mut core) = self.core.take() {
            core.close();
        }
        let now_ms = self.now_ms;
        let clock = Clock::Manual(Arc::new(AtomicI64::new(now_ms)));
        let store = open(self.options(), clock).unwrap();
        let install_id = Arc::clone(&store.install_id);
        let manager =
            Manager::with_clock(store.handle.clone(), install_id, Arc::new(move || now_ms));
        manager.apply(std::slice::from_ref(config)).await;
        Online { store, manager }
    }
}

impl Online {
    /// The agent ends; what was not settled is sent again by the next one.
    pub async fn end(self) {
        self.manager.stop().await;
        self.store.handle.stop().await.unwrap();
        self.store.thread.join().unwrap();
    }
}
