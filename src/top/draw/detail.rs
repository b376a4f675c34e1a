//! One session's story: what it is, what it came to, and what happened, the newest last.

mod lines;

use std::collections::HashSet;

use jiff::Zoned;
use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;
use ratatui::widgets::Paragraph;

use super::super::state::State;
use super::table::{age, doing_style, short_model};
use super::{Theme, fitting, say};
use crate::config::problem::printable;
use crate::report::live::{Live, LiveSession};
use crate::report::row::Tokens;
use crate::report::sessions::Session;
use crate::report::story::{Entry, Story, What};
use crate::report::table::{money, tokens};

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
        Some(one) => Span::styled(printable(&one.doing.words()), doing_style(&one.doing, theme)),
        None => Span::styled("not active", theme.dim()),
    }]);
    let model =
        current.and_then(|one| one.model.clone()).or_else(|| session.models.first().cloned());
    names.extend(model.map(|model| vec![Span::raw(short_model(&printable(&model)))]));
    for word in [&session.branch, &session.team].into_iter().flatten() {
        names.push(vec![Span::styled(printable(word), theme.dim())]);
    }
    names.push(vec![Span::styled(printable(&session.id), theme.dim())]);
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
    Span::styled(printable(name.unwrap_or("(no project)")), theme.strong())
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
        frame.render_widget(lines::line(entry, row.width, zone, theme), row);
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
