//! Ten questions and more, put to the report, the page, Prometheus and Loki after real sessions.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Case;
use crate::harness::claude::{self, HAIKU, SONNET, print_arguments};
use crate::harness::loki::Loki;
use crate::harness::mock_api::MockApi;
use crate::harness::page::PageApi;
use crate::harness::programs::Program;
use crate::harness::prometheus::Prometheus;
use crate::harness::questions::{self, Measure, Question, Sources};
use crate::harness::sandbox::{PROJECT, Sandbox, TEAM};
use crate::harness::script::{ToolRuns, Truth};
use crate::harness::{scenario, totals};

/// What the script writes and edits, counted by hand as Claude Code counts: what follows the last end of
/// line is a line, too.
const LINES: (f64, f64) = (4.0, 1.0);

/// No test takes as long.
const SINCE: &str = "1d";
const WINDOW: &str = "30m";

pub fn cases() -> Vec<Case> {
    let name = format!("ten_questions_to_real_sessions_have_one_answer [{}]", Loki::which());
    vec![Case::new(name, &[Program::Claude, Program::Prometheus], one_answer)]
}

fn one_answer() -> Result<()> {
    let (prometheus, loki) = (Prometheus::start()?, Loki::start()?);
    let (api, sandbox) = (MockApi::start(scenario::script()), Sandbox::new()?);
    sandbox.run(&["connect", "prometheus", &prometheus.write_url()])?;
    sandbox.run(&["connect", "loki", &loki.push_url()])?;
    for (model, prompts) in [(SONNET, &scenario::FRESH[..]), (HAIKU, &scenario::CONCURRENT[..1])] {
        claude::session(sandbox.claude(&api, &print_arguments(model, &[])), prompts)?;
    }
    let truth = api.truth();
    let sessions = api.sessions().len();
    ensure!(sessions == 2, "{sessions} sessions");
    // Until it has arrived everywhere.
    totals::report_says(&sandbox, &truth).context("report")?;
    totals::prometheus_says(&sandbox, &prometheus, &truth).context("Prometheus")?;
    totals::loki_says(&loki, &truth).context("Loki")?;

    let page = PageApi::of_file(sandbox.run(&["open", "--no-browser"])?.trim().as_ref())?;
    questions::page_is_guarded(&page)?;
    let report = |by: &str| -> Result<Value> {
        sandbox.json(&["report", "--json", "--since", SINCE, "--by", by])
    };
    let sources = Sources {
        report: &report,
        page,
        since: SINCE.to_owned(),
        prometheus: vec![(&prometheus, String::new())],
        window: WINDOW,
        entries: loki.entries(&[("team", TEAM)])?,
    };
    let asked = asked(&truth, sessions)?;
    questions::same_everywhere("Two sessions of Claude Code", &asked, &sources)
}

#[expect(clippy::cast_precision_loss, reason = "scripted counts are small")]
fn asked(truth: &Truth, sessions: usize) -> Result<Vec<Question>> {
    let cost_usd = scenario::cost_usd(truth)?;
    let tokens = truth.tokens_total();
    let mut questions: Vec<Question> = [
        (Measure::Cost, cost_usd),
        (Measure::Tokens("input"), tokens.input as f64),
        (Measure::Tokens("output"), tokens.output as f64),
        (Measure::Tokens("cache_read"), tokens.cache_read as f64),
        (Measure::Tokens("cache_creation"), tokens.cache_creation as f64),
        (Measure::LinesAdded, LINES.0),
        (Measure::LinesRemoved, LINES.1),
        (Measure::Commits, truth.commits as f64),
        (Measure::PullRequests, 0.0),
        (Measure::Sessions, sessions as f64),
        (Measure::Prompts, truth.prompts as f64),
        (Measure::Requests, truth.requests_total() as f64),
        (Measure::Errors, truth.refused as f64),
    ]
    .map(|(measure, truth)| Question::of_all(measure, truth))
    .into();
    for (by, value) in [("project", PROJECT), ("team", TEAM)] {
        questions.push(Question::of(Measure::Cost, by, value, cost_usd));
    }
    for (model, usage) in &truth.tokens {
        let only = Truth { tokens: [(model.clone(), *usage)].into(), ..Truth::default() };
        questions.push(Question::of(Measure::Cost, "model", model, scenario::cost_usd(&only)?));
        let output = usage.output as f64;
        questions.push(Question::of(Measure::Tokens("output"), "model", model, output));
    }
    for (tool, ToolRuns { succeeded, failed }) in &truth.tools {
        let calls = (succeeded + failed) as f64;
        questions.push(Question::of(Measure::ToolCalls, "tool", tool, calls));
        questions.push(Question::of(Measure::ToolFailures, "tool", tool, *failed as f64));
    }
    Ok(questions)
}
