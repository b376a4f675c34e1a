//! A year of heavy use, written through the history's sink, and how long reports over it take.
//!
//! ```text
//! cargo run --release --example history_year [DIRECTORY]
//! ```
//!
//! Two million events: 20 sessions and eight active hours every day, five projects, three models, a
//! thousand branches. With a directory the history stays there, for `CCOTEL_DATA_DIR=DIRECTORY ccotel
//! report`, and is only read the next time.
//!
//! On two busy cores, best and median of 20, open to laid out:
//!
//! ```text
//!                                        schema 1, rows      schema 2, packs
//! writing it                                122 s                 19 s
//! history.db                               429 MB               358 MB, with ids and times to first token
//! --since 7d, any --by                      15 ms          1.4 to   2.5 ms
//! --since 365d --by day                    877 ms            27,    42 ms
//! --since 365d --by project                541 ms            19,    25 ms
//! --since 365d --by repo                   774 ms            23,    28 ms
//! --since 365d --by hour, 8,750 lines     1.1 s              79,   124 ms
//! --since 365d --by session, 7,300 lines                     84,    98 ms
//! 100 sessions, 365d                                         26,    31 ms
//! 20 dearest prompts, 365d                                   21,    28 ms
//! tools, models, 365d                                  10 and 28,    12 and 30 ms
//! ```

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ccotel::record::{Event, Labels, Value};
use ccotel::report::answer::answer;
use ccotel::report::history::reader::History;
use ccotel::report::history::sink::Sink;
use ccotel::report::question::{Dimension, Dimensions, Question};
use ccotel::report::summary::summary;
use ccotel::report::table::{self, Look};
use ccotel::report::time::Clock;
use ccotel::report::{models, prompts, sessions, story, tools};
use ccotel::store::handle::{HistoryEvents, HistoryPage, HistorySeries, HistoryTick};

const DAYS: u64 = 365;
const SESSIONS_A_DAY: u64 = 20;
const EVENTS_A_DAY: u64 = 5_500;
const ACTIVE_MS: u64 = 8 * 3_600_000;
const TICK_MS: u64 = 15_000;
const INCREMENTS_A_TICK: u64 = 12;
const DAY_MS: u64 = 86_400_000;
const PROJECTS: [&str; 5] = ["checkout", "search", "billing", "docs", "infra"];
const MODELS: [&str; 3] = ["claude-opus-4-8", "claude-sonnet-4-6", "claude-haiku-4-5"];
const SOURCES: [&str; 4] = ["repl_main_thread", "compact", "agent:builtin:explore", "sdk"];
const TYPES: [&str; 4] = ["input", "output", "cacheRead", "cacheCreation"];
const TOOLS: [&str; 6] = ["Bash", "Edit", "Read", "Grep", "Write", "WebFetch"];
const TIMES: usize = 20;

fn main() -> anyhow::Result<()> {
    let scratch;
    let directory = if let Some(directory) = std::env::args_os().nth(1) {
        PathBuf::from(directory)
    } else {
        scratch = tempfile::tempdir().context("no scratch directory")?;
        scratch.path().to_path_buf()
    };
    let path = directory.join("history.db");
    if !path.exists() {
        generate(&path)?;
    }
    let bytes = std::fs::metadata(&path)?.len();
    println!("history.db: {} MB", bytes / 1_000_000);
    println!("{:<42} {:>9} {:>9}", "median and best of 20", "median", "best");
    for by in ["day", "project", "model", "session", "user", "tool", "project,day"] {
        report(&path, "7d", by)?;
    }
    for by in [
        "hour",
        "day",
        "week",
        "month",
        "project",
        "team",
        "model",
        "repo",
        "branch",
        "session",
        "user",
        "tool",
        "query_source",
        "project,day",
        "repo,model",
    ] {
        report(&path, "365d", by)?;
    }
    report_where(&path, "365d", "day", &["project=checkout"])?;
    report_where(&path, "365d", "day", &["repo=acme/checkout"])?;
    for since in ["7d", "365d"] {
        lists(&path, since)?;
    }
    Ok(())
}

fn report(path: &Path, since: &str, by: &str) -> anyhow::Result<()> {
    report_where(path, since, by, &[])
}

