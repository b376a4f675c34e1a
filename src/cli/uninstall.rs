//! `ccotel uninstall`: everything as it was before `ccotel setup`.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::connect::confirm;
use super::{say, say_wrapped, service};
use crate::agent::files::{at, words};
use crate::agent::manage;
use crate::exit::Exit;
use crate::paths::Paths;
use crate::setup::journal::Journal;
use crate::setup::{directories, undo};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel uninstall              takes out what `ccotel setup` put in; what was counted stays
  ccotel uninstall --purge      and removes that, too, after asking

A file that nobody else has changed since is put back byte for byte; in any other only our lines and keys \
go. The program itself is its package manager's to remove: `brew uninstall ccotel`, \
`apt remove ccotel`, or `cargo uninstall ccotel`.")]
pub struct Args {
    /// Remove what was counted and what was set as well, for good
    #[arg(long)]
    pub purge: bool,
    /// Do not ask before removing data
    #[arg(long)]
    pub yes: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    let mut journal = Journal::open(&paths)?;
    if args.purge && !args.yes && !confirm(&purge_question(&paths))? {
        eprintln!(
            "ccotel: nothing was changed; `ccotel uninstall --purge --yes` removes it unasked"
        );
        return Ok(Exit::Failed);
    }
    let existed = journal.exists();
    if journal.content.service.is_some() {
        service::take_out(&paths, &mut journal).context("the service could not be taken out")?;
        say("the service: taken out");
    }
    for other in service::registrations(&paths).iter().filter(|it| it.enabled) {
        say_wrapped(&format!(
            "! {} still starts the agent; `{}` ends it",
            other.file.display(),
            other.end()
        ));
    }
    if manage::stop(&paths, false)? {
        say("the agent: stopped");
    }
    let mut failed = Vec::new();
    if existed {
        failed = undo::files_and_links(&mut journal, |path, undone| {
            say_wrapped(&format!("{}: {}", path.display(), undone.words()));
        })?;
    } else {
        say("`ccotel setup` has changed nothing here");
    }
    for error in &failed {
        eprintln!("ccotel: {error}");
    }
    if !failed.is_empty() {
        // Without the journal nobody would know what is left to undo.
        eprintln!("ccotel: that is left to do; mend it, and run `ccotel uninstall` again");
        return Ok(Exit::Failed);
    }
    if args.purge {
        purge(&paths, &journal, existed)?;
    } else if paths.data_dir.exists() {
        say_wrapped(&format!(
            "{}: kept, with what was counted; `ccotel uninstall --purge` removes it",
            paths.data_dir.display()
        ));
    }
    say_wrapped(
        "Shells that are open keep the hook until they end, or `ccotel init --remove` in them.",
    );
    Ok(Exit::Done)
}

fn purge_question(paths: &Paths) -> String {
    format!(
        "Remove {} with everything that was counted, and the configuration that setup made, for good?",
        paths.data_dir.display()
    )
}

/// Data, and the configuration unless it is older than the first setup.
fn purge(paths: &Paths, journal: &Journal, existed: bool) -> anyhow::Result<()> {
    let data = &paths.data_dir;
    anyhow::ensure!(
        !paths.home.starts_with(data),
        "{} holds your home directory, and is not removed; set CCOTEL_DATA_DIR to ccotel's own",
        data.display()
    );
    remove_all(data)?;
    if !paths.runtime_dir.starts_with(data) {
        remove_if_there(&paths.control_socket())?;
        let _ = fs::remove_dir(&paths.runtime_dir);
    }
    let config = paths.config_file();
    if existed && !journal.content.configuration_is_older {
        remove_if_there(&config)?;
    } else if config.exists() {
        say_wrapped(&format!("{}: kept, it was there before `ccotel setup`", config.display()));
    }
    let left = directories::remove_empty(&journal.content.directories);
    for directory in left {
        say_wrapped(&format!("{}: kept, there are files of others in it", directory.display()));
    }
    say_wrapped(&format!("{}: removed", data.display()));
    Ok(())
}

fn remove_all(directory: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            anyhow::bail!("cannot remove {}: {}", directory.display(), words(&error))
        }
        _ => Ok(()),
    }
}

fn remove_if_there(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(at("remove", file)(error).into())
        }
        _ => Ok(()),
    }
}
