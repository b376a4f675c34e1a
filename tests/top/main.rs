//! `ccotel top` on a terminal: a real agent that is sent recorded requests, and a screen that is read.

mod ending;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod live;
mod real;
mod trouble;

use std::process::ExitCode;

use harness::cases::Case;
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if std::env::var_os(ending::PANIC_VARIABLE).is_some() {
        ending::panic_with_the_terminal_taken();
    }
    let arguments = Arguments::from_args();
    let cases = [live::cases(), ending::cases(), trouble::cases(), real::cases()];
    let trials = cases.into_iter().flatten().map(Case::into_trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
