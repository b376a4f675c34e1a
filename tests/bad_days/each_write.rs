//! Each write of a worker's life fails once: it starts on a store that is there, takes requests, samples
//! them, delivers them, follows them into the history, and stops in good order.
//!
//! Lives without errors count the calls of each of the worker's threads that write ([`fault::Part`]).
//! Then, for each of these calls, a house of its own lives the same life, and that call fails, with EIO
//! and in another house with ENOSPC; everything else works. `cargo test` takes some of the calls, evenly;
//! all of them with [`ALL_VARIABLE`], as `just each-write` does.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::house::House;
use crate::otlp::{self, RECORDS, Request};
use crate::programs::Program;

mod fault;

use fault::{Call, Fault, PARTS, Part, Trace};

/// Set for all calls.
const ALL_VARIABLE: &str = "CCOTEL_TEST_EACH_WRITE";
/// Calls that fail of each thread and with each error, without it.
const CALLS_IN_SHORT: usize = 6;
/// Lives without errors, of which the one with the fewest calls says which calls there are: what the threads
/// do at the same time makes some lives longer.
const COUNTED_LIVES: u32 = 3;
/// Lives until a call is made in one of them.
const LIVES_MAX: u32 = 4;
/// Requests of each kind under the fault.
const ROUNDS: u64 = 2;
const COST: f64 = 0.25;
/// Longest until the agent answers again by itself.
const DEADLINE: Duration = Duration::from_mins(1);
const LOOK_PERIOD: Duration = Duration::from_millis(20);

pub fn trials() -> Vec<Trial> {
    let cases = PARTS.into_iter().flat_map(|part| ["EIO", "ENOSPC"].map(|error| (part, error)));
    cases.map(|(part, error)| trial(part, error)).collect()
}

fn trial(part: Part, error: &'static str) -> Trial {
    let name = format!("each_write_of_{}_fails_once_with_{}", part.name(), error.to_lowercase());
    if Program::Strace.find().is_some() {
        return Trial::test(name, move || {
            sweep(part, error);
            Ok(())
        });
    }
    let name = format!("{name} ({})", Program::Strace.missing());
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}

fn sweep(part: Part, error: &'static str) {
    let backend = Backend::start();
    let counted = (0..COUNTED_LIVES).map(|_| Life::new(&backend).live(part, None).calls);
    let calls = counted.min_by_key(Vec::len).unwrap();
    assert!(calls.len() > CALLS_IN_SHORT, "only {calls:?} of {} were seen", part.name());
    let all = std::env::var_os(ALL_VARIABLE).is_some();
    let step = if all { 1 } else { calls.len().div_ceil(CALLS_IN_SHORT) };
    // The two errors meet different calls.
    let first = if error == "EIO" { 0 } else { step / 2 };
    let (mut tried, mut met, mut lives, mut sent_again) = (0, 0, 0, 0);
    for call in calls.iter().skip(first).step_by(step) {
        let fault = Fault { error, call: call.clone() };
        tried += 1;
        for _ in 0..LIVES_MAX {
            let came = Life::new(&backend).live(part, Some(&fault));
            assert!(came.failed <= 1, "{fault} of {}: {} failed", part.name(), came.failed);
            lives += 1;
            sent_again += came.sent_again;
            if came.failed == 1 {
                met += 1;
                break;
            }
        }
    }
    println!(
        "{} with {error}: of {} calls {tried} were tried and {met} failed, in {lives} lives; {sent_again} requests were sent again",
        part.name(),
        calls.len()
    );
    // Whether a call is made can still depend on what the threads do at the same time.
    assert!(met * 10 >= tried * 8, "only {met} of {tried} calls were met");
}

/// Both destinations: takes everything, until the test program ends.
struct Backend {
    address: std::net::SocketAddr,
}

impl Backend {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            let runtime = runtime();
            let _inside = runtime.enter();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let taken = || async { axum::http::StatusCode::NO_CONTENT };
            let router = axum::Router::new().fallback(taken);
            runtime.block_on(std::future::IntoFuture::into_future(axum::serve(listener, router)))
        });
        Self { address }
    }

    fn config(&self) -> String {
        let address = self.address;
        format!(
            "[[destination]]\nname = \"loki\"\ntype = \"loki\"\nurl = \"http://{address}/loki/api/v1/push\"\n\
             [[destination]]\nname = \"prometheus\"\ntype = \"prometheus\"\nprotocol = \"1.0\"\n\
             url = \"http://{address}/api/v1/write\"\n"
        )
    }
}

