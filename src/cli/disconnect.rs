//! `ccotel disconnect`: takes a destination out of `config.toml`.
//!
//! A running agent watches the file, stops sending, and gives up what was waiting for it.

use super::connect::confirm;
use super::say_wrapped;
use crate::agent::control::{self, Answer, Request};
use crate::agent::manage;
use crate::config::edit::ConfigFile;
use crate::exit::Exit;
use crate::paths::Paths;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel disconnect prometheus-localhost         asks if something still waits for it
  ccotel disconnect prometheus-localhost --yes   gives that up unasked")]
pub struct Args {
    /// The destination's name
    pub name: String,
    /// Do not ask before giving up what is waiting for it
    #[arg(long)]
    pub yes: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    let path = paths.config_file();
    let mut file = ConfigFile::open(&path)?;
    let name = &args.name;
    let names = file.destination_names();
    if !names.contains(name) {
        let known = match names.as_slice() {
            [] => "there are none; `ccotel connect` makes one".to_owned(),
            names => format!("there are: {}", names.join(", ")),
        };
        eprintln!("ccotel: there is no destination named {name} in {}; {known}", path.display());
        return Ok(Exit::Usage);
    }
    if let Some(loss) = loss(name, waiting(&paths, name))
        && !args.yes
        && !confirm(&format!("{loss}. Go on?"))?
    {
        eprintln!(
            "ccotel: nothing was changed. {loss}; `ccotel disconnect {name} --yes` if that is meant"
        );
        return Ok(Exit::Failed);
    }
    file.remove_destination(name);
    file.save()?;
    manage::reload(&paths, |names| !names.contains(&name.as_str()));
    say_wrapped(&format!(
        "{name}: removed from {}; nothing is sent to it any more",
        path.display()
    ));
    Ok(Exit::Done)
}

/// What would be given up, in words. What is not known is asked for, too.
fn loss(name: &str, waiting: Option<u64>) -> Option<String> {
    match waiting {
        Some(0) => None,
        Some(1) => Some(format!("1 record is still waiting for {name} and would be given up")),
        Some(records) => {
            Some(format!("{records} records are still waiting for {name} and would be given up"))
        }
        None => Some(format!("What is still waiting for {name} would be given up")),
    }
}

/// How many records the destination has not got yet, as the agent says. `None` where none answers.
fn waiting(paths: &Paths, name: &str) -> Option<u64> {
    if !paths.queue_db().exists() {
        return Some(0);
    }
    let Ok(Answer::Status { status }) = control::ask(paths, Request::Status) else { return None };
    let destination = status["destinations"].as_array()?.iter().find(|it| it["name"] == name)?;
    destination["backlog"]["records"].as_u64()
}
