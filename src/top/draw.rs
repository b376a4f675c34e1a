//! The screen, drawn from the state and what is known. Pure: a test's backend takes it as well.
//!
//! What does not fit is left out, the least important first; no size is too small to be drawn.

mod detail;
mod foot;
mod head;
mod help;
mod table;
mod theme;

use jiff::Zoned;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

pub use theme::Theme;

use super::shown::Shown;
use super::state::{Over, State, View};
use crate::config::problem::printable;

/// From here on there is room for panels at the head.
const PANELS_FROM: (u16, u16) = (100, 30);
/// Below these heights the head has no blank line below it, and then only its most important line.
const HEAD_BLANK_FROM: u16 = 16;
const HEAD_LINES_FROM: u16 = 8;

/// Draws everything. `state` learns how much room there was.
pub fn draw(frame: &mut Frame<'_>, state: &mut State, shown: &Shown, now: &Zoned, theme: Theme) {
    let area = frame.area();
    if area.is_empty() {
        return;
    }
    let head_height = match (area.width, area.height) {
        (width, height) if width >= PANELS_FROM.0 && height >= PANELS_FROM.1 => {
            head::PANEL_LINES + 1
        }
        (_, 0..HEAD_LINES_FROM) => 1,
        (_, HEAD_LINES_FROM..HEAD_BLANK_FROM) => 2,
        _ => 3,
    };
    let foot_height = u16::from(area.height > 3);
    let rows =
        [Constraint::Length(head_height), Constraint::Fill(1), Constraint::Length(foot_height)];
    let [head, body, foot] = Layout::vertical(rows).areas(area);
    head::draw(frame, head, shown, now, theme);
    draw_body(frame, body, state, shown, now, theme);
    foot::draw(frame, foot, state, theme);
    if state.over == Over::Help {
        help::draw(frame, body, theme);
    }
}

fn draw_body(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &mut State,
    shown: &Shown,
    now: &Zoned,
    theme: Theme,
) {
    if area.is_empty() {
        return;
    }
    match (&shown.problem, &shown.live, &state.view) {
        (Some(problem), _, _) => say(frame, area, &[problem], theme),
        (None, None, _) => say(frame, area, &["reading the history …"], theme),
        (None, Some(live), View::Table) => table::draw(frame, area, state, live, now, theme),
        (None, Some(live), View::Detail) => {
            detail::draw(frame, area, state, live, shown.story.as_ref(), now, theme);
        }
    }
}

/// Sentences instead of a table.
fn say(frame: &mut Frame<'_>, area: Rect, sentences: &[impl AsRef<str>], theme: Theme) {
    let lines: Vec<Line<'_>> = std::iter::once(Line::default())
        .chain(sentences.iter().map(|one| Line::styled(printable(one.as_ref()), theme.plain())))
        .collect();
    let indented = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), indented);
}

/// Parts of a line that belong together, as many from the front as fit, two spaces between.
fn fitting(parts: Vec<Vec<Span<'static>>>, width: u16) -> Line<'static> {
    let mut line = Line::default();
    for part in parts {
        let gap = if line.spans.is_empty() { 0 } else { 2 };
        let needed: usize = part.iter().map(Span::width).sum();
        if line.width() + gap + needed > usize::from(width) && !line.spans.is_empty() {
            break;
        }
        if gap > 0 {
            line.push_span(Span::raw("  "));
        }
        line.spans.extend(part);
    }
    line
}

/// At most so wide, with an ellipsis where something was cut.
fn cut(text: &str, width: usize) -> String {
    let text = printable(text);
    if Span::raw(&*text).width() <= width {
        return text;
    }
    let mut kept = String::new();
    for letter in text.chars() {
        if Span::raw(format!("{kept}{letter}")).width() + 1 > width {
            break;
        }
        kept.push(letter);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
pub(super) mod tests;
