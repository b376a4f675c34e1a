//! `ccotel stack`: Prometheus, Loki and Grafana in containers, started, connected and looked after.

mod connected;
mod scraping;
mod show;
mod wait;

use std::time::Duration;

use super::connect::confirm;
use super::{say, say_wrapped};
use crate::agent::files as private;
use crate::exit::Exit;
use crate::paths::Paths;
use crate::stack::engine::Engine;
use crate::stack::health;
use crate::stack::{files, settings::Settings};

/// Images are pulled before; this is starting alone.
const READY_WAIT_S: u64 = 180;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel stack up                       start it, and forward to it
  ccotel stack up --profile victoria    VictoriaMetrics and VictoriaLogs as well
  ccotel stack up --without victoria    without them again; what they stored stays
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
    #[command(after_help = "\
Examples:
  ccotel stack up
  ccotel stack up --profile victoria --wait 300")]
    Up {
        /// Also start one of these; may be repeated, and is remembered
        #[arg(long, value_name = "NAME", value_enum)]
        profile: Vec<Profile>,
        /// Stop one of these; what it stored stays. May be repeated, and is remembered
        #[arg(long, value_name = "NAME", value_enum)]
        without: Vec<Profile>,
        /// Start, and change nothing in config.toml
        #[arg(long)]
        no_connect: bool,
        /// How long to wait until every server answers
        #[arg(long, value_name = "SECONDS", default_value_t = READY_WAIT_S)]
        wait: u64,
    },
    /// Stop it; data stays
    #[command(after_help = "\
Examples:
  ccotel stack down")]
    Down,
    /// Stop and start its containers
    #[command(after_help = "\
Examples:
  ccotel stack restart")]
    Restart,
    /// Addresses, the password, whether each server answers and data arrives
    #[command(after_help = "\
