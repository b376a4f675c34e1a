//! The gateway, as a process: many senders by HTTP and gRPC over TLS, with tokens and certificates that
//! are made here.
//!
//! Each sender sends the same bytes under the same session id, so whatever is not told apart by its
//! sender shows in a total.

mod authority;
mod client;
mod container;
mod crowding;
mod doors;
mod files;
mod gateway;
#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
mod harness;
mod identity;
mod many;
mod measure;
mod namespace;
mod refusals;
mod session;
mod starting;
mod work;

use std::process::ExitCode;

pub use harness::cases::Case;
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Some(done) = namespace::inside() {
        return match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let arguments = Arguments::from_args();
    let cases = [
        many::cases(),
        refusals::cases(),
        doors::cases(),
        identity::cases(),
        files::cases(),
        crowding::cases(),
        starting::cases(),
        container::cases(),
        session::cases(),
        measure::cases(),
    ];
    let mut trials: Vec<_> = cases.into_iter().flatten().map(Case::into_trial).collect();
    trials.extend(namespace::trials());
    trials.extend(container::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}
