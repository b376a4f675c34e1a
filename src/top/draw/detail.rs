//! One session's story: what it is, what it came to, and what happened, the newest last.

use std::collections::HashSet;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::state::State;
use super::table::{age, doing_style, short_model};
use super::{Theme, clean, cut, fitting, say};
use crate::report::live::{Live, LiveSession};
use crate::report::row::Tokens;
use crate::report::sessions::Session;
use crate::report::story::{Entry, Request, Story, What};
use crate::report::table::{duration, money, tokens};

/// From this width on, a line says both how long it took and what it cost.
const WIDE_FROM: u16 = 60;
/// From this width on, a request says its tokens, too.
const TOKENS_FROM: u16 = 70;

pub fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &mut State,
    live: &Live,
    story: Option<&Story>,
    now: &Zoned,
    theme: Theme,
) {
    let Some(story) = story else {
        return say(frame, area, &["This session is not in the history."], theme);
    };
    let current = live.sessions.iter().find(|one| one.session_id == story.session.id);
    let head_height = if area.height >= 10 { 3 } else { 1 };
    let rows = [Constraint::Length(head_height), Constraint::Fill(1)];
    let [head, body] = Layout::vertical(rows).areas(area);
    draw_head(frame, head, &story.session, current, now, theme);
    draw_entries(frame, body, state, story, now.time_zone(), theme);
}

fn draw_head(
    frame: &mut Frame<'_>,
    area: Rect,
    session: &Session,
    current: Option<&LiveSession>,
    now: &Zoned,
    theme: Theme,
) {
    let mut names = vec![vec![Span::raw(" "), strong(session.project.as_deref(), theme)]];
    names.push(vec![match current.filter(|one| one.active) {
        Some(one) => Span::styled(clean(&one.doing.words()), doing_style(&one.doing, theme)),
        None => Span::styled("not active", theme.dim()),
    }]);
    let model =
        current.and_then(|one| one.model.clone()).or_else(|| session.models.first().cloned());
    names.extend(model.map(|model| vec![Span::raw(short_model(&clean(&model)))]));
    for word in [&session.branch, &session.team].into_iter().flatten() {
        names.push(vec![Span::styled(clean(word), theme.dim())]);
    }
    names.push(vec![Span::styled(clean(&session.id), theme.dim())]);
    let facts = &session.facts;
    let Tokens { input, output, cache_read, cache_creation } = facts.tokens;
    let lasted = age(now.timestamp().as_millisecond(), session.first_ms);
    let amounts = vec![
        vec![Span::raw(" "), Span::styled(money(facts.cost_usd), theme.money())],
        vec![Span::raw(format!("{} prompts, {} requests", facts.prompts, facts.requests))],
        vec![Span::raw(format!("{} tools", facts.tool_calls))],
        vec![Span::raw(format!("began {lasted} ago"))],
        vec![Span::styled(
            format!(
                "in {} out {} cache {} / {}",
                tokens(input),
                tokens(output),
                tokens(cache_read),
                tokens(cache_creation)
            ),
            theme.dim(),
        )],
    ];
    let lines = vec![fitting(names, area.width), fitting(amounts, area.width)];
    frame.render_widget(Paragraph::new(lines), area);
}

fn strong(name: Option<&str>, theme: Theme) -> Span<'static> {
    Span::styled(clean(name.unwrap_or("(no project)")), theme.strong())
}

/// The lines that fit, counted from the newest.
fn draw_entries(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &mut State,
    story: &Story,
    zone: &TimeZone,
    theme: Theme,
) {
    let told = told(story);
    let height = usize::from(area.height);
    state.page = height.max(1);
    state.scrolled_max = told.len().saturating_sub(height);
    state.scrolled = state.scrolled.min(state.scrolled_max);
    let end = told.len() - state.scrolled;
    let start = end.saturating_sub(height);
    for (row, entry) in area.rows().zip(&told[start..end]) {
        frame.render_widget(line(entry, row.width, zone, theme), row);
    }
}

/// Permissions that went by themselves are left out once the tool's result says the same.
fn told(story: &Story) -> Vec<&Entry> {
    let results: HashSet<&str> = story
        .entries
        .iter()
        .filter_map(|entry| match &entry.what {
            What::Tool { tool_use_id, .. } => tool_use_id.as_deref(),
            _ => None,
        })
        .collect();
    let is_told = |entry: &&Entry| match &entry.what {
        What::Decision { accepted: Some(true), tool_use_id: Some(id), .. } => {
            !results.contains(id.as_str())
        }
        _ => true,
    };
    story.entries.iter().filter(is_told).collect()
}

