//! `ccotel retry`: a destination that waits or is parked is tried now.

use crate::agent::control::{self, Answer, ControlError, Request};
use crate::agent::ensure;
use crate::exit::Exit;
use crate::paths::Paths;

use super::say;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel retry                        every destination
  ccotel retry prometheus-localhost   this one")]
pub struct Args {
    /// The destination's name [default: all]
    pub name: Option<String>,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    if ensure::running(&paths)?.is_none() {
        anyhow::bail!("no agent runs, so nothing is sent; `ccotel agent start` starts it");
    }
    match control::ask(&paths, Request::Retry { name: args.name.clone() }) {
        Ok(Answer::Done { what } | Answer::Failed { what }) => {
            say(&format!("ccotel: {what}"));
            Ok(Exit::Done)
        }
        Ok(_) => anyhow::bail!(ControlError::Strange),
        // It refuses nothing but a name that it does not know.
        Err(ControlError::Refused(what)) => {
            eprintln!("ccotel: {what}");
            Ok(Exit::Usage)
        }
        Err(error) => Err(error.into()),
    }
}
