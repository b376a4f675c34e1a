//! The same questions, put to `ccotel report --json`, to the page's API, to Prometheus and to Loki, and
//! held against the truth.
//!
//! Each source is asked in its own way: the report by its rows, the page by its filters, Prometheus by
//! the recipe for a range, Loki by adding up its entries. What a source does not hold by design (Prometheus
//! no prompts, Loki no lines of code) is a `–` in the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::loki_rules::Entry;
use super::prometheus::Prometheus;
use super::{http, page::PageApi};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Cost,
    /// By the key of the report.
    Tokens(&'static str),
    LinesAdded,
    LinesRemoved,
    Commits,
    PullRequests,
    ActiveSeconds,
    Sessions,
    Prompts,
    Requests,
    Errors,
    ToolCalls,
    ToolFailures,
}

/// One question, and its true answer.
#[derive(Clone, Debug)]
pub struct Question {
    pub measure: Measure,
    /// Of everything, or of one value of a dimension: `("team", "payments")`.
    pub of: Option<(&'static str, String)>,
    pub truth: f64,
}

/// Everybody who is asked.
pub struct Sources<'a> {
    /// `ccotel report --json`, by this dimension, over the range.
    pub report: &'a dyn Fn(&str) -> Result<Value>,
    pub page: PageApi,
    /// Where the range begins, as the page understands it.
    pub since: String,
    /// With what tells the series apart from others': `instance="…"`, or nothing.
    pub prometheus: Vec<(&'a Prometheus, String)>,
    /// The recipe's window, which holds the whole range.
    pub window: &'static str,
    pub entries: Vec<Entry>,
}

impl Question {
    pub fn of_all(measure: Measure, truth: f64) -> Self {
        Self { measure, of: None, truth }
    }

    pub fn of(measure: Measure, by: &'static str, value: &str, truth: f64) -> Self {
        Self { measure, of: Some((by, value.to_owned())), truth }
    }

