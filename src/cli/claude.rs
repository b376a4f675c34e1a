use std::ffi::OsString;

use crate::exit::Exit;
use crate::launch;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel claude                    a session, counted
  ccotel claude -p \"what is new\"   whatever `claude` takes, it takes")]
pub struct Args {
    /// Passed to Claude Code as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel wrap /opt/launcher/claude --resume     a program in its own place, counted
  ccotel wrap node cli.js -p hello              the same with a program in front")]
pub struct WrapArgs {
    /// The program to run, and its arguments
    #[arg(
        value_name = "PROGRAM",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true
    )]
    pub command: Vec<OsString>,
}

/// The binary takes a shorter way here (`main.rs`); this one is for options of ours in front.
pub fn run(args: &Args) -> Exit {
    launch::main(None, args.arguments.clone())
}

pub fn run_wrap(args: &WrapArgs) -> anyhow::Result<Exit> {
    let (program, arguments) =
        args.command.split_first().ok_or_else(|| anyhow::anyhow!("no program given"))?;
    Ok(launch::main(Some(program.clone()), arguments.to_vec()))
}
