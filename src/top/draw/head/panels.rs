//! The head as panels, where there is room: the day, its last hour, and the agent.

use jiff::Zoned;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline};

use super::super::super::shown::Shown;
use super::super::{Theme, cut};
use super::{agent_parts, all_tokens, session_words};
use crate::cli::status::screen::count;
use crate::report::live::BURN_MINUTES;
use crate::report::table::{money, tokens};

pub fn draw(frame: &mut Frame<'_>, area: Rect, shown: &Shown, now: &Zoned, theme: Theme) {
    let widths = [Constraint::Length(34), Constraint::Fill(1), Constraint::Fill(1)];
    let [today, course, agent] = Layout::horizontal(widths).spacing(1).areas(area);
    draw_today(frame, today, shown, now, theme);
    draw_course(frame, course, shown, theme);
    draw_agent(frame, agent, shown, theme);
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

fn draw_agent(frame: &mut Frame<'_>, area: Rect, shown: &Shown, theme: Theme) {
    let block = panel(" Agent ".into(), theme);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let mut parts = agent_parts(shown, theme);
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
