//! An answer as a table, in Markdown's form: readable in a terminal, and pasted into an issue or a
//! chat it is a table there.
//!
//! Where a terminal is too narrow, the columns most wanted that fit are shown, those that hold
//! something first, and a line below names the others.

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};

use super::groups::Key;
use super::json::{UNATTRIBUTED, whole};
use super::question::{Dimension, Question};
use super::row::{Answer, Facts};
use super::summary::{Summary, change, spark};
use super::time::Unit;

/// Longest key shown, in characters. Branch names can be longer than any terminal.
const KEY_CHARS_MAX: usize = 40;

/// Where the table goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal; `None` where there is no limit.
    pub width: Option<usize>,
    pub colour: bool,
    /// Whether the reader's locale has the marks of a spark line.
    pub marks: bool,
}

/// A column of facts, in the order shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Cost,
    Input,
    Output,
    CacheRead,
    CacheWrite,
    Sessions,
    Prompts,
    Requests,
    Errors,
    Active,
    Lines,
    Commits,
    PullRequests,
    ToolCalls,
    ToolFailures,
    ToolRejections,
}

const COLUMNS: [Column; 16] = [
    Column::Cost,
    Column::Input,
    Column::Output,
    Column::CacheRead,
    Column::CacheWrite,
    Column::Sessions,
    Column::Prompts,
    Column::Requests,
    Column::Errors,
    Column::Active,
    Column::Lines,
    Column::Commits,
    Column::PullRequests,
    Column::ToolCalls,
    Column::ToolFailures,
    Column::ToolRejections,
];

/// What a narrow terminal shows, most wanted first.
const WANTED: [Column; 16] = [
    Column::Cost,
    Column::ToolCalls,
    Column::ToolFailures,
    Column::ToolRejections,
    Column::Output,
    Column::Sessions,
    Column::Input,
    Column::Active,
    Column::Lines,
    Column::Commits,
    Column::PullRequests,
    Column::CacheRead,
    Column::CacheWrite,
    Column::Requests,
    Column::Prompts,
    Column::Errors,
];

/// The table, a totals row, and what to know about it; each line ends with a newline.
pub fn text(question: &Question, answer: &Answer, summary: &Summary, look: Look) -> String {
    let all: Vec<Column> = COLUMNS
        .into_iter()
        .filter(|column| {
            question.by.have_tool()
                || !matches!(
                    column,
                    Column::ToolCalls | Column::ToolFailures | Column::ToolRejections
                )
        })
        .collect();
    let shown = match look.width {
        Some(width) => fitting(question, answer, &all, width),
        None => all.clone(),
    };
    let mut text = String::new();
    for line in table(question, answer, &shown, look).lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let hidden: Vec<&str> =
        all.iter().filter(|column| !shown.contains(column)).map(|column| column.head()).collect();
    for line in notes(question, answer, summary, &hidden, look) {
        // Broken between words, where the terminal would break them anywhere.
        text.push_str(
            &look.width.map_or_else(|| line.clone(), |width| textwrap::fill(&line, width)),
        );
        text.push('\n');
    }
    text
}

/// The columns that fit: the cost always, then the most wanted, those that hold something first.
fn fitting(question: &Question, answer: &Answer, all: &[Column], width: usize) -> Vec<Column> {
    let plain = Look { width: None, colour: false, marks: false };
    let table = table(question, answer, all, plain);
    // Each column has a bar and a space on both sides; one bar closes the line.
    let widths: Vec<usize> =
        table.column_max_content_widths().into_iter().map(|width| usize::from(width) + 3).collect();
    let keys = question.by.as_slice().len();
    let mut taken = 1 + widths.iter().take(keys).sum::<usize>();
    let (blank, full): (Vec<Column>, Vec<Column>) =
        WANTED.into_iter().partition(|column| column.is_blank(answer));
    let mut shown = Vec::new();
    for column in full.into_iter().chain(blank) {
        let Some(index) = all.iter().position(|one| *one == column) else { continue };
        if taken + widths[keys + index] <= width || column == Column::Cost {
            taken += widths[keys + index];
            shown.push(column);
        }
    }
    shown.sort_by_key(|column| all.iter().position(|one| one == column));
    shown
}

/// What to say where nothing was recorded.
pub fn nothing(question: &Question) -> String {
    let (period, filters) = (period(question), filter_words(question));
    let advice = match question.filters.first() {
        Some(filter) => {
            format!("`ccotel report --by {}` shows what there is.", argument(&filter.dimension))
        }
        None => "Start a session with `ccotel claude`, or look further back with `--since`.".into(),
    };
    format!("Nothing recorded from {period}{filters}.\n{advice}\n")
}

