//! `ccotel gateway`: who may send to `ccotel agent run --gateway`.
//!
//! A sender is a file in the directory of tokens, which holds hashes: a token is shown once, when it is
//! made. A gateway that runs reads the directory again by itself.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::say;
use crate::agent::files;
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::paths::Paths;
use crate::receive::gateway::tokens;

mod ls;

/// Version of the documents.
const SCHEMA: u32 = 1;
/// Longest file of a sender, as the gateway reads it.
const TOKENS_MAX: usize = tokens::TOKENS_MAX;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel gateway token add ci-1      who may send
  ccotel gateway token ls            what came from whom
  ccotel gateway token revoke ci-1   no longer")]
pub struct Args {
    #[command(subcommand)]
    pub subject: Subject,
}

#[derive(Debug, clap::Subcommand)]
pub enum Subject {
    /// The tokens by which senders are known
    #[command(after_help = "\
Examples:
  ccotel gateway token add ci-1
  ccotel gateway token ls")]
    #[command(subcommand)]
    Token(Token),
}

#[derive(Debug, clap::Subcommand)]
pub enum Token {
    /// Make a token, and print the variables that the sender needs; it is shown this once
    Add(Add),
    /// List who may send, and what came from whom
    #[command(after_help = "\
Examples:
  ccotel gateway token ls
  ccotel gateway token ls --json")]
    Ls {
        #[command(flatten)]
        place: Place,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// End a sender's tokens, at once
    #[command(after_help = "\
Examples:
  ccotel gateway token revoke ci-1")]
    Revoke {
        name: String,
        /// Keep the newest one: when every sender has what `add --also` made
        #[arg(long)]
        older: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel gateway token add ci-1             prints the variables that it needs
  ccotel gateway token add ci-1 --replace   a new token for the old one")]
pub struct Add {
    /// The sender: it becomes the label `sender`
    pub name: String,
    /// Keep the tokens that it has, until `revoke --older`
    #[arg(long, conflicts_with = "replace")]
    pub also: bool,
    /// End the tokens that it has, at once: who sends with one is out until it gets the new one
    #[arg(long)]
    pub replace: bool,
    /// Where senders reach the gateway (default: `[gateway] url`)
    #[arg(long)]
    pub url: Option<String>,
    #[command(flatten)]
    pub place: Place,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Place {
    /// The directory of tokens (default: `[gateway] tokens`)
    #[arg(long, value_name = "DIRECTORY")]
    pub tokens: Option<PathBuf>,
}

impl Place {
    fn directory(&self, paths: &Paths, config: &Config) -> PathBuf {
        self.tokens.clone().unwrap_or_else(|| config.gateway.tokens_dir(paths))
    }
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    let config = config::load(&paths).config;
    let Subject::Token(token) = &args.subject;
    match token {
        Token::Add(add) => make(add, &add.place.directory(&paths, &config), &config),
        Token::Ls { place, json } => {
            ls::run(&paths, &config, &place.directory(&paths, &config), *json)
        }
        Token::Revoke { name, older: true, place } => {
            revoke_older(name, &place.directory(&paths, &config))
        }
        Token::Revoke { name, older: false, place } => {
            revoke(name, &place.directory(&paths, &config), &config)
        }
    }
}

fn make(add: &Add, directory: &Path, config: &Config) -> anyhow::Result<Exit> {
    let name = sender_name(&add.name)?;
    let url = match add.url.as_deref().or(config.gateway.url.as_deref()) {
        Some(url) => Some(url_of(url)?),
        None => None,
    };
    let file = directory.join(&name);
    let kept = kept(add, &file)?;
    let token = new_token()?;
    std::fs::create_dir_all(directory)
        .map_err(|error| files::at("create", directory)(error))
        .and_then(|()| {
            let entry = tokens::entry(&token, jiff::Zoned::now().date());
            files::replace_synced(&file, format!("{kept}{entry}").as_bytes())
        })
        .with_context(|| {
            format!(
                "{name} has no token; where this directory is mounted for reading only, make the \
                     file elsewhere (--tokens DIRECTORY) and put it there as its secret"
            )
        })?;
    let address = url.unwrap_or_else(|| "https://GATEWAY:4318".to_owned());
    let environment = environment(&address, &token);
    if add.json {
        let variables: serde_json::Map<String, serde_json::Value> =
            environment.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        say(&json!({ "schema": SCHEMA, "name": name, "token": token, "file": file, "environment": variables })
            .to_string());
        return Ok(Exit::Done);
    }
    for (key, value) in &environment {
        say(&format!("{key}={value}"));
    }
    eprintln!(
        "ccotel: {name} may send with these variables; the token is shown this once, and its hash is in {}",
        file.display()
    );
    if address.contains("GATEWAY") {
        eprintln!("ccotel: put the gateway's name in the place of GATEWAY, or set `[gateway] url`");
    }
    eprintln!(
        "ccotel: where the gateway's certificate is of an authority of your own, add NODE_EXTRA_CA_CERTS=/path/of/ca.pem"
    );
    Ok(Exit::Done)
}

/// The lines that stay in a sender's file.
fn kept(add: &Add, file: &Path) -> anyhow::Result<String> {
    let Some(content) = files::read_small(file)? else { return Ok(String::new()) };
    if add.replace {
        return Ok(String::new());
    }
    if !add.also {
        bail!(
            "{} has a token already; `--also` keeps it beside the new one, until `revoke --older`; `--replace` ends it at once",
            add.name
        );
    }
    let text = String::from_utf8_lossy(&content);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.iter().filter(|line| !line.starts_with('#')).count() >= TOKENS_MAX {
        bail!(
            "{} has {TOKENS_MAX} tokens, the most that are read; `ccotel gateway token revoke {} --older` keeps the newest",
            add.name,
            add.name
        );
    }
    Ok(lines.into_iter().flat_map(|line| [line, "\n"]).collect())
}

fn revoke(name: &str, directory: &Path, config: &Config) -> anyhow::Result<Exit> {
    let (file, _) = file_of(name, directory)?;
    files::remove(&file)?;
    say(&format!("{name}: its tokens let nobody in any more; what it sent stays counted"));
    let known = config.gateway.senders.iter().find(|sender| sender.name == name);
    if let Some(certificate) = known.and_then(|sender| sender.certificate.as_deref()) {
        say(&format!(
            "{name} is still known by the certificate {certificate}: take it out of `[[gateway.sender]]`"
        ));
    }
    Ok(Exit::Done)
}

fn revoke_older(name: &str, directory: &Path) -> anyhow::Result<Exit> {
    let (file, text) = file_of(name, directory)?;
    let Some(newest) = tokens::newest(&text) else {
        say(&format!("{name} has one token, and none that is older"));
        return Ok(Exit::Done);
    };
    files::replace_synced(&file, newest.as_bytes())?;
    say(&format!("{name}: only its newest token lets in"));
    Ok(Exit::Done)
}

/// A sender's file, which has to be there, and what is in it.
fn file_of(name: &str, directory: &Path) -> anyhow::Result<(PathBuf, String)> {
    let file = directory.join(sender_name(name)?);
    let Some(content) = files::read_small(&file)? else {
        bail!(
            "{name} has no token in {}; `ccotel gateway token ls` shows who has",
            directory.display()
        );
    };
    Ok((file, String::from_utf8_lossy(&content).into_owned()))
}

/// What a program that has no ccotel needs to export what a session under `ccotel claude` would. No
/// value needs quotes, of which shells, CI systems and files of variables each think differently.
fn environment(url: &str, token: &str) -> Vec<(&'static str, String)> {
    [
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1".to_owned()),
        ("OTEL_METRICS_EXPORTER", "otlp".to_owned()),
        ("OTEL_LOGS_EXPORTER", "otlp".to_owned()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("Authorization=Bearer%20{token}")),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative".to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10000".to_owned()),
        ("OTEL_LOGS_EXPORT_INTERVAL", "1000".to_owned()),
        ("OTEL_METRICS_INCLUDE_SESSION_ID", "true".to_owned()),
    ]
    .to_vec()
}

fn sender_name(text: &str) -> anyhow::Result<String> {
    config::destination::read::name_rule(text)
        .map_err(|why| anyhow::anyhow!("`{text}` cannot be a sender's name: it {why}"))
}

fn url_of(text: &str) -> anyhow::Result<String> {
    config::destination::read::url_rule(text.trim_end_matches('/'))
        .map_err(|why| anyhow::anyhow!("`{text}` cannot be the gateway's address: it {why}"))
}

fn new_token() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
