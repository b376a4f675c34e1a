//! `ccotel man`: manual pages from the same definitions as `--help`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::Cli;
use crate::agent::files;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel man | man -l -                 read the first page
  ccotel man report | man -l -          the page of a command
  ccotel man --dir /usr/share/man/man1  all pages, for a package")]
pub struct Args {
    /// Words of a command, such as `agent start`
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    words: Vec<String>,
    /// Write every page into this directory, which has to exist
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let root = built();
    if let Some(dir) = &args.dir {
        write_all(&root, dir)?;
        return Ok(Exit::Done);
    }
    let mut command = &root;
    for word in &args.words {
        let Some(found) = shown(command).find(|one| one.get_name() == word) else {
            let called = name(command).replace('-', " ");
            eprintln!("ccotel: `{called}` has no command `{word}`; see `{called} --help`");
            return Ok(Exit::Usage);
        };
        command = found;
    }
    let page = page(command).context("cannot make the page")?;
    // Nobody who reads it any more is no failure.
    let _ = std::io::stdout().lock().write_all(&page);
    Ok(Exit::Done)
}

/// The command line with each command's full name (`ccotel-agent-start`), which is its page's too.
fn built() -> Command {
    let mut root = Cli::command();
    root.build();
    root
}

fn write_all(command: &Command, dir: &Path) -> anyhow::Result<()> {
    let file = dir.join(format!("{}.1", name(command)));
    let page = page(command).context("cannot make a page")?;
    fs::write(&file, page).map_err(|error| {
        let why = files::words(&error);
        anyhow::anyhow!("cannot write {}: {why}; name a directory you may write to", file.display())
    })?;
    shown(command).try_for_each(|one| write_all(one, dir))
}

fn page(command: &Command) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).title(name(command)).render(&mut page)?;
    Ok(page)
}

/// What `--help` shows, but for the word `help` itself.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help")
}

fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}
