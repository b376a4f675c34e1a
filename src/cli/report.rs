//! `ccotel report`.

use std::io::{IsTerminal, Write};

use super::terminal_width;
use crate::agent::control;
use crate::exit::Exit;
use crate::paths::Paths;
use crate::report::answer::answer;
use crate::report::history::reader::{History, Imported};
use crate::report::json;
use crate::report::question::{Dimension, Dimensions, Question};
use crate::report::row::Answer;
use crate::report::table::{self, Look};
use crate::report::time::Clock;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel report                             the last seven days, by day
  ccotel report --since today --by project,model
  ccotel report --since 2026-11-01 --until 2026-12-01 --by team
  ccotel report --by repo,branch --json

Times: a day (2026-11-14, from local midnight), RFC 3339 (2026-11-14T09:30:00+01:00), an age (30m, \
12h, 7d, 4w), today, yesterday, this-week, this-month. Days and weeks of an age are calendar days, \
today included: 7d is today and the six days before. Ranges are cut to whole minutes.

Cost, tokens, lines, commits, pull requests and active time are what Claude Code counted; by repo, \
branch, tool, session, user or query_source its events tell how they are shared out, and what no \
event explains is a row (unattributed), so that totals never differ.

Cost is the list-price equivalent, not a bill.")]
pub struct Args {
    /// From this time on
    #[arg(long, value_name = "TIME", default_value = "7d", allow_hyphen_values = true)]
    since: String,
    /// Up to this time, which is not included [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// What rows stand for, at most two: hour, day, week, month, project, team, model, repo, branch,
    /// tool, session, user, query_source, tag:NAME
    #[arg(long, value_name = "DIMENSION", value_delimiter = ',', default_value = "day")]
    by: Vec<String>,
    /// The time zone of days and hours [default: the system's]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, no_color: bool) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    // Before the clock is read: what the agent writes now belongs to the answer.
    if let Err(error) = question(args) {
        eprintln!("ccotel: {error}");
        return Ok(Exit::Usage);
    }
    if let Some(why) = control::sync(&paths) {
        eprintln!("ccotel: what came last may be missing here: {why}; `ccotel status` says more");
    }
    let question = question(args)?;
    let answer = ask(&paths, &question)?;
    let text = if args.json {
        format!("{}\n", json::document(&question, &answer))
    } else if answer.is_empty() {
        table::nothing(&question)
    } else {
        table::text(&question, &answer, look(no_color))
    };
    print(&text)?;
    Ok(Exit::Done)
}

/// What was asked, or what is wrong with it.
fn question(args: &Args) -> anyhow::Result<Question> {
    let by: Vec<Dimension> = args.by.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
    let by = Dimensions::new(by)?;
    let clock = Clock::system(args.tz.as_deref())?;
    let range = clock.range(&args.since, args.until.as_deref())?;
    Ok(Question { clock, range, by, filters: Vec::new() })
}

pub(super) fn ask(paths: &Paths, question: &Question) -> anyhow::Result<Answer> {
    Ok(match History::open(paths, Imported::Include)? {
        Some(history) => answer(&history, question)?,
        None => Answer::default(),
    })
}

pub(super) fn look(no_color: bool) -> Look {
    if !std::io::stdout().is_terminal() {
        return Look { width: None, colour: false };
    }
    let colour = !no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Look { width: terminal_width(), colour }
}

/// Prints; that a reader such as `head` has seen enough is no failure.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::anyhow!("cannot print the report: {error}"))
        }
        _ => Ok(()),
    }
}
