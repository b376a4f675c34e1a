//! A made-up developer's history: some weeks of sessions in several projects, written through the
//! history's own sink. The same for the same days, whatever runs it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use ccotel::record::{Event, Labels, Value};
use ccotel::report::history::sink::Sink;
use ccotel::store::handle::{HistoryEvents, HistoryPage, HistorySeries, HistoryTick};

const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;
/// (project, team, how often it is worked on)
const PROJECTS: [(&str, &str, u64); 6] = [
    ("checkout", "payments", 34),
    ("search-api", "discovery", 24),
    ("mobile-app", "apps", 18),
    ("billing", "payments", 12),
    ("design-system", "apps", 7),
    ("infra", "platform", 5),
];
/// (model, dollars a million tokens in and out, tokens a second)
const MODELS: [(&str, f64, f64, u64); 3] = [
    ("claude-opus-4-8", 5.0, 25.0, 58),
    ("claude-sonnet-4-6", 3.0, 15.0, 74),
    ("claude-haiku-4-5", 1.0, 5.0, 140),
];
const TOOLS: [(&str, u64, u64); 8] = [
    ("Read", 30, 40),
    ("Bash", 24, 4_200),
    ("Edit", 20, 120),
    ("Grep", 12, 90),
    ("Write", 6, 80),
    ("Glob", 4, 60),
    ("WebFetch", 2, 2_600),
    ("Task", 2, 64_000),
];
const COMMANDS: [&str; 3] = ["review", "init", "compact"];

/// Writes `days` days up to `now_ms` into `history.db`.
pub fn write(path: &Path, now_ms: u64, days: u64) -> Result<()> {
    let mut life = Life {
        random: Random(0x9e37_79b9_7f4a_7c15),
        sink: Sink::open(path)?,
        series: Vec::new(),
        page: 0,
    };
    life.sink.begin_install("made-up")?;
    for back in (0..days).rev() {
        let midnight = (now_ms / DAY_MS - back) * DAY_MS;
        life.day(midnight, now_ms)?;
    }
    life.sink.checkpoint()?;
    Ok(())
}

struct Life {
    random: Random,
    sink: Sink,
    series: Vec<Labels>,
    page: i64,
}

/// What one day adds.
#[derive(Default)]
struct Day {
    events: Vec<Event>,
    /// (time, series, increment)
    increments: Vec<(u64, i64, f64)>,
    new_series: Vec<HistorySeries>,
}

impl Life {
    fn day(&mut self, midnight: u64, now_ms: u64) -> Result<()> {
        // 1970-01-01 was a Thursday.
        let is_weekend = (midnight / DAY_MS + 3) % 7 >= 5;
        let holiday = (midnight / DAY_MS / 7) % 9 == 4;
        let busy = if holiday { 0 } else { 2 + self.random.below(4) };
        let sessions = if is_weekend { self.random.below(5) / 4 } else { busy };
        let mut day = Day::default();
        for number in 0..sessions {
            let start = midnight + 7 * HOUR_MS + number * 2 * HOUR_MS + self.random.below(HOUR_MS);
            self.session(start, now_ms, &mut day);
        }
        if midnight / DAY_MS == now_ms / DAY_MS {
            self.session(now_ms.saturating_sub(HOUR_MS), now_ms, &mut day);
        }
        self.write_day(day, midnight)
    }

    fn write_day(&mut self, mut day: Day, midnight: u64) -> Result<()> {
        day.increments.sort_by_key(|(time_ms, ..)| *time_ms);
        day.events.sort_by_key(|event| event.time_ns);
        let ticks = day.increments.iter().map(|(time_ms, series, value)| {
            self.page += 1;
            Ok(HistoryTick {
                row: self.page,
                time_ms: i64::try_from(*time_ms)?,
                increments: vec![(*series, *value)],
            })
        });
        let ticks = ticks.collect::<Result<_>>()?;
        let last = day.events.last().map_or(midnight, |event| event.time_ns / 1_000_000);
        let events = HistoryEvents {
            row: i64::try_from(midnight / DAY_MS)?,
            received_ms: i64::try_from(last)?,
            events: day.events,
        };
        let page = HistoryPage { series: day.new_series, ticks, events: vec![events], more: true };
        self.sink.apply(&page, 400)?;
        Ok(())
    }

