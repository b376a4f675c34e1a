//! `ccotel report`.

use std::io::{IsTerminal, Write};

use super::{colour, terminal_width};
use crate::agent::control;
use crate::exit::Exit;
use crate::paths::Paths;
use crate::report::answer::answer;
use crate::report::history::reader::{History, Imported};
use crate::report::question::{Dimension, Dimensions, Filter, Question};
use crate::report::row::Answer;
use crate::report::summary::{Summary, summary};
use crate::report::table::{self, Look};
use crate::report::time::Clock;
use crate::report::{csv, json, sessions, story};

/// Sessions named where a beginning of an id fits several.
const NAMED_MAX: usize = 5;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel report                             the last seven days, by day
  ccotel report --since today --by project,model
  ccotel report --since 2026-11-01 --until 2026-12-01 --by team
  ccotel report --by repo,branch --json
  ccotel report --where project=checkout --by user
  ccotel report --session 0198c3a2          what happened in one session

Times: a day (2026-11-14, from local midnight), RFC 3339 (2026-11-14T09:30:00+01:00), an age (30m, \
12h, 7d, 4w), today, yesterday, this-week, this-month. Days and weeks of an age are calendar days, \
today included: 7d is today and the six days before. Ranges are cut to whole minutes.

Cost, tokens, lines, commits, pull requests and active time are what Claude Code counted; by repo, \
branch, tool, session, user or query_source its events tell how they are shared out, and what no \
event explains is a row (unattributed), so that totals never differ.

Several --where of one dimension are alternatives, of different ones all must hold; project= is what \
has no project. What `ccotel import` read from transcripts counts, and is told apart.

Cost is at list prices, not a bill; under a subscription it is their equivalent. CSV has no line of \
totals.")]
pub struct Args {
    /// From this time on
    #[arg(long, value_name = "TIME", default_value = "7d", allow_hyphen_values = true)]
    since: String,
    /// Up to this time, which is not included [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// What rows stand for, at most two: hour, day, week, month, project, team, sender, model, repo, branch,
    /// tool, session, user, query_source, tag:NAME
    #[arg(long, value_name = "DIMENSION", value_delimiter = ',', default_value = "day")]
    by: Vec<String>,
    /// Only what has this value in that dimension: project=checkout, model=…, tag:NAME=…; repeatable
    #[arg(long = "where", value_name = "DIMENSION=VALUE")]
    filters: Vec<String>,
    /// The story of one session: its id, or the beginning of it
    #[arg(
        long,
        value_name = "ID",
        conflicts_with_all = ["since", "until", "by", "filters", "csv"]
    )]
    session: Option<String>,
    /// Whether usage imported from transcripts counts
    #[arg(long, value_name = "WHICH", value_enum, default_value = "include")]
    imported: ImportedArg,
    /// The time zone of days and hours [default: the system's]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print the rows as CSV
    #[arg(long)]
    csv: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ImportedArg {
    Include,
    Exclude,
    Only,
}

impl From<ImportedArg> for Imported {
    fn from(given: ImportedArg) -> Self {
        match given {
            ImportedArg::Include => Self::Include,
            ImportedArg::Exclude => Self::Exclude,
            ImportedArg::Only => Self::Only,
        }
    }
}

pub fn run(args: &Args, no_color: bool) -> anyhow::Result<Exit> {
    // Before the clock is read: what the agent writes now belongs to the answer.
    if let Err(error) = question(args) {
        return refused(args, &error.to_string(), Exit::Usage);
    }
    let told = match &args.session {
        Some(id) => tell(args, id, no_color),
        None => report(args, no_color),
    };
    match told {
        // Who reads the document must find out, too.
        Err(error) if args.json => refused(args, &format!("{error:#}"), Exit::Failed),
        told => told,
    }
}

fn report(args: &Args, no_color: bool) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    sync(&paths);
    let question = question(args)?;
    let (answer, summary) = ask(&paths, args.imported.into(), &question)?;
    let text = if args.json {
        format!("{}\n", json::document(&question, &answer, &summary))
    } else if args.csv {
        csv::text(&question, &answer)
    } else if answer.is_empty() {
        table::nothing(&question)
    } else {
        table::text(&question, &answer, &summary, look(no_color))
    };
    print(&text)?;
    Ok(Exit::Done)
}

/// Has the agent bring the history up to date; where it cannot, what there is is shown, and that said.
fn sync(paths: &Paths) {
    if let Some(why) = control::sync(paths) {
        eprintln!("ccotel: what came last may be missing here: {why}; `ccotel status` says more");
    }
}

/// What was asked, or what is wrong with it.
fn question(args: &Args) -> anyhow::Result<Question> {
    let by: Vec<Dimension> = args.by.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
    let by = Dimensions::new(by)?;
    let filters: Vec<Filter> =
        args.filters.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
    let clock = Clock::system(args.tz.as_deref())?;
    let range = clock.range(&args.since, args.until.as_deref())?;
    Ok(Question { clock, range, by, filters })
}

pub(super) fn ask(
    paths: &Paths,
    imported: Imported,
    question: &Question,
) -> anyhow::Result<(Answer, Summary)> {
    let Some(history) = History::open(paths, imported)? else {
        return Ok((Answer::default(), Summary::default()));
    };
    let answer = answer(&history, question)?;
    let summary = summary(&history, question, &answer)?;
    Ok((answer, summary))
}

/// The story of a session.
fn tell(args: &Args, id: &str, no_color: bool) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    sync(&paths);
    let clock = Clock::system(args.tz.as_deref())?;
    let unknown = || {
        let words =
            format!("no session begins with `{id}`; `ccotel report --by session` lists them");
        refused(args, &words, Exit::Failed)
    };
    let Some(history) = History::open(&paths, args.imported.into())? else { return unknown() };
    let found = sessions::beginning_with(&history, id, NAMED_MAX + 1)?;
    let [id] = &found[..] else {
        return if found.is_empty() { unknown() } else { ambiguous(args, id, &found) };
    };
    let Some(story) = story::story(&history, id)? else { return unknown() };
    let text = if args.json {
        format!("{}\n", story::json::document(&clock, &story))
    } else {
        story::text::text(&clock, &story, look(no_color))
    };
    print(&text)?;
    Ok(Exit::Done)
}

fn ambiguous(args: &Args, id: &str, found: &[String]) -> anyhow::Result<Exit> {
    let named = found.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if found.len() > NAMED_MAX { ", …" } else { "" };
    let words = format!("several sessions begin with `{id}`: {named}{more}; give more of the id");
    refused(args, &words, Exit::Usage)
}

/// One sentence, and with `--json` a document that says it.
fn refused(args: &Args, words: &str, exit: Exit) -> anyhow::Result<Exit> {
    eprintln!("ccotel: {words}");
    if args.json {
        print(&format!("{}\n", json::error(words)))?;
    }
    Ok(exit)
}

pub(super) fn look(no_color: bool) -> Look {
    let marks = is_utf8();
    if !std::io::stdout().is_terminal() {
        return Look { width: None, colour: false, marks };
    }
    let colour = colour::is_wanted(no_color);
    Look { width: terminal_width(), colour, marks }
}

/// Whether the locale has more than ASCII: the first of these that is set decides.
fn is_utf8() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    set.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
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
