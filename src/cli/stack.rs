//! `ccotel stack`: Prometheus, Loki and Grafana in containers, started, connected and looked after.

mod show;

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::connect::confirm;
use super::{say, say_wrapped};
use crate::agent::{files as private, manage};
use crate::config::destination::{
    Credentials, DestinationConfig, DestinationType, Protocol, Signals, Tls,
};
use crate::config::edit::ConfigFile;
use crate::exit::Exit;
use crate::paths::Paths;
use crate::stack::engine::Engine;
use crate::stack::health::{self, Service};
use crate::stack::{files, settings::Settings};
use crate::store::handle::Since;

/// Images are pulled before; this is starting alone.
const READY_WAIT: Duration = Duration::from_mins(3);
const READY_POLL: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel stack up                       start it, and forward to it
  ccotel stack up --profile victoria    VictoriaMetrics and VictoriaLogs as well
  ccotel stack status                   addresses, the password, and whether data arrives

It needs Docker or Podman with compose. Everything listens on this machine's loopback alone; a taken \
port is replaced by a free one. `ccotel stack path` says where its files are.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Start it, wait until it answers, and forward to it
    Up {
        /// Also start: victoria, renderer, collector or scrape; may be repeated, and is remembered
        #[arg(long, value_name = "NAME", value_enum)]
        profile: Vec<Profile>,
        /// Start, and change nothing in config.toml
        #[arg(long)]
        no_connect: bool,
    },
    /// Stop it; data stays
    Down,
    /// Stop and start its containers
    Restart,
    /// Addresses, the password, whether each server answers and data arrives
    Status {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Stop it, and remove all that it has stored
    Reset {
        /// Answer yes to questions
        #[arg(long)]
        yes: bool,
    },
    /// Where its files are
    Path,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Profile {
    Victoria,
    Renderer,
    Collector,
    Scrape,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Victoria => "victoria",
            Self::Renderer => "renderer",
            Self::Collector => "collector",
            Self::Scrape => "scrape",
        }
    }
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    match &args.command {
        Command::Up { profile, no_connect } => up(&paths, profile, *no_connect),
        Command::Down => down(&paths),
        Command::Restart => restart(&paths),
        Command::Status { json } => show::status(&paths, *json),
        Command::Reset { yes } => reset(&paths, *yes),
        Command::Path => {
            say(&paths.stack_dir().display().to_string());
            Ok(Exit::Done)
        }
    }
}

fn up(paths: &Paths, profiles: &[Profile], no_connect: bool) -> anyhow::Result<Exit> {
    let directory = paths.stack_dir();
    let engine = Engine::find(&directory)?;
    let mut settings = Settings::read(&directory)?.unwrap_or_default();
    let mut names: Vec<&str> = settings.profiles();
    names.extend(profiles.iter().map(|profile| profile.name()));
    names.sort_unstable();
    names.dedup();
    let names = names.join(",");
    settings.set("COMPOSE_PROFILES", &names);
    settings.complete()?;
    private::private_dir(&directory)?;
    files::write(&directory)?;
    if settings.has_profile("scrape") {
        for_scraping(paths, &mut settings)?;
    }
    settings.save(&directory)?; // compose asks for it even to say what runs
    if !engine.is_up() {
        for (taken, free) in settings.move_taken_ports()? {
            say_wrapped(&format!("port {taken} is taken; {free} is used instead"));
        }
        settings.save(&directory)?;
    }
    engine.run(&["up", "-d", "--remove-orphans"])?;
    let services = health::services(&settings);
    if !wait_until_ready(&services) {
        let name = engine.name();
        eprintln!("ccotel: `{name} logs` in {} says more", directory.display());
        return Ok(Exit::Failed);
    }
    if !no_connect {
        connect(paths, &settings)?;
    }
    show::addresses(&settings);
    Ok(Exit::Done)
}

/// The scraper runs as the user, whose alone the token is.
fn for_scraping(paths: &Paths, settings: &mut Settings) -> anyhow::Result<()> {
    let data = paths.stack_dir().join("scrape-data");
    private::private_dir(&data)?;
    settings.set("CCOTEL_TOKEN_FILE", &paths.token_file().display().to_string());
    settings.set("CCOTEL_UID", &rustix::process::getuid().as_raw().to_string());
    settings.set("CCOTEL_GID", &rustix::process::getgid().as_raw().to_string());
    Ok(())
}

