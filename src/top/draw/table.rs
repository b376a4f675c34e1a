//! The sessions as rows. Columns go one by one as the screen gets narrower.

use jiff::Zoned;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Row, Table, TableState};

use super::super::order::Column;
use super::super::state::State;
use super::{Theme, cut, say};
use crate::report::live::{Doing, Live, LiveSession};
use crate::report::table::{duration, money, tokens};

/// A wider screen has a blank column on both sides of the table.
const MARGIN_FROM: u16 = 40;

/// Of a tool's name, so that there is room for how long it has been running.
const TOOL_WIDTH: usize = 9;

/// How full a context is when it is worth a look, and when Claude Code is about to compact it.
const CONTEXT_FULL: [f64; 2] = [0.6, 0.8];

/// A column: its head, its width, from which width of the screen on it is shown, and what sorts by it.
struct Shape {
    head: &'static str,
    width: Constraint,
    from: u16,
    sorts: Option<Column>,
    right: bool,
    cell: fn(&LiveSession, i64, Theme) -> (String, Style),
}

const SHAPES: [Shape; 13] = [
    Shape::new("PROJECT", Constraint::Fill(2), 0, Some(Column::Project), |session, _, theme| {
        let name = session.project.as_deref().or(session.repository.as_deref());
        (name.unwrap_or("(no project)").into(), theme.strong())
    }),
    Shape::new("BRANCH", Constraint::Fill(1), 120, None, |session, _, theme| {
        (session.branch.clone().unwrap_or_default(), theme.dim())
    }),
    Shape::new("TEAM", Constraint::Max(14), 140, None, |session, _, theme| {
        (session.team.clone().unwrap_or_default(), theme.dim())
    }),
    Shape::new("MODEL", Constraint::Length(12), 60, Some(Column::Model), |session, _, theme| {
        (short_model(session.model.as_deref().unwrap_or("")), theme.plain())
    }),
    Shape::new("COST", Constraint::Length(8), 20, Some(Column::Cost), |session, _, theme| {
        (money(session.cost_usd), theme.money())
    })
    .right(),
    Shape::new("TOK/MIN", Constraint::Length(8), 70, Some(Column::Rate), |session, _, theme| {
        match session.tokens_per_minute() {
            0.0 => ("·".into(), theme.dim()),
            rate => (tokens(rate), theme.plain()),
        }
    })
    .right(),
    Shape::new("REQUESTS", Constraint::Length(8), 140, None, |session, _, theme| {
        (session.requests.to_string(), theme.plain())
    })
    .right(),
    Shape::new("ERRORS", Constraint::Length(6), 150, None, |session, _, theme| {
        match session.errors {
            0 => ("·".into(), theme.dim()),
            errors => (errors.to_string(), theme.bad()),
        }
    })
    .right(),
    Shape::new("CONTEXT", Constraint::Length(10), 50, Some(Column::Context), context).right(),
    Shape::new("DOING", Constraint::Length(15), 34, None, doing),
    Shape::new(
        "HEARD",
        Constraint::Length(7),
        90,
        Some(Column::Heard),
        |session, now_ms, theme| (age(now_ms, session.last_ms), theme.dim()),
    )
    .right(),
    Shape::new("AGE", Constraint::Length(7), 78, Some(Column::Age), |session, now_ms, theme| {
        (age(now_ms, session.first_ms), theme.dim())
    })
    .right(),
    Shape::new("SESSION", Constraint::Length(8), 110, None, |session, _, theme| {
        (session.session_id.chars().take(8).collect(), theme.dim())
    }),
];

impl Shape {
    const fn new(
        head: &'static str,
        width: Constraint,
        from: u16,
        sorts: Option<Column>,
        cell: fn(&LiveSession, i64, Theme) -> (String, Style),
    ) -> Self {
        Self { head, width, from, sorts, right: false, cell }
    }

    const fn right(mut self) -> Self {
        self.right = true;
        self
    }

