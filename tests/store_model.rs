//! The store against a trivially right model: random sessions, retries, reorderings, crashes, ticks,
//! deliveries, clocks that jump, a disk limit that bites and destinations that come and go, in any order.
//!
//! A crash inside a step is made from the log: cut after any of the step's commits, it is what a kill or a
//! power cut at that moment would have left.

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
    /// A counter whose start is unknown, which begins again from 0 now and then.
    Unstarted {
        process: u8,
        value: u8,
    },
    Events {
        count: u8,
        copies: u8,
    },
    /// The clock is set, forwards or back.
    Jump {
        minutes: i32,
    },
    /// The disk limit falls so low that all that may go goes, and is lifted again.
    Squeeze,
    History,
    Disconnect {
        destination: u8,
    },
    /// Dies after so many of the step's commits; the client sends again.
    CrashWithin {
        step: Box<Step>,
        commits: u8,
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
        16 => whole_step(),
        4 => (whole_step(), any::<u8>()).prop_map(|(step, commits)| Step::CrashWithin { step: Box::new(step), commits }),
    ]
}

fn jump() -> impl Strategy<Value = i32> {
    prop_oneof![-4..5, -700..700, -14_400..14_400]
}

fn whole_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0u8..2, 0u8..50).prop_map(|(process, value)| Step::Unstarted { process, value }),
        1 => jump().prop_map(|minutes| Step::Jump { minutes }),
        1 => Just(Step::Squeeze),
        1 => Just(Step::History),
        1 => (0u8..3).prop_map(|destination| Step::Disconnect { destination }),
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
    /// A batch of samples was taken, and the agent does not know.
    unknown_samples: bool,
    /// It was given what is kept, after something had been dropped.
    is_partial: bool,
    /// The series went on under a new name while that was so: the batch may be in both.
    may_be_more: bool,
}

struct World {
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
    history: (i64, i64),
    history_total: f64,
    true_total: f64,
    true_events: Vec<u128>,
    backends: BTreeMap<u8, Backend>,
}

impl World {
    fn new() -> Self {
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
            history: (0, 0),
            history_total: 0.0,
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

    fn squeeze(&mut self) {
        self.was_squeezed = true;
        self.crash_with(1 << 16);
        self.read_history();
        self.core.retain_within_limit(self.now_ms).unwrap();
        self.crash();
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

    /// Runs a step, and then goes back to how the files were after some of its commits.
    fn crash_within(&mut self, step: &Step, commits: u8) {
        // These crash by themselves, or leave a backend with what was never frozen.
        if matches!(
            step,
            Step::Crash
                | Step::Squeeze
                | Step::History
                | Step::Deliver { .. }
                | Step::DeliverAndCrash { .. }
                | Step::Disconnect { .. }
        ) {
            return self.step(step);
        }
        let before = self.files();
        let backends: Vec<u8> = self.backends.keys().copied().collect();
        self.sent.clear();
        self.step(step);
        let after = self.files();
        let done = commit_ends(&before.log).last().copied().unwrap_or(0);
        let mut ends = commit_ends(&after.log);
        ends.retain(|end| *end > done);
        ends.push(done);
        // A checkpoint in between has moved pages that the shorter log would not have.
        if before.database == after.database {
            let log = after.log[..ends[usize::from(commits) % ends.len()]].to_vec();
            self.die(&Files { log, ..before }, 1 << 30);
        }
        for (body_hash, batch) in std::mem::take(&mut self.sent) {
            self.core.ingest(&mut [Ingest { body_hash, batch }], self.now_ms).remove(0).unwrap();
        }
        if let Step::Connect { destination, all } = step
            && !backends.contains(destination)
        {
            self.backends.remove(destination);
            self.connect(*destination, *all);
        }
    }

    fn files(&self) -> Files {
        let read = |name: &str| std::fs::read(self.directory.path().join(name)).unwrap_or_default();
        Files {
            database: read("queue.db"),
            log: read("queue.db-wal"),
            mark: read("queue.high-water.json"),
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

    /// The process dies: what is on disk is kept as it is, log and all, and opened by the next one at the
    /// same place. (A database elsewhere would be a copy, and a new install.)
    fn crash(&mut self) {
        self.crash_with(1 << 30);
    }

    fn crash_with(&mut self, disk_bytes_max: u64) {
        let files = self.files();
        self.die(&files, disk_bytes_max);
    }

    fn die(&mut self, files: &Files, disk_bytes_max: u64) {
        let folder = self.directory.path().to_owned();
        let install = self.core.install_id().to_owned();
        // The file that is open is gone from its path before it is closed, which would put its log away.
        std::fs::rename(folder.join("queue.db"), folder.join("dead")).unwrap();
        for (name, bytes) in [
            ("queue.db", &files.database),
            ("queue.db-wal", &files.log),
            ("queue.high-water.json", &files.mark),
        ] {
            let _ = std::fs::remove_file(folder.join(name));
            if !bytes.is_empty() {
                std::fs::write(folder.join(name), bytes).unwrap();
            }
        }
        self.core = open(&self.directory, disk_bytes_max, self.now_ms);
        self.core.history(self.history.0, self.history.1, 1 << 40).unwrap();
        std::fs::remove_file(folder.join("dead")).unwrap();
        self.look_at_install(&install);
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
        // Something new, so that whoever begins anew has a row to begin with.
        let point = self.cumulative(0, 1);
        self.send(&Batch::Points(vec![point]), 1);
        self.tick();
        for destination in self.backends.keys().copied().collect::<Vec<_>>() {
            for lane in [Lane::Samples, Lane::Events] {
                while self.deliver(destination, lane, 7, true) {}
            }
            self.check(destination);
        }
        let (received, _) = self.core.received();
        assert!(received >= self.true_events.len() as u64);
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

/// What is on disk.
struct Files {
    database: Vec<u8>,
    log: Vec<u8>,
    mark: Vec<u8>,
}

/// Where each commit of a write-ahead log ends, in bytes (sqlite.org/fileformat.html#the_write_ahead_log).
fn commit_ends(log: &[u8]) -> Vec<usize> {
    const HEADER: usize = 32;
    const FRAME: usize = 24 + 4096;
    let Some(salts) = log.get(16..24) else { return Vec::new() };
    let frames = log[HEADER..].chunks_exact(FRAME).enumerate();
    frames
        .take_while(|(_, frame)| &frame[8..16] == salts)
        .filter(|(_, frame)| frame[4..8] != [0; 4])
        .map(|(number, _)| HEADER + (number + 1) * FRAME)
        .collect()
}

fn open(directory: &tempfile::TempDir, disk_bytes_max: u64, now_ms: i64) -> Core {
    let queue_db = directory.path().join("queue.db");
    let options = Options { queue_db, disk_bytes_max, history_days: 400 };
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
