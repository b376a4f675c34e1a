//! An entry of a story as a line.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::table::short_model;
use super::super::{Theme, cut};
use crate::config::problem::printable;
use crate::report::story::{Entry, Request, What};
use crate::report::table::{duration, money, tokens};

/// From this width on, a line says both how long it took and what it cost.
const WIDE_FROM: u16 = 60;
/// From this width on, a request says its tokens, too.
const TOKENS_FROM: u16 = 70;

/// What happened, on the left; how long it took and what it cost, on the right.
struct Told {
    what: String,
    style: Style,
    more: String,
    duration_ms: Option<i64>,
    cost_usd: Option<f64>,
}

pub fn line(entry: &Entry, width: u16, zone: &TimeZone, theme: Theme) -> Line<'static> {
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
    Told { what: printable(&what), style, more: printable(&more), duration_ms, cost_usd }
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
