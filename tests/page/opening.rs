//! `ccotel open`: what it writes, what it starts, and what it says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::Case;
use crate::harness::poll;
use crate::harness::sandbox::Sandbox;
use crate::house::{House, Past, url_in};

pub const CASES: &[Case] = &[
    ("the_file_is_the_users_alone", the_file_is_the_users_alone),
    ("an_agent_is_started_for_it", an_agent_is_started_for_it),
    ("the_browser_is_given_the_file_and_no_token", the_browser_is_given_the_file_and_no_token),
    ("without_a_browser_the_file_is_named", without_a_browser_the_file_is_named),
    ("a_browser_that_cannot_be_opened_is_said", a_browser_that_cannot_be_opened_is_said),
    ("a_new_worker_has_a_new_address", a_new_worker_has_a_new_address),
    (
        "an_agent_that_was_stopped_to_stay_is_left_alone",
        an_agent_that_was_stopped_to_stay_is_left_alone,
    ),
    ("nobody_listens_before_it_is_opened", nobody_listens_before_it_is_opened),
];

const PATIENCE: Duration = Duration::from_mins(1);

fn the_file_is_the_users_alone() -> Result<()> {
    let house = House::open(Past::Nothing)?;
    let mode = fs::metadata(&house.file)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{mode:o}");
    let folder = house.file.parent().context("it is in a folder")?;
    let of_folder = fs::metadata(folder)?.permissions().mode() & 0o777;
    ensure!(of_folder == 0o700, "{}: {of_folder:o}", folder.display());
    ensure!(house.token().len() == 32, "{}", house.url);
    ensure!(house.host().starts_with("127.0.0.1:"), "{}", house.url);
    let otlp = house.sandbox.agent_address()?.to_string();
    ensure!(house.host() != otlp, "a port of its own");
    // Asked again it is the same page.
    house.sandbox.run(&["open", "--no-browser"])?;
    ensure!(url_in(&fs::read_to_string(&house.file)?)? == house.url);
    Ok(())
}

fn an_agent_is_started_for_it() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.run(&["open", "--no-browser"])?;
    ensure!(sandbox.json(&["status", "--json"])?["running"] == true);
    Ok(())
}

/// A program in place of the system's opener, which keeps what it was given.
fn with_opener(sandbox: &Sandbox, script: &str) -> Result<Command> {
    let folder = sandbox.home().join("bin");
    fs::create_dir_all(&folder)?;
    let name = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    fs::write(folder.join(name), format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755))?;
    let mut command = sandbox.ccotel(&["open"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", folder.display())).env("DISPLAY", ":0");
    command.stdin(Stdio::null());
    Ok(command)
}

fn the_browser_is_given_the_file_and_no_token() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let output = with_opener(&sandbox, "printf '%s\\n' \"$@\" > \"$HOME/given\"")?.output()?;
    ensure!(output.status.success(), "{output:?}");
    let given = fs::read_to_string(sandbox.home().join("given"))?;
    let file = given.trim();
    ensure!(given.lines().count() == 1 && file.ends_with("open.html"), "{given}");
    let url = url_in(&fs::read_to_string(file)?)?;
    let token = url.rsplit('=').next().unwrap_or_default();
    let said = String::from_utf8(output.stdout)?;
    ensure!(!given.contains(token) && !said.contains(token), "the token shows: {given} {said}");
    Ok(())
}

fn without_a_browser_the_file_is_named() -> Result<()> {
    let sandbox = Sandbox::new()?;
    // No display: whatever opener there is, it could show nothing.
    let mut command = with_opener(&sandbox, "touch \"$HOME/opened\"")?;
    if cfg!(target_os = "macos") {
        return Ok(());
    }
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"] {
        command.env_remove(name);
    }
    let output = command.output()?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(output.status.success() && said.contains("open.html"), "{said}");
    ensure!(!sandbox.home().join("opened").exists());
    Ok(())
}

fn a_browser_that_cannot_be_opened_is_said() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let output = with_opener(&sandbox, "exit 3")?.output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1), "{said}");
    ensure!(said.contains("found no browser") && said.contains("open.html"), "{said}");
    Ok(())
}

fn a_new_worker_has_a_new_address() -> Result<()> {
    let house = House::open(Past::Nothing)?;
    house.sandbox.run(&["agent", "restart"])?;
    house.sandbox.wait_for_agent()?;
    house.sandbox.run(&["open", "--no-browser"])?;
    let url = url_in(&fs::read_to_string(&house.file)?)?;
    let token = url.rsplit('=').next().unwrap_or_default();
    ensure!(token != house.token(), "the token of the worker before is still good");
    poll::until("the page of before is gone", PATIENCE, || {
        let open = std::net::TcpStream::connect(house.host()).is_ok();
        ensure!(!open || url.contains(house.host()), "it still answers");
        Ok(())
    })
}

fn an_agent_that_was_stopped_to_stay_is_left_alone() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    sandbox.run(&["agent", "stop", "--stay"])?;
    let output = sandbox.ccotel(&["open", "--no-browser"]).stdin(Stdio::null()).output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1) && said.contains("ccotel agent start"), "{said}");
    ensure!(sandbox.json(&["status", "--json"])?["running"] == false);
    Ok(())
}

fn nobody_listens_before_it_is_opened() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    let log = fs::read_to_string(sandbox.data_dir().join("agent.log"))?;
    ensure!(!log.contains("the page is served"), "{log}");
    sandbox.run(&["open", "--no-browser"])?;
    let log = fs::read_to_string(sandbox.data_dir().join("agent.log"))?;
    ensure!(log.contains("the page is served"), "{log}");
    Ok(())
}
