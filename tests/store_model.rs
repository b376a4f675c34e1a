//! The store against a trivially right model: random sessions, retries, reorderings, crashes, ticks and
//! deliveries, in any order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ccotel::record::{Batch, Event, Labels, Point, PrivacyLevel, Temporality, Value};
use ccotel::store::Options;
use ccotel::store::core::Core;
use ccotel::store::handle::{Content, DestinationKey, Ingest, Ingested, Lane, Settled, Since};
use proptest::prelude::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A process reports its counter: `(process, growth)`; `copies` deliveries of the same body.
    Cumulative {
        process: u8,
        growth: u8,
        copies: u8,
    },
    /// The same, held back and delivered after the next one of that process.
    CumulativeLate {
        process: u8,
        growth: u8,
    },
    Delta {
        process: u8,
        amount: u8,
        copies: u8,
    },
    Events {
        count: u8,
        copies: u8,
    },
    Pass {
        seconds: u16,
    },
    Tick,
    Crash,
    /// A destination takes at most so much of a lane.
    Deliver {
        destination: u8,
        lane: bool,
        records_max: u8,
    },
    /// Frozen, and then the agent dies before the outcome is known.
    DeliverAndCrash {
        destination: u8,
        lane: bool,
        records_max: u8,
    },
    Connect {
        destination: u8,
        all: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..4, 0u8..50, 1u8..3).prop_map(|(process, growth, copies)| Step::Cumulative { process, growth, copies }),
        2 => (0u8..4, 1u8..50).prop_map(|(process, growth)| Step::CumulativeLate { process, growth }),
        3 => (0u8..4, 0u8..50, 1u8..3).prop_map(|(process, amount, copies)| Step::Delta { process, amount, copies }),
        2 => (1u8..5, 1u8..3).prop_map(|(count, copies)| Step::Events { count, copies }),
        3 => (1u16..600).prop_map(|seconds| Step::Pass { seconds }),
        4 => Just(Step::Tick),
        1 => Just(Step::Crash),
        3 => (0u8..3, any::<bool>(), 1u8..9).prop_map(|(destination, lane, records_max)| Step::Deliver { destination, lane, records_max }),
        2 => (0u8..3, any::<bool>(), 1u8..9).prop_map(|(destination, lane, records_max)| Step::DeliverAndCrash { destination, lane, records_max }),
        1 => (0u8..3, any::<bool>()).prop_map(|(destination, all)| Step::Connect { destination, all }),
    ]
}

/// What a backend holds.
#[derive(Default)]
struct Backend {
    series: HashMap<Arc<Labels>, BTreeMap<i64, f64>>,
    events: Vec<u128>,
    /// Counter totals and events at the moment it was connected with `--since now`.
    base_total: f64,
    base_events: usize,
}

