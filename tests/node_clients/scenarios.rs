//! What may happen between an exporter and the agent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use crate::clients::{Client, Protocol, Tally, nothing_failed, report_has_all};
use crate::harness::poll;
use crate::harness::sandbox::Sandbox;
use crate::proxy::{Fault, Proxy};

/// A test's name and body.
pub type Case = (&'static str, fn() -> Result<()>);

pub const CASES: &[Case] = &[
    ("a_lost_answer_counts_once_over_http_protobuf", || lost_answers(Protocol::Protobuf)),
    ("a_lost_answer_counts_once_over_http_json", || lost_answers(Protocol::Json)),
    ("a_lost_answer_counts_once_over_grpc", || lost_answers(Protocol::Grpc)),
    ("an_answer_after_nine_seconds_is_an_answer", slow_answers),
    ("a_restart_under_load_loses_nothing", restart_under_load),
    ("fifty_sessions_at_once_start_one_agent", fifty_at_once),
];

/// Just within the exporters' 10 s.
const SLOW: Duration = Duration::from_secs(9);
const RESTARTS: usize = 3;
/// Rounds take milliseconds; an exporter waits up to 5 s before it tries again.
const LOAD_DEADLINE: Duration = Duration::from_mins(1);
const SESSIONS: usize = 50;

/// The agent stores what it is sent, and its answers get lost: those of the first metrics and events
/// alike, and one of a retry.
fn lost_answers(protocol: Protocol) -> Result<()> {
    const LOST: usize = 3;
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    let proxy = Proxy::start(sandbox.agent_address()?, protocol, Fault::Lost, LOST)?;
    let mut client = Client::start(&sandbox, protocol, Some(proxy.address))?;
    client.rounds(5)?;
    let tallies = [client.finish()?];
    ensure!(proxy.left() == 0, "{} answers were to be lost still", proxy.left());
    report_has_all(&sandbox, &tallies)?;
    if protocol == Protocol::Grpc {
        // Its exporter does not retry. What it believes lost was stored, and is not sent again.
        let [tally] = &tallies;
        ensure!(!tally.failures.is_empty(), "gRPC did not notice: {tally:#?}");
        return Ok(());
    }
    nothing_failed(&tallies)?;
    let status = sandbox.json(&["status", "--json"])?;
    let duplicate = status["records"]["duplicate"].as_u64();
    ensure!(duplicate > Some(0), "the retries are recognised: {status}");
    Ok(())
}

fn slow_answers() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    let agent = sandbox.agent_address()?;
    let mut clients = Vec::new();
    for protocol in Protocol::ALL {
        let proxy = Proxy::start(agent, protocol, Fault::Late(SLOW), 1)?;
        let mut client = Client::start(&sandbox, protocol, Some(proxy.address))?;
        client.ask()?;
        clients.push((client, proxy));
    }
    let mut tallies = Vec::new();
    for (mut client, proxy) in clients {
        client.answered()?;
        client.rounds(2)?;
        tallies.push(client.finish()?);
        ensure!(proxy.left() == 0, "no answer was held back");
    }
    nothing_failed(&tallies)?;
    report_has_all(&sandbox, &tallies)
}

/// Four clients send as fast as they are answered, while the agent is restarted again and again.
fn restart_under_load() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    let protocols = [Protocol::Protobuf, Protocol::Protobuf, Protocol::Json, Protocol::Grpc];
    let load = Load::start(&sandbox, &protocols)?;
    load.wait_for_rounds()?;
    for _ in 0..RESTARTS {
        let before = sandbox.worker_pid()?;
        sandbox.run(&["agent", "restart"])?;
        sandbox.wait_for_agent()?;
        ensure!(sandbox.worker_pid()? != before, "the worker is still {before}");
        load.wait_for_rounds()?;
    }
    let tallies = load.finish()?;
    nothing_failed(&tallies)?;
    report_has_all(&sandbox, &tallies)
}

fn fifty_at_once() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        let mut client = Client::start(&sandbox, Protocol::Protobuf, None)?;
        client.ask()?;
        clients.push(client);
    }
    let holder = sandbox.holder_pid()?;
    let mut tallies = Vec::new();
    for mut client in clients {
        client.answered()?;
        tallies.push(client.finish()?);
    }
    nothing_failed(&tallies)?;
    let endpoints: BTreeSet<&str> = tallies.iter().map(|it| it.endpoint.as_str()).collect();
    ensure!(endpoints.len() == 1, "more than one agent: {endpoints:?}");
    ensure!(sandbox.holder_pid()? == holder, "the agent was replaced");
    report_has_all(&sandbox, &tallies)
}

/// Clients that send without a pause, each from a thread of its own.
struct Load {
    stop: Arc<AtomicBool>,
    /// Rounds so far, by client.
    rounds: Arc<Vec<AtomicU64>>,
    threads: Vec<JoinHandle<Result<Tally>>>,
}

impl Load {
    fn start(sandbox: &Sandbox, protocols: &[Protocol]) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let rounds: Arc<Vec<AtomicU64>> =
            Arc::new(protocols.iter().map(|_| AtomicU64::new(0)).collect());
        let mut threads = Vec::new();
        for (index, protocol) in protocols.iter().enumerate() {
            let mut client = Client::start(sandbox, *protocol, None)?;
            let (stop, rounds) = (Arc::clone(&stop), Arc::clone(&rounds));
            threads.push(std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    client.rounds(1)?;
                    rounds[index].fetch_add(1, Ordering::SeqCst);
                }
                client.finish()
            }));
        }
        Ok(Self { stop, rounds, threads })
    }

    /// Until every client has begun and ended a round from here.
    fn wait_for_rounds(&self) -> Result<()> {
        let now = || self.rounds.iter().map(|it| it.load(Ordering::SeqCst)).collect::<Vec<_>>();
        let before = now();
        poll::until("rounds of every client", LOAD_DEADLINE, || {
            let now = now();
            let all = before.iter().zip(&now).all(|(before, now)| *now >= before + 2);
            ensure!(all, "{now:?} rounds, and {before:?} before");
            Ok(())
        })
    }

    fn finish(self) -> Result<Vec<Tally>> {
        self.stop.store(true, Ordering::SeqCst);
        let joined = self.threads.into_iter().map(JoinHandle::join);
        joined.map(|tally| tally.map_err(|_| anyhow!("a client's thread panicked"))?).collect()
    }
}
