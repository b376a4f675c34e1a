//! One run: clients, faults and moods at once, then the oracle.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ccotel::agent::control::{self, Request};
use ccotel::paths::Paths;
use fastrand::Rng;

use super::agent::Agent;
use super::backend::{Backend, Mood};
use super::clients::{Clients, Common};
use super::faults::{Choose, Fault, Faults};
use super::harness::poll;
use super::harness::prometheus::Prometheus as RealPrometheus;
use super::harness::sandbox::Sandbox;
use super::loki::Loki;
use super::oracle::{Oracle, REAL_PROMETHEUS};
use super::power::Disk;
use super::prometheus::Prometheus;
use super::sender::Epoch;
use super::truth::Truth;

/// How long a mood lasts at most.
const MOOD_MS_MAX: u64 = 400;
/// How long a real Prometheus runs, or is gone, at most.
const REAL_MS_MAX: u64 = 3_000;
const KNOCK_PAUSE: Duration = Duration::from_millis(2);
const ADDRESS_DEADLINE: Duration = Duration::from_mins(1);
/// Progress is said so often.
const SAY_EVERY: usize = 100;

pub struct Plan {
    pub name: &'static str,
    pub faults: usize,
    pub choose: Choose,
    /// How long a client waits for an answer. Claude Code: 10 s.
    pub timeout: Duration,
    /// With a disk of its own, for power cuts.
    pub disk: bool,
    /// A real Prometheus beside the stand-ins, that is gone for a while now and then.
    pub real_prometheus: bool,
}

/// A seed gives the same decisions again; when they take effect is the machine's.
pub fn run(plan: &Plan, seed: u64) -> Result<()> {
    eprintln!("{}: CCOTEL_CRASH_SEED={seed}", plan.name);
    let begun = Instant::now();
    let counts = play(plan, seed).with_context(|| format!("{}, seed {seed}", plan.name))?;
    eprintln!("{}: {} faults in {:.0?}: {counts}", plan.name, plan.faults, begun.elapsed());
    Ok(())
}

fn play(plan: &Plan, seed: u64) -> Result<String> {
    let mut rng = Rng::with_seed(seed);
    let sandbox = Sandbox::new()?;
    let disk = plan
        .disk
        .then(|| Disk::mount(&sandbox.home().join("images"), &sandbox.data_dir()))
        .transpose()?;
    let (prometheus, loki) =
        (Backend::start(Prometheus::default())?, Backend::start(Loki::default())?);
    let mut real = plan.real_prometheus.then(RealPrometheus::start).transpose()?;
    configure(&sandbox, &prometheus, &loki, real.as_ref())?;
    let (truth, epoch) = (Arc::<Truth>::default(), Arc::<Epoch>::default());
    let agent = || Agent { sandbox: &sandbox, epoch: &epoch };
    sandbox.start_agent()?;
    let address = poll::until("the address", ADDRESS_DEADLINE, || sandbox.agent_address())?;
    let common =
        Common { address, timeout: plan.timeout, truth: truth.clone(), epoch: epoch.clone() };
    let clients = Clients::start(common, rng.u64(..))?;

    let done = AtomicBool::new(false);
    let mut faults = Faults::new(agent(), &truth, disk, rng.fork());
    let struck = std::thread::scope(|scope| {
        let (paths, mut moods) = (sandbox.paths(), rng.fork());
        let (done, prometheus, loki, real) = (&done, &prometheus, &loki, real.as_mut());
        scope.spawn(|| knock(address, &epoch, &truth, done));
        let restarts = rng.fork();
        let restarting = real.map(|real| scope.spawn(move || restart(real, restarts, done)));
        scope.spawn(move || change_moods(prometheus, loki, &paths, &mut moods, done));
        let struck = strike(&mut faults, plan);
        done.store(true, Ordering::SeqCst);
        let restarted = restarting.map_or(Ok(()), |it| it.join().expect("it returns its errors"));
        struck.and(restarted)
    });
    let log = || std::fs::read_to_string(sandbox.paths().data_dir.join("agent.log"));
    struck.with_context(|| format!("the agent's log: {:?}", log()))?;
    clients.finish()?;
    agent().answers()?;
    let agent = agent();
    let (prometheus, loki, real, truth) = (&prometheus, &loki, real.as_ref(), &*truth);
    Oracle { agent: &agent, prometheus, loki, real, truth }.judge()?;
    if let Some(disk) = &faults.disk {
        anyhow::ensure!(disk.forgotten > 0, "no power cut lost anything: the model is broken");
    }
    sandbox.run(&["agent", "stop", "--stay"])?;
    faults.disk.as_ref().map_or(Ok(()), Disk::unmount)?;
    let rules = prometheus.rules();
    let (samples, refusals) = (rules.samples(), rules.refusals);
    Ok(format!("{}; {samples} samples, {refusals} writes refused", truth.counts()))
}