struct World {
    directory: tempfile::TempDir,
    generation: u32,
    core: Core,
    now_ms: i64,
    next_hash: u128,
    counters: HashMap<u8, (f64, u64)>,
    true_total: f64,
    true_events: Vec<u128>,
    backends: BTreeMap<u8, Backend>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now_ms = 1_800_000_000_000;
        let core = open(&directory, 0, now_ms);
        Self {
            directory,
            generation: 0,
            core,
            now_ms,
            next_hash: 1,
            counters: HashMap::new(),
            true_total: 0.0,
            true_events: Vec::new(),
            backends: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Cumulative { process, growth, copies } => {
                let point = self.cumulative(*process, *growth);
                self.send(&Batch::Points(vec![point]), *copies);
            }
            Step::CumulativeLate { process, growth } => {
                let late = self.cumulative(*process, *growth);
                let newer = self.cumulative(*process, 3);
                self.send(&Batch::Points(vec![newer]), 1);
                self.send(&Batch::Points(vec![late]), 1);
            }
            Step::Delta { process, amount, copies } => {
                self.now_ms += 1;
                let time_ns = self.now_ms.cast_unsigned() * 1_000_000;
                let mut point = point(*process, f64::from(*amount), time_ns, Temporality::Delta);
                point.stream += 1_000;
                point.start_ns = time_ns - 1;
                self.true_total += f64::from(*amount);
                self.send(&Batch::Points(vec![point]), *copies);
            }
            Step::Events { count, copies } => {
                let events: Vec<Event> = (0..*count).map(|_| self.event()).collect();
                self.send(&Batch::Events(events), *copies);
            }
            Step::Pass { seconds } => self.now_ms += i64::from(*seconds) * 1_000,
            Step::Tick => {
                self.core.tick(self.now_ms).unwrap();
            }
            Step::Crash => self.crash(),
            Step::Deliver { destination, lane, records_max } => {
                self.deliver(*destination, lane_of(*lane), u32::from(*records_max), true);
            }
            Step::DeliverAndCrash { destination, lane, records_max } => {
                self.deliver(*destination, lane_of(*lane), u32::from(*records_max), false);
                self.crash();
            }
            Step::Connect { destination, all } => self.connect(*destination, *all),
        }
    }

    fn cumulative(&mut self, process: u8, growth: u8) -> Point {
        self.now_ms += 1;
        let counter = self.counters.entry(process).or_default();
        counter.0 += f64::from(growth);
        self.true_total += f64::from(growth);
        point(process, counter.0, self.now_ms.cast_unsigned() * 1_000_000, Temporality::Cumulative)
    }

    fn event(&mut self) -> Event {
        self.now_ms += 1;
        let id = 10_000 + self.true_events.len() as u128;
        self.true_events.push(id);
        Event {
            time_ns: self.now_ms.cast_unsigned() * 1_000_000,
            name: "api_request".into(),
            body: "claude_code.api_request".into(),
            service: "claude-code".into(),
            tags: vec![("team".into(), "a".into())],
            id,
            attributes: vec![("cost_usd".into(), Value::Double(0.5))],
        }
    }

    fn send(&mut self, batch: &Batch, copies: u8) {
        self.next_hash += 1;
        for copy in 0..copies {
            let ingest = Ingest { body_hash: self.next_hash, batch: batch.clone() };
            let answers = self.core.ingest(&mut [ingest], self.now_ms);
            let answer = answers[0].as_ref().unwrap();
            if copy > 0 {
                assert_ne!(*answer, Ingested::Stored, "the second copy of a body is not stored");
            }
        }
    }

    /// The process dies: what is on disk is copied as it is, log and all, and opened by the next one.
    fn crash(&mut self) {
        let from = self.directory.path().join(format!("{}", self.generation));
        self.generation += 1;
        let to = self.directory.path().join(format!("{}", self.generation));
        std::fs::create_dir_all(&to).unwrap();
        for file in ["queue.db", "queue.db-wal"] {
            if from.join(file).exists() {
                std::fs::copy(from.join(file), to.join(file)).unwrap();
            }
        }
        self.core = open(&self.directory, self.generation, self.now_ms);
    }

    fn connect(&mut self, destination: u8, all: bool) {
        if self.backends.contains_key(&destination) {
            return;
        }
        let key = DestinationKey {
            name: destination.to_string().into(),
            privacy: if destination == 2 { PrivacyLevel::Minimal } else { PrivacyLevel::Full },
            lanes: vec![Lane::Samples, Lane::Events],
            since: if all { Since::All } else { Since::Now },
        };
        self.core.open_destination(&key, self.now_ms).unwrap();
        let base = if all { (0.0, 0) } else { (self.true_total, self.true_events.len()) };
        self.backends.insert(
            destination,
            Backend { base_total: base.0, base_events: base.1, ..Backend::default() },
        );
    }

    fn deliver(&mut self, destination: u8, lane: Lane, records_max: u32, settles: bool) -> bool {
        let Some(backend) = self.backends.get_mut(&destination) else { return false };
        let name: Arc<str> = destination.to_string().into();
        let before = self.core.books(&name).unwrap();
        let Some(batch) = self.core.freeze(&name, lane, records_max, 1 << 20).unwrap() else {
            return false;
        };
        match &batch.content {
            Content::Samples(all) => {
                for series in all {
                    let kept = backend.series.entry(series.labels.clone()).or_default();
                    for (time_ms, value) in &series.samples {
                        let newest = kept.last_key_value().map(|(time_ms, _)| *time_ms);
                        assert!(
                            batch.replay || newest.is_none_or(|newest| *time_ms > newest),
                            "times strictly increase"
                        );
                        let before = kept.insert(*time_ms, *value);
                        assert!(
                            before.is_none_or(|before| before == *value),
                            "a replay sends the same values"
                        );
                    }
                }
            }
            Content::Events(events) => {
                assert!(events.is_sorted_by_key(|event| event.time_ns));
                for event in events {
                    assert!(
                        batch.replay || !backend.events.contains(&event.id),
                        "an event is sent once"
                    );
                    if !backend.events.contains(&event.id) {
                        backend.events.push(event.id);
                    }
                }
            }
            Content::Spans(_) => panic!("no spans went in"),
        }
        if settles {
            self.core
                .settle(&name, lane, &Settled { delivered: batch.records, ..Settled::default() })
                .unwrap();
        }
        let books = self.core.books(&name).unwrap();
        assert_eq!(
            books.delivered + books.backlog_records,
            before.delivered + before.backlog_records,
            "the books balance"
        );
        assert_eq!(books.delivered - before.delivered, if settles { batch.records } else { 0 });
        true
    }

    /// When everything is delivered, every number is the true one.
    fn settle_all(&mut self) {
        self.now_ms += 60_000;
        self.core.tick(self.now_ms).unwrap();
        for destination in self.backends.keys().copied().collect::<Vec<_>>() {
            for lane in [Lane::Samples, Lane::Events] {
                while self.deliver(destination, lane, 7, true) {}
            }
            let name = destination.to_string();
            let books = self.core.books(&name).unwrap();
            assert_eq!(
                (books.backlog_records, books.backlog_bytes, books.oldest_ms),
                (0, 0, None),
                "nothing is left"
            );
            let backend = &self.backends[&destination];
            let mut grown = 0.0;
            for samples in backend.series.values() {
                let values: Vec<f64> = samples.values().copied().collect();
                assert!(values.is_sorted(), "a counter never falls: {values:?}");
                grown += values.last().unwrap() - values.first().unwrap();
            }
            assert_eq!(grown, self.true_total - backend.base_total, "destination {destination}");
            assert_eq!(backend.events.len(), self.true_events.len() - backend.base_events);
        }
        let (received, _) = self.core.received();
        assert!(received >= self.true_events.len() as u64);
    }
}

