//! What the fortnight adds up to, by what was made up alone: no OTLP, no store, no report in between.

use std::collections::{BTreeMap, BTreeSet};

use super::calendar::Session;
use super::happening::What;
use super::models::Tokens;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    pub total: Facts,
    /// By what a report can group by: `("team", "payments")`.
    pub by: BTreeMap<(&'static str, String), Facts>,
    /// Events by their names.
    pub events: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub cost_usd: f64,
    pub tokens: Tokens<u64>,
    /// Ids of sessions with a prompt or a request.
    pub sessions: BTreeSet<String>,
    pub prompts: u64,
    pub requests: u64,
    pub errors: u64,
    pub active_seconds: f64,
    pub lines_added: u64,
    pub lines_removed: u64,
    pub commits: u64,
    pub pull_requests: u64,
    pub tool_calls: u64,
    pub tool_failures: u64,
}

impl Truth {
    pub fn of(sessions: &[Session]) -> Self {
        let mut truth = Self::default();
        for session in sessions {
            for happening in &session.happenings {
                truth.add(session, &happening.what);
            }
        }
        truth
    }

    fn add(&mut self, session: &Session, what: &What) {
        let mut keys = vec![
            ("project", session.project.name.to_owned()),
            ("team", session.person.team.to_owned()),
            ("user", session.person.email.to_owned()),
            ("repo", session.project.repository.to_owned()),
        ];
        keys.extend(model(what).map(|model| ("model", model.to_owned())));
        keys.extend(tool(what).map(|tool| ("tool", tool.to_owned())));
        self.total.add(&session.id, what);
        for key in keys {
            self.by.entry(key).or_default().add(&session.id, what);
        }
        for name in events(what) {
            *self.events.entry(name).or_default() += 1;
        }
    }
}

impl Facts {
    fn add(&mut self, session: &str, what: &What) {
        match what {
            What::Prompt { .. } => {
                self.prompts += 1;
                self.sessions.insert(session.to_owned());
            }
            What::Request(request) => {
                self.requests += 1;
                self.cost_usd += request.cost_usd;
                self.tokens.add(&request.tokens);
                self.sessions.insert(session.to_owned());
            }
            What::Failure(_) => self.errors += 1,
            What::ToolEnded(ended) => {
                self.tool_calls += 1;
                self.tool_failures += u64::from(!ended.success);
            }
            What::Lines { added, removed, .. } => {
                self.lines_added += u64::from(*added);
                self.lines_removed += u64::from(*removed);
            }
            What::Commit => self.commits += 1,
            What::PullRequest => self.pull_requests += 1,
            What::Active { eighths, .. } => self.active_seconds += f64::from(*eighths) / 8.0,
            What::Started
            | What::Response { .. }
            | What::Decision(_)
            | What::Compaction { .. }
            | What::SubagentDone { .. } => {}
        }
    }
}

/// The model that a report shows it under.
fn model(what: &What) -> Option<&'static str> {
    match what {
        What::Request(request) => Some(request.running.model.name()),
        What::Failure(failure) => Some(failure.running.model.name()),
        What::Lines { running, .. } => Some(running.model.name()),
        _ => None,
    }
}

fn tool(what: &What) -> Option<&'static str> {
    match what {
        What::ToolEnded(ended) => Some(ended.tool),
        _ => None,
    }
}

/// The names of the events that Claude Code sends of it.
fn events(what: &What) -> Vec<&'static str> {
    match what {
        What::Prompt { .. } => vec!["user_prompt"],
        What::Request(_) => vec!["api_request"],
        What::Response { .. } => vec!["assistant_response"],
        What::Failure(failure) if failure.attempts > 1 => {
            vec!["api_error", "api_retries_exhausted"]
        }
        What::Failure(_) => vec!["api_error"],
        What::Decision(_) => vec!["tool_decision"],
        What::ToolEnded(_) => vec!["tool_result"],
        What::Compaction { .. } => vec!["compaction"],
        What::SubagentDone { .. } => vec!["subagent_completed"],
        What::Started
        | What::Lines { .. }
        | What::Commit
        | What::PullRequest
        | What::Active { .. } => vec![],
    }
}
