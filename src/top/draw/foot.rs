//! The last line: what keys do here, or the filter while it is typed.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::state::{Over, State, View};
use super::{Theme, fitting};
use crate::config::problem::printable;

pub fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let line = if state.over == Over::Filter {
        typed(state, theme)
    } else {
        keys(state, area.width, theme)
    };
    frame.render_widget(line, area);
}

fn typed(state: &State, theme: Theme) -> Line<'static> {
    Line::from(vec![
        Span::styled(" filter: ", theme.dim()),
        Span::styled(printable(&state.filter), theme.strong()),
        Span::styled("▏", theme.busy()),
        Span::styled("  Enter keep  Esc drop", theme.dim()),
    ])
}

fn keys(state: &State, width: u16, theme: Theme) -> Line<'static> {
    let direction = if state.column.descends() == state.reversed { "▲" } else { "▼" };
    let by = format!("sort: {} {direction}", state.column.name());
    let all = if state.all { "active only" } else { "all of today" };
    let filter =
        if state.filter.is_empty() { "filter".into() } else { format!("“{}”", state.filter) };
    // The most important first: a narrow screen shows only those.
    let in_table: &[(&str, &str)] = &[
        ("q", "quit"),
        ("?", "help"),
        ("Enter", "detail"),
        ("s", &by),
        ("r", "reverse"),
        ("a", all),
        ("/", &printable(&filter)),
        ("↑↓", "select"),
    ];
    let in_detail: &[(&str, &str)] = &[
        ("q", "back"),
        ("?", "help"),
        ("↑↓", "scroll"),
        ("PgUp PgDn", "page"),
        ("g", "beginning"),
        ("G", "newest"),
    ];
    let keys = if state.view == View::Table { in_table } else { in_detail };
    let parts = keys.iter().map(|(key, what)| {
        vec![
            Span::styled(format!(" {key}"), theme.strong()),
            Span::styled(format!(" {what}"), theme.dim()),
        ]
    });
    fitting(parts.collect(), width)
}
