//! The store, what is true, and what the backends hold.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ccotel::record::{Batch, Event, Labels, Point, PrivacyLevel, Temporality, Value};
use ccotel::store::Options;
use ccotel::store::core::Core;
use ccotel::store::handle::{Content, DestinationKey, Ingest, Ingested, Lane, Settled, Since};

use super::steps::Step;

mod crashes;

/// What a backend holds.
#[derive(Default)]
struct Backend {
    series: HashMap<Arc<Labels>, BTreeMap<i64, f64>>,
    events: Vec<u128>,
    /// Counter totals and events at the moment it was connected with `--since now`.
    base_total: f64,
    base_events: usize,
    /// A batch of samples was taken, and the agent does not know.
    unknown_samples: bool,
    /// It was given what is kept, after something had been dropped.
    is_partial: bool,
    /// The series went on under a new name while that was so: the batch may be in both.
    may_be_more: bool,
}

pub struct World {
    directory: tempfile::TempDir,
    core: Core,
    now_ms: i64,
    next_hash: u128,
    counters: HashMap<u8, f64>,
    /// The value of each counter without a start.
    unstarted: HashMap<u8, f64>,
    /// A clock that only goes forwards: sources of deltas and of counters without a start need one.
    source_ms: i64,
    /// Requests of the current step, for the client to send again.
    sent: Vec<(u128, Batch)>,
    was_squeezed: bool,
    /// A tick was just taken: no sample may be further ahead than backends allow.
    just_ticked: bool,
    history: (i64, i64),
    history_total: f64,
    true_total: f64,
    true_events: Vec<u128>,
    backends: BTreeMap<u8, Backend>,
}

