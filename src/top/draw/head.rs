//! The head: what today cost and how fast it goes, and how the agent is doing.

use jiff::Zoned;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline};

use super::super::shown::Shown;
use super::{Theme, clean, cut, fitting};
use crate::agent::status::Status;
use crate::cli::status::screen::{Destination, count, destinations, seconds_words};
use crate::report::live::{BURN_MINUTES, Live};
use crate::report::table::{money, tokens};

/// Lines of the panels: a border, four lines, a border.
pub const PANEL_LINES: u16 = 6;

/// A backlog that is older than this is told, though the destination is in order.
const WAITING_SECONDS: f64 = 60.0;

type Part = Vec<Span<'static>>;

pub fn draw(frame: &mut Frame<'_>, area: Rect, shown: &Shown, now: &Zoned, theme: Theme) {
    if area.height >= PANEL_LINES {
        return panels(frame, Rect { height: PANEL_LINES, ..area }, shown, now, theme);
    }
    let clock = now.strftime("%H:%M:%S").to_string();
    let room = area.width.saturating_sub(10);
    let mut lines = vec![fitting(money_parts(shown, theme), room)];
    if area.height >= 2 {
        lines.push(fitting(agent_parts(shown.status.as_ref(), theme), area.width));
    }
    frame.render_widget(Paragraph::new(lines), area);
    if area.width >= 30 {
        frame.render_widget(
            Line::styled(clock, theme.dim()).right_aligned(),
            Rect { height: 1, ..area },
        );
    }
}

fn money_parts(shown: &Shown, theme: Theme) -> Vec<Part> {
    let Some(live) = &shown.live else {
        return vec![vec![Span::styled(" ccotel top", theme.strong())]];
    };
    let today = &live.today;
    let mut parts = vec![vec![
        Span::styled(" Today ", theme.dim()),
        Span::styled(money(today.cost_usd), theme.money()),
    ]];
    parts.push(burn(live, theme));
    parts.push(vec![Span::raw(session_words(live))]);
    parts.push(vec![Span::raw(format!("{} tokens", tokens(all_tokens(live))))]);
    if today.errors > 0 {
        parts.push(vec![Span::styled(format!("{} errors", today.errors), theme.bad())]);
    }
    parts
}

fn burn(live: &Live, theme: Theme) -> Part {
    vec![
        Span::styled(money(live.burn_usd_per_hour), theme.strong()),
        Span::styled(" an hour", theme.dim()),
    ]
}

fn all_tokens(live: &Live) -> f64 {
    let tokens = &live.today.tokens;
    tokens.input + tokens.output + tokens.cache_read + tokens.cache_creation
}

fn session_words(live: &Live) -> String {
    let active = live.sessions.iter().filter(|session| session.active).count();
    match (live.today.sessions, active) {
        (0, 0) => "no session yet".into(),
        (1, active) => format!("1 session, {active} active"),
        (all, active) => format!("{all} sessions, {active} active"),
    }
}

/// The agent, what waits for whom, and how many warnings there are, in the order of their weight.
fn agent_parts(status: Option<&Status>, theme: Theme) -> Vec<Part> {
    let Some(status) = status else {
        return vec![vec![Span::styled(" asking the agent …", theme.dim())]];
    };
    let mut parts = vec![agent(status, theme)];
    parts.extend(warnings(status, theme));
    if status.running && status.destinations.is_empty() {
        parts.push(vec![Span::styled("forwards to nobody", theme.dim())]);
    }
    let mut all: Vec<Destination> = destinations(status).collect();
    // Who needs a look comes first: there may be no room for all.
    all.sort_by_key(|destination| match destination.state.as_str() {
        "parked" => 0,
        "retrying" => 1,
        _ => 2,
    });
    parts.extend(all.iter().map(|destination| destination_part(destination, theme)));
    parts
}

fn agent(status: &Status, theme: Theme) -> Part {
    if !status.running {
        let what = " No agent runs; `ccotel agent start` starts one";
        return vec![Span::styled(what, theme.bad())];
    }
    let answers = status.worker.is_some();
    let (dot, words, style) = if answers {
        (" ● ", "agent", theme.good())
    } else {
        (" ○ ", "agent does not answer", theme.warning())
    };
    vec![Span::styled(dot, style), Span::raw(words)]
}

fn warnings(status: &Status, theme: Theme) -> Option<Part> {
    let words = match status.warnings.len() {
        0 => return None,
        1 => "1 warning: `ccotel status`".to_owned(),
        many => format!("{many} warnings: `ccotel status`"),
    };
    Some(vec![Span::styled(words, theme.warning())])
}

