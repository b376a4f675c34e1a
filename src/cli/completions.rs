//! `ccotel completions`: from the same definitions as `--help`, so neither can know what the other
//! does not.

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bash  ccotel completions bash > ~/.local/share/bash-completion/completions/ccotel
  zsh   ccotel completions zsh > \"${fpath[1]}/_ccotel\"     then start zsh anew
  fish  ccotel completions fish > ~/.config/fish/completions/ccotel.fish

A package brings them along. They complete `ccotel`, and not `claude`.")]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub fn run(args: &Args) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ccotel", &mut script);
    // Nobody who reads it any more is no failure.
    let _ = std::io::stdout().lock().write_all(&script);
    Exit::Done
}