/// The dimension as `--by` takes it.
fn argument(dimension: &Dimension) -> String {
    match dimension {
        Dimension::Tag { name, .. } if !["project", "team", "sender"].contains(&name.as_str()) => {
            format!("tag:{name}")
        }
        _ => dimension.key().to_owned(),
    }
}

fn table(question: &Question, answer: &Answer, columns: &[Column], look: Look) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_content_arrangement(ContentArrangement::Disabled);
    if look.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let bold = |cell: Cell| if look.colour { cell.add_attribute(Attribute::Bold) } else { cell };
    let names = question.by.as_slice().iter().map(|dimension| bold(Cell::new(dimension.key())));
    let heads = columns.iter().map(|column| bold(number(column.head().to_owned())));
    table.set_header(names.chain(heads).collect::<Vec<_>>());
    for row in &answer.rows {
        let keys = question
            .by
            .as_slice()
            .iter()
            .zip(&row.keys)
            .map(|(by, key)| Cell::new(key_text(by, key)));
        let facts = columns.iter().map(|column| number(column.value(&row.facts)));
        table.add_row(keys.chain(facts).collect::<Vec<_>>());
    }
    let keys = (0..question.by.as_slice().len())
        .map(|index| bold(Cell::new(if index == 0 { "total" } else { "" })));
    let facts = columns.iter().map(|column| bold(number(column.value(&answer.total))));
    table.add_row(keys.chain(facts).collect::<Vec<_>>());
    table
}

pub fn number(text: String) -> Cell {
    Cell::new_owned(text).set_alignment(CellAlignment::Right)
}

fn key_text(dimension: &Dimension, key: &Key) -> String {
    match (dimension, key) {
        // The offset tells the two hours of one name apart; the year is in the line below.
        (Dimension::Time(Unit::Hour), Key::Value(value)) => {
            let (time, offset) = value.split_at(value.len().min(16));
            format!("{} {}", time.replacen('T', " ", 1), offset.get(3..).unwrap_or_default())
        }
        (_, Key::Value(value)) => shown(value),
        (_, Key::Unset) => "(none)".to_owned(),
        (_, Key::Unattributed) => UNATTRIBUTED.to_owned(),
    }
}

/// A value from outside, as a terminal may see it: cut, no control characters, no column of its own.
pub fn shown(value: &str) -> String {
    let clean = value.chars().map(|letter| match letter {
        '|' => '¦',
        letter if letter.is_control() => '�',
        letter => letter,
    });
    let mut cut: String = clean.clone().take(KEY_CHARS_MAX).collect();
    if clean.count() > KEY_CHARS_MAX {
        cut.pop();
        cut.push('…');
    }
    cut
}

fn notes(
    question: &Question,
    answer: &Answer,
    summary: &Summary,
    hidden: &[&str],
    look: Look,
) -> Vec<String> {
    let mut notes = vec![String::new(), scope(question, summary)];
    if let Some((previous, before)) = &summary.previous {
        notes.push(compared(&answer.total, before, &previous.words));
    }
    if let Some((unit, costs)) = summary.course.as_ref().filter(|_| look.marks) {
        let most = costs.iter().copied().fold(0.0, f64::max);
        let unit = unit_word(*unit);
        notes.push(format!("Cost by {unit}: {} (at most {})", spark(costs), money(most)));
    }
    if answer.imported.requests > 0 {
        notes.push(format!(
            "Imported from transcripts: {} of the cost, {} of the requests.",
            money(answer.imported.cost_usd),
            answer.imported.requests
        ));
    }
    if answer.total.unpriced_requests > 0 {
        notes.push(format!(
            "Not in the cost, since their models have no known price: {} of the requests.",
            answer.total.unpriced_requests
        ));
    }
    if answer.of_events_only {
        notes.push(
            "Counters do not know this filter: cost and tokens are what events say; lines, commits, \
             PRs and active time are not known."
                .to_owned(),
        );
    }
    let unattributed = answer.rows.iter().any(|row| row.keys.contains(&Key::Unattributed));
    if unattributed {
        notes.push(format!("{UNATTRIBUTED}: counted, but explained by no event with that detail."));
    }
    if !hidden.is_empty() {
        notes.push(format!("For want of width, not shown: {}.", hidden.join(", ")));
    }
    notes
}

/// The range, the filters, and what kind of money it is.
fn scope(question: &Question, summary: &Summary) -> String {
    let filters = filter_words(question);
    let money = if summary.signed_in {
        "Cost: list-price equivalent, which a Claude subscription may cover"
    } else {
        "Cost: list prices"
    };
    format!("{}{filters}. {money}.", period(question))
}

