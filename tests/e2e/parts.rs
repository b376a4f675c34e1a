//! The parts by themselves: a test that leans on them leans on something.

use anyhow::{Result, ensure};

use crate::Case;
use crate::harness::claude::{self, HAIKU, SONNET, print_arguments};
use crate::harness::mock_api::MockApi;
use crate::harness::programs::Program;
use crate::harness::prometheus::Prometheus;
use crate::harness::sandbox::Sandbox;
use crate::harness::scenario;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("claude_code_agrees_with_the_mock", &[Program::Claude], claude_agrees),
        Case::new("claude_code_agrees_with_the_mock_in_a_terminal", &[Program::Claude], terminal),
        Case::new("prometheus_starts_again_where_it_was", &[Program::Prometheus], prometheus),
    ]
}

/// The CLI's own sums, without ccotel, are the mock's.
fn claude_agrees() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let api = MockApi::start(scenario::script());
    let command = sandbox.bare_claude(&api, &print_arguments(SONNET, &[]))?;
    let first = claude::session(command, &scenario::FRESH)?;
    let truth = api.truth_of(&first.session_id);
    ensure!(truth == scenario::fresh_truth(), "{truth:#?}\n{:#?}", api.log());
    scenario::check_cli_usage(&first.usage, &truth)?;
    scenario::check_cost(first.cost_usd, &truth)?;

    let resume = print_arguments(HAIKU, &["--resume", &first.session_id]);
    let second = claude::session(sandbox.bare_claude(&api, &resume)?, &scenario::RESUMED)?;
    ensure!(second.session_id == first.session_id, "resumed as {}", second.session_id);
    let mut both = scenario::fresh_truth();
    both.add(&scenario::resumed_truth());
    ensure!(api.truth() == both, "{:#?}\n{:#?}", api.truth(), api.log());
    Ok(())
}

fn terminal() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let api = MockApi::start(scenario::script());
    let command = sandbox.bare_claude(&api, &scenario::terminal_arguments(SONNET))?;
    let code = claude::terminal_session(command, &scenario::TERMINAL[1..], |prompts| {
        scenario::served(&api, prompts)
    })?;
    ensure!(code == 0, "claude ended with {code}");
    let truth = api.truth();
    ensure!(truth.prompts == 2 && truth.tool_results() == 1, "{truth:#?}\n{:#?}", api.log());
    Ok(())
}

fn prometheus() -> Result<()> {
    let mut prometheus = Prometheus::start()?;
    prometheus.stop();
    prometheus.start_again()?;
    let rows = prometheus.query("vector(42)")?;
    ensure!(rows.len() == 1 && (rows[0].value - 42.0).abs() < f64::EPSILON, "{rows:?}");
    Ok(())
}