    fn words(&self) -> String {
        match &self.of {
            None => format!("{:?}", self.measure),
            Some((by, value)) => format!("{:?}, {by} {value}", self.measure),
        }
    }
}

/// Asks all of them, prints the table, and fails where one differs.
pub fn same_everywhere(title: &str, questions: &[Question], sources: &Sources) -> Result<()> {
    let mut table = format!("\n{title}\n");
    let mut wrong = Vec::new();
    let mut reports = BTreeMap::new();
    for question in questions {
        let report = of_report(question, sources, &mut reports)?;
        let page = of_page(question, sources)?;
        let mut answers = vec![("report", Some(report)), ("page", Some(page))];
        for (prometheus, selector) in &sources.prometheus {
            let query = recipe(question, selector, sources.window);
            let answer = query.map(|query| single(prometheus, &query)).transpose()?;
            answers.push(("Prometheus", answer));
        }
        answers.push(("Loki", of_loki(question, &sources.entries)?));
        table.push_str(&row(question, &answers));
        for (source, answer) in answers {
            if answer.is_some_and(|answer| settled(answer) != settled(question.truth)) {
                wrong.push(format!("{source}: {}", question.words()));
            }
        }
    }
    println!("{table}");
    ensure!(wrong.is_empty(), "another number from {wrong:#?}{table}");
    Ok(())
}

/// To a billionth, as a report has it.
fn settled(amount: f64) -> f64 {
    (amount * 1e9).round() / 1e9
}

fn row(question: &Question, answers: &[(&str, Option<f64>)]) -> String {
    let mut row = format!("{:<34} truth {:>16}", question.words(), settled(question.truth));
    for (source, answer) in answers {
        let answer = answer.map_or("–".to_owned(), |answer| settled(answer).to_string());
        let _ = write!(row, " | {source} {answer:>16}");
    }
    row + "\n"
}

fn of_report(
    question: &Question,
    sources: &Sources,
    reports: &mut BTreeMap<&'static str, Value>,
) -> Result<f64> {
    let by = match (&question.of, question.measure) {
        (Some((by, _)), _) => *by,
        (None, Measure::ToolCalls | Measure::ToolFailures) => "tool",
        (None, _) => "project",
    };
    if !reports.contains_key(by) {
        reports.insert(by, (sources.report)(by)?);
    }
    let report = &reports[by];
    let Some((by, value)) = &question.of else { return of_facts(question, &report["total"]) };
    let rows = report["rows"].as_array().with_context(|| report.to_string())?;
    let row = rows.iter().find(|row| row[*by] == value.as_str());
    of_facts(question, row.with_context(|| format!("no row of {by} {value}: {report}"))?)
}

fn of_page(question: &Question, sources: &Sources) -> Result<f64> {
    let mut parameters = vec![("since", sources.since.as_str())];
    let tool = match &question.of {
        Some(("tool", tool)) => Some(tool),
        Some((by, value)) => {
            parameters.push((by, value));
            None
        }
        None => None,
    };
    let key = match question.measure {
        Measure::ToolCalls => "calls",
        Measure::ToolFailures => "failures",
        _ => {
            let overview = sources.page.get("overview", &parameters)?;
            return of_facts(question, &overview["total"]);
        }
    };
    let tools = sources.page.get("tools", &parameters)?;
    let rows = tools["rows"].as_array().with_context(|| tools.to_string())?;
    let of_tool = |row: &&Value| tool.is_none_or(|tool| row["tool"] == tool.as_str());
    Ok(rows.iter().filter(of_tool).filter_map(|row| row[key].as_f64()).sum())
}

/// The facts of a row or a total: the report and the page name them alike.
fn of_facts(question: &Question, facts: &Value) -> Result<f64> {
    let value = match question.measure {
        Measure::Cost => &facts["cost_usd"],
        Measure::Tokens(kind) => &facts["tokens"][kind],
        Measure::LinesAdded => &facts["lines_added"],
        Measure::LinesRemoved => &facts["lines_removed"],
        Measure::Commits => &facts["commits"],
        Measure::PullRequests => &facts["pull_requests"],
        Measure::ActiveSeconds => &facts["active_seconds"],
        Measure::Sessions => &facts["sessions"],
        Measure::Prompts => &facts["prompts"],
        Measure::Requests => &facts["requests"],
        Measure::Errors => &facts["errors"],
        Measure::ToolCalls => &facts["tool_calls"],
        Measure::ToolFailures => &facts["tool_failures"],
    };
    value.as_f64().with_context(|| format!("no {:?} in {facts}", question.measure))
}

/// Exact for a range, whatever was idle or offline in it. `None` for what is not a counter.
fn recipe(question: &Question, selector: &str, window: &str) -> Option<String> {
    let (metric, kind) = match question.measure {
        Measure::Cost => ("claude_code_cost_usage_USD_total", None),
        Measure::Tokens(key) => ("claude_code_token_usage_tokens_total", Some(label_of(key))),
        Measure::LinesAdded => ("claude_code_lines_of_code_count_total", Some("added")),
        Measure::LinesRemoved => ("claude_code_lines_of_code_count_total", Some("removed")),
        Measure::Commits => ("claude_code_commit_count_total", None),
        Measure::PullRequests => ("claude_code_pull_request_count_total", None),
        Measure::ActiveSeconds => ("claude_code_active_time_seconds_total", None),
        _ => return None,
    };
    let mut matchers: Vec<String> = Vec::new();
    matchers.extend(Some(selector.to_owned()).filter(|selector| !selector.is_empty()));
    matchers.extend(kind.map(|kind| format!("type=\"{kind}\"")));
    matchers.extend(question.of.as_ref().map(|(by, value)| format!("{}=\"{value}\"", label(by))));
    let of = format!("{metric}{{{}}}", matchers.join(","));
    Some(format!(
        "sum(last_over_time({of}[{window}]) - \
         (last_over_time({of}[13h] offset {window}) or min_over_time({of}[{window}])))"
    ))
}

/// The label `type` of the counter, for the key of the report.
fn label_of(key: &str) -> &str {
    match key {
        "cache_read" => "cacheRead",
        "cache_creation" => "cacheCreation",
        same => same,
    }
}

fn label(by: &str) -> &str {
    if by == "user" { "user_email" } else { by }
}

/// A sum over nothing is 0.
fn single(prometheus: &Prometheus, query: &str) -> Result<f64> {
    Ok(prometheus.query(query)?.first().map_or(0.0, |row| row.value))
}

/// `None` for what only counters know.
fn of_loki(question: &Question, entries: &[Entry]) -> Result<Option<f64>> {
    let field = question.of.as_ref().map(|(by, value)| (field_of(by), value.as_str()));
    let asked_for =
        |entry: &&Entry| field.is_none_or(|(name, value)| entry.field(name) == Some(value));
    let named = |names: &'static [&'static str]| {
        entries.iter().filter(asked_for).filter(move |entry| {
            entry.field("event_name").is_some_and(|name| names.contains(&name))
        })
    };
    let sum = |name: &str| -> Result<f64> {
        named(&["api_request"]).try_fold(0.0, |sum, entry| {
            let text = entry.field(name).with_context(|| format!("no {name}: {entry:?}"))?;
            Ok(sum + text.parse::<f64>()?)
        })
    };
    Ok(Some(match question.measure {
        Measure::Cost => sum("cost_usd")?,
        Measure::Tokens(key) => sum(&format!("{key}_tokens"))?,
        Measure::Sessions => count(
            named(&["user_prompt", "api_request"])
                .filter_map(|entry| entry.field("session_id"))
                .collect::<BTreeSet<_>>()
                .len(),
        ),
        Measure::Prompts => count(named(&["user_prompt"]).count()),
        Measure::Requests => count(named(&["api_request"]).count()),
        Measure::Errors => count(named(&["api_error"]).count()),
        Measure::ToolCalls => count(named(&["tool_result"]).count()),
        Measure::ToolFailures => count(
            named(&["tool_result"]).filter(|entry| entry.field("success") == Some("false")).count(),
        ),
        _ => return Ok(None),
    }))
}

fn field_of(by: &'static str) -> &'static str {
    match by {
        "tool" => "tool_name",
        "user" => "user_email",
        same => same,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
fn count(count: usize) -> f64 {
    count as f64
}

/// Nothing of another origin, nothing without the token.
pub fn page_is_guarded(page: &PageApi) -> Result<()> {
    let (status, _) = http::get(&page.url("overview"), &[])?;
    ensure!(status == 401, "without a token: {status}");
    Ok(())
}
