//! What a session is doing now, as its last events tell.
//!
//! ```text
//!              prompt, tool result, refusal by a rule
//!   Idle ────────────────────────────────────────────▶ Thinking ──answer──▶ Idle
//!                     accepted tool ▶ Tool ──its result──▶ Thinking
//!   failed call ▶ Failed        `/exit`, `/clear` ▶ Ended      a person's refusal ▶ Idle
//! ```
//!
//! Claude Code sends nothing while it asks for a permission or streams an answer, so those look like
//! what was last heard: idle after an answer that asks, thinking until the answer is complete. Only
//! the main conversation's answers end its thinking: titles and subagents go on beside it.

use super::super::story::{Entry, Request, What};

/// Nothing is heard for so long of a session that thinks: a call is given up after ten minutes.
const THINKING_MS_MAX: i64 = 10 * 60_000;
/// The same of a tool. Builds and long commands take their time.
const TOOL_MS_MAX: i64 = 60 * 60_000;
/// Tools that one session can have running, as far as they are remembered.
const TOOLS_MAX: usize = 64;

/// What a session is doing, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Doing {
    /// The one begun last, and how many run besides.
    Tool {
        name: String,
        others: usize,
        since_ms: i64,
    },
    Thinking {
        since_ms: i64,
    },
    /// The last call of the API failed for good.
    Failed {
        status_code: Option<i64>,
        since_ms: i64,
    },
    /// Left with `/exit`, or began anew with `/clear`.
    Ended {
        since_ms: i64,
    },
    #[default]
    Idle,
}

impl Doing {
    /// For a column: `Bash`, `Agent +2`, `thinking`, `failed 529`, `ended`, `idle`.
    pub fn words(&self) -> String {
        match self {
            Self::Tool { name, others: 0, .. } => name.clone(),
            Self::Tool { name, others, .. } => format!("{name} +{others}"),
            Self::Thinking { .. } => "thinking".into(),
            Self::Failed { status_code: Some(code), .. } => format!("failed {code}"),
            Self::Failed { .. } => "failed".into(),
            Self::Ended { .. } => "ended".into(),
            Self::Idle => "idle".into(),
        }
    }

    /// The same as one word that does not change.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Tool { .. } => "tool",
            Self::Thinking { .. } => "thinking",
            Self::Failed { .. } => "failed",
            Self::Ended { .. } => "ended",
            Self::Idle => "idle",
        }
    }

    pub fn tool(&self) -> Option<&str> {
        match self {
            Self::Tool { name, .. } => Some(name),
            _ => None,
        }
    }

    pub fn since_ms(&self) -> Option<i64> {
        match self {
            Self::Tool { since_ms, .. }
            | Self::Thinking { since_ms }
            | Self::Failed { since_ms, .. }
            | Self::Ended { since_ms } => Some(*since_ms),
            Self::Idle => None,
        }
    }
}

/// What is known once a session's last events were seen in their order.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    running: Vec<Running>,
    doing: Doing,
    pub last_ms: i64,
    /// Of the conversation's last answer.
    pub model: Option<String>,
    pub context_tokens: Option<i64>,
}

#[derive(Clone, Debug)]
struct Running {
    /// Its id; versions before 2.1.119 send none, and then its name must do.
    key: String,
    name: String,
    since_ms: i64,
}

impl Tail {
    /// Takes in the next event.
    pub fn see(&mut self, entry: &Entry) {
        let since_ms = entry.time_ms;
        self.last_ms = self.last_ms.max(since_ms);
        match &entry.what {
            What::Prompt { command, .. } => {
                // What still ran was interrupted: nobody can type before.
                self.running.clear();
                self.doing = match command.as_deref() {
                    Some("exit" | "quit" | "clear") => Doing::Ended { since_ms },
                    _ => Doing::Thinking { since_ms },
                };
            }
            What::Request(request) if is_main(request.query_source.as_deref()) => {
                self.model.clone_from(&request.model);
                self.context_tokens = Some(context_tokens(request));
                self.doing = Doing::Idle;
            }
            What::Request(_) => {}
            What::Error { status_code, query_source, .. } => {
                if is_main(query_source.as_deref()) {
                    self.doing = Doing::Failed { status_code: *status_code, since_ms };
                }
            }
            What::Decision { accepted: Some(true), tool, tool_use_id, .. } => {
                self.begin(tool.as_deref(), tool_use_id.as_deref(), since_ms);
            }
            What::Decision { source: Some(source), .. } if source.starts_with("user_") => {
                self.doing = Doing::Idle;
            }
            What::Decision { .. } => self.doing = Doing::Thinking { since_ms },
            What::Tool { tool, tool_use_id, .. } => {
                let key = key(tool_use_id.as_deref(), tool.as_deref());
                if let Some(at) = self.running.iter().position(|one| one.key == key) {
                    self.running.remove(at);
                }
                self.doing = Doing::Thinking { since_ms };
            }
        }
    }

    fn begin(&mut self, tool: Option<&str>, id: Option<&str>, since_ms: i64) {
        if self.running.len() >= TOOLS_MAX {
            self.running.remove(0);
        }
        let name = tool.unwrap_or("tool").to_owned();
        self.running.push(Running { key: key(id, tool), name, since_ms });
    }

    /// What it is doing at this moment.
    pub fn doing(&self, now_ms: i64) -> Doing {
        let silent_ms = now_ms - self.last_ms;
        if let Some(newest) = self.running.last()
            && silent_ms <= TOOL_MS_MAX
        {
            return Doing::Tool {
                name: newest.name.clone(),
                others: self.running.len() - 1,
                since_ms: newest.since_ms,
            };
        }
        match &self.doing {
            Doing::Thinking { .. } if silent_ms > THINKING_MS_MAX => Doing::Idle,
            doing => doing.clone(),
        }
    }
}

fn key(id: Option<&str>, tool: Option<&str>) -> String {
    id.map_or_else(|| format!("name:{}", tool.unwrap_or_default()), ToOwned::to_owned)
}

/// Whether a call belongs to the conversation itself. Events say it more finely than metrics do
/// (`repl_main_thread`, `sdk`, `agent:builtin:…`, `compact`, `generate_session_title`); versions that
/// say nothing have nothing else.
fn is_main(query_source: Option<&str>) -> bool {
    query_source.is_none_or(|source| {
        source == "sdk" || source == "main" || source.starts_with("repl_main_thread")
    })
}

/// What a request read.
fn context_tokens(request: &Request) -> i64 {
    request.input_tokens + request.cache_read_tokens + request.cache_creation_tokens
}

#[cfg(test)]
mod tests;
