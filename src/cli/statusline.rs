//! `ccotel statusline`: what Claude Code shows below its input.

use std::io::Write as _;

use super::colour;
use crate::agent::control;
use crate::exit::Exit;
use crate::paths::Paths;
use crate::report::time::Clock;
use crate::statusline::facts::{self, Facts};
use crate::statusline::input::{self, Input};
use crate::statusline::{chain, line};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel statusline                       ours alone
  ccotel statusline --chain 'echo mine'   yours above it

In ~/.claude/settings.json (`ccotel setup --with statusline` puts it there):
  \"statusLine\": { \"type\": \"command\", \"command\": \"ccotel statusline\" }

It shows the session's cost, today's, the project, the budget that is closest to its end, the context, \
and the limits of a subscription (5 h, 7 d), which it also hands to the agent. What Claude Code does not \
tell is left out. It never fails.")]
pub struct Args {
    /// Your own status line: it gets the same input, and its output stays above ours
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    pub chain: Option<String>,
}

/// Always a line, and never a failure: Claude Code would show nothing.
pub fn run(args: &Args, no_color: bool) -> Exit {
    let bytes = input::read_all(std::io::stdin());
    let parsed = Input::parse(&bytes);
    let chained = args.chain.as_deref().and_then(|command| chain::start(command, bytes));
    let ours = caught(parsed.as_ref(), colour::is_wanted(no_color));
    let theirs = chained.map(chain::Chained::output).unwrap_or_default();
    let text = if theirs.is_empty() { ours } else { format!("{theirs}\n{ours}") };
    let _ = writeln!(std::io::stdout(), "{text}");
    Exit::Done
}

/// A fault of our own is no reason to show nothing.
fn caught(input: Option<&Input>, colour: bool) -> String {
    std::panic::set_hook(Box::new(|_| ()));
    let line = std::panic::catch_unwind(|| ours(input, colour));
    let _ = std::panic::take_hook();
    line.unwrap_or_else(|_| "ccotel".to_owned())
}

fn ours(input: Option<&Input>, colour: bool) -> String {
    let Some(input) = input else {
        return "ccotel: no session on standard input".to_owned();
    };
    let (Ok(paths), Ok(clock)) = (Paths::from_env(), Clock::system(None)) else {
        return line::line(input, &Facts::default(), jiff::Timestamp::now(), colour);
    };
    if !input.limits.0.is_empty() {
        control::send_limits(&paths, &input.limits);
    }
    let facts = facts::gather(&paths, input.directory.as_deref(), &clock);
    line::line(input, &facts, clock.now.timestamp(), colour)
}
