//! Bad days: disks that are full or read-only, ports that are taken, files that are wrong. Claude
//! Code starts each time, what is wrong is said where it can be read, and nothing is lost uncounted.
//!
//! A test that needs a file system of its own runs again inside `unshare -rm`, and is listed as
//! ignored, by name, where that is not allowed.

#![expect(clippy::unwrap_used, reason = "tests; clippy knows them by #[test] only")]

mod disks;
mod each_write;
mod errors;
#[path = "../house/mod.rs"]
mod house;
#[path = "../harness/namespace.rs"]
mod namespace;
mod otlp;
mod places;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/programs.rs"]
mod programs;

mod tags;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use namespace::{INSIDE_VARIABLE, inside};
use programs::Program;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let plain = [tags::CASES, places::CASES].concat();
    let mut trials: Vec<Trial> =
        plain.into_iter().map(|(name, run)| Trial::test(name, move || done(run))).collect();
    trials.push(as_root(tags::ROOT_CASE));
    trials.extend(disks::CASES.iter().map(|(name, run)| with_disk(name, *run)));
    trials.extend(errors::trials());
    trials.extend(each_write::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Only root can give a file away.
fn as_root((name, run): (&str, fn())) -> Trial {
    let is_root = rustix::process::geteuid().is_root();
    let name = if is_root { name.to_owned() } else { format!("{name} (needs root)") };
    Trial::test(name, move || done(run)).with_ignored_flag(!is_root)
}

fn with_disk(name: &'static str, run: fn()) -> Trial {
    if std::env::var_os(INSIDE_VARIABLE).is_some() {
        return Trial::test(name, move || done(run));
    }
    if let Some(unshare) = Program::MountNamespace.find() {
        return Trial::test(name, move || inside(&unshare, "-rm", name));
    }
    let name = format!("{name} ({})", Program::MountNamespace.missing());
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}

pub fn done(run: fn()) -> Result<(), Failed> {
    run();
    Ok(())
}
