//! A story as lines to read: who and where, what it came to, and a table of what happened.

use std::fmt::Write as _;

use comfy_table::{Cell, ContentArrangement, Table, presets};
use jiff::Timestamp;

use super::{Entry, Request, Story, What};
use crate::report::table::{Look, duration, money, number, shown, tokens};
use crate::report::time::Clock;

/// Each line ends with a newline.
pub fn text(clock: &Clock, story: &Story, look: Look) -> String {
    let mut text = String::new();
    for line in head(clock, story) {
        let line = look.width.map_or_else(|| line.clone(), |width| textwrap::fill(&line, width));
        text += &line;
        text.push('\n');
    }
    text.push('\n');
    for line in table(clock, story).lines() {
        text += line.trim_end();
        text.push('\n');
    }
    if story.left_out > 0 {
        let _ = write!(text, "\n{} earlier entries are not shown.\n", story.left_out);
    }
    text
}

fn head(clock: &Clock, story: &Story) -> Vec<String> {
    let session = &story.session;
    let facts = &session.facts;
    let place = [&session.project, &session.team, &session.repository, &session.branch];
    let place: Vec<String> = ["project", "team", "repo", "branch"]
        .iter()
        .zip(place)
        .filter_map(|(name, value)| Some(format!("{name} {}", shown(value.as_deref()?))))
        .collect();
    let of_session = &session.of_session;
    let mut with = Vec::new();
    with.extend(of_session.version.as_deref().map(|text| format!("Claude Code {}", shown(text))));
    with.extend(of_session.entrypoint.as_deref().map(shown));
    with.extend(of_session.terminal.as_deref().map(shown));
    with.extend(of_session.plan.as_deref().map(|text| format!("plan {}", shown(text))));
    with.extend(session.models.iter().map(|model| shown(model)));
    if session.imported {
        let all = facts.imported_cost_usd >= facts.cost_usd;
        with.push(if all { "imported" } else { "partly imported" }.to_owned());
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a session")]
    let seconds = (session.last_ms - session.first_ms) as f64 / 1e3;
    let kind = if of_session.signed_in {
        "list-price equivalent, which a Claude subscription may cover"
    } else {
        "list price"
    };
    let mut lines = vec![
        format!("Session {}", shown(&session.id)),
        place.join(", "),
        with.join(", "),
        format!(
            "{} to {}, {} ({})",
            moment(clock, session.first_ms, "%Y-%m-%d %H:%M:%S"),
            moment(clock, session.last_ms, "%Y-%m-%d %H:%M:%S"),
            clock.zone_name(),
            duration(seconds)
        ),
        format!("{} ({kind}), {}", money(facts.cost_usd), sums(story)),
    ];
    if facts.unpriced_requests > 0 {
        let count = facts.unpriced_requests;
        lines.push(format!("Not in the cost: {}.", counted(count, "request without a price")));
    }
    lines.retain(|line| !line.is_empty());
    lines
}

fn sums(story: &Story) -> String {
    let facts = &story.session.facts;
    let of = &facts.tokens;
    [
        counted(facts.prompts, "prompt"),
        counted(facts.requests, "request"),
        counted(facts.errors, "error"),
        format!(
            "{} ({} failed, {} refused)",
            counted(facts.tool_calls, "tool call"),
            facts.tool_failures,
            facts.tool_rejections
        ),
        format!(
            "tokens: {} input, {} output, {} cache read, {} cache write",
            tokens(of.input),
            tokens(of.output),
            tokens(of.cache_read),
            tokens(of.cache_creation)
        ),
    ]
    .join(", ")
}

fn counted(count: i64, what: &str) -> String {
    match (count, what.split_once(' ')) {
        (1, _) => format!("1 {what}"),
        (_, Some(("request", rest))) => format!("{count} requests {rest}"),
        _ => format!("{count} {what}s"),
    }
}

fn table(clock: &Clock, story: &Story) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.force_no_tty();
    let head = ["took", "output", "cost"].map(|name| number(name.to_owned()));
    table.set_header(["time", "what"].map(Cell::new).into_iter().chain(head).collect::<Vec<_>>());
    let day = |ms| moment(clock, ms, "%Y-%m-%d");
    let one_day = day(story.session.first_ms) == day(story.session.last_ms);
    let format = if one_day { "%H:%M:%S" } else { "%m-%d %H:%M:%S" };
    for entry in story.entries.iter().filter(|entry| !is_told_by_its_call(entry)) {
        let [what, took, output, cost] = cells(&entry.what);
        let mut row = vec![Cell::new(moment(clock, entry.time_ms, format)), Cell::new(what)];
        row.extend([took, output, cost].map(number));
        table.add_row(row);
    }
    table
}