/// What came of a life.
struct Lived {
    calls: Vec<Call>,
    failed: usize,
    sent_again: u64,
}

struct Life {
    house: House,
    runtime: Runtime,
    taken: u64,
}

impl Life {
    fn new(backend: &Backend) -> Self {
        let house = House::new();
        house.config(&backend.config());
        Self { house, runtime: runtime(), taken: 0 }
    }

    fn live(mut self, part: Part, fault: Option<&Fault>) -> Lived {
        let what = fault.map_or("no fault".into(), |fault| format!("{fault} of {}", part.name()));
        // A store that is there.
        fault::start(&self.house);
        self.take();
        self.assert_reported(&what);

        let trace = Trace::begin(&self.house, part, fault);
        let sent = (0..ROUNDS).map(|_| self.take()).sum::<u64>();
        self.assert_reported(&what);
        assert!(self.house.run(&["agent", "stop"]).status.success(), "{what}");
        let (calls, failed) = trace.end();

        assert!(self.house.run(&["agent", "start"]).status.success(), "{what}");
        self.assert_reported(&what);
        self.take();
        self.assert_reported(&what);
        self.assert_delivered(&what);
        Lived { calls, failed, sent_again: sent - 2 * ROUNDS }
    }

    /// Sends events and a cost, each until it is taken and never after; returns how often.
    fn take(&mut self) -> u64 {
        let endpoint = otlp::endpoint(&self.house);
        let requests = [Request::events(self.taken), Request::cost()];
        self.taken += 1;
        let send = |request| self.runtime.block_on(otlp::until_taken(&endpoint, request));
        requests.iter().map(send).sum()
    }

    /// Every request that was taken is in the report and in the books, once.
    fn assert_reported(&self, what: &str) {
        eventually(what, || {
            let total = &self.house.json(&["report", "--json"])["total"];
            let status = self.house.json(&["status", "--json"]);
            assert_balanced(what, &status);
            let stored = &status["records"]["stored"];
            let cost = total["cost_usd"].as_f64().unwrap_or_default();
            let is_there = total["requests"] == self.taken * RECORDS
                && (cost - f64::from(u32::try_from(self.taken).unwrap()) * COST).abs() < 1e-9
                && *stored == self.taken * (RECORDS + 1);
            if is_there { Ok(()) } else { Err(format!("{} taken, {total}, {status}", self.taken)) }
        });
    }

    /// Nothing stays behind, and Loki was meant to have each event once.
    fn assert_delivered(&self, what: &str) {
        eventually(what, || {
            let status = self.house.json(&["status", "--json"]);
            assert_balanced(what, &status);
            let destinations = status["destinations"].as_array().unwrap();
            let is_done = |one: &Value| one["delivered"] == one["meant"] && one["meant"] != 0;
            let loki = destinations.iter().find(|one| one["name"] == "loki").unwrap();
            let all = destinations.iter().all(is_done) && loki["meant"] == self.taken * RECORDS;
            if all { Ok(()) } else { Err(status.to_string()) }
        });
    }
}

/// Whatever happened: received is the sum of what became of it, and so is what was meant for a destination.
fn assert_balanced(what: &str, status: &Value) {
    let sum =
        |of: &Value, keys: &[&str]| keys.iter().filter_map(|key| of[key].as_u64()).sum::<u64>();
    let records = &status["records"];
    // While no worker answers there are no books to look at.
    let Some(received) = records["received"].as_u64() else { return };
    let became = sum(records, &["stored", "duplicate", "unchanged"]);
    assert_eq!(received, became, "{what}: {status}");
    for one in status["destinations"].as_array().unwrap() {
        let gone = sum(one, &["delivered", "expired", "evicted", "compacted", "quarantined"]);
        let backlog = one["backlog"]["records"].as_u64().unwrap();
        assert_eq!(one["meant"], gone + backlog, "{what}: {status}");
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> Result<(), String>) {
    let deadline = Instant::now() + DEADLINE;
    while let Err(why) = is_so() {
        assert!(Instant::now() < deadline, "{what}: {why}");
        std::thread::sleep(LOOK_PERIOD);
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
