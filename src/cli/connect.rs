//! `ccotel connect`: checks a backend's address by a write of nothing, then writes `config.toml`.
//!
//! A running agent watches the file, and so begins by itself.

pub mod given;
pub mod inherit;

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;

use super::say_wrapped;
use crate::agent::{files, manage, sockets};
use crate::config;
use crate::config::destination::{Credentials, DestinationConfig};
use crate::config::edit::{ConfigFile, set_privacy};
use crate::deliver::client::is_loopback;
use crate::deliver::own_address;
use crate::deliver::probe::{Found, Verdict, probe};
use crate::exit::Exit;
use crate::paths::Paths;
use crate::record::PrivacyLevel;
use crate::store::handle::Since;
use inherit::Draft;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel connect prometheus http://localhost:9090
  ccotel connect loki http://localhost:3100 --since all
  ccotel connect otlp --inherit
  ccotel connect prometheus https://prom.example.com/api/v1/write \\
      --name team-prom --bearer-token-file ~/prom.token --privacy minimal

What is due waits on disk while a backend cannot be reached; `ccotel status` says how much. \
Prometheus has to run with --web.enable-remote-write-receiver.")]
pub struct Args {
    /// What answers there: prometheus (Mimir, VictoriaMetrics, Grafana Cloud: whatever takes
    /// remote_write), loki, victorialogs, or otlp (OTLP over HTTP)
    #[arg(value_enum, value_name = "TYPE", hide_possible_values = true)]
    pub kind: Kind,
    /// Its address; the usual path is added where there is none
    #[arg(required_unless_present = "inherit")]
    pub url: Option<String>,
    /// Take the collector that your own environment and settings export to already, with its headers
    #[arg(long, conflicts_with_all = [
        "url", "protocol", "tenant", "bearer_token_file", "token_command", "username", "header", "ca", "cert",
    ])]
    pub inherit: bool,
    /// What to call it [default: its type and host]
    #[arg(long)]
    pub name: Option<String>,
    /// From when on: now, all, 12h, 7d, 4w, 2026-11-01, or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "now", value_parser = given::since)]
    pub since: Since,
    /// Of a prometheus, 1.0 or 2.0; of a loki, otlp
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub protocol: String,
    /// Value of the X-Scope-OrgID header
    #[arg(long, value_name = "ID")]
    pub tenant: Option<String>,
    /// A file with the bearer token, read again when it changes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token_command", "username"])]
    pub bearer_token_file: Option<PathBuf>,
    /// A command that prints the bearer token
    #[arg(long, value_name = "COMMAND", conflicts_with = "username")]
    pub token_command: Option<String>,
    /// User name for basic authentication
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub username: Option<String>,
    /// A file with the password
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// Another header to send; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = given::header)]
    pub header: Vec<(String, String)>,
    /// PEM file of the authority that signed the backend's certificate
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// PEM file of this client's certificate
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// PEM file of its key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Send less than is kept: minimal, standard or full
    #[arg(long, value_name = "LEVEL", value_parser = given::privacy)]
    pub privacy: Option<PrivacyLevel>,
    /// Write it without asking the address
    #[arg(long)]
    pub no_check: bool,
    /// Answer yes to questions
    #[arg(long)]
    pub yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    // Without help texts of their own: clap would spread the whole page over twice the lines.
    Prometheus,
    Loki,
    #[value(name = "victorialogs")]
    VictoriaLogs,
    Otlp,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    let file = ConfigFile::open(&paths.config_file())?;
    if args.inherit {
        return inherited(&paths, file, args);
    }
    match given::destination(args, &file) {
        Ok(config) => add(&paths, file, args, &[Draft { config, secret: None }]),
        Err(wrong) => Ok(usage(&wrong)),
    }
}