fn lane_of(samples: bool) -> Lane {
    if samples { Lane::Samples } else { Lane::Events }
}

fn point(process: u8, value: f64, time_ns: u64, temporality: Temporality) -> Point {
    let labels: Labels = vec![
        ("job".into(), "claude-code".into()),
        ("type".into(), if process.is_multiple_of(2) { "input" } else { "output" }.into()),
        ("user_email".into(), format!("{process}@example.com").into()),
    ];
    Point {
        metric: "claude_code_token_usage_tokens_total".into(),
        labels,
        stream: u128::from(process),
        start_ns: 1,
        time_ns,
        value,
        temporality,
    }
}

fn open(directory: &tempfile::TempDir, generation: u32, now_ms: i64) -> Core {
    let folder = directory.path().join(format!("{generation}"));
    std::fs::create_dir_all(&folder).unwrap();
    let options =
        Options { queue_db: folder.join("queue.db"), disk_bytes_max: 1 << 30, history_days: 400 };
    Core::open(options, now_ms).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn totals_are_the_true_ones_whatever_happens(steps in prop::collection::vec(step(), 1..70)) {
        let mut world = World::new();
        world.connect(0, true);
        for step in &steps {
            world.step(step);
        }
        world.settle_all();
        world.crash();
        world.settle_all();
    }
}
