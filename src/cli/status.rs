//! `ccotel status`: what runs, what arrived, what is waiting, and what went wrong.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use jiff::Timestamp;

use super::{say, say_wrapped};
use crate::agent::control::{self, Answer, Request};
use crate::agent::ensure::{self, EnsureError};
use crate::agent::identity::Identity;
use crate::agent::signals::Signals;
use crate::agent::status::{Status, Warning};
use crate::budget::{Standing, standings};
use crate::config;
use crate::exit::Exit;
use crate::launch::problems;
use crate::paths::Paths;
use crate::report::history::reader::{History, Imported};
use crate::report::time::Clock;

pub mod screen;

/// How often `--watch` draws.
const REDRAW_PERIOD: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel status             once
  ccotel status --watch     again every second, until Ctrl-C
  ccotel status --json      for programs

Exit code 3 where no agent runs.")]
pub struct Args {
    /// Print one JSON document
    #[arg(long, conflicts_with = "watch")]
    pub json: bool,
    /// Draw again every second, until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    if args.watch {
        return watch(&paths);
    }
    if !config::load(&paths).config.budgets.all.is_empty() {
        // As `report` does: then both are the same number.
        control::sync(&paths);
    }
    let status = gather(&paths);
    if args.json {
        say(&serde_json::to_string(&status)?);
    } else {
        say_wrapped(&screen::draw(&status, None, Timestamp::now()));
    }
    Ok(if status.running { Exit::Done } else { Exit::NotRunning })
}

fn watch(paths: &Paths) -> anyhow::Result<Exit> {
    if !std::io::stdout().is_terminal() {
        eprintln!("ccotel: --watch draws on a terminal; use `ccotel status --json` in scripts");
        return Ok(Exit::Usage);
    }
    let mut signals = Signals::listen()?;
    let mut before = None;
    loop {
        let status = gather(paths);
        let now = Timestamp::now();
        let text = screen::draw(&status, before.as_ref().map(|(at, status)| (*at, status)), now);
        // Home, each line cleared to its end, then everything below: no flicker.
        let lines = super::for_terminal(&text).replace('\n', "\x1b[K\n");
        let mut out = std::io::stdout().lock();
        if write!(out, "\x1b[H{lines}\x1b[J").and_then(|()| out.flush()).is_err() {
            return Ok(Exit::Done);
        }
        let running = status.running;
        before = Some((now, status));
        if signals.wait(Some(REDRAW_PERIOD)).is_some() {
            return Ok(if running { Exit::Done } else { Exit::NotRunning });
        }
    }
}

/// From the agent if one answers, else from the files.
pub fn gather(paths: &Paths) -> Status {
    let mut status = match ensure::running(paths) {
        Ok(Some(identity)) => ask(paths, &identity),
        Ok(None) => Status::on_disk(paths),
        Err(error) => {
            let mut status = Status::on_disk(paths);
            status.warnings.push(unknown(&error));
            status
        }
    };
    status.warnings.extend(launch_problems(paths));
    if status.worker.is_none() {
        status.budgets = budgets(paths);
    }
    status
}

/// From the history alone. That it cannot be read, the agent or `report` will say.
fn budgets(paths: &Paths) -> Vec<Standing> {
    let budgets = config::load(paths).config.budgets.all;
    if budgets.is_empty() {
        return Vec::new();
    }
    let Ok(clock) = Clock::system(None) else { return Vec::new() };
    let history = History::open(paths, Imported::Include);
    history.and_then(|it| standings(it.as_ref(), &clock, &budgets)).unwrap_or_default()
}

fn ask(paths: &Paths, identity: &Identity) -> Status {
    let unanswered = match control::ask(paths, Request::Status) {
        Ok(Answer::Status { status }) => match serde_json::from_value(status) {
            Ok(status) => return newer(status, identity),
            Err(_) => control::ControlError::Strange.to_string(),
        },
        Ok(_) => control::ControlError::Strange.to_string(),
        Err(error) => error.to_string(),
    };
    // The holder lives, so nothing is refused; its worker is being started, or cannot work.
    let mut status = Status::on_disk(paths).with_identity(identity);
    status.warnings.push(Warning {
        at: Timestamp::now(),
        what: format!("the worker does not answer: {unanswered}"),
        remedy: "what Claude Code sends waits in the meantime; `ccotel agent logs` says more"
            .into(),
    });
    status
}

/// Adds that a newer version is installed than the one that runs.
fn newer(mut status: Status, identity: &Identity) -> Status {
    if ensure::is_older(identity) {
        status.warnings.push(Warning {
            at: Timestamp::now(),
            what: format!(
                "the agent is of version {}, and {} is installed",
                identity.version,
                crate::agent::VERSION
            ),
            remedy: "the next `claude` replaces it, or `ccotel agent restart` now".into(),
        });
    }
    status
}

fn unknown(error: &EnsureError) -> Warning {
    Warning { at: Timestamp::now(), what: error.to_string(), remedy: error.remedy().into() }
}

/// What went wrong at launches, kept since nobody could have seen it then.
fn launch_problems(paths: &Paths) -> impl Iterator<Item = Warning> {
    problems::recent(paths).into_iter().map(|problem| Warning {
        at: problem.at,
        what: match problem.times {
            0 | 1 => format!("at a launch: {}", problem.what),
            times => format!("at {times} launches: {}", problem.what),
        },
        remedy: problem.remedy,
    })
}