/// `, only project=checkout`, or nothing.
fn filter_words(question: &Question) -> String {
    let words: Vec<String> = question
        .filters
        .iter()
        .map(|filter| {
            let value = filter.value.as_deref().map_or_else(|| "(none)".to_owned(), shown);
            format!("{}={value}", filter.dimension.key())
        })
        .collect();
    if words.is_empty() { String::new() } else { format!(", only {}", words.join(" ")) }
}

fn compared(now: &Facts, before: &Facts, words: &str) -> String {
    let total = money(now.cost_usd);
    match change(now.cost_usd, before.cost_usd) {
        Some(change) => format!("{total}, {change} {words} ({}).", money(before.cost_usd)),
        None => format!("{total}; nothing in {words}."),
    }
}

fn unit_word(unit: Unit) -> &'static str {
    match unit {
        Unit::Hour => "hour",
        Unit::Day => "day",
        Unit::Week => "week",
        Unit::Month => "month",
    }
}

fn period(question: &Question) -> String {
    let clock = &question.clock;
    let at = |minute| clock.zoned(minute).strftime("%Y-%m-%d %H:%M").to_string();
    format!("{} to {}, {}", at(question.range.start), at(question.range.end), clock.zone_name())
}

impl Column {
    fn head(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheRead => "cache read",
            Self::CacheWrite => "cache write",
            Self::Sessions => "sessions",
            Self::Prompts => "prompts",
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::Active => "active",
            Self::Lines => "lines",
            Self::Commits => "commits",
            Self::PullRequests => "PRs",
            Self::ToolCalls => "calls",
            Self::ToolFailures => "failed",
            Self::ToolRejections => "refused",
        }
    }

    fn value(self, facts: &Facts) -> String {
        match self {
            Self::Cost => money(facts.cost_usd),
            Self::Input => tokens(facts.tokens.input),
            Self::Output => tokens(facts.tokens.output),
            Self::CacheRead => tokens(facts.tokens.cache_read),
            Self::CacheWrite => tokens(facts.tokens.cache_creation),
            Self::Sessions => facts.sessions.to_string(),
            Self::Prompts => facts.prompts.to_string(),
            Self::Requests => facts.requests.to_string(),
            Self::Errors => facts.errors.to_string(),
            Self::Active => duration(facts.active_seconds),
            Self::Lines => {
                format!("+{} -{}", whole(facts.lines_added), whole(facts.lines_removed))
            }
            Self::Commits => whole(facts.commits).to_string(),
            Self::PullRequests => whole(facts.pull_requests).to_string(),
            Self::ToolCalls => facts.tool_calls.to_string(),
            Self::ToolFailures => facts.tool_failures.to_string(),
            Self::ToolRejections => facts.tool_rejections.to_string(),
        }
    }

    fn is_blank(self, answer: &Answer) -> bool {
        let nothing = self.value(&Facts::default());
        self.value(&answer.total) == nothing
            && answer.rows.iter().all(|row| self.value(&row.facts) == nothing)
    }
}

/// Dollars to the cent; below a cent with the first two digits that are not 0.
pub fn money(usd: f64) -> String {
    let sign = if usd < 0.0 { "-" } else { "" };
    let amount = usd.abs();
    if amount == 0.0 {
        return "$0.00".to_owned();
    }
    if amount >= 0.01 {
        return format!("{sign}${}", grouped(&format!("{amount:.2}")));
    }
    let mut decimals = 4;
    while decimals < 9 && amount < 10_f64.powi(1 - decimals) {
        decimals += 1;
    }
    let decimals = usize::try_from(decimals).unwrap_or(9);
    format!("{sign}${amount:.decimals$}")
}

/// Thousands set apart: `12,345.67`.
fn grouped(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// Three digits that count: `999`, `12.3k`, `4.56M`.
pub fn tokens(count: f64) -> String {
    let mut amount = count.round();
    if amount.abs() < 1000.0 {
        return format!("{amount:.0}");
    }
    let mut unit = "";
    for next in ["k", "M", "G", "T"] {
        // 999.5 would be rounded to 1000.
        if amount.abs() < 999.5 {
            break;
        }
        amount /= 1000.0;
        unit = next;
    }
    let decimals = match amount.abs() {
        amount if amount < 9.995 => 2,
        amount if amount < 99.95 => 1,
        _ => 0,
    };
    format!("{amount:.decimals$}{unit}")
}

/// `0s`, `45s`, `12m`, `3h 05m`.
pub fn duration(seconds: f64) -> String {
    let seconds = whole(seconds);
    match seconds.abs() {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        _ => format!("{}h {:02}m", seconds / 3600, (seconds / 60 % 60).abs()),
    }
}

#[cfg(test)]
mod tests;