/// Whole reports: open, ask, lay out.
fn report_where(path: &Path, since: &str, by: &str, filters: &[&str]) -> anyhow::Result<()> {
    let name = format!("--since {since} --by {by} {}", filters.join(" "));
    measure(&name, || {
        let clock = Clock::system(Some("Europe/Paris"))?;
        let range = clock.range(since, None)?;
        let by: Vec<Dimension> = by.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let by = Dimensions::new(by)?;
        let filters = filters.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
        let question = Question { clock, range, by, filters };
        let history = open(path)?;
        let answer = answer(&history, &question)?;
        let summary = summary(&history, &question, &answer)?;
        let look = Look { width: None, colour: false, marks: true };
        let text = table::text(&question, &answer, &summary, look);
        Ok(text.len())
    })
}

/// What the local page and `top` ask for beside reports.
fn lists(path: &Path, since: &str) -> anyhow::Result<()> {
    let clock = Clock::system(Some("Europe/Paris"))?;
    let range = clock.range(since, None)?;
    let name = |list: &str| format!("{list}, {since}");
    measure(&name("100 sessions"), || Ok(sessions::list(&open(path)?, range, &[], 100)?.len()))?;
    measure(&name("20 dearest prompts"), || {
        Ok(prompts::dearest(&open(path)?, range, &[], 20)?.len())
    })?;
    measure(&name("tools"), || Ok(tools::list(&open(path)?, range, &[])?.len()))?;
    measure(&name("models"), || Ok(models::list(&open(path)?, range, &[])?.len()))?;
    let newest = sessions::list(&open(path)?, range, &[], 1)?;
    let id = &newest.first().context("there is no session")?.id;
    measure(&name("the story of a session"), || {
        let story = story::story(&open(path)?, id)?.context("it has no story")?;
        Ok(story.entries.len())
    })
}

fn open(path: &Path) -> anyhow::Result<History> {
    History::open_files(Some(path), None)?.context("there is no history")
}

/// Whatever else the machine does shows in the median and hardly in the best.
fn measure(name: &str, mut ask: impl FnMut() -> anyhow::Result<usize>) -> anyhow::Result<()> {
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let begun = Instant::now();
        black_box(ask()?);
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    println!("{name:<42} {:>9} {:>9}", ms(times[TIMES / 2]), ms(times[0]));
    Ok(())
}

fn generate(path: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut sink = Sink::open(path)?;
    sink.begin_install("example")?;
    let series = all_series();
    let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond())?;
    let first_day = now_ms / DAY_MS + 1 - DAYS;
    let mut random = Random(42);
    for day in first_day..first_day + DAYS {
        let page = HistoryPage {
            series: if day == first_day { series.clone() } else { Vec::new() },
            ticks: ticks(&mut random, day, series.len() as u64)?,
            events: vec![events(&mut random, day)?],
            more: true,
        };
        sink.apply(&page, 400)?;
    }
    sink.checkpoint()?;
    let events = DAYS * EVENTS_A_DAY;
    println!("{events} events in {:.1?}", begun.elapsed());
    Ok(())
}

fn all_series() -> Vec<HistorySeries> {
    let mut all = Vec::new();
    let mut add = |metric: &str, pairs: &[(&str, &str)]| {
        let mut labels = labels(pairs);
        labels.push(("__name__".into(), metric.into()));
        labels.sort();
        all.push(labels);
    };
    for project in PROJECTS {
        for model in MODELS {
            for source in ["main", "subagent", "auxiliary"] {
                let common = [
                    ("job", "claude-code"),
                    ("project", project),
                    ("team", "payments"),
                    ("model", model),
                    ("query_source", source),
                ];
                add("claude_code_cost_usage_USD_total", &common);
                for kind in TYPES {
                    let mut labels = common.to_vec();
                    labels.push(("type", kind));
                    add("claude_code_token_usage_tokens_total", &labels);
                }
            }
        }
        for kind in ["added", "removed"] {
            let labels = [("project", project), ("type", kind)];
            add("claude_code_lines_of_code_count_total", &labels);
        }
        for kind in ["user", "cli"] {
            let labels = [("project", project), ("type", kind)];
            add("claude_code_active_time_seconds_total", &labels);
        }
        add("claude_code_commit_count_total", &[("project", project)]);
    }
    (1_i64..).zip(all).map(|(id, labels)| HistorySeries { id, labels: Arc::new(labels) }).collect()
}

