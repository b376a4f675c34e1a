//! The binary: called as `claude` or `ccotel-wrap` it is the wrapper, otherwise the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    ccotel::cli::main(std::env::args_os().collect()).into()
}
