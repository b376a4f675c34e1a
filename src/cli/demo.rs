//! `ccotel demo`: a made-up fortnight in a throw-away agent, to be looked at.

use std::io::IsTerminal as _;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::connect::confirm;
use super::report::{self, look};
use super::{open, say, say_wrapped};
use crate::agent::files;
use crate::config;
use crate::config::destination::DestinationConfig;
use crate::deliver::DestinationStatus;
use crate::demo::agent::ThrowAway;
use crate::demo::cast::PEOPLE;
use crate::demo::destinations::{self, Destinations};
use crate::demo::run;
use crate::demo::{Fortnight, Truth};
use crate::exit::Exit;
use crate::paths::Paths;
use crate::report::history::reader::Imported;
use crate::report::question::{Dimensions, Question};
use crate::report::time::Clock;
use crate::report::{json as document, table};

mod bar;

/// The whole of the demo, in words that a report understands.
const FORTNIGHT: &str = "14d";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel demo                       fills a throw-away store, and shows it in the browser
  ccotel demo --exit                prints what it adds up to, and ends
  ccotel demo --to-destinations     fills Prometheus, Loki and others, too

Nine people in four teams work for fourteen days that end now; all of it is made up, and sent through \
ccotel's own door as Claude Code sends it. Your own store, agent and configuration are not touched, \
and nothing stays behind. With --to-destinations, what is sent carries instance=\"demo-…\": its series \
and streams are told apart from yours by it, and it stays in the backends until they drop it.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// Another fortnight for another number; the same one for the same number, end and time zone
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// When the fortnight ends [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Do not open a browser
    #[arg(long)]
    no_open: bool,
    /// Print a report, and end
    #[arg(long)]
    exit: bool,
    /// Send it to the configured destinations, too
    #[arg(long)]
    to_destinations: bool,
    /// Answer yes to questions
    #[arg(long)]
    yes: bool,
    /// With --exit: print one JSON document
    #[arg(long, requires = "exit")]
    json: bool,
}

pub fn run(args: &Args, no_color: bool) -> anyhow::Result<Exit> {
    let clock = match clock(args) {
        Ok(clock) => clock,
        Err(error) => {
            eprintln!("ccotel: {error}");
            return Ok(Exit::Usage);
        }
    };
    let destinations = if args.to_destinations { asked(args)? } else { Some(Vec::new()) };
    let Some(destinations) = destinations else { return Ok(Exit::Failed) };
    let fortnight = Fortnight::new(args.seed, clock.now.timestamp(), clock.zone())
        .context("the fortnight cannot be placed in time")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let demo = Demo { args, no_color, clock, fortnight };
    runtime.block_on(demo.show(Destinations::new(&destinations)))
}

/// The moment that the fortnight ends with.
fn clock(args: &Args) -> anyhow::Result<Clock> {
    let clock = Clock::system(None)?;
    let Some(until) = &args.until else { return Ok(clock) };
    let moment = clock.moment(until)?;
    anyhow::ensure!(
        moment <= clock.now.timestamp(),
        "`{until}` is in the future: the fortnight ends now, or ended then"
    );
    Ok(Clock { now: moment.to_zoned(clock.zone().clone()) })
}

/// The configured destinations, if they are to have it.
fn asked(args: &Args) -> anyhow::Result<Option<Vec<DestinationConfig>>> {
    let paths = Paths::from_env()?;
    let configured = config::read(&paths)
        .map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{}", lines.join("; "))
        })?
        .destinations;
    anyhow::ensure!(
        !configured.is_empty(),
        "there is no destination to fill; `ccotel connect` makes one"
    );
    let strange: Vec<String> = configured
        .iter()
        .filter(|config| !destinations::is_own_stack(config))
        .map(|config| format!("{} ({})", config.name, destinations::place(config)))
        .collect();
    if strange.is_empty() || args.yes {
        return Ok(Some(configured));
    }
    let what = format!(
        "a made-up fortnight would be written to {}, and stay there until it is dropped",
        strange.join(", ")
    );
    if std::io::stdin().is_terminal() {
        say_wrapped(&format!("ccotel: {what}"));
    }
    if confirm("Go on?")? {
        return Ok(Some(configured));
    }
    eprintln!(
        "ccotel: {what}; nothing was sent, `ccotel demo --to-destinations --yes` if that is meant"
    );
    Ok(None)
}

struct Demo<'a> {
    args: &'a Args,
    no_color: bool,
    clock: Clock,
    fortnight: Fortnight,
}

