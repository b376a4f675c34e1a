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
mod tests {
    use super::*;

    fn command(command: Option<&str>) -> What {
        What::Prompt { length: None, command: command.map(Into::into) }
    }

    fn prompt() -> What {
        command(None)
    }

    fn answer_of(query_source: &str, cache_read_tokens: i64) -> What {
        What::Request(Request {
            model: Some("m".into()),
            query_source: Some(query_source.into()),
            input_tokens: 1,
            cache_read_tokens,
            cache_creation_tokens: 3,
            ..Request::default()
        })
    }

    fn answer(cache_read_tokens: i64) -> What {
        answer_of("repl_main_thread", cache_read_tokens)
    }

    fn failed(query_source: &str, status_code: Option<i64>) -> What {
        What::Error {
            model: None,
            query_source: Some(query_source.into()),
            class: None,
            status_code,
            attempt: None,
            duration_ms: None,
        }
    }

    fn decision_on(tool: &str, accepted: bool, source: &str, id: Option<&str>) -> What {
        What::Decision {
            tool: Some(tool.into()),
            accepted: Some(accepted),
            source: Some(source.into()),
            tool_use_id: id.map(Into::into),
        }
    }

    fn begin(id: &str) -> What {
        decision_on("Bash", true, "config", Some(id))
    }

    fn result_of(tool: &str, id: Option<&str>) -> What {
        What::Tool {
            tool: Some(tool.into()),
            success: Some(true),
            duration_ms: None,
            error_type: None,
            accepted: None,
            source: None,
            tool_use_id: id.map(Into::into),
        }
    }

    fn result(id: &str) -> What {
        result_of("Bash", Some(id))
    }

    fn entry(time_ms: i64, what: &What) -> Entry {
        Entry { time_ms, prompt_id: None, imported: false, what: what.clone() }
    }

    /// Seen a second apart; asked a second after the last.
    fn tail(events: &[What]) -> (Tail, Doing) {
        let mut tail = Tail::default();
        for (at, what) in (1..).zip(events) {
            tail.see(&entry(at * 1000, what));
        }
        let doing = tail.doing(tail.last_ms + 1000);
        (tail, doing)
    }

    fn doing(events: &[What]) -> String {
        tail(events).1.words()
    }

    #[test]
    fn a_turn_is_thinking_a_tool_thinking_and_idle() {
        // Claude Code tells of a tool's start before it tells of the answer that asked for it.
        let turn = [prompt(), begin("a"), answer(10), result("a"), answer(20)];
        let words: Vec<_> = (1..=turn.len()).map(|count| doing(&turn[..count])).collect();
        assert_eq!(words, ["thinking", "Bash", "Bash", "thinking", "idle"]);
        assert_eq!(tail(&turn).0.context_tokens, Some(24));
        assert_eq!(tail(&turn[..2]).1.since_ms(), Some(2000));
    }

    #[test]
    fn titles_and_subagents_do_not_end_the_thinking_nor_fill_the_context() {
        for aside in ["generate_session_title", "agent:builtin:Explore", "compact"] {
            let events = [prompt(), answer_of(aside, 9), failed(aside, Some(529))];
            let (tail, doing) = tail(&events);
            assert_eq!((doing.words(), tail.context_tokens), ("thinking".into(), None));
        }
    }

    #[test]
    fn tools_that_run_side_by_side_are_counted_and_end_one_by_one() {
        let both = [prompt(), begin("a"), begin("b"), answer(1)];
        assert_eq!(doing(&both), "Bash +1");
        let one = [both.to_vec(), vec![result("a")]].concat();
        assert_eq!(doing(&one), "Bash");
        assert_eq!(doing(&[one, vec![result("b")]].concat()), "thinking");
    }

    #[test]
    fn without_ids_the_names_tell() {
        let begun = [prompt(), decision_on("Edit", true, "config", None)];
        assert_eq!(doing(&begun), "Edit");
        assert_eq!(doing(&[begun.to_vec(), vec![result_of("Edit", None)]].concat()), "thinking");
    }

    #[test]
    fn a_refusal_by_a_person_waits_for_them_and_one_by_a_rule_does_not() {
        let refused = |source| [prompt(), answer(1), decision_on("Bash", false, source, None)];
        assert_eq!(doing(&refused("user_reject")), "idle");
        assert_eq!(doing(&refused("hook")), "thinking");
    }

    #[test]
    fn a_prompt_ends_what_was_interrupted_and_commands_end_the_session() {
        assert_eq!(doing(&[prompt(), begin("a"), prompt()]), "thinking");
        for last in ["exit", "quit", "clear"] {
            assert_eq!(doing(&[prompt(), answer(1), command(Some(last))]), "ended");
        }
        assert_eq!(doing(&[command(Some("review"))]), "thinking");
    }

    #[test]
    fn a_failure_is_said_with_its_status() {
        assert_eq!(doing(&[prompt(), failed("sdk", Some(529))]), "failed 529");
        assert_eq!(doing(&[prompt(), failed("sdk", None)]), "failed");
    }

    #[test]
    fn silence_ends_the_belief() {
        let (thinking, _) = tail(&[prompt()]);
        assert_eq!(thinking.doing(1000 + THINKING_MS_MAX), Doing::Thinking { since_ms: 1000 });
        assert_eq!(thinking.doing(1001 + THINKING_MS_MAX), Doing::Idle);
        let (tool, _) = tail(&[prompt(), begin("a")]);
        assert_eq!(tool.doing(1000 + THINKING_MS_MAX * 2).words(), "Bash");
        assert_eq!(tool.doing(2001 + TOOL_MS_MAX).words(), "idle");
        // A crowd of tools is bounded.
        let crowd: Vec<_> = (0..200).map(|id| begin(&id.to_string())).collect();
        assert_eq!(tail(&crowd).0.running.len(), TOOLS_MAX);
    }
}
