//! One sender that floods, and what the others notice of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ccotel::receive::gateway::LIMITS;
use ccotel::receive::gateway::strangers::STRANGERS_MAX;
use ccotel::receive::gateway::usage::CONNECTIONS_MAX;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::client::{Answer, Auth, Client, Spec, run};
use super::gateway::{Gateway, token_of};
use super::work::{STEP_USD, Work};
use crate::Case;

/// Connections on which the greedy one sends without a pause.
const FLOODS: u8 = 100;
const MODEST: u8 = 20;
const STEPS: u32 = 10;
/// What Claude Code's exporter waits for an answer.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("a_sender_that_floods_does_not_starve_the_others", &[], flood),
        Case::new("a_senders_connections_are_its_own_limit", &[], connections),
        Case::new("strangers_lock_nobody_out", &[], strangers),
    ]
}

fn spec(gateway: &Gateway, sender: &str, source: u8) -> Spec {
    let auth = Auth::Bearer(token_of(sender));
    Spec { source, ..Spec::new(gateway.address, gateway.authority.pem(), auth) }
}

fn modest(number: u8) -> String {
    format!("modest-{number:02}")
}

fn flood() -> Result<()> {
    let names: Vec<String> = (1..=MODEST).map(modest).collect();
    let mut senders: Vec<&str> = names.iter().map(String::as_str).collect();
    senders.push("greedy");
    let gateway = Gateway::start(&senders, "")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (slowest, flooded) = runtime.block_on(async {
        let (stop, flooded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut floods = JoinSet::new();
        for number in 1..=FLOODS {
            let client = spec(&gateway, "greedy", number).client()?;
            floods.spawn(flood_on(client, u32::from(number), stop.clone(), flooded.clone()));
        }
        while flooded.load(Ordering::Relaxed) < u64::from(FLOODS) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut others = JoinSet::new();
        for number in 1..=MODEST {
            let client = spec(&gateway, &modest(number), number).client()?;
            others.spawn(send_steps(client));
        }
        let mut slowest = Duration::ZERO;
        while let Some(ended) = others.join_next().await {
            slowest = slowest.max(ended.context("a modest sender broke")??);
        }
        stop.store(true, Ordering::Relaxed);
        while let Some(ended) = floods.join_next().await {
            ended.context("the flood broke")??;
        }
        anyhow::Ok((slowest, flooded.load(Ordering::Relaxed)))
    })?;
    println!("{flooded} requests of the flood; the others' slowest answer took {slowest:?}");
    ensure!(slowest < EXPORT_TIMEOUT, "an exporter would have given up: {slowest:?}");
    let rows = gateway.report()?;
    for number in 1..=MODEST {
        let row = rows.iter().find(|row| row.0 == modest(number)).context("is missing")?;
        ensure!(row.1 == f64::from(STEPS) * STEP_USD, "{row:?}");
    }
    Ok(())
}

/// Always new bytes, and no pause.
async fn flood_on(
    client: Client,
    number: u32,
    stop: Arc<AtomicBool>,
    flooded: Arc<AtomicU64>,
) -> Result<()> {
    let work = Work::new();
    let mut next = number * 1_000_000;
    while !stop.load(Ordering::Relaxed) {
        next += 1;
        match client.send(&work.events(next)).await {
            Answer::Success | Answer::Refused(503, _) => flooded.fetch_add(1, Ordering::Relaxed),
            other => anyhow::bail!("the flood was answered {other:?}"),
        };
    }
    Ok(())
}

/// The slowest answer.
async fn send_steps(client: Client) -> Result<Duration> {
    let work = Work::new();
    let mut slowest = Duration::ZERO;
    for step in 1..=STEPS {
        let begun = Instant::now();
        let answer = client.send(&work.metrics(step)).await;
        ensure!(answer == Answer::Success, "{answer:?}");
        slowest = slowest.max(begun.elapsed());
    }
    Ok(slowest)
}

fn connections() -> Result<()> {
    raise_descriptors()?;
    let gateway = Gateway::start(&["greedy", "modest"], "")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let body = Work::new().events(1);
        let mut open = Vec::new();
        for number in 0..CONNECTIONS_MAX {
            let source = u8::try_from(number % 200 + 1)?;
            let client = spec(&gateway, "greedy", source).client()?;
            ensure!(client.send(&body).await == Answer::Success, "connection {number}");
            open.push(client);
        }
        let answer = spec(&gateway, "greedy", 201).client()?.send(&body).await;
        let is_no = matches!(&answer, Answer::Refused(503, words) if words.contains("connections"));
        ensure!(is_no, "{answer:?}");
        ensure!(open[0].send(&body).await == Answer::Success, "those that are open go on");
        let other = spec(&gateway, "modest", 202).client()?;
        ensure!(other.send(&body).await == Answer::Success);
        let status = gateway.sender("greedy")?;
        ensure!(status["connections"] == CONNECTIONS_MAX && status["refused"] == 0, "{status}");
        Ok(())
    })
}

/// More than the gateway has places for; none of them says a word.
fn strangers() -> Result<()> {
    const STRANGERS: usize = LIMITS.connections_max + 2 * STRANGERS_MAX;
    raise_descriptors()?;
    let gateway = Gateway::start(&["ci-shop"], "")?;
    run(async {
        let work = Work::new();
        let open = spec(&gateway, "ci-shop", 1).client()?;
        ensure!(open.send(&work.metrics(1)).await == Answer::Success);
        let mut idle = Vec::with_capacity(STRANGERS);
        for number in 0..STRANGERS {
            let stranger = TcpStream::connect(gateway.address).await;
            idle.push(stranger.with_context(|| format!("stranger {number}"))?);
        }
        let begun = Instant::now();
        let answer = spec(&gateway, "ci-shop", 2).client()?.send(&work.metrics(2)).await;
        ensure!(answer == Answer::Success, "{answer:?}");
        ensure!(open.send(&work.metrics(3)).await == Answer::Success, "who is in stays");
        let waited = begun.elapsed();
        ensure!(waited < LIMITS.first_request_timeout / 2, "{waited:?}");
        // The oldest made room: nothing more comes from there.
        let ended = timeout(EXPORT_TIMEOUT, idle[0].read(&mut [0])).await.context("it is open")?;
        ensure!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        Ok(())
    })
}

fn raise_descriptors() -> Result<()> {
    let descriptors = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: descriptors.maximum, ..descriptors })?)
}
