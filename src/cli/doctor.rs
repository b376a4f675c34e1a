//! `ccotel doctor`: why no data arrives.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::report::look;
use super::{say, say_wrapped, working_directory};
use crate::doctor::check::{Check, Verdict, worst};
use crate::doctor::{self, Step};
use crate::exit::Exit;
use crate::paths::Paths;

/// Version of the document.
const SCHEMA: u32 = 1;
/// How often the progress line moves.
const TICK: Duration = Duration::from_millis(120);
/// Columns of a check's name.
const NAME_COLUMNS: usize = 18;
/// Columns before the name.
const MARK_COLUMNS: usize = 7;
/// Where a reason begins.
const WHY_COLUMN: usize = MARK_COLUMNS + NAME_COLUMNS + 1;
/// From this width on, what follows a reason stands below it.
const WIDE_COLUMNS: usize = 80;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel doctor                  every step, from `claude` to the backends and back
  ccotel doctor --offline        only this machine: nothing is sent, no backend is asked
  ccotel doctor --json | jq '.checks[] | select(.verdict == \"failed\")'

Under each fault stands the command that mends it, or what only a person can do. A marked record is sent \
through the agent to every destination and asked for there; it is no usage, and changes no total. \
Exit code 1 when something failed, 0 with warnings alone.")]
pub struct Args {
    /// Send nothing, and ask no backend
    #[arg(long)]
    offline: bool,
    /// Show details also of what is in order
    #[arg(short, long, conflicts_with = "json")]
    verbose: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Become this shell and say what `claude` is in it
    #[arg(long, hide = true, value_name = "SHELL", exclusive = true)]
    in_shell: Option<PathBuf>,
}

pub fn run(args: &Args, no_color: bool) -> anyhow::Result<Exit> {
    if let Some(shell) = &args.in_shell {
        return Ok(doctor::shell::become_shell(shell));
    }
    match examined(args, no_color) {
        // Who reads the document must find out, too.
        Err(error) if args.json => {
            let error = format!("{error:#}");
            let none: [Check; 0] = [];
            say(&json!({ "schema": SCHEMA, "verdict": Verdict::Failed, "checks": none, "error": error })
                .to_string());
            anyhow::bail!(error);
        }
        examined => examined,
    }
}

fn examined(args: &Args, no_color: bool) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    let directory = working_directory()?;
    let looks = Looks::new(no_color, args.verbose);
    let bar = progress();
    let mut heading = String::new();
    let checks = doctor::examine(&paths, &directory, args.offline, &mut |step| match step {
        Step::Looking(what) => bar.set_message(what.to_owned()),
        Step::Found(_) if args.json => {}
        Step::Found(check) => bar.suspend(|| {
            let above = check.subject.as_deref().unwrap_or(check.group);
            if above != heading {
                let gap = if heading.is_empty() { "" } else { "\n" };
                say(&format!("{gap}{}", looks.heading(above)));
                above.clone_into(&mut heading);
            }
            say(&looks.check(check));
        }),
    })?;
    bar.finish_and_clear();
    let worst = worst(&checks);
    if args.json {
        say(&json!({ "schema": SCHEMA, "verdict": worst, "checks": checks }).to_string());
    } else {
        say_wrapped(&format!("\n{}", looks.summary(&checks)));
    }
    Ok(if worst == Verdict::Failed { Exit::Failed } else { Exit::Done })
}

fn progress() -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template("{spinner} looking at {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(TICK);
    bar
}

/// How it is drawn.
struct Looks {
    colour: bool,
    verbose: bool,
    /// 0: a pipe, where a line stays a line.
    width: usize,
}

impl Looks {
    fn new(no_color: bool, verbose: bool) -> Self {
        let look = look(no_color);
        Self { colour: look.colour, verbose, width: look.width.unwrap_or(0) }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn heading(&self, group: &str) -> String {
        self.paint("1", group)
    }

    fn check(&self, check: &Check) -> String {
        let (word, colour) = match check.verdict {
            Verdict::Ok => ("ok  ", "32"),
            Verdict::Warning => ("warn", "33"),
            Verdict::Failed => ("FAIL", "1;31"),
            Verdict::NotChecked => ("-   ", "2"),
        };
        let name = check.name.replace('_', " ");
        let name = name.trim_start_matches("destination ");
        let word = self.paint(colour, word);
        let below = " ".repeat(if (1..WIDE_COLUMNS).contains(&self.width) {
            MARK_COLUMNS
        } else {
            WHY_COLUMN
        });
        let first = format!("  {word} {name:NAME_COLUMNS$} ");
        let mut lines = vec![self.wrapped(&check.why, &first, &below)];
        let worth = check.verdict != Verdict::Ok;
        let by_hand = check.by_hand.iter().filter(|_| worth || self.verbose);
        lines.extend(by_hand.map(|words| self.wrapped(words, &below, &below)));
        // A command stays one line: it is to be copied.
        let remedy = check.remedy.iter();
        lines.extend(remedy.map(|command| format!("{below}$ {}", self.paint("36", command))));
        if self.verbose {
            let details = check.details.iter();
            lines.extend(details.map(|line| self.wrapped(line, &below, &format!("{below}  "))));
        }
        lines.join("\n")
    }

    /// Colours take no room on the screen, and `first` may have some: it is put in front afterwards.
    fn wrapped(&self, words: &str, first: &str, below: &str) -> String {
        if self.width == 0 {
            return format!("{first}{words}");
        }
        let room = " ".repeat(if first.trim().is_empty() { first.len() } else { WHY_COLUMN });
        let options = textwrap::Options::new(self.width)
            .initial_indent(&room)
            .subsequent_indent(below)
            .break_words(false) // a path is copied whole
            .word_separator(textwrap::WordSeparator::AsciiSpace)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        let text = textwrap::fill(words, options);
        format!("{first}{}", text.get(room.len()..).unwrap_or(&text))
    }

    fn summary(&self, checks: &[Check]) -> String {
        let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
        let (failed, warnings) = (count(Verdict::Failed), count(Verdict::Warning));
        let unchecked = count(Verdict::NotChecked);
        let rest = match unchecked {
            0 => String::new(),
            number => format!(", {number} not checked"),
        };
        // Something has to be done first.
        let is_open = |it: &Check| it.verdict == Verdict::NotChecked && it.by_hand.is_some();
        let unseen =
            |it: &Check| it.name == "destination_record" && it.verdict == Verdict::NotChecked;
        match (failed, warnings) {
            (0, 0) if checks.iter().any(is_open) => {
                let fine = count(Verdict::Ok);
                self.paint(
                    "33",
                    &format!("Nothing is wrong with what could be checked: {fine}{rest}."),
                )
            }
            (0, 0) => {
                self.paint("32", &format!("All is well: {} checks{rest}.", count(Verdict::Ok)))
            }
            (0, _) if checks.iter().any(unseen) => {
                self.paint("33", &format!("Nothing failed; warnings: {warnings}{rest}."))
            }
            (0, _) => self.paint("33", &format!("Data arrives; warnings: {warnings}{rest}.")),
            _ => {
                let first = checks.iter().find(|check| check.is_failed());
                let name = first.map_or(String::new(), |it| it.name.replace('_', " "));
                let words = format!(
                    "Failed: {failed}, warnings: {warnings}{rest}. Begin with the first one: {name}."
                );
                self.paint("1;31", &words)
            }
        }
    }
}
