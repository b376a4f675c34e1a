//! `ccotel top`.

use jiff::Zoned;

use super::status;
use super::{colour, say};
use crate::agent::control;
use crate::agent::status::Status;
use crate::exit::Exit;
use crate::paths::Paths;
use crate::top::draw::Theme;
use crate::top::shown::Shown;
use crate::top::source::{Source, Wanted};
use crate::top::{self, json, terminal};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel top          until q
  ccotel top --json   one snapshot, for programs

Keys: arrows or j and k select, Enter shows what happened in a session, s < > sort, r reverses, \
a shows all of today's sessions, / filters, ? explains the columns, q quits.

Cost is the list-price equivalent, not a bill. Sessions appear seconds after their first prompt.")]
pub struct Args {
    /// Begin with all of today's sessions, not only the active ones
    #[arg(short, long)]
    all: bool,
    /// Print one snapshot as a JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, no_color: bool) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    if args.json {
        return Ok(print(&paths, args.all));
    }
    if let Some(why) = not_drawable() {
        eprintln!("ccotel: {why}; `ccotel top --json` prints a snapshot, `ccotel report` a table");
        return Ok(Exit::Usage);
    }
    let theme = Theme { colour: colour::is_wanted(no_color) };
    let asked = paths.clone();
    top::run(&paths, theme, args.all, move || status::gather(&asked))?;
    Ok(Exit::Done)
}

fn not_drawable() -> Option<String> {
    if !terminal::is_there() {
        return Some("top draws on a terminal".into());
    }
    let term = std::env::var("TERM").unwrap_or_default();
    match &*term {
        "" => Some("TERM is not set, so nobody can say how to draw on this terminal".into()),
        "dumb" => Some("this terminal cannot be drawn on (TERM=dumb)".into()),
        _ => None,
    }
}

fn print(paths: &Paths, all: bool) -> Exit {
    control::sync(paths);
    let status: Status = status::gather(paths);
    let (now, mut shown) = (Zoned::now(), Shown::default());
    let mut source = Source::new(paths);
    source.look(&Wanted { all, session: None }, &mut shown, &now);
    let failed = source.has_failed();
    let problem = shown.problem.as_deref().filter(|_| failed);
    say(&json::document(&shown, &status, problem, &now).to_string());
    if failed { Exit::Failed } else { Exit::Done }
}
