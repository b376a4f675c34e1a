//! `ccotel agent`: the background agent, by hand.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::SocketAddr;

use anyhow::Context;
use clap::Subcommand;

use super::say;
use crate::agent::holder::Role;
use crate::agent::identity::Identity;
use crate::agent::manage::{self, Restarted, Started};
use crate::agent::{VERSION, files, holder, spawn, worker};
use crate::config::Config;
use crate::exit::Exit;
use crate::paths::Paths;
use crate::receive::gateway::Gateway;
use crate::service::systemd;

mod logs;

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = false)]
#[command(after_help = "\
Examples:
  ccotel agent restart           after an upgrade; no connection is refused
  ccotel agent logs --follow     what happens to it
  ccotel agent stop --stay       none until `ccotel agent start`")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent in the foreground (for systemd, launchd, or to watch it)
    #[command(after_help = "\
Examples:
  ccotel agent run             until Ctrl-C
  ccotel agent run --gateway   for many senders")]
    Run {
        /// Where an agent runs already, wait, and take over when it ends
        #[arg(long)]
        wait: bool,
        /// Receive for many: senders elsewhere, each with a token or a certificate of its own
        #[arg(long, conflicts_with = "detached")]
        gateway: bool,
        #[arg(long, hide = true)]
        detached: bool,
    },
    /// Start the agent, also after `stop --stay`
    #[command(after_help = "\
Examples:
  ccotel agent start")]
    Start,
    /// Stop the agent until the next `claude`
    #[command(after_help = "\
Examples:
  ccotel agent stop          until the next `claude`
  ccotel agent stop --stay   until `ccotel agent start`")]
    Stop {
        /// Do not start it with the next `claude` either, only with `ccotel agent start`
        #[arg(long)]
        stay: bool,
    },
    /// Replace the running agent by this version; no connection is refused meanwhile
    #[command(after_help = "\
Examples:
  ccotel agent restart")]
    Restart {
        #[arg(long, hide = true)]
        if_older: bool,
    },
    /// Print what happened to the agent
    Logs(logs::Args),
    #[command(hide = true)]
    Spawn {
        #[arg(long)]
        restart: bool,
    },
    #[command(hide = true)]
    Worker {
        #[arg(long)]
        gateway: bool,
    },
}

/// The agent's own processes, told apart without the parser: its pages would stay in the memory of
/// holder and worker for their life, and its time be a part of every start.
pub fn of_agents_process(arguments: &[OsString]) -> Option<Args> {
    let words: Vec<_> = arguments.iter().skip(1).map(|word| word.to_str()).collect();
    let command = match words.as_slice() {
        [Some("agent"), Some("spawn")] => Command::Spawn { restart: false },
        [Some("agent"), Some("run"), Some("--detached")] => {
            Command::Run { wait: false, gateway: false, detached: true }
        }
        [Some("agent"), Some("worker")] => Command::Worker { gateway: false },
        [Some("agent"), Some("worker"), Some("--gateway")] => Command::Worker { gateway: true },
        _ => return None,
    };
    Some(Args { command })
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    if let Command::Spawn { restart } = args.command {
        spawn::spawn_and_exit(restart).context("cannot start the agent")?;
        return Ok(Exit::Done);
    }
    let paths = Paths::from_env()?;
    match &args.command {
        Command::Run { detached: true, .. } => {
            holder::run(&paths, &[], Role::Detached)?;
            Ok(Exit::Done)
        }
        Command::Run { wait, gateway, .. } => run_holder(&paths, *wait, *gateway),
        Command::Worker { gateway } => Ok(worker::run(&paths, *gateway)),
        Command::Start => start(&paths),
        Command::Stop { stay } => stop(&paths, *stay),
        Command::Restart { if_older } => restart(&paths, *if_older),
        Command::Logs(args) => logs::run(&paths, args),
        Command::Spawn { .. } => unreachable!("done above, without asking for directories"),
    }
}

