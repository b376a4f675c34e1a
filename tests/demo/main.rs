//! `ccotel demo`, as it is run: what it shows is what it made up, everywhere, and nothing of it stays.

mod errors;
mod everywhere;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod running;
mod same;

use std::process::ExitCode;

use harness::cases::Case;
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = [everywhere::cases(), same::cases(), errors::cases()];
    let trials = cases.into_iter().flatten().map(Case::into_trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