    fn session(&mut self, start: u64, now_ms: u64, day: &mut Day) {
        let (project, team, _) = *self.random.weighted(&PROJECTS, |it| it.2);
        let main = usize::from(self.random.below(100) < 38);
        let id = format!(
            "{:08x}-{:04x}-4000-8000-{:012x}",
            self.random.below(1 << 32),
            self.random.below(1 << 16),
            start
        );
        let branch = format!(
            "feature/{}",
            ["cart", "ranking", "offline", "invoices", "tokens", "probes"][self.random.index(6)]
        );
        let about = About { id, project, team, branch, day };
        let mut session = Session {
            random: &mut self.random,
            series: &mut self.series,
            at: start,
            main,
            about,
            context: 18_000,
        };
        for prompt in 0..3 + session.random.below(9) {
            if session.at >= now_ms {
                break;
            }
            session.prompt(prompt, now_ms);
        }
    }
}

struct About<'a> {
    id: String,
    project: &'static str,
    team: &'static str,
    branch: String,
    day: &'a mut Day,
}

struct Session<'a> {
    random: &'a mut Random,
    series: &'a mut Vec<Labels>,
    at: u64,
    main: usize,
    about: About<'a>,
    context: u64,
}

impl Session<'_> {
    fn prompt(&mut self, number: u64, now_ms: u64) {
        let prompt = format!("{:08x}-0000-4000-9000-{number:012x}", self.random.below(1 << 32));
        let length = 20 + self.random.below(600);
        let mut attributes = vec![("prompt_length", int(length))];
        if self.random.below(12) == 0 {
            attributes.push(("command_name", text(COMMANDS[self.random.index(3)])));
        }
        self.event("user_prompt", &prompt, attributes);
        for _ in 0..1 + self.random.below(7) {
            if self.at >= now_ms {
                return;
            }
            self.request(&prompt);
            for _ in 0..self.random.below(3) {
                self.tool(&prompt);
            }
        }
        self.count("claude_code_active_time_seconds_total", &[("type", "user")], 20.0);
        if self.random.below(7) == 0 {
            self.count("claude_code_commit_count_total", &[], 1.0);
        }
        self.at += 30_000 + self.random.below(360_000);
    }

    fn request(&mut self, prompt: &str) {
        let model = if self.random.below(6) == 0 { 2 } else { self.main };
        let (name, dollars_in, dollars_out, speed) = MODELS[model];
        let output = 120 + self.random.below(1_900);
        let (input, created) = (3 + self.random.below(900), 600 + self.random.below(5_200));
        let cached = self.context;
        self.context = (self.context + created).min(160_000);
        let first_token = 600 + self.random.below(1_800);
        let duration = first_token + output * 1_000 / speed;
        self.at += duration;
        if self.random.below(60) == 0 {
            let attributes = vec![
                ("model", text(name)),
                ("status_code", int(529)),
                ("attempt", int(2)),
                ("duration_ms", int(first_token)),
            ];
            self.event("api_error", prompt, attributes);
        }
        let million = |tokens: u64, dollars: f64| as_double(tokens) / 1e6 * dollars;
        let cost = million(input, dollars_in)
            + million(output, dollars_out)
            + million(cached, dollars_in / 10.0)
            + million(created, dollars_in * 1.25);
        self.event(
            "api_request",
            prompt,
            vec![
                ("model", text(name)),
                (
                    "query_source",
                    text(if model == 2 { "agent:builtin:explore" } else { "repl_main_thread" }),
                ),
                ("cost_usd", Value::Double(cost)),
                ("input_tokens", int(input)),
                ("output_tokens", int(output)),
                ("cache_read_tokens", int(cached)),
                ("cache_creation_tokens", int(created)),
                ("duration_ms", int(duration)),
                ("ttft_ms", int(first_token)),
            ],
        );
        self.count("claude_code_cost_usage_USD_total", &[("model", name)], cost);
        for (kind, tokens) in [
            ("input", input),
            ("output", output),
            ("cacheRead", cached),
            ("cacheCreation", created),
        ] {
            self.count(
                "claude_code_token_usage_tokens_total",
                &[("model", name), ("type", kind)],
                as_double(tokens),
            );
        }
        self.count(
            "claude_code_active_time_seconds_total",
            &[("type", "cli")],
            as_double(duration) / 1e3,
        );
    }

    fn tool(&mut self, prompt: &str) {
        let (name, _, usual) = *self.random.weighted(&TOOLS, |it| it.1);
        let tool_use = format!("toolu_{:016x}", self.random.below(1 << 60));
        let asks = matches!(name, "Bash" | "Edit" | "Write");
        let rejected = asks && self.random.below(22) == 0;
        if asks {
            let decision = if rejected { "reject" } else { "accept" };
            let source = if rejected { "user_reject" } else { "config" };
            self.event(
                "tool_decision",
                prompt,
                vec![
                    ("tool_name", text(name)),
                    ("decision", text(decision)),
                    ("source", text(source)),
                    ("tool_use_id", text(&tool_use)),
                ],
            );
        }
        if rejected {
            return;
        }
        let duration = usual / 2 + self.random.below(usual * 2);
        self.at += duration;
        let success = self.random.below(if name == "Bash" { 11 } else { 40 }) != 0;
        let mut attributes = vec![
            ("tool_name", text(name)),
            ("success", text(if success { "true" } else { "false" })),
            ("duration_ms", int(duration)),
            ("tool_use_id", text(&tool_use)),
        ];
        if !success {
            attributes.push(("error_type", text("ShellError")));
        }
        self.event("tool_result", prompt, attributes);
        if success && matches!(name, "Edit" | "Write") {
            let lines = "claude_code_lines_of_code_count_total";
            let (added, removed) = (2 + self.random.below(40), self.random.below(14));
            self.count(lines, &[("type", "added")], as_double(added));
            self.count(lines, &[("type", "removed")], as_double(removed));
        }
    }

    fn event(&mut self, name: &str, prompt: &str, mut attributes: Vec<(&'static str, Value)>) {
        attributes.extend([
            ("session.id", text(&self.about.id)),
            ("prompt.id", text(prompt)),
            ("user.email", text("ada@example.com")),
            ("vcs.repository.name", text(&format!("acme/{}", self.about.project))),
            ("vcs.ref.head.name", text(&self.about.branch)),
            ("app.version", text("2.1.329")),
            ("terminal.type", text("xterm-256color")),
        ]);
        self.about.day.events.push(Event {
            time_ns: self.at * 1_000_000,
            name: name.into(),
            body: format!("claude_code.{name}").into(),
            service: "claude-code".into(),
            tags: labels(&[("project", self.about.project), ("team", self.about.team)]),
            id: u128::from(self.at) << 8,
            attributes: attributes.into_iter().map(|(key, value)| (key.into(), value)).collect(),
        });
        self.at += 1;
    }

    fn count(&mut self, metric: &str, more: &[(&str, &str)], value: f64) {
        let mut pairs =
            vec![("__name__", metric), ("project", self.about.project), ("team", self.about.team)];
        pairs.extend(more);
        let mut labels = labels(&pairs);
        labels.sort();
        let place = self.series.iter().position(|known| *known == labels).unwrap_or_else(|| {
            self.series.push(labels.clone());
            let id = as_id(self.series.len() - 1);
            self.about.day.new_series.push(HistorySeries { id, labels: Arc::new(labels) });
            self.series.len() - 1
        });
        self.about.day.increments.push((self.at, as_id(place), value));
    }
}

fn as_id(place: usize) -> i64 {
    i64::try_from(place + 1).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn as_double(value: u64) -> f64 {
    value as f64
}

fn int(value: u64) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect()
}

/// xorshift64: the same days every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    fn weighted<'t, T>(&mut self, all: &'t [T], weight: impl Fn(&T) -> u64) -> &'t T {
        let mut left = self.below(all.iter().map(&weight).sum());
        for it in all {
            match left.checked_sub(weight(it)) {
                Some(rest) => left = rest,
                None => return it,
            }
        }
        &all[all.len() - 1]
    }
}
