//! `ccotel setup`: one question a part, each change shown before it is made.

mod parts;
mod status_line;
mod steps;

use std::io::IsTerminal as _;

use anyhow::Context;
use clap::ValueEnum as _;

use super::{connect, say, say_wrapped};
use crate::config;
use crate::exit::Exit;
use crate::paths::Paths;
use crate::setup::claude;
use crate::setup::directories;
use crate::setup::journal::Journal;
use crate::setup::program;
use crate::setup::shell::{Shell, Way};

use steps::Asking;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel setup                          asks for each part
  ccotel setup --dry-run                shows everything, changes nothing
  ccotel setup --yes --without service  what is usual, without a service
  ccotel setup --yes --connect prometheus=http://localhost:9090

A part is shell (what is typed as `claude`), editors (VS Code and its family), background (Claude Code's \
own background sessions), env (whatever else starts Claude Code, such as the desktop app), service \
(systemd or launchd), import (usage from before), or statusline (Claude Code's; one of yours stays, and \
ours adds a line). Without a word from you a part is set up where there is something of its kind; env \
only beside the desktop app, statusline only where you are asked. `ccotel uninstall` undoes all of it.")]
pub struct Args {
    /// Set up what is usual, without a question
    #[arg(long)]
    pub yes: bool,
    /// Show every change, and make none
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Set up this part, whether or not there is something of its kind; may be repeated
    #[arg(long, value_enum, value_name = "PART", hide_possible_values = true)]
    pub with: Vec<Part>,
    /// Leave this part as it is; may be repeated
    #[arg(long, value_enum, value_name = "PART", hide_possible_values = true)]
    pub without: Vec<Part>,
    /// bash, zsh or fish; may be repeated [default: your login shell, and what else you use]
    #[arg(long, value_enum, value_name = "SHELL", hide_possible_values = true)]
    pub shell: Vec<Shell>,
    /// hook: `claude` is a function, for what is typed; shim: a link named claude comes first on
    /// PATH, which scripts find, too
    #[arg(long, value_enum, value_name = "WAY", hide_possible_values = true)]
    pub way: Option<Way>,
    /// Forward to this backend, for example loki=http://localhost:3100; may be repeated
    #[arg(long, value_name = "TYPE=URL", value_parser = destination)]
    pub connect: Vec<(String, String)>,
    /// Print what an organisation puts into Claude Code's managed-settings.json, and do nothing else
    #[arg(long, exclusive = true)]
    pub print_managed_settings: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    Shell,
    Editors,
    Background,
    Env,
    Service,
    Import,
    Statusline,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    if rustix::process::geteuid().is_root() && std::env::var_os("SUDO_USER").is_some() {
        eprintln!("ccotel: setup changes one user's own files; run it as yourself, without sudo");
        return Ok(Exit::Usage);
    }
    if args.print_managed_settings {
        return Ok(print_managed_settings(&paths));
    }
    if let Some(part) = args.with.iter().find(|part| args.without.contains(part)) {
        let part = format!("{part:?}").to_lowercase();
        eprintln!("ccotel: {part} is asked for by --with and refused by --without; give one");
        return Ok(Exit::Usage);
    }
    let asking = match (args.yes, args.dry_run, std::io::stdin().is_terminal()) {
        (true, ..) => Asking::Yes,
        (false, false, true) => Asking::Terminal,
        (false, ..) => Asking::Never,
    };
    let mut journal = Journal::open(&paths)?;
    let existed = journal.exists();
    let program = program::lasting().context("cannot tell which binary this is")?;
    let mut setup = steps::Setup::new(&paths, &program, &mut journal, asking);
    let failures = parts::all(&mut setup, args);
    let (made, shown) = (setup.made, setup.shown);
    if journal.is_empty() && !existed && asking != Asking::Never {
        journal.remove()?;
        directories::remove_empty(&journal.content.directories);
    }
    Ok(concluded(asking, args, made, shown, &failures))
}

/// The last words.
fn concluded(asking: Asking, args: &Args, made: usize, shown: usize, failures: &[String]) -> Exit {
    say("");
    for failure in failures {
        say_wrapped(&format!("! {failure}"));
    }
    match (asking, shown) {
        (_, 0) => say("Everything is set up already."),
        (Asking::Never, shown) => {
            let due = match shown {
                1 => "1 change is due".to_owned(),
                shown => format!("{shown} changes are due"),
            };
            say_wrapped(&format!(
                "Nothing was changed. {due}; `ccotel setup` asks for each on a \
                 terminal, `ccotel setup --yes` makes them."
            ));
            return if args.dry_run { Exit::Done } else { Exit::Failed };
        }
        _ => {
            let (changes, them) = match (made, shown) {
                (1, 1) => ("1 change".to_owned(), "it"),
                (made, shown) if made == shown => (format!("{made} changes"), "them"),
                (made, shown) => (format!("{made} of {shown} changes"), "them"),
            };
            // Without the hook, what is typed as `claude` is not counted.
            let claude =
                if parts::is_on(args, Part::Shell, true) { "claude" } else { "ccotel claude" };
            say_wrapped(&format!(
                "{changes} made; `ccotel uninstall` undoes {them}. Open a new terminal, type `{claude}`, \
                 and see `ccotel report --since today`."
            ));
        }
    }
    if failures.is_empty() { Exit::Done } else { Exit::Failed }
}

fn print_managed_settings(paths: &Paths) -> Exit {
    // Of every machine alike: not the port that this one came to.
    let configured = config::load(paths).config.agent.listen.first().copied();
    let address = configured.unwrap_or_else(|| super::service::address(paths));
    say(&format!("{:#}", claude::managed_settings(address)));
    if std::io::stderr().is_terminal() {
        eprintln!(
            "ccotel: this goes into managed-settings.json of Claude Code (/etc/claude-code on Linux, \
             /Library/Application Support/ClaudeCode on macOS). It wins over every other setting, so \
             telemetry comes to each user's agent however Claude Code was started; tags need the \
             wrapper (`ccotel setup`) or /etc/ccotel/config.toml. The agent has to be running: \
             `systemctl --global enable ccotel-agent.service` starts it for everybody."
        );
    }
    Exit::Done
}

fn destination(text: &str) -> Result<(String, String), String> {
    let (kind, url) = text.split_once('=').ok_or_else(|| {
        format!("`{text}` is no destination: TYPE=URL, as in prometheus=http://localhost:9090")
    })?;
    if connect::Kind::from_str(kind, false).is_err() {
        let kinds: Vec<_> = connect::Kind::value_variants()
            .iter()
            .filter_map(|it| Some(it.to_possible_value()?.get_name().to_owned()))
            .collect();
        return Err(format!("`{kind}` is none of the types {}", kinds.join(", ")));
    }
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(format!("{url} is not an address: it begins with http:// or https://"));
    }
    Ok((kind.to_owned(), url.to_owned()))
}
