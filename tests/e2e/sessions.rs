//! Sessions as people have them, and the same totals everywhere: fresh, resumed and two at once,
//! printed and in a terminal.

use anyhow::{Context, Result, ensure};

use crate::Case;
use crate::harness::claude::{
    self, HAIKU, PromptResult, SONNET, print_arguments, terminal_arguments,
};
use crate::harness::loki::Loki;
use crate::harness::mock_api::MockApi;
use crate::harness::programs::Program;
use crate::harness::prometheus::Prometheus;
use crate::harness::sandbox::Sandbox;
use crate::harness::script::Truth;
use crate::harness::{scenario, totals};

const NEEDS: &[Program] = &[Program::Claude, Program::Prometheus];

pub fn cases() -> Vec<Case> {
    let named = |name: &str, run: fn() -> Result<()>| {
        Case::new(format!("{name} [{}]", Loki::which()), NEEDS, run)
    };
    vec![
        named("a_printed_session_counts_the_same_everywhere", printed_fresh),
        named("a_resumed_printed_session_counts_the_same_everywhere", printed_resumed),
        named("two_printed_sessions_at_once_count_the_same_everywhere", printed_concurrent),
        named("a_terminal_session_counts_the_same_everywhere", terminal_fresh),
        named("a_resumed_terminal_session_counts_the_same_everywhere", terminal_resumed),
        named("two_terminal_sessions_at_once_count_the_same_everywhere", terminal_concurrent),
    ]
}

/// A sandbox whose agent forwards to both backends.
struct World {
    api: MockApi,
    prometheus: Prometheus,
    loki: Loki,
    // Last: its agent goes after what it sends to, and nothing waits for it.
    sandbox: Sandbox,
}

impl World {
    fn new() -> Result<Self> {
        let world = Self {
            api: MockApi::start(scenario::script()),
            prometheus: Prometheus::start()?,
            loki: Loki::start()?,
            sandbox: Sandbox::new()?,
        };
        world.sandbox.run(&["connect", "prometheus", &world.prometheus.write_url()])?;
        world.sandbox.run(&["connect", "loki", &world.loki.push_url()])?;
        Ok(world)
    }

    fn print(&self, model: &str, more: &[&str], prompts: &[&str]) -> Result<PromptResult> {
        let command = self.sandbox.claude(&self.api, &print_arguments(model, more));
        claude::session(command, prompts)
    }

    fn terminal(&self, model: &str, more: &[&str], prompts: &[&str]) -> Result<()> {
        let arguments = terminal_arguments(model, more, prompts[0]);
        let command = self.sandbox.claude(&self.api, &arguments);
        claude::terminal_session(command, &self.api, prompts)
    }

    /// The session that ran so far.
    fn session_id(&self) -> Result<String> {
        let sessions = self.api.sessions();
        ensure!(sessions.len() == 1, "{sessions:?}");
        sessions.into_iter().next().context("no session")
    }

    fn counts(&self, truth: &Truth) -> Result<()> {
        totals::report_says(&self.sandbox, truth).context("report")?;
        totals::prometheus_says(&self.sandbox, &self.prometheus, truth).context("Prometheus")?;
        totals::loki_says(&self.loki, truth).context("Loki")
    }
}

fn printed_fresh() -> Result<()> {
    let world = World::new()?;
    let result = world.print(SONNET, &[], &scenario::FRESH)?;
    let truth = world.api.truth();
    ensure!(truth == scenario::fresh_truth(), "{truth:#?}");
    scenario::check_cost(result.cost_usd, &truth).context("the CLI's own cost")?;
    world.counts(&truth)
}

/// By its id, in a new process, with another model.
fn printed_resumed() -> Result<()> {
    let world = World::new()?;
    let first = world.print(SONNET, &[], &scenario::FRESH)?;
    world.print(HAIKU, &["--resume", &first.session_id], &scenario::RESUMED)?;
    let mut truth = scenario::fresh_truth();
    truth.add(&scenario::resumed_truth());
    ensure!(world.api.truth() == truth, "{:#?}", world.api.truth());
    world.counts(&truth)
}

fn printed_concurrent() -> Result<()> {
    let world = World::new()?;
    at_once(|prompt| {
        let result = world.print(SONNET, &[], &[prompt])?;
        scenario::check_cost(result.cost_usd, &world.api.truth_of(&result.session_id))
    })?;
    let truth = world.api.truth();
    ensure!(truth.prompts == 2 && truth.tool_results() == 2, "{truth:#?}");
    world.counts(&truth)
}

fn terminal_fresh() -> Result<()> {
    let world = World::new()?;
    world.terminal(SONNET, &[], &scenario::TERMINAL)?;
    let truth = world.api.truth();
    ensure!(truth.prompts == 2 && truth.tool_results() == 1, "{truth:#?}");
    world.counts(&truth)
}

fn terminal_resumed() -> Result<()> {
    let world = World::new()?;
    world.terminal(SONNET, &[], &scenario::TERMINAL)?;
    let session = world.session_id()?;
    world.terminal(HAIKU, &["--resume", &session], &scenario::CONCURRENT[..1])?;
    let truth = world.api.truth();
    ensure!(world.session_id()? == session, "resumed under another id");
    ensure!(truth.prompts == 3 && truth.tool_results() == 2, "{truth:#?}");
    world.counts(&truth)
}

fn terminal_concurrent() -> Result<()> {
    let world = World::new()?;
    at_once(|prompt| world.terminal(SONNET, &[], &[prompt]))?;
    let truth = world.api.truth();
    ensure!(truth.prompts == 2 && truth.tool_results() == 2, "{truth:#?}");
    world.counts(&truth)
}

/// Two sessions side by side, one prompt each.
fn at_once(session: impl Fn(&str) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let running = scenario::CONCURRENT.map(|prompt| scope.spawn(|| session(prompt)));
        running.into_iter().try_for_each(|thread| thread.join().expect("it returns its errors"))
    })
}
