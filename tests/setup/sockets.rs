//! Sockets that systemd owns, by its own tool for trying that without systemd.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::harness::cases::Case;
use crate::harness::programs::Program;
use crate::harness::{addresses, http, poll};
use crate::home::Home;

const DEADLINE: Duration = Duration::from_mins(1);

pub fn cases() -> Vec<Case> {
    vec![Case::new(
        "systemds_sockets_start_the_agent_and_stay_when_it_ends",
        &[Program::SystemdSocketActivate],
        sockets_start_the_agent,
    )]
}

/// A session finds no agent and somebody who listens: it waits for the one that it has woken.
fn sockets_start_the_agent() -> Result<()> {
    let home = Home::new()?;
    let address = addresses::free_address()?.to_string();
    home.write(".config/ccotel/config.toml", &format!("[agent]\nlisten = [\"{address}\"]\n"))?;
    std::fs::create_dir(home.path("run/ccotel"))?;
    let control = home.path("run/ccotel/control.sock");
    let program = Program::SystemdSocketActivate.find().context("it was there")?;
    let mut manager = home
        .command(program)
        .args(["-l", &address, "-l", &control.to_string_lossy()])
        .args(["-E", "HOME", "-E", "PATH", "-E", "XDG_RUNTIME_DIR"])
        .arg(home.ccotel())
        .args(["agent", "run", "--wait"])
        .stderr(Stdio::null())
        .spawn()?;
    let tried = (|| {
        poll::until("the control socket", DEADLINE, || {
            ensure!(control.exists());
            Ok(())
        })?;
        let output = home.command(home.ccotel()).args(["claude", "woken"]).output()?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(said.contains("counted: [woken]"), "{said}{:?}", String::from_utf8(output.stderr));
        home.wait_for_requests(1)?;
        let status: Value = serde_json::from_slice(&home.output(&["status", "--json"])?.stdout)?;
        ensure!(status["addresses"] == serde_json::json!([address]), "{status}");
        ensure!(status["pid"] == manager.id(), "the manager became the agent: {status}");
        // A restart hands over what came from the unit; nothing of it is removed at the end.
        home.run(&["agent", "restart"])?;
        home.run(&["agent", "stop"])?;
        ensure!(control.exists(), "the socket is systemd's");
        Ok(())
    })();
    http::end(&mut manager);
    tried
}