Examples:
  ccotel stack status
  ccotel stack status --json")]
    Status {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Stop it, and remove all that it has stored
    #[command(after_help = "\
Examples:
  ccotel stack reset
  ccotel stack reset --yes")]
    Reset {
        /// Answer yes to questions
        #[arg(long)]
        yes: bool,
    },
    /// Where its files are
    #[command(after_help = "\
Examples:
  ccotel stack path")]
    Path,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Profile {
    Victoria,
    Renderer,
    Collector,
    Scrape,
    ScrapeDesktop,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Victoria => "victoria",
            Self::Renderer => "renderer",
            Self::Collector => "collector",
            // Docker for macOS is Docker Desktop.
            Self::Scrape if cfg!(target_os = "macos") => "scrape-desktop",
            Self::Scrape => "scrape",
            Self::ScrapeDesktop => "scrape-desktop",
        }
    }

    /// As compose.yaml has them.
    fn services(self) -> &'static [&'static str] {
        match self.name() {
            "victoria" => &["victoria-metrics", "victoria-logs"],
            "renderer" => &["renderer"],
            "collector" => &["collector"],
            "scrape" => &["prometheus-scrape"],
            _ => &["prometheus-scrape-desktop"],
        }
    }
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    match &args.command {
        Command::Up { profile, without, no_connect, wait } => {
            if let Some(both) = profile.iter().find(|it| without.contains(it)) {
                let name = both.name();
                eprintln!("ccotel: --profile {name} and --without {name}: give one of them");
                return Ok(Exit::Usage);
            }
            let wait = Duration::from_secs(*wait);
            up(&paths, profile, without, *no_connect, wait)
        }
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

fn up(
    paths: &Paths,
    profiles: &[Profile],
    without: &[Profile],
    no_connect: bool,
    wait: Duration,
) -> anyhow::Result<Exit> {
    let directory = paths.stack_dir();
    let engine = Engine::find(&directory)?;
    let before = Settings::read(&directory)?;
    let mut settings = before.clone().unwrap_or_default();
    let old = settings.get("COMPOSE_PROFILES").unwrap_or_default().to_owned();
    for profile in without.iter().filter(|profile| settings.has_profile(profile.name())) {
        engine.remove(profile.services())?;
    }
    settings.set("COMPOSE_PROFILES", &chosen(&settings, profiles, without));
    settings.complete()?;
    private::private_dir(&directory)?;
    files::write(&directory)?;
    settings.save(&directory)?; // compose asks for it even to say what runs
    let started = start(paths, &engine, before.as_ref(), &mut settings, wait);
    if !matches!(started, Ok(true)) {
        // What did not start is not remembered, and what was taken off stays off.
        let mut kept = settings.clone();
        kept.set("COMPOSE_PROFILES", &old);
        settings.set("COMPOSE_PROFILES", &chosen(&kept, &[], without));
        settings.complete()?;
        settings.save(&directory)?;
        return started.map(|_| Exit::Failed);
    }
    if !no_connect {
        connected::connect(paths, &settings)?;
    }
    show::addresses(&settings);
    Ok(Exit::Done)
}

fn chosen(settings: &Settings, profiles: &[Profile], without: &[Profile]) -> String {
    let mut names = settings.profiles();
    names.extend(profiles.iter().map(|profile| profile.name()));
    names.retain(|name| without.iter().all(|profile| profile.name() != *name));
    names.sort_unstable();
    names.dedup();
    names.join(",")
}

/// Starts what is not there or has changed. False, after saying why, if it does not come.
fn start(
    paths: &Paths,
    engine: &Engine,
    before: Option<&Settings>,
    settings: &mut Settings,
    wait: Duration,
) -> anyhow::Result<bool> {
    let directory = paths.stack_dir();
    // What it was started with, if it runs.
    let running = before.filter(|_| engine.is_up());
    for (taken, free) in settings.move_taken_ports(running)? {
        say_wrapped(&format!("port {taken} is taken; {free} is used instead"));
    }
    if settings.is_scraped() {
        scraping::prepare(paths, settings)?;
    }
    for (variable, hash) in files::hashes(&directory)? {
        settings.set(variable, &hash);
    }
    settings.save(&directory)?;
    let services = health::services(settings);
    if let Err(error) = engine.run(&["up", "-d", "--remove-orphans"]) {
        // One that does not become healthy keeps those that wait for it from starting.
        let late: Vec<_> =
            wait::late(&services).into_iter().map(|(service, _)| service.name).collect();
        if late.len() < services.len() {
            eprintln!("ccotel: not ready: {}", late.join(", "));
            wait::say_logs(engine, &directory);
        }
        return Err(error);
    }
    let ready = wait::until_ready(&services, wait);
    if !ready {
        wait::say_logs(engine, &directory);
    }
    Ok(ready)
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
    started(paths)?.run_for_all(&["down"])?;
    say_wrapped(
        "The stack is down; what it stored stays, and what is due for it waits on disk until `ccotel stack up`.",
    );
    Ok(Exit::Done)
}

fn restart(paths: &Paths) -> anyhow::Result<Exit> {
    let engine = started(paths)?;
    engine.run(&["restart"])?;
    let settings = Settings::read(&paths.stack_dir())?.unwrap_or_default();
    if wait::until_ready(&health::services(&settings), Duration::from_secs(READY_WAIT_S)) {
        say_wrapped("The stack runs again.");
        return Ok(Exit::Done);
    }
    wait::say_logs(&engine, &paths.stack_dir());
    Ok(Exit::Failed)
}

fn reset(paths: &Paths, yes: bool) -> anyhow::Result<Exit> {
    let engine = started(paths)?;
    let question = "Everything that the stack's Prometheus, Loki and Grafana have stored would be removed; \
                    what ccotel itself keeps stays. Go on?";
    if !yes && !confirm(question)? {
        eprintln!("ccotel: nothing was changed; `ccotel stack reset --yes` if that is meant");
        return Ok(Exit::Failed);
    }
    engine.run_for_all(&["down", "--volumes", "--remove-orphans"])?;
    say_wrapped("The stack is down, and empty; `ccotel stack up` begins anew.");
    Ok(Exit::Done)
}
