//! ccotel in a home directory: shells with its hook, `setup` and what undoes it, services, packages.
//!
//! This program is also the `claude` that those shells find: called by that name it says what it was
//! given, and sends one event to the agent, as Claude Code would.

mod asked;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod home;
mod hooks;
mod lints;
mod package;
mod real;
mod service;
mod sockets;
mod stand_in;
mod status_line;
mod tmux;
mod undo;
mod wrapped;

use std::process::ExitCode;

use harness::cases::Case;
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if stand_in::is_called() {
        return stand_in::run();
    }
    let arguments = Arguments::from_args();
    let cases = [
        hooks::cases(),
        lints::cases(),
        undo::cases(),
        asked::cases(),
        service::cases(),
        sockets::cases(),
        status_line::cases(),
        wrapped::cases(),
        real::cases(),
        tmux::cases(),
        package::cases(),
    ];
    let trials = cases.into_iter().flatten().map(Case::into_trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
