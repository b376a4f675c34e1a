//! What a gateway costs beside the plain agent: 200 senders on one and then on the other, in one run.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use super::client::{Answer, Auth, Spec};
use super::gateway::{Gateway, token_of};
use super::harness::sandbox::Sandbox;
use super::many::{SENDERS, name};
use super::work::Work;
use crate::Case;

const STEPS: u32 = 20;
/// A debug build on a busy machine is nowhere near this; a gateway that hashes or copies too much is.
const RATIO_MAX: f64 = 8.0;

pub fn cases() -> Vec<Case> {
    let linux = cfg!(target_os = "linux").then(|| Case::new("measure_200_senders", &[], measure));
    linux.into_iter().collect()
}

struct Cost {
    cpu: Duration,
    time: Duration,
}

fn measure() -> Result<()> {
    let plain = {
        let sandbox = Sandbox::new()?;
        sandbox.start_agent()?;
        let token = std::fs::read_to_string(sandbox.data_dir().join("token"))?;
        let auth = |_| Auth::Path(token.trim().to_owned());
        cost(&sandbox, sandbox.agent_address()?, None, &auth)?
    };
    let names: Vec<String> = (1..=SENDERS).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let gateway = Gateway::start(&names, "")?;
    let auth = |number| Auth::Bearer(token_of(&name(number)));
    let over_tls = cost(&gateway.sandbox, gateway.address, Some(&gateway.authority.pem()), &auth)?;
    let ratio = over_tls.cpu.as_secs_f64() / plain.cpu.as_secs_f64();
    println!(
        "{} requests of {SENDERS} senders: agent {:?} of CPU in {:?}, gateway {:?} in {:?}, {ratio:.2} times the CPU",
        u32::from(SENDERS) * STEPS,
        plain.cpu,
        plain.time,
        over_tls.cpu,
        over_tls.time,
    );
    ensure!(ratio < RATIO_MAX, "{ratio} times the plain agent's CPU");
    Ok(())
}

fn cost(
    sandbox: &Sandbox,
    address: SocketAddr,
    ca: Option<&str>,
    auth: &dyn Fn(u8) -> Auth,
) -> Result<Cost> {
    let worker = sandbox.worker_pid()?;
    let (cpu, begun) = (cpu(worker)?, Instant::now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut senders = JoinSet::new();
        for number in 1..=SENDERS {
            let spec = Spec::new(address, String::new(), auth(number));
            let client = Spec { ca: ca.map(str::to_owned), source: number, ..spec }.client()?;
            // Bytes of its own, which the plain agent needs to tell processes apart.
            let work = Work::new().saying("team", &format!("team-{number}"));
            senders.spawn(async move {
                for step in 1..=STEPS {
                    let answer = client.send(&work.metrics(step)).await;
                    ensure!(answer == Answer::Success, "{answer:?}");
                }
                Ok(())
            });
        }
        while let Some(ended) = senders.join_next().await {
            ended.context("a sender broke")??;
        }
        anyhow::Ok(())
    })?;
    Ok(Cost { cpu: self::cpu(worker)?.saturating_sub(cpu), time: begun.elapsed() })
}

/// User and system time of a process so far (proc(5): fields 14 and 15, in hundredths of a second).
fn cpu(pid: i32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit(')').next().context("no name")?;
    let ticks: Vec<u64> =
        after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    ensure!(ticks.len() == 2, "{stat}");
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}
