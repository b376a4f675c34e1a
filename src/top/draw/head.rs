//! The head: what today cost and how fast it goes, and how the agent is doing.

mod panels;

use jiff::Zoned;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::shown::Shown;
use super::{Theme, fitting};
use crate::agent::status::Status;
use crate::budget::Level;
use crate::cli::status::screen::{Destination, count, destinations, seconds_words};
use crate::config::problem::printable;
use crate::report::live::Live;
use crate::report::table::{money, tokens};

/// Lines of the panels: a border, four lines, a border.
pub const PANEL_LINES: u16 = 6;

/// A backlog that is older than this is told, though the destination is in order.
const WAITING_SECONDS: f64 = 60.0;

type Part = Vec<Span<'static>>;

pub fn draw(frame: &mut Frame<'_>, area: Rect, shown: &Shown, now: &Zoned, theme: Theme) {
    if area.height >= PANEL_LINES {
        return panels::draw(frame, Rect { height: PANEL_LINES, ..area }, shown, now, theme);
    }
    let clock = now.strftime("%H:%M:%S").to_string();
    let room = area.width.saturating_sub(10);
    let mut lines = vec![fitting(money_parts(shown, theme), room)];
    if area.height >= 2 {
        lines.push(fitting(agent_parts(shown, theme), area.width));
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
fn agent_parts(shown: &Shown, theme: Theme) -> Vec<Part> {
    let Some(status) = &shown.status else {
        return vec![vec![Span::styled(" asking the agent …", theme.dim())]];
    };
    let mut parts = vec![agent(status, theme)];
    parts.extend(budget(status, theme));
    parts.extend(limits(status, theme));
    parts.extend(warnings(status, theme));
    if shown.imports_damaged {
        let words = "imported.db is damaged: remove it and `ccotel import` again";
        parts.push(vec![Span::styled(words, theme.warning())]);
    }
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

/// The one that is closest to its end: `ccotel status` has them all.
fn budget(status: &Status, theme: Theme) -> Option<Part> {
    let closest =
        status.budgets.iter().max_by(|one, other| one.share().total_cmp(&other.share()))?;
    let style = match closest.level() {
        Level::Fine => theme.plain(),
        Level::Near => theme.warning(),
        Level::Over => theme.bad(),
    };
    let percent = closest.percent();
    let of = money(closest.budget_usd);
    Some(vec![
        Span::styled("budget ", theme.dim()),
        Span::styled(format!("{percent} % of {of} {}", printable(&closest.name())), style),
    ])
}

fn limits(status: &Status, theme: Theme) -> Option<Part> {
    let short = |window: &str| if window == "five_hour" { "5 h" } else { "7 d" };
    let mut part = Part::new();
    for (window, limit) in &status.rate_limits.0 {
        let style = if limit.used_percent >= 80.0 { theme.warning() } else { theme.plain() };
        let gap = if part.is_empty() { "" } else { "  " };
        part.push(Span::styled(format!("{gap}{} ", short(window)), theme.dim()));
        part.push(Span::styled(format!("{} %", limit.used_percent.floor()), style));
    }
    (!part.is_empty()).then_some(part)
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
    let mut part = vec![
        Span::raw(format!("{} ", printable(&destination.name))),
        Span::styled(printable(word), style),
    ];
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
