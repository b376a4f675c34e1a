//! Command line: what was typed, and which room does it.
//!
//! One file a command: its clap arguments, and `run`. Help texts are written for who reads them first.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::agent::files;
use crate::exit::Exit;

pub mod agent;
pub mod claude;
mod colour;
pub mod completions;
pub mod config;
pub mod connect;
pub mod demo;
pub mod disconnect;
pub mod doctor;
pub mod gateway;
pub mod import;
pub mod init;
pub mod man;
pub mod open;
pub mod privacy;
pub mod quarantine;
pub mod report;
pub mod retry;
pub mod service;
pub mod setup;
pub mod stack;
pub mod status;
pub mod statusline;
pub mod tags;
pub mod top;
pub mod uninstall;
mod usage;
pub mod verify;

/// Claude Code, counted: what it costs and does, by project and team
#[derive(Debug, Parser)]
#[command(name = "ccotel", version, about, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "\
Examples:
  ccotel claude                                       a session, counted
  ccotel report --since today --by project,model      what it cost
  ccotel open                                         the same as a page in the browser
  ccotel connect prometheus http://localhost:9090     where to forward it
  ccotel status                                       how all of this is doing

`ccotel COMMAND --help` says more of each. Exit codes: 0 done, 1 failed, 2 called wrongly, 3 from \
`status` when no agent runs, 127 when there is no `claude`; else Claude Code's own.")]
pub struct Cli {
    /// Print without colour (as the environment variable NO_COLOR does)
    #[arg(long, global = true, display_order = 900)]
    pub no_color: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the real Claude Code, tagged and counted
    #[command(disable_help_flag = true)]
    Claude(claude::Args),
    /// Set everything up: shell, service, editors, destinations; shows each change first
    Setup(Box<setup::Args>),
    /// Cost, tokens, sessions and more, by day, project, team or model
    Report(report::Args),
    /// Sessions as they run: what they do, and what it costs
    Top(top::Args),
    /// The local page: cost, sessions, tools, models and health, in the browser
    Open(open::Args),
    /// What runs, what arrived, what is waiting, and what went wrong
    Status(status::Args),
    /// One line for Claude Code's own status line: cost, budget, context, limits
    Statusline(statusline::Args),
    /// The tags in effect here, and which file each came from
    Tags(tags::Args),
    /// Take in past usage, from the transcripts that Claude Code keeps
    Import(import::Args),
    /// Why no data arrives: every step from `claude` to the backends, and what mends it
    Doctor(doctor::Args),
    /// Compare counters, events and transcripts, and name what differs
    Verify(verify::Args),
    /// A made-up fortnight, to see what all of this looks like
    Demo(demo::Args),
    /// Forward to a backend: checks the address, then writes config.toml
    Connect(Box<connect::Args>),
    /// Stop forwarding to a backend
    Disconnect(disconnect::Args),
    /// Try a waiting or parked destination now
    Retry(retry::Args),
    /// What a backend refused for good: look at it, send it again, keep it, or let go of it
    Quarantine(quarantine::Args),
    /// Prometheus, Loki and Grafana with the dashboards, in containers on this machine
    Stack(stack::Args),
    /// What each privacy level keeps of what Claude Code sends
    Privacy(privacy::Args),
    /// Where the configuration is, what it says, and whether it is valid
    Config(config::Args),
    /// The background agent that keeps and forwards what Claude Code sends
    Agent(agent::Args),
    /// Who may send to an agent that receives for many (`ccotel agent run --gateway`)
    Gateway(gateway::Args),
    /// The agent as a service of systemd or launchd
    Service(service::Args),
    /// The shell hook: from then on `claude` is `ccotel claude`
    Init(init::Args),
    /// The same around a given program (for VS Code's and Claude Code's process wrapper settings)
    Wrap(claude::WrapArgs),
    /// Undo what `setup` has done; --purge removes the data as well
    Uninstall(uninstall::Args),
    /// The words that a shell completes, to be put where it looks for them
    Completions(completions::Args),
    /// The manual pages, in roff
    Man(man::Args),
}

