//! `ccotel import`.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::{colour, say, say_wrapped};
use crate::agent::control;
use crate::exit::Exit;
use crate::import::summary::Summary;
use crate::import::{self, Options, find};
use crate::paths::Paths;
use crate::report::time::Clock;

/// Version of the document.
const SCHEMA: u32 = 1;
/// How often the bar is drawn.
const DRAWN_PER_SECOND: u8 = 10;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel import                    everything that Claude Code keeps on this machine
  ccotel import --since 30d        the last thirty days
  ccotel import ~/backup/projects  transcripts that lie somewhere else
  ccotel import --dry-run          what would be taken in

Claude Code keeps transcripts in ~/.claude/projects (or where CLAUDE_CONFIG_DIR says) for 30 days, \
unless it was told otherwise. Requests are counted once, however many copies of them there are, and \
not at all where the agent counted them when they happened. Interrupted, it goes on where it was; run \
again, it takes in what is new.

Costs are list prices of the day, from a table that this version carries; a model that is not in it is \
marked, and never 0. No prompt and no answer is kept. What is imported stays on this machine: no \
destination is given any of it, and `ccotel report --imported exclude` leaves it out.")]
pub struct Args {
    /// Files or folders to read, instead of Claude Code's own
    paths: Vec<PathBuf>,
    /// Leave out what is older (as for `report`: a day, an age such as 30d, …)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only say what would be taken in
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, no_color: bool) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    let clock = Clock::system(None)?;
    let since_ms = match args.since.as_deref().map(|since| clock.range(since, None)).transpose() {
        Ok(range) => range.map_or(0, |range| range.start * 60_000),
        Err(error) => {
            eprintln!("ccotel: {error}");
            return Ok(Exit::Usage);
        }
    };
    if let Some(missing) = args.paths.iter().find(|path| !path.exists()) {
        let remedy = "name a transcript, or a folder with transcripts";
        return Ok(failed(args, &format!("{} does not exist; {remedy}", missing.display())));
    }
    let roots = if args.paths.is_empty() {
        find::roots(&paths.home, std::env::var_os(find::VARIABLE))
    } else {
        args.paths.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect()
    };
    std::fs::create_dir_all(&paths.data_dir).map_err(|error| {
        let why = crate::agent::files::words(&error);
        anyhow::anyhow!("cannot make {}: {why}", paths.data_dir.display())
    })?;
    // What the agent has heard belongs to its history before anything is compared with it.
    control::sync(&paths);
    let options = Options {
        roots,
        since_ms,
        now_ms: jiff::Timestamp::now().as_millisecond(),
        dry_run: args.dry_run,
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second one ends it at once: nothing is lost by that either.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("signals cannot be caught")?;
    }
    let bar = bar(args.json || no_progress(), no_color);
    let mut progress = |done: u64, all: u64| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let summary = import::run(&paths, &options, &stop, &mut progress);
    bar.finish_and_clear();
    let summary = match summary {
        Ok(summary) => summary,
        Err(error) => return Ok(failed(args, &error.to_string())),
    };
    if args.json {
        say(&document(args, &options, &summary).to_string());
    } else {
        say_wrapped(text(args, &options, &summary).trim_end());
    }
    Ok(if summary.interrupted || summary.files.unreadable > 0 { Exit::Failed } else { Exit::Done })
}

/// One JSON document all the same, if that was asked for.
fn failed(args: &Args, what: &str) -> Exit {
    if args.json {
        say(&json!({ "schema": SCHEMA, "error": what }).to_string());
    }
    eprintln!("ccotel: {what}");
    Exit::Failed
}

fn no_progress() -> bool {
    !std::io::stderr().is_terminal()
}

fn bar(hidden: bool, no_color: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let done = if colour::is_wanted(no_color) { "{bar:30.cyan/blue}" } else { "{bar:30}" };
    let bar = ProgressBar::with_draw_target(
        Some(0),
        ProgressDrawTarget::stderr_with_hz(DRAWN_PER_SECOND),
    );
    let template =
        format!("importing {done} {{percent:>3}} %  {{bytes}} of {{total_bytes}}  {{eta}} left");
    match ProgressStyle::with_template(&template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn document(args: &Args, options: &Options, summary: &Summary) -> Value {
    json!({
        "schema": SCHEMA,
        "dry_run": args.dry_run,
        "interrupted": summary.interrupted,
        "folders": options.roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>(),
        "files": summary.files,
        "bytes": summary.bytes,
        "lines": summary.lines,
        "added": summary.added,
        "grown": summary.grown,
        "skipped": summary.skipped,
        "unpriced_models": summary.unpriced_models(),
        "problems": summary.problems,
    })
}

fn text(args: &Args, options: &Options, summary: &Summary) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        let _ = writeln!(text, "{words}");
    };
    let (files, added, skipped) = (summary.files, summary.added, summary.skipped);
    if files.found == 0 {
        let folders: Vec<_> = options.roots.iter().map(|root| root.display().to_string()).collect();
        line(if folders.is_empty() {
            "Claude Code keeps no transcripts here: there is no ~/.claude/projects. Name a folder if they \
             lie somewhere else."
                .to_owned()
        } else {
            format!("There are no transcripts in {}.", folders.join(" and "))
        });
        return text;
    }
    line(format!(
        "{} {}: {}, {}, {} from {} ({}).",
        if args.dry_run { "Would import" } else { "Imported" },
        dollars(added.cost_usd),
        counted(added.requests, "request"),
        counted(added.prompts, "prompt"),
        counted(added.sessions, "session"),
        counted(files.read, "transcript"),
        ByteSize(summary.bytes),
    ));
    if added.unpriced_requests > 0 {
        line(format!(
            "! {} without a price, not in the sum: {}. A newer ccotel may know them.",
            counted(added.unpriced_requests, "request"),
            summary.unpriced_models().join(", "),
        ));
    }
    if skipped.counted_by_agent > 0 {
        line(format!(
            "{} counted by the agent when they happened, and left out.",
            counted(skipped.counted_by_agent, "event")
        ));
    }
    if files.unchanged > 0 {
        line(format!("{} had nothing new.", counted(files.unchanged, "transcript")));
    }
    if files.busy > 0 {
        line(format!(
            "{} written to within the last 30 seconds, left to the next import.",
            counted(files.busy, "transcript")
        ));
    }
    let lines = summary.lines;
    let not_read = lines.broken + lines.too_long + lines.foreign + lines.half;
    if not_read > 0 {
        line(format!(
            "{} of {} could not be used: {} broken, {} of an unknown shape, {} too long, {} not finished.",
            counted(not_read, "line"),
            lines.lines + lines.half,
            lines.broken,
            lines.foreign,
            lines.too_long,
            lines.half,
        ));
    }
    for problem in &summary.problems {
        line(format!("! {problem}"));
    }
    if summary.interrupted {
        line("! Interrupted; `ccotel import` goes on from here.".to_owned());
    } else if !args.dry_run && added.requests > 0 {
        line(
            "See it with `ccotel report --since 52w --by month`, or with `ccotel open`.".to_owned(),
        );
    }
    text
}

fn counted(number: u64, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

fn dollars(amount: f64) -> String {
    format!("${amount:.2}")
}
