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
mod otlp;
mod places;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/programs.rs"]
mod programs;

mod tags;

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

use programs::Program;

/// Set inside the namespace.
pub const INSIDE_VARIABLE: &str = "CCOTEL_TEST_INSIDE";

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
        return Trial::test(name, move || inside(&unshare, name));
    }
    let name = format!("{name} ({})", Program::MountNamespace.missing());
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}

/// This test alone, by this same program, where it may mount.
fn inside(unshare: &std::path::Path, name: &str) -> Result<(), Failed> {
    let output = Command::new(unshare)
        .arg("-rm")
        .arg(std::env::current_exe()?)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE_VARIABLE, "1")
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&said).into_owned().into())
}

pub fn done(run: fn()) -> Result<(), Failed> {
    run();
    Ok(())
}
