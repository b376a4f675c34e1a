//! What goes wrong, and Ctrl-C at any time: words, an exit code, and nothing left.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::harness::addresses;
use crate::harness::cases::Case;
use crate::harness::poll;
use crate::harness::programs::Program;
use crate::harness::sandbox::Sandbox;
use crate::running::{self, Running};

const BEGUN_DEADLINE: Duration = Duration::from_mins(1);

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("what_makes_no_demo_is_said", &[], wrong_use),
        Case::new("a_destination_that_is_down_is_said_before_anything_is_made", &[], down),
        Case::new("strange_destinations_are_asked_about_first", &[], unasked),
        Case::new("no_place_for_a_store_is_said", &[], no_place),
        Case::new("a_full_disk_is_said", &[Program::MountNamespace], full_disk),
        Case::new("interrupted_at_any_time_it_leaves_nothing", &[], interrupted),
    ]
}

fn fails(sandbox: &Sandbox, arguments: &[&str], code: i32, words: &str) -> Result<()> {
    let command = sandbox.ccotel(&[&["demo"], arguments].concat());
    let (status, stdout, stderr) = running::run(command)?;
    let fine = status.code() == Some(code) && stdout.is_empty() && stderr.contains(words);
    ensure!(fine, "{arguments:?}: {status}: {stdout}{stderr}");
    ensure!(!sandbox.data_dir().exists(), "the user's data directory was made");
    Ok(())
}

fn wrong_use() -> Result<()> {
    let sandbox = Sandbox::new()?;
    fails(&sandbox, &["--seed", "one"], 2, "--seed")?;
    fails(&sandbox, &["--until", "yesteryear"], 2, "`yesteryear` is not a time")?;
    fails(&sandbox, &["--until", "2999-01-01"], 2, "in the future")?;
    fails(&sandbox, &["--json"], 2, "--exit")?;
    fails(&sandbox, &["--to-destinations"], 1, "there is no destination to fill")
}

fn down() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let url = format!("http://{}/api/v1/write", addresses::free_address()?);
    sandbox.run(&["connect", "prometheus", &url, "--name", "away"])?;
    fails(&sandbox, &["--to-destinations", "--yes"], 1, "away: ")?;
    fails(&sandbox, &["--to-destinations", "--yes"], 1, "nothing was sent")
}

fn unasked() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let url = format!("http://{}/api/v1/write", addresses::free_address()?);
    sandbox.run(&["connect", "prometheus", &url, "--name", "team-prom"])?;
    fails(&sandbox, &["--to-destinations"], 1, "--yes` if that is meant")?;
    // A name alone makes no stack of ours.
    sandbox.run(&["disconnect", "team-prom", "--yes"])?;
    let elsewhere = "http://prom.invalid/api/v1/write";
    sandbox.run(&["connect", "prometheus", elsewhere, "--name", "stack-prometheus"])?;
    fails(&sandbox, &["--to-destinations"], 1, "--yes` if that is meant")
}

fn no_place() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let mut command = sandbox.ccotel(&["demo", "--exit"]);
    command.env("TMPDIR", sandbox.home().join("nowhere"));
    let output = command.output()?;
    let stderr = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1) && stderr.contains("TMPDIR"), "{stderr}");
    ensure!(!stderr.contains("os error"), "{stderr}");
    Ok(())
}

/// Others fill the disk while the fortnight passes, and then another demo is to begin.
fn full_disk() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let place = sandbox.home().join("small");
    std::fs::create_dir(&place)?;
    let script = r#"mount -t tmpfs -o size=80m small "$1" || exit 77
TMPDIR="$1" "$2" demo --exit & demo=$!
until ls "$1"/*/data/history.db > /dev/null 2>&1; do kill -0 $demo || exit 1; done
head -c 100m /dev/zero > "$1/others" 2> /dev/null
TMPDIR="$1" "$2" demo --exit && exit 1
wait $demo; code=$?
rm "$1/others"; ls -A "$1"
exit $code"#;
    let program = sandbox.ccotel(&[]).get_program().to_owned();
    let mut command = sandbox.command("unshare");
    command.args(["-rm", "sh", "-c", script, "sh"]).arg(&place).arg(program);
    let output = command.output()?;
    let (stdout, stderr) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.code() == Some(1), "{}: {stdout}{stderr}", output.status);
    let told = stderr.matches("there is no room for the demo").count();
    ensure!(told == 2 && stderr.contains("TMPDIR"), "{stderr}");
    ensure!(stdout.is_empty(), "left: {stdout}");
    Ok(())
}

fn interrupted() -> Result<()> {
    for (signal, wait_for) in [
        (Signal::INT, "data"),
        (Signal::TERM, "data/queue.db"),
        (Signal::HUP, "data/history.db"),
        (Signal::INT, "data/history.db-wal"),
    ] {
        let mut demo = Running::start(Sandbox::new()?, &["--seed", "5"])?;
        poll::until(wait_for, BEGUN_DEADLINE, || {
            let path = demo.directory()?.join(wait_for);
            ensure!(path.exists(), "{} is not there", path.display());
            Ok(())
        })?;
        demo.signal(signal)?;
        let status = demo.wait()?;
        let (stdout, stderr) = (demo.stdout()?, demo.stderr()?);
        ensure!(status.code() == Some(1), "{signal:?} at {wait_for}: {status}: {stdout}{stderr}");
        ensure!(stdout.is_empty() && stderr.contains("nothing of the demo is left"), "{stderr}");
    }
    Ok(())
}
