//! `kill -9`: of the worker in the middle of a session, and of holder and worker together.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::Case;
use crate::harness::claude::{Printed, SONNET, print_arguments};
use crate::harness::loki::Loki;
use crate::harness::mock_api::MockApi;
use crate::harness::programs::Program;
use crate::harness::prometheus::Prometheus;
use crate::harness::sandbox::Sandbox;
use crate::harness::script::{Script, Turn, Usage};
use crate::harness::{poll, totals};

const NEEDS: &[Program] = &[Program::Claude, Program::Prometheus];

const KILLS: usize = 10;

/// A worker that was killed is replaced, and holder and worker are gone, well before this.
const DEADLINE: Duration = Duration::from_mins(1);

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            format!("ten_kills_of_the_worker_lose_nothing [{}]", Loki::which()),
            NEEDS,
            worker_killed,
        ),
        Case::new("a_killed_agent_is_started_by_the_next_claude", NEEDS, agent_killed),
    ]
}

fn prompt(number: usize) -> String {
    format!("step {number}")
}

/// As many prompts as kills, and one more; different numbers in each.
fn script() -> Script {
    (0..=KILLS).fold(Script::default(), |script, number| {
        let more = number as u64;
        let turns = [
            Turn::bash("git status --short", Usage::new(40 + more, 9, 0, 700 + more)),
            Turn::text("Next.", Usage::new(3, 5 + more, 700, 10)),
        ];
        script.prompt(&prompt(number), turns)
    })
}

fn worker_killed() -> Result<()> {
    let (api, sandbox) = (MockApi::start(script()), Sandbox::new()?);
    let (prometheus, loki) = (Prometheus::start()?, Loki::start()?);
    sandbox.run(&["connect", "prometheus", &prometheus.write_url()])?;
    sandbox.run(&["connect", "loki", &loki.push_url()])?;
    sandbox.start_agent()?;
    let address = sandbox.agent_address()?;

    let mut session = Printed::start(sandbox.claude(&api, &print_arguments(SONNET, &[])))?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        let knocking = scope.spawn(|| knock(address, &done));
        let killed = kill_between_prompts(&sandbox, &mut session);
        done.store(true, Ordering::SeqCst);
        let knocks = knocking.join().expect("it returns its errors").context("knocking")?;
        killed?;
        ensure!(knocks > 0, "nobody knocked");
        Ok(())
    })?;
    session.finish()?;

    let truth = api.truth();
    ensure!(truth.prompts == KILLS as u64 + 1, "{truth:#?}");
    // A request that was cut off before its answer may be lost with its events. The counters heal.
    totals::report_counters_say(&sandbox, &truth)?;
    totals::prometheus_says(&sandbox, &prometheus, &truth)?;
    totals::loki_agrees_with_report(&sandbox, &loki)
}

fn kill_between_prompts(sandbox: &Sandbox, session: &mut Printed) -> Result<()> {
    for number in 0..KILLS {
        session.ask(&prompt(number))?;
        let old = sandbox.worker_pid()?;
        kill(old)?;
        poll::until("a new worker", DEADLINE, || {
            let new = sandbox.worker_pid()?;
            ensure!(new != old, "{old} is still there");
            Ok(())
        })?;
    }
    session.ask(&prompt(KILLS))?;
    Ok(())
}

/// Connects again and again, until told to stop: none may be refused.
fn knock(address: SocketAddr, done: &AtomicBool) -> Result<u64> {
    let mut knocks = 0;
    while !done.load(Ordering::SeqCst) {
        match TcpStream::connect_timeout(&address, DEADLINE) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                anyhow::bail!("refused after {knocks} connections");
            }
            Err(error) => return Err(error.into()),
            Ok(stream) => drop(stream),
        }
        knocks += 1;
        std::thread::park_timeout(Duration::from_millis(2));
    }
    Ok(knocks)
}

/// A session goes on while there is no agent; the next one starts it, and the counters heal.
fn agent_killed() -> Result<()> {
    let (api, sandbox) = (MockApi::start(script()), Sandbox::new()?);
    let prometheus = Prometheus::start()?;
    sandbox.run(&["connect", "prometheus", &prometheus.write_url()])?;
    let mut first = Printed::start(sandbox.claude(&api, &print_arguments(SONNET, &[])))?;
    first.ask(&prompt(0))?;
    sandbox.wait_for_agent()?;
    let (holder, worker) = (sandbox.holder_pid()?, sandbox.worker_pid()?);
    kill(holder)?;
    kill(worker)?;
    first.ask(&prompt(1))?;

    let mut second = Printed::start(sandbox.claude(&api, &print_arguments(SONNET, &[])))?;
    second.ask(&prompt(2))?;
    sandbox.wait_for_agent()?;
    ensure!(sandbox.holder_pid()? != holder, "the old holder is back");
    second.finish()?;
    // Its last export holds the whole of its counters.
    first.finish()?;
    let truth = api.truth();
    totals::prometheus_says(&sandbox, &prometheus, &truth)
}

fn kill(pid: i32) -> Result<()> {
    let target = Pid::from_raw(pid).with_context(|| format!("{pid} is no process"))?;
    kill_process(target, Signal::KILL).with_context(|| format!("killing {pid}"))
}
