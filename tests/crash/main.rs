//! Nothing lost, nothing counted twice, shown by kills.
//!
//! ```text
//! clients ──OTLP──▶ ccotel ──▶ Prometheus, Loki (stand-ins with moods: up, down, slow, refusing, …)
//!    │                ▲ SIGKILL, SIGSTOP, power cuts, at random microseconds
//!    └── truth ───────┴─────▶ oracle: everything acknowledged is there once, and the books balance
//! ```
//!
//! `CCOTEL_CRASH_KILLS` says how many kills, `CCOTEL_CRASH_SEED` repeats the decisions of a run.
//! `just crash N` does it against a release build.

mod agent;
mod backend;
mod clients;
mod faults;
#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
mod harness;
mod loki;
mod oracle;
mod power;
mod process;
mod prometheus;
mod run;
mod sender;
mod truth;

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};

use harness::programs::Program;
use run::Plan;

/// In `cargo test`.
const KILLS: usize = 25;
const PAUSES: usize = 4;
const POWER_CUTS: usize = 6;
const KILLS_BESIDE: usize = 10;
/// A long run has one of the others for so many kills.
const KILLS_A_PAUSE: usize = 50;
const KILLS_A_POWER_CUT: usize = 20;
const KILLS_A_KILL_BESIDE: usize = 10;
/// Claude Code's exporter.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than a pause of the worker.
const SHORT_TIMEOUT: Duration = Duration::from_secs(1);

const POWER_CUT: &str = "power_cuts_lose_nothing_acknowledged";
/// Set in the mount namespace in which the power is cut.
const INSIDE_VARIABLE: &str = "CCOTEL_CRASH_INSIDE";

fn main() -> ExitCode {
    // The clients want a TLS provider even for plain loopback. A second installation is no fault.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = Arguments::from_args();
    // A kill at a random moment of one agent is none if another test has the processor.
    arguments.test_threads.get_or_insert(1);
    let kills =
        number("CCOTEL_CRASH_KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap_or(KILLS));
    let trials = vec![
        trial(Plan {
            name: "kills_lose_nothing_and_count_nothing_twice",
            faults: kills,
            choose: faults::kills,
            timeout: TIMEOUT,
            disk: false,
            real_prometheus: false,
        }),
        trial(Plan {
            name: "a_stopped_worker_loses_nothing_and_counts_nothing_twice",
            faults: PAUSES.max(kills / KILLS_A_PAUSE),
            choose: faults::pauses,
            timeout: SHORT_TIMEOUT,
            disk: false,
            real_prometheus: false,
        }),
        real_prometheus(Plan {
            name: "kills_beside_a_real_prometheus",
            faults: KILLS_BESIDE.max(kills / KILLS_A_KILL_BESIDE),
            choose: faults::kills,
            timeout: TIMEOUT,
            disk: false,
            real_prometheus: true,
        }),
        power_cuts(Plan {
            name: POWER_CUT,
            faults: POWER_CUTS.max(kills / KILLS_A_POWER_CUT),
            choose: faults::power_cuts,
            timeout: TIMEOUT,
            disk: true,
            real_prometheus: false,
        }),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(plan: Plan) -> Trial {
    let seed = number("CCOTEL_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    Trial::test(plan.name, move || run::run(&plan, seed).map_err(|error| failed(&error)))
}

fn real_prometheus(plan: Plan) -> Trial {
    if Program::Prometheus.find().is_some() {
        return trial(plan);
    }
    let name = format!("{} ({})", plan.name, Program::Prometheus.missing());
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}

/// This program once more, in a mount namespace of its own: its mounts end with it.
fn power_cuts(plan: Plan) -> Trial {
    if std::env::var_os(INSIDE_VARIABLE).is_some() {
        return trial(plan);
    }
    if !power::is_possible() {
        let name = format!("{POWER_CUT} (needs root, `unshare -m`, `mkfs.ext4` and a loop device)");
        return Trial::test(name, || Ok(())).with_ignored_flag(true);
    }
    Trial::test(POWER_CUT, || inside().map_err(|error| failed(&error)))
}

fn inside() -> Result<()> {
    let itself = std::env::current_exe()?;
    let mut command = Command::new("unshare");
    command.arg("-m").arg(itself).args(["--exact", POWER_CUT]).env(INSIDE_VARIABLE, "1");
    let output = command.output().context("running unshare")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(output.status.success(), "{said}");
    for line in said.lines().filter(|line| line.starts_with(POWER_CUT)) {
        eprintln!("{line}");
    }
    Ok(())
}

fn failed(error: &anyhow::Error) -> Failed {
    Failed::from(format!("{error:#}"))
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text:?}")))
}
