//! The dashboards, rules and stack: as files, and asked of real servers that hold a fortnight with
//! known truth.

mod answers;
mod checks;
mod choices;
mod containers;
mod dashboards;
mod fortnight;
mod grafana;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod health;
mod manifests;
mod renamed;
mod rules;
mod servers;
mod stack;
mod stack_up;
mod tools;

use std::process::ExitCode;

use harness::cases::Case;
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = [checks::cases(), tools::cases(), stack::cases(), fortnight::cases()];
    let mut trials: Vec<_> = cases.into_iter().flatten().map(Case::into_trial).collect();
    trials.extend(tools::trials());
    trials.extend(manifests::trials());
    trials.extend(stack_up::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}
