//! The binary: called as `claude` or `ccotel-wrap` it is the wrapper, otherwise the command line.
//!
//! The wrapper's arguments are Claude Code's, so they are told apart before anything parses them:
//! `ccotel claude --help` is Claude Code's help.

use std::ffi::OsString;
use std::process::ExitCode;

use ccotel::exit::Exit;
use ccotel::launch;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    match launch::called_as(arguments.first().map(OsString::as_os_str)) {
        Some("claude") => launch::main(None, arguments.split_off(1)).into(),
        Some(_) => wrap(arguments.split_off(1)).into(),
        None => match arguments.get(1).and_then(|word| word.to_str()) {
            Some("claude") => launch::main(None, arguments.split_off(2)).into(),
            // Without a program, or asked for help, the command line has the words.
            Some("wrap")
                if arguments.get(2).is_some_and(|word| word != "--help" && word != "-h") =>
            {
                wrap(arguments.split_off(2)).into()
            }
            _ => ccotel::cli::main(&arguments).into(),
        },
    }
}

fn wrap(mut command: Vec<OsString>) -> Exit {
    if command.is_empty() {
        eprintln!("ccotel-wrap: no program given; usage: ccotel-wrap PROGRAM [ARGUMENTS…]");
        return Exit::Usage;
    }
    let arguments = command.split_off(1);
    launch::main(command.pop(), arguments)
}
