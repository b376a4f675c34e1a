//! `ccotel connect`: checks a backend's address by a write of nothing, then writes `config.toml`.
//!
//! A running agent watches the file, and so begins by itself.

mod given;

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;

use super::say_wrapped;
use crate::agent::manage;
use crate::config::destination::{Credentials, DestinationConfig};
use crate::config::edit::{ConfigFile, set_privacy};
use crate::deliver::client::is_loopback;
use crate::deliver::probe::{Found, Verdict, probe};
use crate::exit::Exit;
use crate::paths::Paths;
use crate::record::PrivacyLevel;
use crate::store::handle::Since;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel connect prometheus http://localhost:9090
  ccotel connect loki http://localhost:3100 --since all
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
    pub url: String,
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
    let path = paths.config_file();
    let mut file = ConfigFile::open(&path)?;
    let config = match given::destination(args, &file) {
        Ok(config) => config,
        Err(wrong) => {
            eprintln!("ccotel: {wrong}");
            return Ok(Exit::Usage);
        }
    };
    file.add_destination(&config)?;
    if let Some(level) = args.privacy {
        set_privacy(&mut file, level);
    }
    if let Some(wrong) = given::refused(&path, &file.to_string(), &paths.home) {
        eprintln!("ccotel: {wrong}");
        return Ok(Exit::Usage);
    }
    if sends_secrets_in_the_clear(&config)
        && !args.yes
        && !confirm("The credentials would cross the network unencrypted (http). Go on?")?
    {
        eprintln!("ccotel: nothing was changed; use an https url, or --yes");
        return Ok(Exit::Failed);
    }
    if !args.no_check {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the check")?;
        let verdict = runtime.block_on(probe(&config));
        if !report(&config.name, &verdict) {
            return Ok(Exit::Failed);
        }
    }
    file.save()?;
    let when = if manage::reload(&paths, |names| names.contains(&config.name.as_str())) {
        "the agent sends to it from now on"
    } else {
        "the agent sends to it once it runs: the next `claude` starts it"
    };
    say_wrapped(&format!("{}: written to {}; {when}", config.name, path.display()));
    Ok(Exit::Done)
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