/// Parses and runs; prints errors. Called with the process's own arguments.
pub fn main(arguments: &[OsString]) -> Exit {
    let cli = match agent::of_agents_process(arguments) {
        Some(args) => Cli { no_color: true, command: Command::Agent(args) },
        None => match Cli::try_parse_from(arguments) {
            Ok(cli) => cli,
            Err(error) => return not_parsed(&error, arguments),
        },
    };
    match run(&cli) {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("ccotel: {error:#}");
            Exit::Failed
        }
    }
}

/// Help that was asked for, or what was typed wrongly.
fn not_parsed(error: &clap::Error, arguments: &[OsString]) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
        }
        _ => eprintln!("ccotel: {}", usage::sentence(error, &Cli::command(), arguments)),
    }
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

fn run(cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Claude(args) => Ok(claude::run(args)),
        Command::Setup(args) => setup::run(args),
        Command::Report(args) => report::run(args, cli.no_color),
        Command::Top(args) => top::run(args, cli.no_color),
        Command::Open(args) => open::run(args),
        Command::Status(args) => status::run(args),
        Command::Statusline(args) => Ok(statusline::run(args, cli.no_color)),
        Command::Tags(args) => tags::run(args),
        Command::Import(args) => import::run(args, cli.no_color),
        Command::Doctor(args) => doctor::run(args, cli.no_color),
        Command::Verify(args) => verify::run(args),
        Command::Demo(args) => demo::run(args, cli.no_color),
        Command::Connect(args) => connect::run(args),
        Command::Disconnect(args) => disconnect::run(args),
        Command::Retry(args) => retry::run(args),
        Command::Quarantine(args) => quarantine::run(args),
        Command::Stack(args) => stack::run(args),
        Command::Privacy(args) => privacy::run(args),
        Command::Config(args) => config::run(args),
        Command::Agent(args) => agent::run(args),
        Command::Gateway(args) => gateway::run(args),
        Command::Service(args) => service::run(args),
        Command::Init(args) => init::run(args),
        Command::Wrap(args) => claude::run_wrap(args),
        Command::Uninstall(args) => uninstall::run(args),
        Command::Completions(args) => Ok(completions::run(args)),
        Command::Man(args) => man::run(args),
    }
}

/// Where the user stands: it may have been deleted under them.
fn working_directory() -> anyhow::Result<PathBuf> {
    std::env::current_dir().map_err(|error| {
        let why = files::words(&error);
        anyhow::anyhow!("the working directory cannot be told: {why}; change to one that exists")
    })
}

/// One line on standard output; that nobody reads it (any more) is no failure.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Text on standard output: on a terminal its lines are broken between words, those below a line
/// that is broken indented by two more. In a pipe a line stays a line.
fn say_wrapped(text: &str) {
    let _ = std::io::stdout().write_all(for_terminal(text).as_bytes());
}

fn for_terminal(text: &str) -> String {
    let width = terminal_width();
    let fit = |line: &str| width.map_or_else(|| line.to_owned(), |width| wrapped(line, width));
    text.lines().map(|line| fit(line) + "\n").collect()
}

fn terminal_width() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let columns = rustix::termios::tcgetwinsize(&stdout).ok()?.ws_col;
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}

fn wrapped(line: &str, width: usize) -> String {
    let indent = line.len() - line.trim_start().len();
    let below = " ".repeat(indent + 2);
    let options = textwrap::Options::new(width)
        .subsequent_indent(&below)
        .break_words(false) // a path is copied whole
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::fill(line, options)
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_break_between_words_and_keep_their_indent() {
        let wrapped = |line: &str| super::wrapped(line, 20);
        assert_eq!(wrapped("  ! one two three four five"), "  ! one two three\n    four five");
        assert_eq!(wrapped("    a  b"), "    a  b");
        let path = "see /a/very/long/path/that/stays/whole now";
        assert_eq!(wrapped(path), "see\n  /a/very/long/path/that/stays/whole\n  now");
    }
}
