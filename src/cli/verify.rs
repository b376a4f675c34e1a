//! `ccotel verify`.

use std::fmt::Write as _;
use std::path::PathBuf;

use comfy_table::{CellAlignment, Table, presets};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{say, say_wrapped};
use crate::agent::control;
use crate::exit::Exit;
use crate::import::find;
use crate::paths::Paths;
use crate::report::time::Clock;
use crate::verify::findings::{FINDINGS_MAX, Finding};
use crate::verify::sums::Sums;
use crate::verify::{self, Question, Verdict};

/// Version of the document.
const SCHEMA: u32 = 1;
/// Sessions that are named with each cause.
const SESSIONS_SHOWN: usize = 3;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel verify                    since the agent's first event, at most 29 days ago
  ccotel verify --since today
  ccotel verify --session 8d5bbf0b-0271-4ec8-b89e-2d08b646886a

Three sides are put side by side, by model: what Claude Code's counters said, what its events said, and \
what stands in its transcripts (~/.claude/projects). Titles, summaries and the like are in no transcript; \
that is expected. Exit code 1 where something else differs, with its likely cause.")]
pub struct Args {
    /// Transcripts, if not Claude Code's own
    paths: Vec<PathBuf>,
    /// From this time on (as for `report`) [default: the agent's first event, at most 29
    /// days ago: Claude Code deletes older transcripts]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    let clock = Clock::system(None)?;
    let since_ms = match args.since.as_deref().map(|since| clock.range(since, None)).transpose() {
        Ok(range) => range.map(|range| range.start * 60_000),
        Err(error) => {
            eprintln!("ccotel: {error}");
            return Ok(Exit::Usage);
        }
    };
    if let Some(missing) = args.paths.iter().find(|path| !path.exists()) {
        anyhow::bail!("{} does not exist; name a transcript, or a folder", missing.display());
    }
    let roots = if args.paths.is_empty() {
        find::roots(&paths.home, std::env::var_os(find::VARIABLE))
    } else {
        args.paths.clone()
    };
    control::sync(&paths);
    let now_ms = Timestamp::now().as_millisecond();
    let question = Question { since_ms, now_ms, session: args.session.clone(), roots };
    let verdict = match verify::verify(&paths, &question) {
        Ok(verdict) => verdict,
        Err(error) if args.json => {
            say(&json!({ "schema": SCHEMA, "agree": null, "error": error.to_string() }).to_string());
            anyhow::bail!(error);
        }
        Err(error) => anyhow::bail!(error),
    };
    let Some(verdict) = verdict else {
        if args.json {
            let why = "nothing recorded yet";
            say(&json!({ "schema": SCHEMA, "agree": null, "error": why }).to_string());
        }
        anyhow::bail!("nothing is recorded yet to compare; start a session with `ccotel claude`");
    };
    if args.json {
        say(&document(&question, &verdict).to_string());
    } else {
        say_wrapped(text(&verdict).trim_end());
    }
    Ok(if verdict.agrees() { Exit::Done } else { Exit::Failed })
}

fn document(question: &Question, verdict: &Verdict) -> Value {
    let models: Vec<Value> = verdict
        .models()
        .into_iter()
        .map(|model| {
            json!({
                "model": model,
                "counters": verdict.counters.as_ref().map(|side| counters(side.get(model))),
                "events": side(verdict.events.get(model)),
                "transcripts": side(verdict.transcripts.get(model)),
                "auxiliary": side(verdict.auxiliary.get(model)),
            })
        })
        .collect();
    let findings = verdict.findings.iter().take(FINDINGS_MAX);
    json!({
        "schema": SCHEMA,
        "agree": verdict.agrees(),
        "since": time(verdict.range.start),
        "until": time(verdict.range.end),
        "session": question.session,
        "models": models,
        "sessions": verdict.sessions,
        "findings": findings.map(finding).collect::<Vec<_>>(),
        "findings_left_out": verdict.findings.len().saturating_sub(FINDINGS_MAX),
    })
}

fn tokens(sums: &Sums) -> Value {
    json!({
        "input": sums.input, "output": sums.output, "cache_read": sums.cache_read,
        "cache_creation": sums.cache_creation,
    })
}

fn side(sums: Option<&Sums>) -> Value {
    let sums = sums.copied().unwrap_or_default();
    json!({
        "requests": sums.requests, "cost_usd": sums.cost_usd, "tokens": tokens(&sums),
        "unpriced_requests": sums.unpriced_requests,
    })
}

fn counters(sums: Option<&Sums>) -> Value {
    let sums = sums.copied().unwrap_or_default();
    json!({ "cost_usd": sums.cost_usd, "tokens": tokens(&sums) })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "cause": finding.cause,
        "expected": finding.expected,
        "session": finding.session,
        "model": finding.model,
        "from": finding.from_ms.and_then(time),
        "to": finding.to_ms.and_then(time),
        "difference": side(Some(&finding.difference)),
        "what": finding.what,
        "source": finding.source,
    })
}

fn time(ms: i64) -> Option<String> {
    Timestamp::from_millisecond(ms).ok().map(|time| time.to_string())
}

fn text(verdict: &Verdict) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["MODEL", "COUNTERS", "EVENTS", "TRANSCRIPTS", "IN NO TRANSCRIPT"]);
    for model in verdict.models() {
        let dollars = |sums: Option<&Sums>| match sums {
            Some(sums) if sums.unpriced_requests > 0 => format!("${:.4} +?", sums.cost_usd),
            Some(sums) => format!("${:.4}", sums.cost_usd),
            None => "-".to_owned(),
        };
        table.add_row([
            model.to_owned(),
            dollars(verdict.counters.as_ref().and_then(|side| side.get(model))),
            dollars(verdict.events.get(model)),
            dollars(verdict.transcripts.get(model)),
            dollars(verdict.auxiliary.get(model)),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{}\n\n", table.trim_fmt());
    for ((expected, _), findings) in verify::by_cause(&verdict.findings) {
        let mark = if expected { "  " } else { "! " };
        let cost: f64 = findings.iter().map(|finding| finding.difference.cost_usd).sum();
        let requests: i64 = findings.iter().map(|finding| finding.difference.requests).sum();
        let Some(first) = findings.first() else { continue };
        let _ = writeln!(text, "{mark}{} ({cost:+.4} USD, {requests:+} requests).", first.what);
        let mut names: Vec<&str> =
            findings.iter().filter_map(|finding| finding.session.as_deref()).collect();
        names.dedup();
        if !names.is_empty() && !expected {
            let shown = names.iter().take(SESSIONS_SHOWN).copied().collect::<Vec<_>>().join(", ");
            let more = names.len().saturating_sub(SESSIONS_SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = writeln!(text, "    sessions {shown}{more}");
        }
        if let Some(source) = first.source {
            let _ = writeln!(text, "    {source}");
        }
    }
    if verdict.counters.is_none() {
        let _ = writeln!(
            text,
            "  Counters cannot be told apart here: they do not know sessions, and others ran beside or just \
             before."
        );
    }
    let _ = writeln!(
        text,
        "{}",
        if verdict.agrees() { "All sides agree." } else { "The sides do not agree." }
    );
    text
}