impl World {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now_ms = 1_800_000_000_000;
        let core = open(&directory, 1 << 30, now_ms);
        Self {
            directory,
            core,
            now_ms,
            next_hash: 1,
            counters: HashMap::new(),
            unstarted: HashMap::new(),
            source_ms: now_ms,
            sent: Vec::new(),
            was_squeezed: false,
            just_ticked: false,
            history: (0, 0),
            history_total: 0.0,
            true_total: 0.0,
            true_events: Vec::new(),
            backends: BTreeMap::new(),
        }
    }

    pub fn step(&mut self, step: &Step) {
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
                let time_ns = self.source_ns();
                let mut point = point(*process, f64::from(*amount), time_ns, Temporality::Delta);
                point.stream += 1_000;
                // Overlaps the ones before: they are told apart by both ends.
                point.start_ns = time_ns - 5_000_000;
                self.true_total += f64::from(*amount);
                let batch = Batch::Points(vec![point]);
                self.send(&batch, *copies);
                // The same point in another body.
                self.send(&batch, 1);
            }
            Step::Events { count, copies } => {
                let events: Vec<Event> = (0..*count).map(|_| self.event()).collect();
                self.send(&Batch::Events(events), *copies);
            }
            Step::Unstarted { process, value } => {
                let mut point =
                    point(*process, f64::from(*value), self.source_ns(), Temporality::Cumulative);
                point.stream += 2_000;
                point.start_ns = 0;
                let before = self.unstarted.insert(*process, point.value).unwrap_or(0.0);
                self.true_total +=
                    if point.value >= before { point.value - before } else { point.value };
                self.send(&Batch::Points(vec![point]), 1);
            }
            Step::Jump { minutes } => self.now_ms += i64::from(*minutes) * 60_000,
            Step::Squeeze => self.squeeze(),
            Step::History => self.read_history(),
            Step::Disconnect { destination } => {
                self.core.remove_destination(&destination.to_string()).unwrap();
                self.backends.remove(destination);
            }
            Step::CrashWithin { step, commits } => self.crash_within(step, *commits),
            Step::Pass { seconds } => self.now_ms += i64::from(*seconds) * 1_000,
            Step::Tick => self.tick(),
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
        for destination in self.backends.keys() {
            let books = self.core.books(&destination.to_string()).unwrap();
            assert!(books.balance(), "the books balance after every step: {books:?}");
        }
    }

    fn source_ns(&mut self) -> u64 {
        self.source_ms += 1;
        self.source_ms.cast_unsigned() * 1_000_000
    }

    fn tick(&mut self) {
        let install = self.core.install_id().to_owned();
        self.core.tick(self.now_ms).unwrap();
        self.look_at_install(&install);
    }

    /// Whatever was taken and not settled under the old labels comes again under the new ones.
    fn look_at_install(&mut self, before: &str) {
        if self.core.install_id() != before {
            for backend in self.backends.values_mut() {
                backend.may_be_more |= std::mem::take(&mut backend.unknown_samples);
            }
        }
    }

    fn read_history(&mut self) {
        loop {
            let page = self.core.history(self.history.0, self.history.1, -1).unwrap();
            self.history_total += page
                .ticks
                .iter()
                .flat_map(|tick| &tick.increments)
                .map(|(_, more)| more)
                .sum::<f64>();
            self.history.0 = page.ticks.last().map_or(self.history.0, |tick| tick.row);
            self.history.1 = page.events.last().map_or(self.history.1, |events| events.row);
            if !page.more {
                return;
            }
        }
    }

    fn cumulative(&mut self, process: u8, growth: u8) -> Point {
        self.now_ms += 1;
        let counter = self.counters.entry(process).or_default();
        *counter += f64::from(growth);
        self.true_total += f64::from(growth);
        point(process, *counter, self.now_ms.cast_unsigned() * 1_000_000, Temporality::Cumulative)
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
        self.sent.push((self.next_hash, batch.clone()));
        for copy in 0..copies {
            let ingest = Ingest { body_hash: self.next_hash, batch: batch.clone() };
            let answers = self.core.ingest(&mut [ingest], self.now_ms);
            let answer = answers[0].as_ref().unwrap();
            if copy > 0 {
                assert_ne!(*answer, Ingested::Stored, "the second copy of a body is not stored");
            }
        }
    }

    pub fn connect(&mut self, destination: u8, all: bool) {
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
            Backend {
                base_total: base.0,
                base_events: base.1,
                is_partial: all && self.was_squeezed,
                ..Backend::default()
            },
        );
    }

    fn deliver(&mut self, destination: u8, lane: Lane, records_max: u32, settles: bool) -> bool {
        let Some(backend) = self.backends.get_mut(&destination) else { return false };
        let name: Arc<str> = destination.to_string().into();
        let before = self.core.books(&name).unwrap();
        if lane == Lane::Samples {
            backend.unknown_samples = !settles;
        }
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
                        assert!(
                            !self.just_ticked || *time_ms <= self.now_ms + 300_000,
                            "a sample far ahead of the clock"
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
    pub fn settle_all(&mut self) {
        self.now_ms += 60_000;
        // Something new, so that whoever begins anew has a row to begin with.
        let point = self.cumulative(0, 1);
        self.send(&Batch::Points(vec![point]), 1);
        self.tick();
        self.just_ticked = true;
        for destination in self.backends.keys().copied().collect::<Vec<_>>() {
            for lane in [Lane::Samples, Lane::Events] {
                while self.deliver(destination, lane, 7, true) {}
            }
            self.check(destination);
        }
        self.just_ticked = false;
        let stats = self.core.stats(self.now_ms).unwrap();
        let stored: u64 = stats.stored.iter().sum();
        assert_eq!(stats.received, stored + stats.duplicate + stats.unchanged, "{stats:?}");
        assert!(stats.stored[1] >= self.true_events.len() as u64);
        self.read_history();
        assert_eq!(self.history_total, self.true_total, "the history");
    }

    /// A destination that has everything.
    fn check(&self, destination: u8) {
        let books = self.core.books(&destination.to_string()).unwrap();
        assert_eq!(
            (books.backlog_records, books.backlog_bytes, books.oldest_ms),
            (0, 0, None),
            "nothing is left"
        );
        let backend = &self.backends[&destination];
        let instance = ("instance".into(), self.core.install_id().into());
        let (mut grown, mut now) = (0.0, 0.0);
        for (labels, samples) in &backend.series {
            let values: Vec<f64> = samples.values().copied().collect();
            assert!(values.is_sorted(), "a counter never falls: {values:?}");
            grown += values.last().unwrap() - values.first().unwrap();
            if labels.contains(&instance) {
                now += values.last().unwrap();
            }
        }
        assert_eq!(now, self.true_total, "the current values, destination {destination}");
        let meant = self.true_total - backend.base_total;
        let is_exact = !backend.is_partial && books.evicted == 0;
        assert!(
            backend.may_be_more || if is_exact { grown == meant } else { grown <= meant },
            "destination {destination} grew by {grown} instead of {meant}"
        );
        let lost = self.true_events.len() - backend.base_events - backend.events.len();
        assert!(backend.is_partial || lost as u64 <= books.evicted, "{lost} events, {books:?}");
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

fn open(directory: &tempfile::TempDir, disk_bytes_max: u64, now_ms: i64) -> Core {
    let queue_db = directory.path().join("queue.db");
    let options = Options { queue_db, disk_bytes_max, history_days: 400 };
    Core::open(options, now_ms).unwrap()
}
