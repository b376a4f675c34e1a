//! The service, as far as it goes without a service manager: files, commands, who owns the agent.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::harness::cases::Case;
use crate::harness::programs::Program;
use crate::harness::{addresses, http, poll};
use crate::home::{self, Home};

const UNIT: &str = ".config/systemd/user/ccotel-agent.service";
const WANTED: &str = ".config/systemd/user/default.target.wants/ccotel-agent.service";
const DEADLINE: Duration = Duration::from_mins(1);

pub fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| Case::new(name, &[], run);
    let mut cases = vec![
        case("service_waits_for_the_agent_before_it", waits_for_the_agent_before_it),
        Case::new("service_units_are_valid", &[Program::SystemdAnalyze], units_are_valid),
        Case::new("service_under_a_real_systemd", &[Program::UserManager], under_systemd),
    ];
    if cfg!(target_os = "linux") {
        cases.extend([
            case("service_is_installed_and_taken_out", is_installed_and_taken_out),
            case("service_that_is_stale_is_mended", stale_is_mended),
            case("service_owners_are_named", owners_are_named),
            case("service_without_a_manager_says_so", without_a_manager),
        ]);
    }
    cases
}

fn with_systemctl() -> Result<Home> {
    let home = Home::new()?;
    home.executable("systemctl", home::SYSTEMCTL)?;
    Ok(home)
}

fn is_installed_and_taken_out() -> Result<()> {
    let home = with_systemctl()?;
    let before = home.snapshot()?;
    let said = home.run(&["service", "install"])?;
    ensure!(said.contains("systemd runs the agent from now on"), "{said}");
    let unit = home.read(UNIT)?;
    let start = format!("ExecStart=\"{}\" agent run --wait", home.ccotel().display());
    ensure!(unit.contains(&start), "{unit}");
    let said = home.run(&["service", "status"])?;
    ensure!(said.contains("systemd (enabled)"), "{said}");
    let calls = std::fs::read_to_string(home.path("run/systemctl.calls"))?;
    let wanted =
        "--user show-environment\n--user daemon-reload\n--user enable --now ccotel-agent.service\n";
    ensure!(calls == wanted, "{calls}");
    home.run(&["service", "uninstall"])?;
    ensure!(!home.home(".config/systemd").exists());
    let said = home.run(&["service", "uninstall"])?;
    ensure!(said.contains("there is no service"), "{said}");
    home.run(&["uninstall", "--purge", "--yes"])?;
    ensure!(home.snapshot()? == before);
    Ok(())
}

fn stale_is_mended() -> Result<()> {
    let home = with_systemctl()?;
    home.write(UNIT, "[Service]\nExecStart=/nowhere/Cellar/ccotel/0.0.1/bin/ccotel agent run\n")?;
    std::fs::create_dir_all(home.home(".config/systemd/user/default.target.wants"))?;
    std::os::unix::fs::symlink("../ccotel-agent.service", home.home(WANTED))?;
    let output = home.output(&["service", "status"])?;
    let said = String::from_utf8(output.stdout)?.replace('\n', " ");
    ensure!(output.status.code() == Some(1), "{said}");
    ensure!(said.contains("runs /nowhere/Cellar/ccotel/0.0.1/bin/ccotel, which is gone"), "{said}");
    home.run(&["service", "install"])?;
    home.run(&["service", "status"])?;
    ensure!(!home.read(UNIT)?.contains("/nowhere"));
    Ok(())
}

fn owners_are_named() -> Result<()> {
    let home = with_systemctl()?;
    home.run(&["service", "install"])?;
    let brew = ".config/systemd/user/homebrew.ccotel.service";
    let program = home.ccotel().display().to_string();
    home.write(brew, &format!("[Service]\nExecStart=\"{program}\" agent run --wait\n"))?;
    let link = home.home(".config/systemd/user/default.target.wants/homebrew.ccotel.service");
    std::os::unix::fs::symlink(home.home(brew), link)?;
    let output = home.output(&["service", "status", "--json"])?;
    ensure!(output.status.code() == Some(1));
    let document: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(document["schema"] == 1, "{document}");
    let owners: Vec<_> = document["registrations"]
        .as_array()
        .context("a list")?
        .iter()
        .filter(|it| it["enabled"] == true)
        .map(|it| it["owner"].clone())
        .collect();
    ensure!(owners == ["systemd", "brew services"], "{document:#}");
    let problem = document["problems"][0].as_str().unwrap_or_default();
    ensure!(problem.contains("`brew services stop ccotel` ends the second"), "{document:#}");
    // A second registration beside brew's is not made.
    home.run(&["service", "uninstall"])?;
    let said = home.run(&["service", "install"])?;
    ensure!(said.contains("`brew services` runs the agent already"), "{said}");
    ensure!(!home.home(UNIT).exists());
    Ok(())
}

fn without_a_manager() -> Result<()> {
    let home = Home::new()?;
    home.executable("systemctl", "#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")?;
    let output = home.output(&["service", "install"])?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1) && said.contains("Failed to connect to bus"), "{said}");
    ensure!(said.contains("it starts with `claude`"), "{said}");
    // Setup has other parts to do.
    home.run(&["setup", "--yes"])?;
    let output = home.output(&["setup", "--yes", "--with", "service"])?;
    ensure!(output.status.code() == Some(1), "asked for by name, it is an error");
    Ok(())
}

fn waits_for_the_agent_before_it() -> Result<()> {
    let home = Home::new()?;
    home.run(&["agent", "start"])?;
    let pid = |home: &Home| -> Result<u64> {
        let output = home.output(&["status", "--json"])?;
        let status: Value = serde_json::from_slice(&output.stdout)?;
        status["pid"].as_u64().context("no agent")
    };
    let first = pid(&home)?;
    let mut waiting = home.command(home.ccotel()).args(["agent", "run", "--wait"]).spawn()?;
    let stopped = home.run(&["agent", "stop"]);
    let second = poll::until("the one that waits", DEADLINE, || {
        let second = pid(&home)?;
        ensure!(second != first);
        Ok(second)
    });
    let own = u64::from(waiting.id());
    let _ = home.run(&["agent", "stop"]);
    let ended = poll::until("its end", DEADLINE, || waiting.try_wait()?.context("it runs"));
    http::end(&mut waiting);
    stopped?;
    ensure!(second? == own);
    ensure!(ended?.success(), "a clean end is not restarted");
    Ok(())
}

fn under_systemd() -> Result<()> {
    let home = Home::new()?;
    let address = addresses::free_address()?;
    let listen = format!("[agent]\nlisten = [\"{address}\"]\n");
    home.write(".config/ccotel/config.toml", &listen)?;
    let before = home.snapshot()?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/setup/under_systemd.sh");
    let output = home.command("bash").arg(script).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success() && said.contains("== done"), "{said}");
    ensure!(home.snapshot()? == before, "{:#?}", home.snapshot()?);
    Ok(())
}

fn units_are_valid() -> Result<()> {
    let home = with_systemctl()?;
    home.run(&["service", "install", "--socket"])?;
    for unit in ["ccotel-agent.service", "ccotel-agent.socket"] {
        let file = home.home(".config/systemd/user").join(unit);
        let program = Program::SystemdAnalyze.find().context("it was there")?;
        let output = Command::new(program)
            .args(["--user", "verify", "--man=no"])
            .arg(&file)
            .env("XDG_RUNTIME_DIR", home.path("run"))
            .env("HOME", home.home(""))
            .output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        ensure!(output.status.success(), "{unit}: {said}");
        ensure!(!said.contains("ccotel-agent"), "{unit}: {said}");
    }
    Ok(())
}
