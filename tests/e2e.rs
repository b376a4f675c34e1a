//! End to end, with the real parts: Claude Code from npm, Prometheus, Loki, a terminal.
//!
//! What a machine lacks is found out here, and each test that needs it is listed as ignored, by
//! name, with what is missing. `tests/harness` starts the parts.

mod e2e {
    pub mod clock;
    pub mod destinations;
    pub mod disk;
    pub mod everything;
    pub mod kills;
    pub mod parts;
    pub mod questions;
    pub mod scrape;
    pub mod sessions;
    pub mod settings;
    pub mod verify;
}
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
mod harness;

use std::process::ExitCode;

pub use harness::cases::Case;
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Some(done) = e2e::disk::inside() {
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
        e2e::parts::cases(),
        e2e::sessions::cases(),
        e2e::everything::cases(),
        e2e::destinations::cases(),
        e2e::questions::cases(),
        e2e::scrape::cases(),
        e2e::settings::cases(),
        e2e::kills::cases(),
        e2e::clock::cases(),
        e2e::disk::cases(),
        e2e::verify::cases(),
    ];
    let trials = cases.into_iter().flatten().map(Case::into_trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