/// One line a server that does not come; on a terminal, what is waited for.
fn wait_until_ready(services: &[Service]) -> bool {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(services.len() as u64), target);
    bar.set_style(
        ProgressStyle::with_template("{pos}/{len} ready, waiting for {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let end = Instant::now() + READY_WAIT;
    loop {
        let states = services.iter().map(|service| (service, service.ready()));
        let late: Vec<_> =
            states.filter_map(|(service, state)| Some((service, state.err()?))).collect();
        if late.is_empty() {
            bar.finish_and_clear();
            return true;
        }
        if Instant::now() >= end {
            bar.finish_and_clear();
            for (service, why) in late {
                eprintln!(
                    "ccotel: {} is not ready after {} s: {why}",
                    service.name,
                    READY_WAIT.as_secs()
                );
            }
            return false;
        }
        bar.set_position((services.len() - late.len()) as u64);
        bar.set_message(
            late.iter().map(|(service, _)| service.name).collect::<Vec<_>>().join(", "),
        );
        std::thread::sleep(READY_POLL);
    }
}

/// Writes the stack's destinations into config.toml, or brings their addresses up to date.
fn connect(paths: &Paths, settings: &Settings) -> anyhow::Result<()> {
    let mut file = ConfigFile::open(&paths.config_file())?;
    let wanted = destinations(settings, &file);
    let before = file.to_string();
    for config in &wanted {
        if !before.contains(&format!("\"{}\"", config.url)) {
            file.remove_destination(&config.name);
        }
        if !file.destination_names().contains(&config.name) {
            file.add_destination(config)?;
        }
    }
    if file.to_string() == before {
        return Ok(());
    }
    file.save().context("the stack runs; connecting it failed")?;
    let runs =
        manage::reload(paths, |names| wanted.iter().all(|it| names.contains(&it.name.as_str())));
    let when =
        if runs { "from now on" } else { "once the agent runs: the next `claude` starts it" };
    let names: Vec<&str> = wanted.iter().map(|config| config.name.as_str()).collect();
    say_wrapped(&format!(
        "{}: written to {}; sent to {when}",
        names.join(", "),
        paths.config_file().display()
    ));
    Ok(())
}

fn destinations(settings: &Settings, file: &ConfigFile) -> Vec<DestinationConfig> {
    let mut wanted = vec![
        ("stack-prometheus", DestinationType::Prometheus, "PROMETHEUS_PORT", "/api/v1/write"),
        ("stack-loki", DestinationType::Loki, "LOKI_PORT", "/loki/api/v1/push"),
    ];
    if settings.has_profile("victoria") {
        wanted.extend([
            (
                "stack-victoriametrics",
                DestinationType::Prometheus,
                "VICTORIAMETRICS_PORT",
                "/api/v1/write",
            ),
            (
                "stack-victorialogs",
                DestinationType::VictoriaLogs,
                "VICTORIALOGS_PORT",
                "/insert/opentelemetry/v1/logs",
            ),
        ]);
    }
    if settings.has_profile("scrape") {
        wanted.retain(|(name, ..)| *name != "stack-prometheus"); // it would have everything twice
    }
    let config =
        |(name, kind, port, path): (&str, DestinationType, &str, &str)| DestinationConfig {
            name: name.to_owned(),
            kind,
            url: format!("http://127.0.0.1:{}{path}", settings.port(port)),
            protocol: Protocol::Auto,
            credentials: Credentials::None,
            headers: Vec::new(),
            tenant: None,
            tls: Tls::default(),
            signals: Signals::ALL,
            privacy: file.privacy_level(),
            since: Since::All,
        };
    wanted.into_iter().map(config).collect()
}

/// The engine and the settings of a stack that was started once.
fn started(paths: &Paths) -> anyhow::Result<Engine> {
    let directory = paths.stack_dir();
    anyhow::ensure!(
        Settings::read(&directory)?.is_some(),
        "there is no stack yet; `ccotel stack up` makes one"
    );
    Ok(Engine::find(&directory)?)
}

fn down(paths: &Paths) -> anyhow::Result<Exit> {
    started(paths)?.run(&["down"])?;
    say_wrapped(
        "The stack is down; what it stored stays, and what is due for it waits on disk until `ccotel stack up`.",
    );
    Ok(Exit::Done)
}

fn restart(paths: &Paths) -> anyhow::Result<Exit> {
    let engine = started(paths)?;
    engine.run(&["restart"])?;
    let settings = Settings::read(&paths.stack_dir())?.unwrap_or_default();
    Ok(if wait_until_ready(&health::services(&settings)) { Exit::Done } else { Exit::Failed })
}

fn reset(paths: &Paths, yes: bool) -> anyhow::Result<Exit> {
    let engine = started(paths)?;
    let question = "Everything that the stack's Prometheus, Loki and Grafana have stored would be removed; \
                    what ccotel itself keeps stays. Go on?";
    if !yes && !confirm(question)? {
        eprintln!("ccotel: nothing was changed; `ccotel stack reset --yes` if that is meant");
        return Ok(Exit::Failed);
    }
    engine.run(&["down", "--volumes", "--remove-orphans"])?;
    say_wrapped("The stack is down, and empty; `ccotel stack up` begins anew.");
    Ok(Exit::Done)
}
