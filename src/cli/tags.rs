use std::fmt::Write as _;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::{say, say_wrapped, working_directory};
use crate::config::Problem;
use crate::config::shape::privacy_word;
use crate::exit::Exit;
use crate::launch::prepare::{self, Here};
use crate::launch::problems::{self, LaunchProblem};
use crate::paths::Paths;
use crate::report::table::money;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel tags           what is in effect in this directory, and why
  ccotel tags --json    for programs")]
pub struct Args {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    let directory = working_directory()?;
    let here = prepare::look_around(&paths, &directory);
    let launches = problems::recent(&paths);
    if args.json {
        say(&document(&here, &launches).to_string());
    } else {
        say_wrapped(text(&here, &launches).trim_end());
    }
    Ok(Exit::Done)
}

fn document(here: &Here, launches: &[LaunchProblem]) -> Value {
    let resolved = &here.resolved;
    let value = |key: &str| resolved.tags.get(key).map(|tag| tag.value.as_str());
    json!({
        "schema": 1,
        "directory": resolved.directory.display().to_string(),
        "tags": resolved.tags,
        "team": value("team"),
        "project": value("project"),
        "privacy": {
            "level": privacy_word(resolved.level),
            "source": resolved.level_source.source,
            "line": resolved.level_source.line,
        },
        "budgets": resolved.budgets.iter().map(|(budget, source)| json!({
            "period": budget.period.name(),
            "budget_usd": budget.usd,
            "source": source.source,
            "line": source.line,
        })).collect::<Vec<_>>(),
        "files": files(here),
        "problems": found(here),
        "launch_problems": launches.iter().map(of_launch).collect::<Vec<_>>(),
    })
}

/// The files that were read, those that win first.
fn files(here: &Here) -> Vec<String> {
    let config = here.loaded.files.iter().rev();
    here.resolved.files.iter().chain(config).map(|file| file.display().to_string()).collect()
}

fn found(here: &Here) -> Vec<&Problem> {
    here.loaded.problems.iter().chain(&here.resolved.problems).collect()
}

fn of_launch(problem: &LaunchProblem) -> Value {
    let LaunchProblem { at, launch, what, remedy, times, .. } = problem;
    json!({"at": at, "launch": launch, "what": what, "remedy": remedy, "times": times})
}

fn text(here: &Here, launches: &[LaunchProblem]) -> String {
    let resolved = &here.resolved;
    let mut text = format!("Tags of sessions in {}\n\n", resolved.directory.display());
    if resolved.tags.is_empty() {
        text.push_str("(none)\n");
    } else {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["TAG", "VALUE", "FROM"]);
        for (key, tag) in &resolved.tags {
            table.add_row([key.clone(), tag.value.clone(), tag.source.to_string()]);
        }
        writeln!(text, "{}", table.trim_fmt()).expect("a String takes every write");
    }
    let level = privacy_word(resolved.level);
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(format!("\nPrivacy level: {level} ({})", resolved.level_source));
    for (budget, source) in &resolved.budgets {
        let (amount, period) = (money(budget.usd), budget.period.name());
        line(format!("Budget of the project: {amount} {period}, only shown ({source})"));
    }
    let files = files(here);
    if !files.is_empty() {
        line(format!("Files read: {}", files.join(", ")));
    }
    let found = found(here);
    if !found.is_empty() {
        line("\nProblems here:".to_owned());
        for problem in &found {
            line(format!("  {problem}"));
        }
    }
    // What is still so has just been said.
    let is_here = |launch: &&LaunchProblem| {
        found.iter().any(|problem| problem.to_string().starts_with(&launch.what))
    };
    let past: Vec<_> = launches.iter().filter(|launch| !is_here(launch)).collect();
    if !past.is_empty() {
        line("\nProblems of recent launches:".to_owned());
        for problem in past {
            let LaunchProblem { what, remedy, times, .. } = problem;
            let remedy = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
            let at = problem.at.strftime("%Y-%m-%d %H:%M UTC");
            let when =
                if *times > 1 { format!("{times} times, last {at}") } else { at.to_string() };
            line(format!("  {when}: {what}{remedy}"));
        }
    }
    text
}
