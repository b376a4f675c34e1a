//! The local page: served by the real agent, opened by the real `ccotel open`, and used in a real browser.
//!
//! The browser is Debian's Chromium, driven by `playwright-core`; both, and `axe-core`, come from npm at
//! the versions in `package.json`. Where one of them is not installed, the tests that need it are listed
//! as ignored, by name. What a browser would never do is asked of the server directly.

mod asking;
mod browser;
mod client;
mod doors;
#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
mod harness;
mod house;
mod made_up;
mod opening;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test by its name.
pub type Case = (&'static str, fn() -> anyhow::Result<()>);

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for (name, run) in doors::CASES.iter().chain(asking::CASES).chain(opening::CASES) {
        trials.push(trial(name, *run, None));
    }
    let not_root = (!rustix::process::geteuid().is_root()).then(|| "needs root".to_owned());
    for (name, run) in doors::CASES_AS_ROOT {
        trials.push(trial(name, *run, not_root.clone()));
    }
    let missing = browser::missing();
    for scenario in browser::SCENARIOS {
        let run = move || browser::run(scenario);
        trials.push(trial(scenario.name, run, missing.clone()));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(
    name: &str,
    run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    missing: Option<String>,
) -> Trial {
    let test = move || run().map_err(|error| Failed::from(format!("{error:#}")));
    match missing {
        None => Trial::test(name, test),
        Some(missing) => Trial::test(format!("{name} ({missing})"), test).with_ignored_flag(true),
    }
}