impl Demo<'_> {
    async fn show(&self, destinations: Destinations) -> anyhow::Result<Exit> {
        destinations.check().await?;
        let mut interrupted = Interrupted::listen()?;
        let instance = run::instance(&self.fortnight);
        let agent = ThrowAway::start(&instance, self.fortnight.start_ms).await?;
        let filled = tokio::select! {
            filled = self.fill(&agent, &destinations) => filled.map(Some),
            () = interrupted.wait() => Ok(None),
        };
        let shown = match filled {
            Ok(Some(statuses)) => self.look_at(&agent, &statuses, &mut interrupted).await,
            Ok(None) => {
                eprintln!("ccotel: stopped; nothing of the demo is left on this machine");
                Ok(Exit::Failed)
            }
            Err(error) => Err(error),
        };
        agent.end().await?;
        shown
    }

    async fn fill(
        &self,
        agent: &ThrowAway,
        destinations: &Destinations,
    ) -> anyhow::Result<Vec<DestinationStatus>> {
        let started = Instant::now();
        let mut bar = bar::Bar::new(&self.fortnight);
        let statuses =
            run::run(agent, &self.fortnight, destinations, &mut |at| bar.show(at)).await?;
        drop(bar);
        if !self.args.json {
            self.summary(agent, started.elapsed().as_secs_f64())?;
            for line in statuses.iter().flat_map(destinations::words) {
                say_wrapped(&line);
            }
        }
        Ok(statuses)
    }

    /// The page, until it is interrupted; with `--exit` nothing more.
    async fn look_at(
        &self,
        agent: &ThrowAway,
        statuses: &[DestinationStatus],
        interrupted: &mut Interrupted,
    ) -> anyhow::Result<Exit> {
        if self.args.json {
            say(&self.document(agent, statuses)?.to_string());
        }
        if self.args.exit {
            return Ok(Exit::Done);
        }
        let page = agent.open_page(self.clock.now.timestamp()).await?;
        let file = open::write_redirect(&agent.paths, &page)?;
        say("");
        if self.args.no_open {
            say(&format!("The page: {}", file.display()));
        } else {
            // The page is served meanwhile.
            tokio::task::spawn_blocking(move || open::browse(&file)).await??;
        }
        say_wrapped(&format!(
            "The same on the command line: CCOTEL_DATA_DIR={} ccotel report --since {FORTNIGHT}",
            agent.paths.data_dir.display()
        ));
        say("Ctrl-C ends the demo, and removes all of it.");
        interrupted.wait().await;
        Ok(Exit::Done)
    }

    fn summary(&self, agent: &ThrowAway, seconds: f64) -> anyhow::Result<()> {
        let truth = self.fortnight.truth();
        say_wrapped(&headline(&truth, self.args.seed, &self.clock, seconds));
        let question = self.question("project")?;
        let (answer, summary) = report::ask(&agent.paths, Imported::Include, &question)?;
        say("");
        report::print(&table::text(&question, &answer, &summary, look(self.no_color)))
    }

    fn document(
        &self,
        agent: &ThrowAway,
        statuses: &[DestinationStatus],
    ) -> anyhow::Result<serde_json::Value> {
        let question = self.question("project")?;
        let (answer, summary) = report::ask(&agent.paths, Imported::Include, &question)?;
        Ok(json!({
            "schema": 1,
            "seed": self.args.seed,
            "instance": run::instance(&self.fortnight),
            "events": self.fortnight.events(),
            "report": document::document(&question, &answer, &summary),
            "destinations": statuses,
        }))
    }

    fn question(&self, by: &str) -> anyhow::Result<Question> {
        let range = self.clock.range(FORTNIGHT, None)?;
        let by = Dimensions::new(vec![by.parse()?])?;
        Ok(Question { clock: self.clock.clone(), range, by, filters: Vec::new() })
    }
}

fn headline(truth: &Truth, seed: u64, clock: &Clock, seconds: f64) -> String {
    let events: u64 = truth.events.values().sum();
    format!(
        "Made up: {} people, fourteen days until {} (seed {seed}): {events} events of {} prompts in {} \
         sessions, sent through ccotel in {seconds:.1} s.",
        PEOPLE.len(),
        clock.rfc3339(clock.minute()),
        truth.total.prompts,
        truth.total.sessions.len(),
    )
}

/// SIGINT, SIGTERM and SIGHUP.
struct Interrupted([tokio::signal::unix::Signal; 3]);

impl Interrupted {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                anyhow::anyhow!("signals cannot be listened to: {}", files::words(&error))
            })
        };
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