/// Says what was found and where, and adds what can be.
fn inherited(paths: &Paths, file: ConfigFile, args: &Args) -> anyhow::Result<Exit> {
    if args.kind != Kind::Otlp {
        return Ok(usage("--inherit is for otlp: what Claude Code exports is that"));
    }
    if let Some(asked) = args.privacy
        && asked > file.privacy_level()
    {
        return Ok(usage(given::WIDER));
    }
    let found = inherit::look(paths, &file, args)?;
    for line in &found.found {
        say_wrapped(line);
    }
    for line in &found.left {
        say_wrapped(&format!("left: {line}"));
    }
    match (found.destinations.is_empty(), found.found.is_empty()) {
        (false, _) => add(paths, file, args, &found.destinations),
        (true, false) if found.left.iter().all(|line| line.ends_with(" already")) => Ok(Exit::Done),
        (true, false) => {
            eprintln!("ccotel: nothing was connected");
            Ok(Exit::Failed)
        }
        (true, true) => {
            eprintln!(
                "ccotel: your environment and settings, as far as they can be read, export to no other collector; give one's address: \
                 `ccotel connect otlp URL`"
            );
            Ok(Exit::Failed)
        }
    }
}

fn usage(wrong: &str) -> Exit {
    eprintln!("ccotel: {wrong}");
    Exit::Usage
}

/// Checks each, writes all in one step, and has the agent read them.
fn add(paths: &Paths, mut file: ConfigFile, args: &Args, drafts: &[Draft]) -> anyhow::Result<Exit> {
    let path = paths.config_file();
    let listened = sockets::listened(paths, &config::load(paths).config);
    if let Some(own) = drafts.iter().find(|it| own_address::is_own(&it.config.url, &listened)) {
        let why = own_address::words(&own.config.url);
        eprintln!("ccotel: {why}; nothing was changed: give the address of the backend");
        return Ok(Exit::Failed);
    }
    for Draft { config, .. } in drafts {
        file.add_destination(config)?;
        if let Some(level) = args.privacy {
            set_privacy(&mut file, level);
        }
    }
    if let Some(wrong) = given::refused(&path, &file.to_string(), &paths.home) {
        return Ok(usage(&wrong));
    }
    if drafts.iter().any(|draft| sends_secrets_in_the_clear(&draft.config))
        && !args.yes
        && !confirm("The credentials would cross the network unencrypted (http). Go on?")?
    {
        eprintln!("ccotel: nothing was changed; use an https url, or --yes");
        return Ok(Exit::Failed);
    }
    for draft in drafts {
        draft.write_secret()?;
    }
    if !args.no_check && !check(drafts)? {
        for (path, _) in drafts.iter().filter_map(|draft| draft.secret.as_ref()) {
            files::remove(path)?;
        }
        return Ok(Exit::Failed);
    }
    file.save()?;
    let names: Vec<&str> = drafts.iter().map(|draft| draft.config.name.as_str()).collect();
    let when = if manage::reload(paths, |known| names.iter().all(|name| known.contains(name))) {
        "the agent sends to it from now on"
    } else {
        "the agent sends to it once it runs: the next `claude` starts it"
    };
    for name in names {
        say_wrapped(&format!("{name}: written to {}; {when}", path.display()));
    }
    Ok(Exit::Done)
}

fn check(drafts: &[Draft]) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the check")?;
    let answers =
        |draft: &Draft| report(&draft.config.name, &runtime.block_on(probe(&draft.config)));
    Ok(drafts.iter().all(answers))
}

/// Says what was found; false if it is not to be written.
fn report(name: &str, verdict: &Verdict) -> bool {
    match verdict.found {
        Found::Reachable => say_wrapped(&format!("{name}: {}", verdict.words)),
        Found::Unknown => say_wrapped(&format!(
            "{name}: {}\n{name}: that is no harm: what is due waits on disk until it answers",
            verdict.words
        )),
        Found::Wrong => {
            eprintln!(
                "ccotel: {}; nothing was changed (--no-check writes it all the same)",
                verdict.words
            );
            return false;
        }
    }
    true
}

fn sends_secrets_in_the_clear(config: &DestinationConfig) -> bool {
    let secrets = config.credentials != Credentials::None || !config.headers.is_empty();
    secrets
        && reqwest::Url::parse(&config.url)
            .is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url))
}

/// Asks on the terminal; without one the answer is no.
pub fn confirm(question: &str) -> anyhow::Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush().context("cannot ask")?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
