//! What the columns mean and the keys do, over the table.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::Theme;

const WIDTH: u16 = 76;

const KEYS: [(&str, &str); 9] = [
    ("↑ ↓  j k", "select a session; PgUp, PgDn, g and G go further"),
    ("Enter", "what happened in it, newest last; Esc or q comes back"),
    ("s  < >", "sort by the next or previous column"),
    ("r", "reverse the order"),
    ("a", "all of today's sessions, or only the active ones"),
    ("/", "show only what holds a text: project, model, branch, tool, id"),
    ("Ctrl-L", "draw again"),
    ("Ctrl-Z", "stop; `fg` continues"),
    ("q  Esc  ^C", "quit"),
];

const MEANINGS: [(&str, &str); 5] = [
    ("COST", "list prices as Claude Code computes them, of the whole session"),
    ("TOK/MIN", "input, output and cache writes a minute, over five minutes"),
    ("CONTEXT", "what the last request read, and its share of a known window"),
    ("DOING", "as last heard: a question or a permission on screen looks idle"),
    ("an hour", "the cost of the last 15 minutes, times four; not a forecast"),
];

pub fn draw(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (left, right) in KEYS {
        lines.push(entry(left, right, theme));
    }
    lines.push(Line::default());
    for (left, right) in MEANINGS {
        lines.push(entry(left, right, theme));
    }
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let inside = area.centered(
        Constraint::Length(WIDTH.min(area.width)),
        Constraint::Length(height.min(area.height)),
    );
    let block = Block::bordered().title(Line::styled(" Keys ", theme.strong()));
    frame.render_widget(Clear, inside);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), inside);
}

fn entry(left: &'static str, right: &'static str, theme: Theme) -> Line<'static> {
    Line::from(vec![Span::styled(format!(" {left:<11}"), theme.strong()), Span::raw(right)])
}
