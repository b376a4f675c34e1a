//! OpenTelemetry's own exporters for Node, which Claude Code carries, against the real agent: lost
//! answers, slow answers, a restart under load, and fifty sessions at once.
//!
//! They are npm packages (`package.json` here, exact versions). Where they are not installed, the
//! tests are listed as ignored, by name.

mod clients;
#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
mod harness;
mod proxy;
mod scenarios;

use std::path::PathBuf;
use std::process::ExitCode;

use harness::programs::Program;
use libtest_mimic::{Arguments, Failed, Trial};

/// Names the folder `node_modules` that the exporters are in.
pub const MODULES_VARIABLE: &str = "CCOTEL_TEST_NODE_MODULES";

fn main() -> ExitCode {
    let missing = missing();
    let trials = scenarios::CASES.iter().map(|(name, run)| {
        let test = move || run().map_err(|error| Failed::from(format!("{error:#}")));
        match &missing {
            None => Trial::test(*name, test),
            Some(missing) => {
                Trial::test(format!("{name} ({missing})"), test).with_ignored_flag(true)
            }
        }
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// What this machine lacks. A variable that names no such folder fails instead.
fn missing() -> Option<String> {
    if Program::Node.find().is_none() {
        return Some(Program::Node.missing());
    }
    modules().is_none().then(|| format!("needs the packages of package.json in {MODULES_VARIABLE}"))
}

pub fn modules() -> Option<PathBuf> {
    let folder = std::env::var_os(MODULES_VARIABLE).filter(|folder| !folder.is_empty())?;
    let folder = PathBuf::from(folder);
    assert!(
        folder.join("@opentelemetry").is_dir(),
        "{MODULES_VARIABLE} names {}, and OpenTelemetry's packages are not there",
        folder.display()
    );
    Some(folder)
}
