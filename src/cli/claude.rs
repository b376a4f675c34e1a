use std::ffi::OsString;

use crate::exit::Exit;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Passed to Claude Code as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub struct WrapArgs {
    /// The program to run, and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub command: Vec<OsString>,
}

pub fn run(_args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("being built")
}

pub fn run_wrap(_args: &WrapArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("being built")
}