/// What happened, on the left; how long it took and what it cost, on the right.
struct Told {
    what: String,
    style: Style,
    more: String,
    duration_ms: Option<i64>,
    cost_usd: Option<f64>,
}

fn line(entry: &Entry, width: u16, zone: &TimeZone, theme: Theme) -> Line<'static> {
    let told = told_of(entry, width, theme);
    let time = Timestamp::from_millisecond(entry.time_ms).unwrap_or_default();
    let time = time.to_zoned(zone.clone()).strftime(" %H:%M:%S ").to_string();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
    let took = told.duration_ms.map_or(String::new(), |ms| match ms {
        0..1000 => format!("{ms}ms"),
        _ => duration(ms as f64 / 1000.0),
    });
    let cost = told.cost_usd.map_or(String::new(), money);
    let right = match (width, cost.is_empty()) {
        (WIDE_FROM.., _) => format!("{took:>7} {cost:>9} "),
        (_, true) => format!(" {took:>7}"),
        (_, false) => format!(" {cost:>7}"),
    };
    let room = usize::from(width).saturating_sub(Span::raw(&*right).width());
    let indent = if matches!(entry.what, What::Prompt { .. }) { "" } else { "  " };
    let mut left = Line::from(vec![
        Span::styled(time, theme.dim()),
        Span::styled(format!("{indent}{}", told.what), told.style),
        Span::styled(format!("  {}", told.more), theme.dim()),
    ]);
    let mut used = 0;
    for span in &mut left.spans {
        let shortened = cut(&span.content, room.saturating_sub(used));
        used += Span::raw(&*shortened).width();
        span.content = shortened.into();
    }
    left.push_span(Span::raw(" ".repeat(room.saturating_sub(used))));
    left.push_span(Span::raw(right));
    left
}

fn told_of(entry: &Entry, width: u16, theme: Theme) -> Told {
    let (what, style, more, duration_ms, cost_usd) = match &entry.what {
        What::Prompt { length, command } => {
            let what = command.as_ref().map_or("prompt".into(), |command| format!("/{command}"));
            let more = length.map_or(String::new(), |length| format!("{length} letters"));
            (format!("▶ {what}"), theme.strong(), more, None, None)
        }
        What::Request(request) => {
            let model = short_model(request.model.as_deref().unwrap_or("request"));
            let more = of_request(request, width);
            (model, theme.plain(), more, request.duration_ms, request.cost_usd)
        }
        What::Error { class, status_code, attempt, duration_ms, .. } => {
            let code = status_code.map_or(String::new(), |code| format!(" {code}"));
            let attempts = attempt.filter(|attempt| *attempt > 1);
            let attempts = attempts.map_or(String::new(), |count| format!(", {count} attempts"));
            let more = format!("{}{attempts}", class.clone().unwrap_or_default());
            (format!("failed{code}"), theme.bad(), more, *duration_ms, None)
        }
        What::Tool { tool, success, duration_ms, error_type, .. } => {
            let failed = *success == Some(false);
            let more =
                if failed { error_type.clone().unwrap_or("failed".into()) } else { String::new() };
            let style = if failed { theme.warning() } else { theme.busy() };
            (name(tool.as_deref()), style, more, *duration_ms, None)
        }
        What::Decision { tool, accepted, source, .. } => {
            let more = match (accepted, source.as_deref()) {
                (Some(true), _) => "begun".into(),
                (_, Some(source)) if source.starts_with("user_") => "refused by the user".into(),
                (_, Some(source)) => format!("refused by {source}"),
                (_, None) => "refused".into(),
            };
            let style = if *accepted == Some(true) { theme.busy() } else { theme.warning() };
            (name(tool.as_deref()), style, more, None, None)
        }
    };
    Told { what: clean(&what), style, more: clean(&more), duration_ms, cost_usd }
}

fn name(tool: Option<&str>) -> String {
    tool.unwrap_or("tool").to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "tokens of one request")]
fn of_request(request: &Request, width: u16) -> String {
    let aside = request
        .query_source
        .as_deref()
        .filter(|source| *source != "sdk" && !source.starts_with("repl_main_thread"));
    let mut words = Vec::new();
    if width >= TOKENS_FROM {
        words.push(format!(
            "in {} out {} cache {}",
            tokens((request.input_tokens + request.cache_creation_tokens) as f64),
            tokens(request.output_tokens as f64),
            tokens(request.cache_read_tokens as f64)
        ));
    }
    words.extend(aside.map(ToOwned::to_owned));
    words.join("  ")
}
