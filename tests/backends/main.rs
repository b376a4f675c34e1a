//! Nothing lost and nothing counted twice, shown on real backends: Prometheus of two generations,
//! VictoriaMetrics, Loki, VictoriaLogs.
//!
//! The store and delivery are the real ones, in this process, with a clock of the test's own; so
//! days of use go by in seconds, and everything behind the HTTP request is real.

mod events;
mod gate;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod machine;
mod metrics;
mod rules;
mod servers;

use std::process::ExitCode;

use harness::cases::Case;
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = [metrics::cases(), events::cases()];
    let trials = cases.into_iter().flatten().map(Case::into_trial).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    servers::stop();
    conclusion.exit_code()
}
