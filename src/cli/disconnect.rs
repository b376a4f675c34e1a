//! `ccotel disconnect`: takes a destination out of `config.toml`.
//!
//! A running agent watches the file, stops sending, and gives up what was waiting for it.

use super::connect::confirm;
use crate::config::edit::ConfigFile;
use crate::exit::Exit;
use crate::paths::Paths;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The destination's name
    pub name: String,
    /// Do not ask before giving up what is waiting for it
    #[arg(long)]
    pub yes: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    disconnect(args, None)
}

/// `waiting` is the number of records not delivered to it yet, where an agent could be asked.
pub fn disconnect(args: &Args, waiting: Option<u64>) -> anyhow::Result<Exit> {
    let path = Paths::from_env()?.config_file();
    let mut file = ConfigFile::open(&path)?;
    let name = &args.name;
    let names = file.destination_names();
    if !names.contains(name) {
        let there_is = match names.as_slice() {
            [] => "there are none".to_owned(),
            names => format!("there is {}", names.join(", ")),
        };
        eprintln!("ccotel: no destination {name} in {}; {there_is}", path.display());
        return Ok(Exit::Usage);
    }
    let loss = match waiting {
        Some(0) => None,
        Some(records) => Some(format!(
            "{records} records have not been delivered to {name} and would be given up"
        )),
        None => Some(format!("Whatever has not been delivered to {name} would be given up")),
    };
    if let Some(loss) = loss
        && !args.yes
        && !confirm(&format!("{loss}. Go on?"))?
    {
        eprintln!("ccotel: nothing was changed. {loss}; say --yes if that is meant");
        return Ok(Exit::Failed);
    }
    file.remove_destination(name);
    file.save()?;
    println!("{name}: removed from {}", path.display());
    Ok(Exit::Done)
}
