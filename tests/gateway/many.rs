//! Two hundred senders at once, half by HTTP and half by gRPC, each from an address of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use super::client::{Auth, Spec};
use super::gateway::{Gateway, is_orderly, token_of};
use super::harness::poll;
use super::harness::programs::Program;
use super::harness::prometheus::Prometheus;
use super::work::{STEP_USD, Work};
use crate::Case;

pub const SENDERS: u8 = 200;
/// The last sample of a series, and its way there.
const SAMPLES_DEADLINE: Duration = Duration::from_secs(90);
const KILLS: usize = 3;

pub fn cases() -> Vec<Case> {
    let needs = &[Program::Prometheus];
    vec![
        Case::new("each_of_200_senders_is_counted_to_the_cent", needs, || counted(0)),
        Case::new("a_killed_worker_loses_and_doubles_nothing_of_200_senders", needs, || {
            counted(KILLS)
        }),
    ]
}

pub fn name(number: u8) -> String {
    format!("ci-{number:03}")
}

/// So that no two neighbours have the same total.
fn steps(number: u8) -> u32 {
    3 + u32::from(number % 7)
}

fn counted(kills: usize) -> Result<()> {
    let names: Vec<String> = (1..=SENDERS).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut gateway = Gateway::start(&names, "")?;
    let prometheus = Prometheus::start()?;
    gateway.sandbox.run(&["connect", "prometheus", &prometheus.write_url(), "--since", "all"])?;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let (address, ca) = (gateway.address, gateway.authority.pem());
    let counting = Arc::clone(&acknowledged);
    let senders = std::thread::spawn(move || send_all(address, &ca, &counting));
    let requests: u64 = (1..=SENDERS).map(|number| u64::from(steps(number)) * 2).sum();
    for kill in 1..=kills {
        let enough = requests * kill as u64 / (kills as u64 + 1);
        poll::until("requests are acknowledged", SAMPLES_DEADLINE, || {
            let so_far = acknowledged.load(Ordering::Relaxed);
            ensure!(so_far >= enough, "{so_far} of {enough}");
            Ok(())
        })?;
        gateway.kill_worker()?;
    }
    senders.join().map_err(|_| anyhow::anyhow!("the senders' thread broke"))??;
    let truth: BTreeMap<String, f64> =
        (1..=SENDERS).map(|number| (name(number), f64::from(steps(number)) * STEP_USD)).collect();
    report_says(&gateway, &truth)?;
    prometheus_says(&prometheus, &truth)?;
    books_balance(&gateway, requests, kills)?;
    ensure!(is_orderly(gateway.end()?), "{}", gateway.log()?);
    Ok(())
}

/// All at the same time, in one thread of this process.
fn send_all(address: SocketAddr, ca: &str, acknowledged: &Arc<AtomicU64>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = Work::new();
    runtime.block_on(async {
        let mut senders = JoinSet::new();
        for number in 1..=SENDERS {
            let token = token_of(&name(number));
            let auth = if number % 4 < 2 { Auth::Bearer(token) } else { Auth::Path(token) };
            let grpc = number % 2 == 0;
            // gRPC's exporters have no path to put a token into.
            let auth = match auth {
                Auth::Path(token) if grpc => Auth::Bearer(token),
                auth => auth,
            };
            let spec = Spec { source: number, grpc, ..Spec::new(address, ca.to_owned(), auth) };
            let (work, acknowledged) = (work.clone(), Arc::clone(acknowledged));
            senders.spawn(async move {
                let client = spec.client()?;
                for step in 1..=steps(number) {
                    for body in [work.metrics(step), work.events(step)] {
                        client.send_until_acknowledged(&body).await?;
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = senders.join_next().await {
            ended.context("a sender broke")??;
        }
        Ok(())
    })
}

fn report_says(gateway: &Gateway, truth: &BTreeMap<String, f64>) -> Result<()> {
    let rows = gateway.report()?;
    ensure!(rows.len() == truth.len(), "{rows:?}");
    for (sender, cost, sessions, requests) in rows {
        let wanted = *truth.get(&sender).with_context(|| format!("who is {sender}?"))?;
        ensure!(cost == wanted, "{sender} cost {cost} and not {wanted}");
        // Each has a session of its own, though all have one id.
        ensure!(sessions == 1, "{sender}: {sessions} sessions");
        let requests = u32::try_from(requests)?;
        ensure!(f64::from(requests) * STEP_USD == wanted, "{sender}: {requests} requests");
    }
    Ok(())
}

fn prometheus_says(prometheus: &Prometheus, truth: &BTreeMap<String, f64>) -> Result<()> {
    let begun = Instant::now();
    poll::until("Prometheus has each sender's total", SAMPLES_DEADLINE, || {
        let rows = prometheus.query("sum by (sender) (claude_code_cost_usage_USD_total)")?;
        let found: BTreeMap<String, f64> =
            rows.into_iter().map(|row| (row.labels["sender"].clone(), row.value)).collect();
        let wrong = truth.iter().find(|(sender, wanted)| found.get(*sender) != Some(wanted));
        ensure!(wrong.is_none(), "{wrong:?}: {:?}", found.get(wrong.map_or("", |(name, _)| name)));
        ensure!(found.len() == truth.len(), "{} senders", found.len());
        Ok(())
    })?;
    let rows = prometheus.query("count(count by (instance) (claude_code_cost_usage_USD_total))")?;
    ensure!(rows[0].value == 1.0, "one install writes for all: {rows:?}");
    println!("Prometheus agreed after {} ms", begun.elapsed().as_millis());
    Ok(())
}

/// For the install, whatever the worker was that counted.
fn books_balance(gateway: &Gateway, requests: u64, kills: usize) -> Result<()> {
    let status = gateway.status()?;
    let records = &status["records"];
    let of = |key: &str| records[key].as_u64().unwrap_or_default();
    // Each request has one record. What was sent again after a kill may be counted as received twice.
    ensure!(of("stored") + of("unchanged") >= requests, "{requests} requests: {records}");
    ensure!(kills > 0 || of("received") == requests, "{requests} requests: {records}");
    ensure!(of("stored") + of("duplicate") + of("unchanged") == of("received"), "{records}");
    let senders = status["gateway"]["senders"].as_array().with_context(|| status.to_string())?;
    ensure!(senders.len() == usize::from(SENDERS), "{} senders", senders.len());
    if kills == 0 {
        let sum: u64 = senders.iter().filter_map(|sender| sender["received"].as_u64()).sum();
        ensure!(sum == requests, "senders sent {sum}, and {requests} were acknowledged");
        let all_seen = senders.iter().all(|sender| sender["last_seen"].is_string());
        ensure!(all_seen, "{senders:?}");
    }
    Ok(())
}
