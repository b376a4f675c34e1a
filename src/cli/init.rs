//! `ccotel init`: prints a shell's hook.

use std::io::Write as _;

use anyhow::Context;

use crate::exit::Exit;
use crate::setup::program;
use crate::setup::shell::Shell;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eval -- \"$(ccotel init bash)\"      in ~/.bashrc
  eval \"$(ccotel init zsh)\"          in ~/.zshrc
  ccotel init fish | source          in ~/.config/fish/config.fish

`ccotel setup` writes that line for you, and `ccotel uninstall` takes it out again. With --remove this \
prints what ends it in the shell that runs now, to be evaluated in the same way.")]
pub struct Args {
    /// Print what takes the hook out of a running shell
    #[arg(long)]
    pub remove: bool,
    /// bash, zsh or fish
    #[arg(value_enum, hide_possible_values = true)]
    pub shell: Shell,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let text = if args.remove {
        args.shell.removal().to_owned()
    } else {
        let program = program::lasting().context("cannot tell which binary this is")?;
        args.shell.hook(&program)
    };
    // A shell that reads no further is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(Exit::Done)
}