fn destination_part(destination: &Destination, theme: Theme) -> Part {
    let (word, style) = match destination.state.as_str() {
        "ok" | "idle" => ("in order", theme.good()),
        "retrying" => ("retrying", theme.warning()),
        "parked" => ("parked", theme.bad()),
        other => (other, theme.plain()),
    };
    let mut part =
        vec![Span::raw(format!("{} ", clean(&destination.name))), Span::styled(clean(word), style)];
    let backlog = &destination.backlog;
    // What came a moment ago is on its way.
    let waits = backlog.oldest_seconds >= WAITING_SECONDS || style != theme.good();
    if backlog.records > 0 && waits {
        let since = seconds_words(backlog.oldest_seconds);
        let words = format!(", {} waiting for {since}", count(backlog.records));
        part.push(Span::styled(words, theme.dim()));
    }
    part
}

fn panels(frame: &mut Frame<'_>, area: Rect, shown: &Shown, now: &Zoned, theme: Theme) {
    let widths = [Constraint::Length(34), Constraint::Fill(1), Constraint::Fill(1)];
    let [today, course, agent] = Layout::horizontal(widths).spacing(1).areas(area);
    draw_today(frame, today, shown, now, theme);
    draw_course(frame, course, shown, theme);
    draw_agent(frame, agent, shown.status.as_ref(), theme);
}

fn panel(title: String, theme: Theme) -> Block<'static> {
    Block::bordered().border_style(theme.dim()).title(Line::styled(title, theme.strong()))
}

fn draw_today(frame: &mut Frame<'_>, area: Rect, shown: &Shown, now: &Zoned, theme: Theme) {
    let clock = now.strftime(" %H:%M:%S ").to_string();
    let block =
        panel(" Today ".into(), theme).title_top(Line::styled(clock, theme.dim()).right_aligned());
    let Some(live) = &shown.live else { return frame.render_widget(block, area) };
    let today = &live.today;
    let pair = |left: String, right: String| {
        Line::from(vec![Span::raw(format!(" {left:<16}")), Span::raw(right)])
    };
    let lines = vec![
        Line::from(vec![
            Span::styled(format!(" {:<16}", money(today.cost_usd)), theme.money()),
            Span::styled(format!("{} tokens", tokens(all_tokens(live))), theme.strong()),
        ]),
        Line::raw(format!(" {}", session_words(live))),
        pair(plural(today.prompts, "prompt"), plural(today.requests, "request")),
        match today.errors {
            0 => Line::styled(" no errors", theme.dim()),
            errors => Line::styled(format!(" {}", plural(errors, "error")), theme.bad()),
        },
    ];
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn plural(number: i64, what: &str) -> String {
    let grouped = count(number.unsigned_abs());
    if number == 1 { format!("{grouped} {what}") } else { format!("{grouped} {what}s") }
}

/// What each of the last minutes cost.
fn draw_course(frame: &mut Frame<'_>, area: Rect, shown: &Shown, theme: Theme) {
    let Some(live) = &shown.live else {
        return frame.render_widget(panel(" Last hour ".into(), theme), area);
    };
    let rate = format!(" {} an hour ", money(live.burn_usd_per_hour));
    let over = format!(" over {BURN_MINUTES} min ");
    let block = panel(" Last hour ".into(), theme)
        .title_top(Line::styled(rate, theme.strong()).right_aligned())
        .title_bottom(Line::styled(over, theme.dim()).right_aligned());
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let bars = bars(&live.course_usd, usize::from(inside.width));
    frame.render_widget(Sparkline::default().data(bars).style(theme.busy()), inside);
}

/// One bar a column: the newest minutes where there are fewer columns, each minute as wide as fits
/// where there are more.
fn bars(course_usd: &[f64], width: usize) -> Vec<u64> {
    const MICRO: f64 = 1e6;
    let minutes = course_usd.len().min(width);
    if minutes == 0 {
        return Vec::new();
    }
    let columns = width / minutes;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    course_usd[course_usd.len() - minutes..]
        .iter()
        .flat_map(|usd| std::iter::repeat_n((usd * MICRO).max(0.0) as u64, columns))
        .collect()
}

fn draw_agent(frame: &mut Frame<'_>, area: Rect, status: Option<&Status>, theme: Theme) {
    let block = panel(" Agent ".into(), theme);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let mut parts = agent_parts(status, theme);
    let lines_max = usize::from(inside.height);
    let hidden = parts.len().saturating_sub(lines_max);
    if hidden > 0 {
        parts.truncate(lines_max.saturating_sub(1));
        parts.push(vec![Span::styled(format!(" and {} more", hidden + 1), theme.dim())]);
    }
    let width = usize::from(inside.width);
    for (row, part) in inside.rows().zip(parts) {
        let mut line = Line::from(part);
        if !line.spans.first().is_some_and(|span| span.content.starts_with(' ')) {
            line.spans.insert(0, Span::raw(" "));
        }
        let mut left = width;
        for span in &mut line.spans {
            let shortened = cut(&span.content, left);
            left -= Span::raw(&*shortened).width();
            span.content = shortened.into();
        }
        frame.render_widget(line, row);
    }
}
