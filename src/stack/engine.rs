//! Docker or Podman, with their compose: which one there is, and running it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::agent::files;

/// A way to run compose. The first that works is taken.
const WAYS: [(&str, &[&str]); 4] = [
    ("docker", &["compose"]),
    ("docker-compose", &[]),
    ("podman", &["compose"]),
    ("podman-compose", &[]),
];

/// Of compose.yaml. Compose leaves what is not of a profile in use alone, so that one which was started
/// and is not remembered would go on after `down`.
const ALL_PROFILES: &str = "victoria,renderer,collector,scrape,scrape-desktop";

/// A compose that answers, and the stack's directory.
#[derive(Clone, Debug)]
pub struct Engine {
    program: &'static str,
    arguments: &'static [&'static str],
    directory: PathBuf,
}

/// Why there is none, and what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoEngine {
    #[error(
        "neither Docker nor Podman is installed, and the stack runs in containers: install one of them \
         with its compose, or point ccotel at servers that you have (`ccotel connect prometheus URL`)"
    )]
    NotInstalled,
    #[error(
        "{program} is installed and its compose is not: install it (Debian and Ubuntu: \
         `apt install docker-compose-plugin` or `docker-compose`; Podman: `podman-compose`)"
    )]
    NoCompose { program: &'static str },
    #[error("{program} does not run ({why}): start it ({remedy}), then try again")]
    NotRunning { program: &'static str, why: String, remedy: &'static str },
}

impl Engine {
    /// The first way that has a compose and an engine behind it.
    pub fn find(directory: &Path) -> Result<Self, NoEngine> {
        let mut found = NoEngine::NotInstalled;
        for (program, arguments) in WAYS {
            let Some(version) = answer(program, arguments, &["version"]) else { continue };
            if !version.status.success() {
                if found == NoEngine::NotInstalled {
                    found = NoEngine::NoCompose { program };
                }
                continue;
            }
            let engine = if program.starts_with("docker") { "docker" } else { "podman" };
            match answer(engine, &[], &["info"]) {
                Some(info) if !info.status.success() => {
                    found = NoEngine::NotRunning {
                        program: engine,
                        why: last_line(&info),
                        remedy: start(engine),
                    };
                }
                _ => return Ok(Self { program, arguments, directory: directory.to_owned() }),
            }
        }
        Err(found)
    }

    /// For messages: `docker compose`.
    pub fn name(&self) -> String {
        [&[self.program], self.arguments].concat().join(" ")
    }

    /// Runs it with the user's terminal, so that its own progress is seen.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        self.checked(&mut self.command(arguments), arguments)
    }

    /// The same for what concerns containers of every profile.
    pub fn run_for_all(&self, arguments: &[&str]) -> anyhow::Result<()> {
        self.checked(self.command(arguments).env("COMPOSE_PROFILES", ALL_PROFILES), arguments)
    }

    fn checked(&self, command: &mut Command, arguments: &[&str]) -> anyhow::Result<()> {
        let status =
            command.status().map_err(|error| self.failed(arguments, &files::words(&error)))?;
        anyhow::ensure!(status.success(), self.failed(arguments, &status.to_string()));
        Ok(())
    }

    /// Whether a container of the stack runs.
    pub fn is_up(&self) -> bool {
        let output =
            self.command(&["ps", "-q"]).stdout(Stdio::piped()).stderr(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success() && !output.stdout.trim_ascii().is_empty())
    }

    /// Stops these services, and removes their containers where compose can; volumes stay.
    pub fn remove(&self, services: &[&str]) -> anyhow::Result<()> {
        self.run_for_all(&[&["stop"], services].concat())?;
        // podman-compose has no `rm`; one that is stopped starts no more, either.
        let _ = self.run_for_all(&[&["rm", "--force"], services].concat());
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(self.arguments)
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        command
    }

    fn failed(&self, arguments: &[&str], why: &str) -> anyhow::Error {
        anyhow::anyhow!(
            "`{} {}` in {} failed ({why}); what it said is above",
            self.name(),
            arguments.join(" "),
            self.directory.display()
        )
    }
}

/// `None` where there is no such program.
fn answer(program: &str, before: &[&str], arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(before).args(arguments).stdin(Stdio::null());
    command.output().ok()
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line =
        text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it does not say why");
    line.trim().to_owned()
}

fn start(engine: &str) -> &'static str {
    match (engine, cfg!(target_os = "macos")) {
        ("docker", true) => "open Docker Desktop",
        ("docker", false) => "`sudo systemctl start docker`",
        (_, true) => "`podman machine start`",
        _ => "`systemctl --user start podman.socket`",
    }
}