fn run_holder(paths: &Paths, wait: bool, gateway: bool) -> anyhow::Result<Exit> {
    if std::io::stderr().is_terminal() {
        // Typed by somebody: that is as good as `agent start`.
        files::remove(&paths.stay_file())?;
    }
    // Before anything is taken over: sockets that came with this process come only once. Who loses a
    // race for the lock after that is started again by its service manager.
    if wait {
        holder::wait_for_turn(paths)?;
    }
    if paths.stay_file().exists() {
        tell("stopped with `ccotel agent stop --stay`; `ccotel agent start` starts it again");
        return Ok(Exit::Done);
    }
    if gateway {
        holder::run(paths, &fit_gateway(paths)?, Role::Gateway)?;
    } else {
        holder::run(paths, &config(paths).agent.listen, Role::Foreground)?;
    }
    Ok(Exit::Done)
}

/// Where the gateway is to listen, once it is certain that it may. One that takes over sockets says it
/// in its worker, which is started again and again: it must not end for a file that is being replaced.
fn fit_gateway(paths: &Paths) -> anyhow::Result<Vec<SocketAddr>> {
    let (config, known, warning) = worker::config_at_start(paths);
    if let Some(warning) = warning {
        anyhow::ensure!(known, "{}; {}", warning.what, warning.remedy);
        eprintln!("ccotel: {}; {}", warning.what, warning.remedy);
    }
    if std::env::var_os("LISTEN_FDS").is_none() {
        Gateway::open(&config.gateway, paths).context("the gateway does not start")?;
    }
    Ok(config.gateway.listen)
}

fn start(paths: &Paths) -> anyhow::Result<Exit> {
    match manage::start(paths, &config(paths))? {
        Started::New(agent) => tell(&format!("agent {} started: {}", agent.version, facts(&agent))),
        Started::Already(agent) => {
            tell(&format!("agent {} runs already: {}", agent.version, facts(&agent)));
        }
    }
    Ok(Exit::Done)
}

fn stop(paths: &Paths, stay: bool) -> anyhow::Result<Exit> {
    if stay && Identity::read(paths)?.is_some_and(|agent| agent.socket_unit) {
        systemd::stop_socket();
    }
    let stopped = if manage::stop(paths, stay)? { "agent stopped" } else { "no agent runs" };
    tell(&if stay {
        format!("{stopped}; none starts until `ccotel agent start`, and sessions are not counted")
    } else {
        format!("{stopped}; the next `claude` starts one")
    });
    Ok(Exit::Done)
}

fn restart(paths: &Paths, if_older: bool) -> anyhow::Result<Exit> {
    match manage::restart(paths, &config(paths), if_older)? {
        Restarted::Started(agent) => {
            tell(&format!("agent {} started: {}", agent.version, facts(&agent)));
        }
        Restarted::HandedOver { before, now } if before == now.version => {
            tell(&format!("agent {before} restarted: {}", facts(&now)));
        }
        Restarted::HandedOver { before, now } => {
            tell(&format!("agent {before} replaced by {}: {}", now.version, facts(&now)));
        }
        Restarted::NotNeeded => tell(&format!("the agent is not older than {VERSION}")),
    }
    Ok(Exit::Done)
}

/// An invalid configuration keeps nobody from an agent: it runs with the last valid one, and says so.
fn config(paths: &Paths) -> Config {
    let (config, _, warning) = worker::config_at_start(paths);
    if let Some(warning) = warning {
        eprintln!("ccotel: {}; {}", warning.what, warning.remedy);
    }
    config
}

fn tell(line: &str) {
    say(&format!("ccotel: {line}"));
}

fn facts(agent: &Identity) -> String {
    let addresses: Vec<_> = agent.addresses.iter().map(ToString::to_string).collect();
    let pid = agent.pid.map(|pid| format!("pid {pid}, ")).unwrap_or_default();
    format!("{pid}listening on {}", addresses.join(", "))
}
