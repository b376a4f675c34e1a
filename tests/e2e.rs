//! End to end, with the real parts: Claude Code from npm, Prometheus, Loki, a terminal.
//!
//! What a machine lacks is found out here, and each test that needs it is listed as ignored, by
//! name, with what is missing. `tests/harness` starts the parts.

mod e2e {
    pub mod clock;
    pub mod destinations;
    pub mod disk;
    pub mod kills;
    pub mod parts;
    pub mod sessions;
    pub mod settings;
}
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
mod harness;

use std::process::ExitCode;

use harness::programs::Program;
use libtest_mimic::{Arguments, Failed, Trial};

/// A test and the parts it cannot do without.
pub struct Case {
    name: String,
    needs: &'static [Program],
    run: fn() -> anyhow::Result<()>,
}

impl Case {
    pub fn new(
        name: impl Into<String>,
        needs: &'static [Program],
        run: fn() -> anyhow::Result<()>,
    ) -> Self {
        Self { name: name.into(), needs, run }
    }

    fn into_trial(self) -> Trial {
        let missing: Vec<String> =
            self.needs.iter().filter(|it| it.find().is_none()).map(|it| it.missing()).collect();
        let run = self.run;
        let test = move || run().map_err(|error| Failed::from(format!("{error:#}")));
        if missing.is_empty() {
            return Trial::test(self.name, test);
        }
        let name = format!("{} ({})", self.name, missing.join(", "));
        Trial::test(name, test).with_ignored_flag(true)
    }
}

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
        e2e::destinations::cases(),
        e2e::settings::cases(),
        e2e::kills::cases(),
        e2e::clock::cases(),
        e2e::disk::cases(),
    ];
    let trials = cases.into_iter().flatten().map(Case::into_trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