/// That a tool was allowed is seen from its being called.
fn is_told_by_its_call(entry: &Entry) -> bool {
    matches!(&entry.what, What::Decision { accepted: Some(true), .. })
}

/// What, how long, output tokens, cost.
fn cells(what: &What) -> [String; 4] {
    let none = String::new;
    match what {
        What::Prompt { length, command } => {
            let mut words = "prompt".to_owned();
            if let Some(command) = command {
                let _ = write!(words, " /{}", shown(command.trim_start_matches('/')));
            }
            if let Some(length) = length {
                let _ = write!(words, ", {}", counted(*length, "character"));
            }
            [words, none(), none(), none()]
        }
        What::Request(request) => request_cells(request),
        What::Error { model, class, status_code, duration_ms, .. } => {
            let mut words = format!("  {} failed", name(model.as_deref(), "request"));
            if let Some(class) = class {
                let _ = write!(words, ": {}", shown(class));
            }
            if let Some(code) = status_code {
                let _ = write!(words, " ({code})");
            }
            [words, took(*duration_ms), none(), none()]
        }
        What::Tool { tool, success, duration_ms, error_type, .. } => {
            let mut words = format!("  {}", name(tool.as_deref(), "tool"));
            if *success == Some(false) {
                words += " failed";
            }
            if let Some(kind) = error_type {
                let _ = write!(words, ": {}", shown(kind));
            }
            [words, took(*duration_ms), none(), none()]
        }
        What::Decision { tool, accepted, source, .. } => {
            let verb = if *accepted == Some(false) { "refused" } else { "decided" };
            let mut words = format!("  {} {verb}", name(tool.as_deref(), "tool"));
            if let Some(source) = source {
                let _ = write!(words, ": {}", shown(source));
            }
            [words, none(), none(), none()]
        }
    }
}

fn request_cells(request: &Request) -> [String; 4] {
    let mut words = format!("  {}", name(request.model.as_deref(), "request"));
    for more in [&request.query_source, &request.effort, &request.speed] {
        if let Some(more) = more.as_deref().filter(|more| *more != "normal") {
            let _ = write!(words, ", {}", shown(more));
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "tokens of a request")]
    let output = tokens(request.output_tokens as f64);
    let cost = request.cost_usd.map_or_else(|| "no price".to_owned(), money);
    [words, took(request.duration_ms), output, cost]
}

fn name(name: Option<&str>, otherwise: &str) -> String {
    name.map_or_else(|| otherwise.to_owned(), shown)
}

/// `0.3s`, `45s`, `12m`.
fn took(duration_ms: Option<i64>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a call")]
    let seconds = |ms: i64| ms as f64 / 1e3;
    match duration_ms {
        None => String::new(),
        Some(ms @ ..10_000) => format!("{:.1}s", seconds(ms)),
        Some(ms) => duration(seconds(ms)),
    }
}

fn moment(clock: &Clock, time_ms: i64, format: &str) -> String {
    let time = Timestamp::from_millisecond(time_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(clock.zone().clone()).strftime(format).to_string()
}
