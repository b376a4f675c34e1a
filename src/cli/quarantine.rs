//! `ccotel quarantine`: what a backend refused for good, kept by the agent for 30 days, up to 16 MiB.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytesize::ByteSize;
use comfy_table::{Table, presets};
use serde_json::json;

use super::connect::confirm;
use crate::agent::control::{self, Answer, ControlError, Request};
use crate::agent::ensure;
use crate::agent::rooms::quarantine::QuarantineLine;
use crate::deliver::readable;
use crate::deliver::wire::Wire;
use crate::exit::Exit;
use crate::paths::Paths;

/// Version of the document.
const SCHEMA: u32 = 1;
/// Of the backend's words, in the table.
const ANSWER_CHARS_MAX: usize = 100;
/// Lines that `show` prints of a request, without `--all`.
const LINES_MAX: usize = 50;

const NO_AGENT: &str =
    "no agent runs, and only it can open the quarantine; `ccotel agent start` starts it";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel quarantine ls        what is kept, and why
  ccotel quarantine show 3    one request
  ccotel quarantine retry 3   send it again")]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// List what is kept
    #[command(after_help = "\
Examples:
  ccotel quarantine ls
  ccotel quarantine ls loki-localhost --json")]
    Ls {
        /// Only this destination's
        destination: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show one request: what the backend said, and what is in it
    #[command(after_help = "\
Examples:
  ccotel quarantine show 3
  ccotel quarantine show 3 --all")]
    Show {
        id: i64,
        /// Print all of it, however long
        #[arg(long)]
        all: bool,
    },
    /// Send requests again, as they were
    #[command(after_help = "\
Examples:
  ccotel quarantine retry 3 4
  ccotel quarantine retry --all")]
    Retry(Which),
    /// Write a request's body to a file, as it was sent
    #[command(after_help = "\
Examples:
  ccotel quarantine export 3 --output body.bin")]
    Export {
        id: i64,
        /// The file to make (default: standard output)
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Let go of requests; they stay counted as quarantined
    #[command(after_help = "\
Examples:
  ccotel quarantine drop 3 4
  ccotel quarantine drop --all --yes")]
    Drop {
        #[command(flatten)]
        which: Which,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Numbers, as `ccotel quarantine ls` shows them
    pub ids: Vec<i64>,
    /// All of one destination
    #[arg(short, long)]
    pub destination: Option<String>,
    /// All
    #[arg(short, long)]
    pub all: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    if ensure::running(&paths)?.is_none() {
        if let Action::Ls { json: true, .. } = args.action {
            println!("{}", json!({ "schema": SCHEMA, "running": false, "requests": null }));
        }
        anyhow::bail!(NO_AGENT);
    }
    match &args.action {
        Action::Ls { destination, json } => ls(&paths, destination.as_deref(), *json),
        Action::Show { id, all } => show(&paths, *id, *all),
        Action::Retry(which) => {
            let ids = ids(&chosen(&paths, which)?);
            say(&control::ask(&paths, Request::QuarantineRetry { ids })?)
        }
        Action::Export { id, output } => export(&paths, *id, output.as_deref()),
        Action::Drop { which, yes } => drop_chosen(&paths, which, *yes),
    }
}

fn ls(paths: &Paths, destination: Option<&str>, as_json: bool) -> anyhow::Result<Exit> {
    let mut lines = list(paths)?;
    lines.retain(|line| destination.is_none_or(|name| name == line.destination));
    if as_json {
        println!("{}", json!({ "schema": SCHEMA, "running": true, "requests": lines }));
        return Ok(Exit::Done);
    }
    if lines.is_empty() {
        println!("Nothing is in quarantine.");
        return Ok(Exit::Done);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["ID", "DESTINATION", "RECORDS", "SIZE", "REFUSED", "STATUS", "ANSWER"]);
    for line in &lines {
        let status = if line.waiting { "waiting".to_owned() } else { line.status.to_string() };
        table.add_row([
            line.id.to_string(),
            line.destination.clone(),
            format!("{} {}", line.records, line.lane),
            ByteSize(line.bytes).to_string(),
            line.at.to_string(),
            status,
            first_line(&line.answer),
        ]);
    }
    println!("{}", table.trim_fmt());
    Ok(Exit::Done)
}

fn show(paths: &Paths, id: i64, all: bool) -> anyhow::Result<Exit> {
    let line = one(paths, id)?;
    let body = body(paths, &line)?;
    println!("{} refused request {id} at {}", line.destination, line.at);
    println!("{} {} ({}), {}", line.records, line.lane, ByteSize(line.bytes), line.format);
    println!("Status {}: {}", line.status, line.answer);
    if line.waiting {
        println!("It waits to be sent again.");
    }
    let content = Wire::from_name(&line.format).and_then(|wire| readable::lines(wire, &body));
    let Some(content) = content else {
        println!("\nIts content cannot be read; `ccotel quarantine export {id}` gives the bytes.");
        return Ok(Exit::Done);
    };
    let shown = if all { content.len() } else { content.len().min(LINES_MAX) };
    println!("\n{}", content[..shown].join("\n"));
    if shown < content.len() {
        println!("… and {} more lines; --all shows them", content.len() - shown);
    }
    Ok(Exit::Done)
}

fn export(paths: &Paths, id: i64, output: Option<&Path>) -> anyhow::Result<Exit> {
    let line = one(paths, id)?;
    let body = body(paths, &line)?;
    let Some(output) = output else {
        if std::io::stdout().is_terminal() {
            eprintln!("ccotel: the body is binary ({}); name a file with --output", line.format);
            return Ok(Exit::Usage);
        }
        std::io::stdout().write_all(&body).context("standard output takes no more")?;
        return Ok(Exit::Done);
    };
    // What is exported is as private as the store.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(output);
    file.and_then(|mut file| file.write_all(&body)).map_err(|error| {
        let why = crate::agent::files::words(&error);
        anyhow::anyhow!(
            "cannot make {}: {why}; name a file that is not there yet",
            output.display()
        )
    })?;
    println!("{}: {} ({})", output.display(), ByteSize(line.bytes), line.format);
    Ok(Exit::Done)
}

fn drop_chosen(paths: &Paths, which: &Which, yes: bool) -> anyhow::Result<Exit> {
    let chosen = chosen(paths, which)?;
    let records: u64 = chosen.iter().map(|line| line.records).sum();
    let loss = format!("{} requests with {records} records would be gone", chosen.len());
    if !yes && !confirm(&format!("{loss}. Go on?"))? {
        eprintln!("ccotel: nothing was changed. {loss}; say --yes if that is meant");
        return Ok(Exit::Failed);
    }
    say(&control::ask(paths, Request::QuarantineDrop { ids: ids(&chosen) })?)
}

fn say(answer: &Answer) -> anyhow::Result<Exit> {
    let Answer::Done { what } = answer else { anyhow::bail!(ControlError::Strange) };
    println!("ccotel: {what}");
    Ok(Exit::Done)
}

/// All that is kept, page by page.
fn list(paths: &Paths) -> anyhow::Result<Vec<QuarantineLine>> {
    let mut lines: Vec<QuarantineLine> = Vec::new();
    loop {
        let after = lines.last().map_or(0, |line| line.id);
        let Answer::Quarantine { entries } =
            control::ask(paths, Request::QuarantineList { after })?
        else {
            anyhow::bail!(ControlError::Strange);
        };
        if entries.is_empty() {
            return Ok(lines);
        }
        lines.extend(entries);
    }
}

fn one(paths: &Paths, id: i64) -> anyhow::Result<QuarantineLine> {
    let found = list(paths)?.into_iter().find(|line| line.id == id);
    found.with_context(|| not_there(id))
}

fn chosen(paths: &Paths, which: &Which) -> anyhow::Result<Vec<QuarantineLine>> {
    let mut lines = list(paths)?;
    if let Some(missing) = which.ids.iter().find(|id| lines.iter().all(|line| line.id != **id)) {
        anyhow::bail!(not_there(*missing));
    }
    lines.retain(|line| {
        which.all
            || which.ids.contains(&line.id)
            || which.destination.as_deref() == Some(line.destination.as_str())
    });
    if lines.is_empty() {
        anyhow::bail!("nothing of that is in quarantine; `ccotel quarantine ls` lists what is");
    }
    Ok(lines)
}

fn not_there(id: i64) -> String {
    format!("there is no request {id} in quarantine; `ccotel quarantine ls` lists them")
}

fn ids(lines: &[QuarantineLine]) -> Vec<i64> {
    lines.iter().map(|line| line.id).collect()
}

fn body(paths: &Paths, line: &QuarantineLine) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let request = Request::QuarantineBody { id: line.id, offset: body.len() };
        let Answer::Body { base64 } = control::ask(paths, request)? else {
            anyhow::bail!(ControlError::Strange);
        };
        let part = BASE64.decode(base64).map_err(|_| ControlError::Strange)?;
        if part.is_empty() {
            return Ok(body);
        }
        body.extend(part);
    }
}

fn first_line(answer: &str) -> String {
    answer.lines().next().unwrap_or_default().chars().take(ANSWER_CHARS_MAX).collect()
}
