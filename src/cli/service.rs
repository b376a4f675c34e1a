//! `ccotel service`: the agent as a service of systemd or launchd.

use std::path::Path;

use anyhow::Context;
use clap::Subcommand;

use super::{say, say_wrapped};
use crate::agent::control::{self, Answer, Request};
use crate::agent::{manage, sockets};
use crate::config;
use crate::exit::Exit;
use crate::paths::Paths;
pub use crate::service::config_home;
use crate::service::registration::{self, Registration};
use crate::service::{self, Manager, Service, systemd};
use crate::setup::journal::Journal;
use crate::setup::{directories, program, undo};

const SCHEMA: u32 = 1;

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = false)]
#[command(after_help = "\
Examples:
  ccotel service install     from login on
  ccotel service status      who starts the agent here")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Have systemd or launchd run the agent from login on
    #[command(after_help = "\
Examples:
  ccotel service install
  ccotel service install --socket   systemd keeps the sockets")]
    Install {
        /// systemd keeps the sockets, and starts the agent with the first connection
        #[arg(long)]
        socket: bool,
    },
    /// Take the service out again; the agent then starts with the next `claude`
    #[command(after_help = "\
Examples:
  ccotel service uninstall")]
    Uninstall,
    /// Who starts the agent here, and whether that is in order
    #[command(after_help = "\
Examples:
  ccotel service status
  ccotel service status --json")]
    Status {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    match &args.command {
        Command::Install { socket } => install(&paths, *socket),
        Command::Uninstall => uninstall(&paths),
        Command::Status { json } => Ok(status(&paths, *json)),
    }
}

fn install(paths: &Paths, socket: bool) -> anyhow::Result<Exit> {
    let found = registrations(paths);
    if let Some(other) = found.iter().find(|it| it.enabled && it.owner == "brew services") {
        say_wrapped(&format!(
            "`brew services` runs the agent already ({}); `{}` first, if this is to do it",
            other.file.display(),
            other.end()
        ));
        return Ok(if other.is_stale() { Exit::Failed } else { Exit::Done });
    }
    let manager = Manager::of_this_user()?;
    let mut journal = Journal::open(paths)?;
    say_wrapped(&set_up(paths, manager, socket, &mut journal)?);
    Ok(Exit::Done)
}

/// Installs it, and says what it came to. Also a part of `setup`.
pub fn set_up(
    paths: &Paths,
    manager: Manager,
    socket: bool,
    journal: &mut Journal,
) -> anyhow::Result<String> {
    let program = program::lasting().context("cannot tell which binary this is")?;
    let service = Service {
        paths,
        program: &program,
        config_home: config_home(paths),
        socket,
        address: address(paths),
    };
    // What a session has sent and is not answered yet would be lost by a stop: then the agent goes on.
    let busy = sessions(paths);
    if busy == 0 {
        manage::stop(paths, false)?;
    } else if socket {
        anyhow::bail!(
            "{busy} sessions are running, and the sockets can only change hands without one; \
             try again when they have ended"
        );
    }
    manager.install(&service, journal)?;
    Ok(if busy > 0 {
        format!(
            "{} runs the agent from now on; the one that {busy} running sessions started goes on until \
             it ends",
            manager.name()
        )
    } else {
        format!("{} runs the agent from now on, and after each login", manager.name())
    })
}

fn uninstall(paths: &Paths) -> anyhow::Result<Exit> {
    let mut journal = Journal::open(paths)?;
    let manager = service::of_journal(&journal);
    let found = registrations(paths);
    let own = found.iter().any(|it| it.enabled && it.owner != "brew services" && !it.system);
    if manager.is_none() && !own {
        for other in found.iter().filter(|it| it.enabled) {
            say_wrapped(&format!(
                "this service is not ccotel's own to take out: {}; `{}` does it",
                other.file.display(),
                other.end()
            ));
        }
        if !found.iter().any(|it| it.enabled) {
            say("ccotel: there is no service to take out");
        }
        return Ok(Exit::Done);
    }
    take_out(paths, &mut journal)?;
    say_wrapped("the service is taken out; the agent starts with the next `claude`");
    Ok(Exit::Done)
}

/// Ends the service and removes its files. Also a part of `uninstall`.
pub fn take_out(paths: &Paths, journal: &mut Journal) -> anyhow::Result<()> {
    let config_home = config_home(paths);
    let default = if cfg!(target_os = "macos") { Manager::Launchd } else { Manager::Systemd };
    let manager = service::of_journal(journal).unwrap_or(default);
    manager.uninstall(paths, &config_home)?;
    let of_service = |path: &Path| {
        path.starts_with(systemd::directory(&config_home))
            || path == service::launchd::file(&paths.home)
    };
    let mut left = Vec::new();
    for entry in std::mem::take(&mut journal.content.files) {
        if of_service(&entry.path) {
            undo::file(&entry)?;
        } else {
            left.push(entry);
        }
    }
    journal.content.files = left;
    journal.content.service = None;
    journal.content.directories = directories::remove_empty(&journal.content.directories);
    journal.save()?;
    if manager == Manager::Systemd {
        systemd::forget();
    }
    Ok(())
}

fn status(paths: &Paths, json: bool) -> Exit {
    let found = registrations(paths);
    let problems = problems(&found);
    if json {
        let registrations: Vec<_> = found
            .iter()
            .map(|it| {
                serde_json::json!({
                    "owner": it.owner, "file": it.file, "program": it.program,
                    "enabled": it.enabled, "stale": it.is_stale(),
                })
            })
            .collect();
        let document = serde_json::json!({
            "schema": SCHEMA, "registrations": registrations, "problems": problems,
        });
        say(&document.to_string());
    } else {
        for it in &found {
            let program = it.program.as_ref().map_or_else(
                || "keeps its sockets".to_owned(),
                |program| format!("runs {}", program.display()),
            );
            let enabled = if it.enabled { "enabled" } else { "there, not enabled" };
            say_wrapped(&format!("{} ({enabled}): {} {program}", it.owner, it.file.display()));
        }
        if !found.iter().any(|it| it.enabled) {
            say_wrapped(
                "no service runs the agent; it starts with `claude`, or `ccotel service install` has it run from login on",
            );
        }
        for problem in &problems {
            say_wrapped(&format!("! {problem}"));
        }
    }
    if problems.is_empty() { Exit::Done } else { Exit::Failed }
}

/// What is not in order, each with what mends it.
pub fn problems(found: &[Registration]) -> Vec<String> {
    registration::problems(found).iter().map(ToString::to_string).collect()
}

pub fn registrations(paths: &Paths) -> Vec<Registration> {
    registration::all(&paths.home, &config_home(paths), Path::new("/"))
}

/// Where the agent listens, or would.
pub fn address(paths: &Paths) -> std::net::SocketAddr {
    let configured = config::load(paths).config.agent.listen.first().copied();
    let configured = configured.unwrap_or_else(|| ([127, 0, 0, 1], 14318).into());
    sockets::bound_for(paths).get(&configured).copied().unwrap_or(configured)
}

/// How many sessions run now, as the agent says.
fn sessions(paths: &Paths) -> u64 {
    match control::ask(paths, Request::Status) {
        Ok(Answer::Status { status }) => status["sessions"]["active"].as_u64().unwrap_or(0),
        _ => 0,
    }
}
