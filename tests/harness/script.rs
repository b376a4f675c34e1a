//! What the mock of the Messages API answers, and what it keeps as the truth.
//!
//! A script maps the exact text of a prompt to the model's turns: each tool call is a turn, and so
//! is the text that ends them. The mock finds its place in it by the conversation that each request
//! carries, so sessions may run side by side, be resumed, and be cut off. A prompt's text must be
//! unique within one session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokio::sync::Semaphore;

/// Tokens of one request, by type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_creation: u64,
}

impl Usage {
    pub const fn new(input: u64, output: u64, cache_read: u64, cache_creation: u64) -> Self {
        Self { input, output, cache_read, cache_creation }
    }

    pub fn add(&mut self, other: Self) {
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.cache_creation += other.cache_creation;
    }

    /// By the name of the counter's `type` label.
    pub fn by_type(&self) -> [(&'static str, u64); 4] {
        [
            ("input", self.input),
            ("output", self.output),
            ("cacheRead", self.cache_read),
            ("cacheCreation", self.cache_creation),
        ]
    }
}

/// What one request of a prompt is answered with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Ends the prompt.
    Text(String),
    /// Claude Code runs it and comes back with the result.
    Tool { name: &'static str, input: Value },
    /// 400 `invalid_request_error`: Claude Code gives the prompt up.
    BadRequest,
    /// 529 `overloaded_error`, however often it is asked.
    Overloaded,
    /// The model says no: `stop_reason` is `refusal`.
    Refusal,
}

#[derive(Clone, Debug)]
pub struct Turn {
    pub reply: Reply,
    pub usage: Usage,
    /// The first attempt is answered with 529, which Claude Code retries.
    pub overloaded_once: bool,
    /// The answer waits until the test opens this.
    pub gate: Option<Gate>,
}

impl Turn {
    pub fn text(text: &str, usage: Usage) -> Self {
        Self::with(Reply::Text(text.into()), usage)
    }

    pub fn tool(name: &'static str, input: Value, usage: Usage) -> Self {
        Self::with(Reply::Tool { name, input }, usage)
    }

    pub fn bash(command: &str, usage: Usage) -> Self {
        let input = serde_json::json!({ "command": command, "description": "scripted" });
        Self::tool("Bash", input, usage)
    }

    pub fn bad_request() -> Self {
        Self::with(Reply::BadRequest, Usage::default())
    }

    pub fn overloaded() -> Self {
        Self::with(Reply::Overloaded, Usage::default())
    }

    pub fn refusal(usage: Usage) -> Self {
        Self::with(Reply::Refusal, usage)
    }

    fn with(reply: Reply, usage: Usage) -> Self {
        Self { reply, usage, overloaded_once: false, gate: None }
    }

    #[must_use]
    pub fn overloaded_once(mut self) -> Self {
        self.overloaded_once = true;
        self
    }

    #[must_use]
    pub fn held_by(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }
}

/// Holds an answer back, so that a test can act in the middle of a session without waiting by time.
#[derive(Clone, Debug)]
pub struct Gate {
    permits: Arc<Semaphore>,
    reached: Arc<AtomicU32>,
}

impl Gate {
    pub fn closed() -> Self {
        Self { permits: Arc::new(Semaphore::new(0)), reached: Arc::default() }
    }

    /// Lets one request through.
    pub fn open(&self) {
        self.permits.add_permits(1);
    }

    /// Requests that have come this far.
    pub fn reached(&self) -> u32 {
        self.reached.load(Ordering::SeqCst)
    }

    pub async fn pass(&self) {
        self.reached.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.expect("never closed").forget();
    }
}

/// Prompts and their turns.
#[derive(Clone, Debug, Default)]
pub struct Script(pub BTreeMap<String, Vec<Turn>>);

impl Script {
    #[must_use]
    pub fn prompt(mut self, text: &str, turns: impl IntoIterator<Item = Turn>) -> Self {
        let previous = self.0.insert(text.into(), turns.into_iter().collect());
        assert!(previous.is_none(), "the prompt {text:?} is scripted twice");
        self
    }
}

/// How often a tool was run, and came back with an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolRuns {
    pub succeeded: u64,
    pub failed: u64,
}

/// What really happened, as the API saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Of every answered request, auxiliary ones included, by the model it asked for.
    pub tokens: BTreeMap<String, Usage>,
    pub requests: BTreeMap<String, u64>,
    /// Prompts that reached the API.
    pub prompts: u64,
    pub tools: BTreeMap<String, ToolRuns>,
    pub commits: u64,
    /// 529s, each retried with success.
    pub overloaded: u64,
    /// 400s.
    pub refused: u64,
}

impl Truth {
    pub fn add(&mut self, other: &Self) {
        for (model, usage) in &other.tokens {
            self.tokens.entry(model.clone()).or_default().add(*usage);
        }
        for (model, requests) in &other.requests {
            *self.requests.entry(model.clone()).or_default() += requests;
        }
        for (tool, runs) in &other.tools {
            let sum = self.tools.entry(tool.clone()).or_default();
            sum.succeeded += runs.succeeded;
            sum.failed += runs.failed;
        }
        self.prompts += other.prompts;
        self.commits += other.commits;
        self.overloaded += other.overloaded;
        self.refused += other.refused;
    }

    pub fn tokens_total(&self) -> Usage {
        let mut total = Usage::default();
        self.tokens.values().for_each(|usage| total.add(*usage));
        total
    }

    pub fn requests_total(&self) -> u64 {
        self.requests.values().sum()
    }

    pub fn tool_results(&self) -> u64 {
        self.tools.values().map(|runs| runs.succeeded + runs.failed).sum()
    }
}