fn ticks(random: &mut Random, day: u64, series: u64) -> anyhow::Result<Vec<HistoryTick>> {
    let a_day = ACTIVE_MS / TICK_MS;
    (0..a_day)
        .map(|number| {
            let increments = (0..INCREMENTS_A_TICK)
                .map(|_| Ok((i64::try_from(random.below(series) + 1)?, random.amount())))
                .collect::<anyhow::Result<_>>()?;
            Ok(HistoryTick {
                row: i64::try_from(day * a_day + number)?,
                time_ms: i64::try_from(day * DAY_MS + number * TICK_MS)?,
                increments,
            })
        })
        .collect()
}

fn events(random: &mut Random, day: u64) -> anyhow::Result<HistoryEvents> {
    let events = (0..EVENTS_A_DAY)
        .map(|number| {
            let at_ms = number * ACTIVE_MS / EVENTS_A_DAY;
            // Three sessions at any time, each an hour or so.
            let session = (at_ms * SESSIONS_A_DAY / ACTIVE_MS + random.below(3)) % SESSIONS_A_DAY;
            event(random, day * DAY_MS + at_ms, day * SESSIONS_A_DAY + session)
        })
        .collect();
    let received_ms = i64::try_from(day * DAY_MS + ACTIVE_MS)?;
    Ok(HistoryEvents { row: i64::try_from(day)?, received_ms, events })
}

fn event(random: &mut Random, time_ms: u64, session: u64) -> Event {
    let project = PROJECTS[usize::try_from(session).unwrap_or(0) % PROJECTS.len()];
    let text = |text: String| Value::Text(text.into());
    let prompt = session * 1_000 + time_ms / 240_000 % 1_000;
    let mut attributes = vec![
        ("session.id", text(format!("00000000-0000-7000-8000-{session:012}"))),
        ("prompt.id", text(format!("00000000-0000-7000-9000-{prompt:012}"))),
        ("user.email", text("ada@example.com".to_owned())),
        ("vcs.repository.name", text(format!("acme/{project}"))),
        ("vcs.ref.head.name", text(format!("feature/{}", session / 7))),
    ];
    let mut pick = |values: &[&str]| text(random.pick(values).to_owned());
    let name = match time_ms % 20 {
        0 => {
            attributes.push(("prompt_length", text("120".to_owned())));
            "user_prompt"
        }
        1..=9 => {
            attributes.push(("model", pick(&MODELS)));
            attributes.push(("query_source", pick(&SOURCES)));
            attributes.push(("cost_usd", Value::Double(0.0123)));
            attributes.push(("input_tokens", Value::Int(1_200)));
            attributes.push(("output_tokens", Value::Int(900)));
            attributes.push(("cache_read_tokens", Value::Int(45_000)));
            attributes.push(("cache_creation_tokens", Value::Int(3_000)));
            attributes.push(("duration_ms", Value::Int(4_321)));
            attributes.push(("ttft_ms", Value::Int(1_234)));
            attributes.push(("effort", text("high".to_owned())));
            attributes.push(("request_id", text(format!("req_{time_ms:024}"))));
            "api_request"
        }
        10 => {
            attributes.push(("model", pick(&MODELS)));
            attributes.push(("status_code", Value::Int(529)));
            "api_error"
        }
        _ => {
            attributes.push(("tool_name", pick(&TOOLS)));
            attributes.push(("success", text("true".to_owned())));
            attributes.push(("duration_ms", text("250".to_owned())));
            attributes.push(("tool_use_id", text(format!("toolu_{time_ms:024}"))));
            "tool_result"
        }
    };
    Event {
        time_ns: time_ms * 1_000_000,
        name: name.into(),
        body: format!("claude_code.{name}").into(),
        service: "claude-code".into(),
        tags: labels(&[("project", project), ("team", "payments")]),
        id: u128::from(time_ms),
        attributes: attributes.into_iter().map(|(key, value)| (key.into(), value)).collect(),
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect()
}

/// The same year every time (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn pick<'a>(&mut self, values: &[&'a str]) -> &'a str {
        values[usize::try_from(self.below(values.len() as u64)).unwrap_or(0)]
    }

    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    fn amount(&mut self) -> f64 {
        (self.below(100_000) + 1) as f64 / 1_000.0
    }
}
