//! What happens in a session, in the terms of who works in it: neither OTLP nor a report.

use super::models::{Model, Running, Tokens};

#[derive(Clone, Debug)]
pub struct Happening {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// The process is up: `session.count`, and no event.
    Started,
    Prompt {
        length: u32,
        command: Option<&'static str>,
    },
    Request(Request),
    Response {
        length: u32,
        model: Model,
        source: Source,
        request: u64,
    },
    /// A request that got no answer, after so many attempts.
    Failure(Failure),
    Decision(Decision),
    ToolEnded(ToolEnded),
    Lines {
        running: Running,
        added: u32,
        removed: u32,
    },
    Commit,
    PullRequest,
    Active {
        by: ActiveBy,
        /// Eighths of a second.
        eighths: u32,
    },
    Compaction {
        tokens_before: u64,
        tokens_after: u64,
        duration_ms: u32,
    },
    SubagentDone {
        agent: &'static str,
        model: Model,
        tokens: u64,
        tools: u32,
        duration_ms: i64,
    },
}

#[derive(Clone, Debug)]
pub struct Request {
    pub id: u64,
    pub running: Running,
    pub source: Source,
    pub tokens: Tokens<u64>,
    pub cost_usd: f64,
    pub duration_ms: u32,
    pub first_token_ms: u32,
    /// The skill that it was made for.
    pub skill: Option<&'static str>,
    /// It works on what an MCP server answered.
    pub is_of_mcp: bool,
}

/// Who asked the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Main,
    Title,
    Compact,
    Agent(&'static str),
}

impl Source {
    /// As events have it.
    pub fn of_events(self) -> String {
        match self {
            Self::Main => "repl_main_thread".to_owned(),
            Self::Title => "generate_session_title".to_owned(),
            Self::Compact => "compact".to_owned(),
            Self::Agent("custom") => "agent:custom".to_owned(),
            Self::Agent(name) => format!("agent:builtin:{name}"),
        }
    }

    /// As metrics have it.
    pub fn of_metrics(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Agent(_) => "subagent",
            Self::Title | Self::Compact => "auxiliary",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub id: u64,
    pub running: Running,
    pub status: u16,
    pub words: &'static str,
    pub attempts: u32,
    pub duration_ms: u32,
    pub retried_ms: u32,
}

#[derive(Clone, Debug)]
pub struct Decision {
    pub call: u64,
    pub tool: &'static str,
    pub accepted: bool,
    pub source: &'static str,
    /// Of the file that an editing tool changes.
    pub language: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub struct ToolEnded {
    pub call: u64,
    pub tool: &'static str,
    pub success: bool,
    pub duration_ms: u32,
    pub input_bytes: u32,
    pub result_bytes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActiveBy {
    User,
    Cli,
}

/// The tools that have a counter of decisions.
pub const EDIT_TOOLS: [&str; 2] = ["Edit", "Write"];
/// What Claude Code calls all tools of a user's own MCP servers.
pub const MCP_TOOL: &str = "mcp_tool";
