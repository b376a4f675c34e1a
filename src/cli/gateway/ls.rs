//! `ccotel gateway token ls`: what the files say, and what a gateway that runs has seen.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use serde_json::json;

use super::SCHEMA;
use crate::agent::control::{self, Answer, Request};
use crate::agent::status::{SenderStatus, Status};
use crate::cli::say;
use crate::config::Config;
use crate::exit::Exit;
use crate::paths::Paths;
use crate::receive::gateway::tokens;

/// One sender.
#[derive(Debug, Default, serde::Serialize)]
struct Line {
    name: String,
    tokens: usize,
    certificate: Option<String>,
    tags: BTreeMap<String, String>,
    /// As a gateway that runs says it.
    seen: Option<SenderStatus>,
}

pub fn run(
    paths: &Paths,
    config: &Config,
    directory: &Path,
    as_json: bool,
) -> anyhow::Result<Exit> {
    let read = tokens::read(directory);
    let gone = read.as_ref().is_err_and(tokens::TokenFileError::is_gone);
    let tokens = if gone { tokens::Tokens::default() } else { read.context("no senders")? };
    let seen = seen(paths);
    let running = seen.is_some();
    let lines = lines(config, &tokens, seen.unwrap_or_default());
    if as_json {
        let document = json!({
            "schema": SCHEMA, "tokens": directory, "running": running, "senders": lines,
            "problems": tokens.problems,
        });
        say(&document.to_string());
        return Ok(Exit::Done);
    }
    for problem in &tokens.problems {
        eprintln!("ccotel: {problem}");
    }
    if lines.is_empty() {
        say("Nobody may send; `ccotel gateway token add NAME` makes a token.");
        return Ok(Exit::Done);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["SENDER", "TOKENS", "CERTIFICATE", "TAGS", "RECORDS", "LAST SEEN"]);
    for line in lines {
        let tags: Vec<_> = line.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let records = line.seen.as_ref().map(|seen| seen.received.to_string());
        let last = line.seen.and_then(|seen| seen.last_seen).map(|at| at.to_string());
        table.add_row([
            line.name,
            line.tokens.to_string(),
            line.certificate.unwrap_or_default(),
            tags.join(" "),
            records.unwrap_or_default(),
            last.unwrap_or_default(),
        ]);
    }
    say(&table.trim_fmt());
    Ok(Exit::Done)
}

fn lines(config: &Config, tokens: &tokens::Tokens, seen: Vec<SenderStatus>) -> Vec<Line> {
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    for (name, tokens) in &tokens.by_sender {
        lines.entry(name.clone()).or_default().tokens = tokens.len();
    }
    for sender in &config.gateway.senders {
        if sender.certificate.is_some() || lines.contains_key(&sender.name) {
            let line = lines.entry(sender.name.clone()).or_default();
            line.certificate.clone_from(&sender.certificate);
            line.tags.clone_from(&sender.tags);
        }
    }
    for sender in seen {
        let name = sender.name.clone();
        lines.entry(name).or_default().seen = Some(sender);
    }
    let named = lines.into_iter().map(|(name, line)| Line { name, ..line });
    named.collect()
}

/// `None`: no gateway runs here.
fn seen(paths: &Paths) -> Option<Vec<SenderStatus>> {
    let Ok(Answer::Status { status }) = control::ask(paths, Request::Status) else { return None };
    let status: Status = serde_json::from_value(status).ok()?;
    Some(status.gateway?.senders)
}
