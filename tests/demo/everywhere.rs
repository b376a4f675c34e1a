//! The demo's fortnight in every place it goes to: the report, the page, two Prometheus, Loki.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use ccotel::demo::truth::Facts;
use ccotel::demo::{Fortnight, Truth};
use ccotel::store::handle::SeriesSamples;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::process::Signal;

use crate::harness::cases::Case;
use crate::harness::loki::{ANY_AGE_TENANT, Loki, Which};
use crate::harness::loki_rules::Entry;
use crate::harness::programs::Program;
use crate::harness::prometheus::{Kind, Prometheus};
use crate::harness::questions::{self, Measure, Question, Sources};
use crate::harness::remote_write;
use crate::harness::sandbox::Sandbox;
use crate::running::Running;

const SEED: u64 = 7;

pub fn cases() -> Vec<Case> {
    let which = if Program::Loki.find().is_some() { Which::Real } else { Which::StandIn };
    let name = format!("ten_questions_to_the_demo_have_one_answer [{}]", which.name());
    vec![Case::new(name, &[Program::Prometheus], move || everywhere(which))]
}

fn everywhere(which: Which) -> Result<()> {
    let (stock, ordered) = (busy(Kind::Stock)?, busy(Kind::OutOfOrder)?);
    let loki = Loki::start_with_tenants(which)?;
    let sandbox = Sandbox::new()?;
    let config = sandbox.config_dir().join("config.toml");
    let write = |prometheus: &Prometheus| prometheus.write_url();
    sandbox.run(&["connect", "prometheus", &write(&stock), "--name", "stock"])?;
    sandbox.run(&["connect", "prometheus", &write(&ordered), "--name", "ordered"])?;
    sandbox.run(&["connect", "loki", &loki.push_url(), "--tenant", ANY_AGE_TENANT])?;
    let configured = std::fs::read_to_string(&config)?;

    let until = Timestamp::now();
    let seed = SEED.to_string();
    let until_text = until.to_string();
    let arguments = ["--to-destinations", "--yes", "--seed", &seed, "--until", &until_text];
    let mut demo = Running::start(sandbox, &arguments)?;
    demo.wait_until_filled()?;
    ensure!(std::fs::read_to_string(&config)? == configured, "config.toml was changed");

    let fortnight = Fortnight::new(SEED, until, &TimeZone::system())?;
    let truth = fortnight.truth();
    let instance = ccotel::demo::run::instance(&fortnight);
    says_what_stock_prometheus_got(&demo)?;
    loki.flush()?;
    let entries = loki.entries_of(ANY_AGE_TENANT, &[("service_instance_id", &instance)])?;
    each_event_once(&entries, &truth)?;

    let since = Timestamp::from_millisecond(fortnight.start_ms)?.to_string();
    let report = |by: &str| demo.report_json(&["--since", &since, "--by", by]);
    let selector = format!("instance=\"{instance}\"");
    let sources = Sources {
        report: &report,
        page: demo.page()?,
        since: since.clone(),
        prometheus: vec![(&stock, selector.clone()), (&ordered, selector)],
        window: "15d",
        entries,
    };
    questions::page_is_guarded(&sources.page)?;
    questions::same_everywhere("The demo's fortnight", &asked(&truth), &sources)?;

    demo.signal(Signal::INT)?;
    ensure!(demo.wait()?.success(), "{}", demo.stderr()?);
    Ok(())
}

/// A Prometheus that somebody else writes to, so that what is old for it is measured from now.
fn busy(kind: Kind) -> Result<Prometheus> {
    let prometheus = Prometheus::start_kind(kind)?;
    let now_ms = Timestamp::now().as_millisecond();
    let labels = [("__name__", "up"), ("job", "another")];
    let labels = labels.map(|(name, value)| (name.into(), value.into())).to_vec();
    let somebody = SeriesSamples {
        before: 0.0,
        labels: labels.into(),
        start_ms: now_ms,
        samples: vec![(now_ms, 1.0)],
    };
    remote_write::send(&prometheus, &[somebody])?;
    Ok(prometheus)
}

fn says_what_stock_prometheus_got(demo: &Running) -> Result<()> {
    let stdout = demo.stdout()?;
    ensure!(stdout.contains("stock takes no samples that are this old"), "{stdout}");
    ensure!(stdout.contains("out_of_order_time_window"), "{stdout}");
    ensure!(stdout.contains("ordered: ") && stdout.contains("at their own times"), "{stdout}");
    ensure!(!stdout.contains("refused") && !stdout.contains("are missing"), "{stdout}");
    Ok(())
}

/// By name, and none of them twice.
fn each_event_once(entries: &[Entry], truth: &Truth) -> Result<()> {
    let mut names = BTreeMap::new();
    let mut distinct = BTreeSet::new();
    for entry in entries {
        let of = |name: &str| entry.field(name).with_context(|| format!("no {name}: {entry:?}"));
        *names.entry(of("event_name")?).or_insert(0_u64) += 1;
        distinct.insert((
            of("session_id")?,
            entry.time_ns,
            of("event_sequence")?,
            of("event_name")?,
        ));
    }
    ensure!(names == truth.events, "{names:?} instead of {:?}", truth.events);
    ensure!(distinct.len() == entries.len(), "{} of {}", distinct.len(), entries.len());
    Ok(())
}

fn asked(truth: &Truth) -> Vec<Question> {
    let total = &truth.total;
    let mut questions = of_facts(None, total);
    for ((by, value), facts) in &truth.by {
        match *by {
            "project" | "team" | "model" => {
                questions.push(Question::of(Measure::Cost, by, value, facts.cost_usd));
            }
            "tool" => {
                let calls = whole(facts.tool_calls);
                questions.push(Question::of(Measure::ToolCalls, by, value, calls));
            }
            _ => {}
        }
        if (*by, value.as_str()) == ("team", "platform") {
            questions.extend(of_facts(Some((by, value)), facts));
        }
    }
    questions
}

/// Everything there is to ask of all, or of one value of a dimension.
fn of_facts(of: Option<(&'static str, &str)>, facts: &Facts) -> Vec<Question> {
    let tokens = facts.tokens;
    let mut measures = vec![
        (Measure::Cost, facts.cost_usd),
        (Measure::Tokens("input"), whole(tokens.input)),
        (Measure::Tokens("output"), whole(tokens.output)),
        (Measure::Tokens("cache_read"), whole(tokens.cache_read)),
        (Measure::Tokens("cache_creation"), whole(tokens.cache_creation)),
        (Measure::LinesAdded, whole(facts.lines_added)),
        (Measure::LinesRemoved, whole(facts.lines_removed)),
        (Measure::Commits, whole(facts.commits)),
        (Measure::PullRequests, whole(facts.pull_requests)),
        (Measure::ActiveSeconds, facts.active_seconds),
        (Measure::Sessions, whole(facts.sessions.len() as u64)),
        (Measure::Prompts, whole(facts.prompts)),
        (Measure::Requests, whole(facts.requests)),
        (Measure::Errors, whole(facts.errors)),
    ];
    if of.is_none() {
        measures.push((Measure::ToolCalls, whole(facts.tool_calls)));
        measures.push((Measure::ToolFailures, whole(facts.tool_failures)));
    }
    let question = |(measure, truth)| match of {
        None => Question::of_all(measure, truth),
        Some((by, value)) => Question::of(measure, by, value, truth),
    };
    measures.into_iter().map(question).collect()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn whole(count: u64) -> f64 {
    count as f64
}