    fn aligned(&self, line: Line<'static>) -> Cell<'static> {
        Cell::new(Text::from(if self.right { line.right_aligned() } else { line }))
    }
}

pub fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &mut State,
    live: &Live,
    now: &Zoned,
    theme: Theme,
) {
    state.page = usize::from(area.height.saturating_sub(1)).max(1);
    let rows = state.rows(&live.sessions);
    if rows.is_empty() {
        return say(frame, area, &nothing(state, live), theme);
    }
    let shapes: Vec<&Shape> = SHAPES.iter().filter(|shape| shape.from <= area.width).collect();
    let area = area.inner(Margin::new(u16::from(area.width > MARGIN_FROM), 0));
    let widths = widths(&shapes, area);
    let head = Row::new(shapes.iter().map(|shape| head(shape, state, theme)));
    let now_ms = now.timestamp().as_millisecond();
    let body = rows.iter().map(|session| {
        Row::new(shapes.iter().zip(&widths).map(|(shape, width)| {
            let (text, style) = (shape.cell)(session, now_ms, theme);
            let style = if session.active { style } else { theme.dim() };
            shape.aligned(Line::styled(cut(&text, usize::from(*width)), style))
        }))
    });
    let table = Table::new(body, widths.iter().map(|width| Constraint::Length(*width)))
        .header(head)
        .column_spacing(1)
        .row_highlight_style(theme.selected());
    let mut at = TableState::new().with_selected(state.position(&rows));
    frame.render_stateful_widget(table, area, &mut at);
}

/// The columns' widths on this screen, so that what is cut can be marked.
fn widths(shapes: &[&Shape], area: Rect) -> Vec<u16> {
    let columns = Layout::horizontal(shapes.iter().map(|shape| shape.width)).spacing(1);
    columns.split(area).iter().map(|column| column.width).collect()
}

fn head(shape: &Shape, state: &State, theme: Theme) -> Cell<'static> {
    let by = shape.sorts == Some(state.column);
    let arrow = match (by, state.column.descends() == state.reversed) {
        (false, _) => "",
        (true, true) => "▲",
        (true, false) => "▼",
    };
    let style = if by { theme.strong() } else { theme.dim() };
    shape.aligned(Line::styled(format!("{}{arrow}", shape.head), style))
}

fn nothing(state: &State, live: &Live) -> Vec<String> {
    if !live.sessions.is_empty() {
        let filter = &state.filter;
        return vec![format!("No session here holds “{filter}”; Esc shows all of them again.")];
    }
    let first = if state.all {
        "No session today."
    } else {
        "No session was active in the last 15 minutes."
    };
    let second = if live.today.sessions > 0 && !state.all {
        "`a` shows today's."
    } else {
        "`ccotel claude` starts one; it appears here seconds after its first prompt."
    };
    vec![first.into(), second.into()]
}

/// `claude-opus-4-5-20251101` and `eu.anthropic.claude-opus-4-5-20251101-v1:0` are `opus-4-5`.
pub fn short_model(model: &str) -> String {
    let short = model.rsplit_once("claude-").map_or(model, |(_, short)| short);
    let dated = short.match_indices('-').find(|(at, _)| {
        let digits = short[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        digits == 8
    });
    dated.map_or(short, |(at, _)| &short[..at]).to_owned()
}

fn context(session: &LiveSession, _: i64, theme: Theme) -> (String, Style) {
    #[expect(clippy::cast_precision_loss, reason = "tokens of one request")]
    let Some(count) = session.context_tokens.map(|count| tokens(count as f64)) else {
        return ("·".into(), theme.dim());
    };
    let Some(share) = session.context_share() else { return (count, theme.plain()) };
    let style = match share {
        share if share >= CONTEXT_FULL[1] => theme.bad(),
        share if share >= CONTEXT_FULL[0] => theme.warning(),
        _ => theme.plain(),
    };
    (format!("{count} {:>3.0}%", share * 100.0), style)
}

fn doing(session: &LiveSession, now_ms: i64, theme: Theme) -> (String, Style) {
    let words = session.doing.words();
    let words = match &session.doing {
        Doing::Tool { since_ms, .. } => {
            format!("{} {}", cut(&words, TOOL_WIDTH), age(now_ms, *since_ms))
        }
        _ => words,
    };
    (words, doing_style(&session.doing, theme))
}

pub fn doing_style(doing: &Doing, theme: Theme) -> Style {
    match doing {
        Doing::Tool { .. } | Doing::Thinking { .. } => theme.busy(),
        Doing::Failed { .. } => theme.bad(),
        Doing::Ended { .. } | Doing::Idle => theme.dim(),
    }
}

pub fn age(now_ms: i64, then_ms: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let seconds = (now_ms - then_ms).max(0) as f64 / 1000.0;
    duration(seconds)
}