fn strike(faults: &mut Faults<'_>, plan: &Plan) -> Result<()> {
    let mut struck: Vec<Fault> = Vec::new();
    for number in 1..=plan.faults {
        let fault = faults.strike(plan.choose);
        struck.push(fault.with_context(|| format!("fault {number}, after {struck:?}"))?);
        if number % SAY_EVERY == 0 {
            eprintln!("{}: {number} of {} faults", plan.name, plan.faults);
        }
    }
    Ok(())
}

/// Connects again and again: as long as the holder lives, nobody is refused.
fn knock(address: SocketAddr, epoch: &Epoch, truth: &Truth, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        let then = epoch.now();
        let knocked = TcpStream::connect_timeout(&address, ADDRESS_DEADLINE);
        if let Err(error) = knocked
            && epoch.lived_since(then)
        {
            truth.violated(format!("knocking: {error}"));
        }
        std::thread::park_timeout(KNOCK_PAUSE);
    }
}

/// All are meant to get all there is.
fn configure(
    sandbox: &Sandbox,
    prometheus: &Backend<Prometheus>,
    loki: &Backend<Loki>,
    real: Option<&RealPrometheus>,
) -> Result<()> {
    let file = sandbox.config_dir().join("config.toml");
    let mut text = std::fs::read_to_string(&file)?;
    let mut destinations = vec![
        ("prometheus", "prometheus", prometheus.url("/api/v1/write")),
        ("loki", "loki", loki.url("/loki/api/v1/push")),
    ];
    destinations.extend(real.map(|real| (REAL_PROMETHEUS, "prometheus", real.write_url())));
    for (name, kind, url) in destinations {
        text.push_str("\n[[destination]]\n");
        for (key, value) in [("name", name), ("type", kind), ("url", &url)] {
            text.push_str(&[key, " = \"", value, "\"\n"].concat());
        }
    }
    Ok(std::fs::write(file, text)?)
}

/// Killed, and started again with what it had.
fn restart(real: &mut RealPrometheus, mut rng: Rng, done: &AtomicBool) -> Result<()> {
    while !done.load(Ordering::SeqCst) {
        std::thread::park_timeout(Duration::from_millis(rng.u64(..REAL_MS_MAX)));
        real.stop();
        std::thread::park_timeout(Duration::from_millis(rng.u64(..REAL_MS_MAX)));
        real.start_again()?;
    }
    Ok(())
}

/// Backends change, and samples are taken, at random moments; in the end all is well.
fn change_moods(
    prometheus: &Backend<Prometheus>,
    loki: &Backend<Loki>,
    paths: &Paths,
    rng: &mut Rng,
    done: &AtomicBool,
) {
    while !done.load(Ordering::SeqCst) {
        match rng.u8(..4) {
            0 => prometheus.set(Mood::random(rng)),
            1 => loki.set(Mood::random(rng)),
            // As `ccotel report` and `ccotel retry` do. Whether somebody answers does not matter.
            2 => drop(control::ask(paths, Request::Sync)),
            _ => drop(control::ask(paths, Request::Retry { name: None })),
        }
        std::thread::park_timeout(Duration::from_millis(rng.u64(..MOOD_MS_MAX)));
    }
    prometheus.set(Mood::Up);
    loki.set(Mood::Up);
}
