//! The user's own status line in front of ours: slow, failing, hanging, or with somebody left behind.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::harness::poll;
use crate::harness::sandbox::Sandbox;
use crate::{PATIENCE, line};

const INPUT: &str = r#"{"cost":{"total_cost_usd":0.5},"model":{"display_name":"Opus"},"é":"ü"}"#;
const OURS: &str = "$0.50 session\n";

fn chained(sandbox: &Sandbox, command: &str) -> Result<String> {
    line(sandbox, &["--no-color", "--chain", command], INPUT)
}

#[test]
fn it_gets_the_same_input_and_its_output_stays() -> Result<()> {
    let sandbox = Sandbox::new()?;
    assert_eq!(chained(&sandbox, "cat")?, format!("{INPUT}\n{OURS}"));
    let coloured = "printf '\\033[32mtheirs\\033[0m\\nsecond line\\n\\n'";
    assert_eq!(
        chained(&sandbox, coloured)?,
        format!("\u{1b}[32mtheirs\u{1b}[0m\nsecond line\n{OURS}")
    );
    // Also where ours has nothing to go by.
    let broken = line(&sandbox, &["--chain", "cat"], "{broken")?;
    assert_eq!(broken, "{broken\nccotel: no session on standard input\n");
    Ok(())
}

#[test]
fn one_that_fails_or_prints_nothing_leaves_ours() -> Result<()> {
    let sandbox = Sandbox::new()?;
    for command in ["exit 3", "true", "kill -9 $$", "/no/such/program 2>/dev/null"] {
        assert_eq!(chained(&sandbox, command)?, OURS, "{command}");
    }
    assert_eq!(chained(&sandbox, "echo before; exit 1")?, format!("before\n{OURS}"));
    // It need not read what it is given, however long.
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(900_000));
    assert_eq!(line(&sandbox, &["--chain", "echo quick"], &long)?, "quick\nccotel\n");
    let many = chained(&sandbox, "yes | head -c 1000000")?;
    ensure!(many.ends_with(OURS) && many.len() < 70_000, "{}", many.len());
    Ok(())
}

#[test]
fn one_that_hangs_is_ended_with_all_that_it_started() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let pids = sandbox.home().join("pids");
    let command = format!(
        "echo early; sleep 1000 & echo $! >> '{0}'; echo $$ >> '{0}'; wait",
        pids.display()
    );
    assert_eq!(chained(&sandbox, &command)?, format!("early\n{OURS}"));
    for pid in std::fs::read_to_string(&pids)?.lines() {
        let pid = rustix::process::Pid::from_raw(pid.parse()?).context("a pid")?;
        poll::until("its end", Duration::from_secs(10), || {
            let gone = rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
            ensure!(gone || is_zombie(pid.as_raw_nonzero().get()), "{pid:?} lives");
            Ok(())
        })?;
    }
    Ok(())
}

/// Nobody may be there to collect it.
fn is_zombie(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

#[test]
fn what_it_leaves_in_the_background_is_not_waited_for() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let began = Instant::now();
    let said = chained(&sandbox, "sleep 30 & echo done")?;
    assert_eq!(said, format!("done\n{OURS}"));
    ensure!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    Ok(())
}
