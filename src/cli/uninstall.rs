//! `ccotel uninstall`: everything as it was before `ccotel setup`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::connect::{confirm, inherit};
use super::{say, say_wrapped, service};
use crate::agent::files::{at, words};
use crate::agent::manage;
use crate::config;
use crate::config::destination::{Credentials, DestinationConfig};
use crate::config::edit::ConfigFile;
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
        "Remove {} with everything that was counted, the configuration that setup made, and the files \
         with secrets that ccotel wrote, for good?",
        paths.data_dir.display()
    )
}

/// Data, and of the configuration what ccotel has surely written.
fn purge(paths: &Paths, journal: &Journal, existed: bool) -> anyhow::Result<()> {
    let data = &paths.data_dir;
    anyhow::ensure!(
        !paths.home.starts_with(data),
        "{} holds your home directory, and is not removed; set CCOTEL_DATA_DIR to ccotel's own",
        data.display()
    );
    // While the configuration can still be read: it names them.
    configuration(paths, journal, existed)?;
    remove_all(data)?;
    if !paths.runtime_dir.starts_with(data) {
        remove_if_there(&paths.control_socket())?;
        let _ = fs::remove_dir(&paths.runtime_dir);
    }
    let left = directories::remove_empty(&journal.content.directories);
    for directory in left {
        say_wrapped(&format!("{}: kept, there are files of others in it", directory.display()));
    }
    say_wrapped(&format!("{}: removed", data.display()));
    Ok(())
}

/// `config.toml` where setup has made it, and the secrets that ccotel wrote; names what is kept.
fn configuration(paths: &Paths, journal: &Journal, existed: bool) -> anyhow::Result<()> {
    let config = paths.config_file();
    let secrets = own_secrets(paths);
    for (_, secret) in &secrets {
        remove_if_there(secret)?;
        say_wrapped(&format!("{}: removed, with the secret in it", secret.display()));
    }
    if !config.exists() {
        return Ok(());
    }
    let mut file = ConfigFile::open(&config).ok();
    if let Some(file) = file.as_mut().filter(|_| !secrets.is_empty()) {
        for (name, _) in &secrets {
            file.remove_destination(name);
        }
        file.save()?;
    }
    let is_bare = file.as_ref().is_some_and(|file| file.to_string().trim().is_empty());
    if is_bare || (existed && !journal.content.configuration_is_older) {
        remove_if_there(&config)?;
        say_wrapped(&format!("{}: removed", config.display()));
        // Ours by its name, but somebody's if something is in it.
        let _ = fs::remove_dir(&paths.config_dir);
        return Ok(());
    }
    let destinations = file.map(|file| file.destination_names()).unwrap_or_default();
    let with = match &destinations[..] {
        [] => String::new(),
        destinations => format!(", with the destinations {}", destinations.join(", ")),
    };
    say_wrapped(&format!(
        "{}: kept, since `ccotel setup` did not make it{with}; if nobody needs it, remove it by hand",
        config.display()
    ));
    Ok(())
}

/// Files with secrets that `connect --inherit` has made, each with its destination's name: they are
/// beside `config.toml`, and called as the destination is.
fn own_secrets(paths: &Paths) -> Vec<(String, PathBuf)> {
    let destinations = config::load(paths).config.destinations;
    let secret = |destination: DestinationConfig| {
        let (path, kind) = match destination.credentials {
            Credentials::BearerFile(path) => (path, "token"),
            Credentials::Basic { password_file, .. } => (password_file, "password"),
            Credentials::None | Credentials::BearerCommand(_) => return None,
        };
        let is_ours = inherit::is_secret_of(&paths.config_dir, &destination.name, kind, &path);
        is_ours.then_some((destination.name, path))
    };
    destinations.into_iter().filter_map(secret).collect()
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
