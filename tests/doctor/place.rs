//! A house in order, to be broken: Claude Code's stand-in with a version, and an agent that runs.

use std::any::Any;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{addresses, poll};
use crate::house::{CCOTEL, House};

const DEADLINE: Duration = Duration::from_mins(1);

/// Says its version, and becomes a newer one when it is told to.
const CLAUDE: &str = r#"#!/bin/sh
case $1 in
  --version) echo "$(cat "$HOME/claude-version") (Claude Code)" ;;
  update) echo 2.1.329 > "$HOME/claude-version" ;;
esac
"#;

pub struct Place {
    pub house: House,
    /// Where the agent listens.
    pub address: std::net::SocketAddr,
    /// What the shell does in which `ccotel doctor` is typed.
    pub shell: String,
    /// Backends and the like, which live as long as the place.
    parts: Vec<Box<dyn Any>>,
}

impl Place {
    /// With everything but an agent.
    pub fn without_agent() -> Self {
        let house = House::new();
        house.executable("bin/claude", CLAUDE);
        house.write("home/claude-version", "2.1.329\n");
        let address = addresses::free_address().unwrap();
        let place = Self { house, address, shell: String::new(), parts: Vec::new() };
        place.configure("");
        place
    }

    pub fn new() -> Self {
        let place = Self::without_agent();
        place.ccotel(&["agent", "start"]);
        place
    }

    /// The same, with a shell that does something first.
    pub fn in_shell(mut self, command: &str) -> Self {
        command.clone_into(&mut self.shell);
        self
    }

    /// `config.toml`, with the agent's address in front.
    pub fn configure(&self, more: &str) {
        let listen = format!("[agent]\nlisten = [\"{}\"]\n{more}", self.address);
        self.house.write("config/config.toml", listen);
    }

    /// One that must succeed.
    pub fn ccotel(&self, arguments: &[&str]) -> Output {
        let output = self.house.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output
    }

    pub fn keep(&mut self, part: impl Any) {
        self.parts.push(Box::new(part));
    }

    /// `ccotel doctor --json` as typed in a shell, after a command.
    pub fn doctor(&self, first: &str) -> Value {
        let script = format!("{}\n{first}\n{CCOTEL} doctor --json\n", self.shell);
        let output = self.house.command("sh").args(["-c", &script]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let document = said.lines().last().and_then(|line| serde_json::from_str(line).ok());
        let document: Value = document.unwrap_or_else(|| panic!("{first}: {output:?}"));
        let failed = document["verdict"] == "failed";
        assert_eq!(output.status.code(), Some(i32::from(failed)), "{document:#}");
        document
    }

    /// The agent's status, once it is as it is wanted.
    pub fn status_until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        poll::until(what, DEADLINE, || {
            let status = self.house.json(&["status", "--json"]);
            anyhow::ensure!(wanted(&status), "{status:#}");
            Ok(status)
        })
        .unwrap()
    }
}

/// A check of the document.
pub fn check<'d>(document: &'d Value, name: &str, subject: Option<&str>) -> &'d Value {
    let checks = document["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| {
        check["name"] == name && subject.is_none_or(|subject| check["subject"] == subject)
    });
    found.unwrap_or_else(|| panic!("there is no check {name} {subject:?}: {document:#}"))
}
