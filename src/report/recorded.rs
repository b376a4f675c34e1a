//! Histories for the tests of lists: written as the agent and as imports write them.

use std::sync::Arc;

use super::history::event_rows::Events;
use super::history::facts::{
    ApiError, Facet, Fact, Kind, OfSession, Request, ToolDecision, ToolResult,
};
use super::history::reader::History;
use super::history::schema;
use super::time::MinuteRange;

/// 2026-11-14 00:00 UTC.
pub const START_MS: i64 = 1_794_614_400_000;
pub const HOUR_MS: i64 = 3_600_000;
/// A fortnight around it.
pub const RANGE: MinuteRange =
    MinuteRange { start: START_MS / 60_000 - 7 * 1440, end: START_MS / 60_000 + 7 * 1440 };

/// A history in a directory of its own.
pub struct Recorded {
    directory: tempfile::TempDir,
    row: i64,
}

impl Recorded {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), row: 0 }
    }

    pub fn record(&mut self, facts: &[Fact]) {
        self.write("history.db", facts);
    }

    pub fn import(&mut self, facts: &[Fact]) {
        self.write("imported.db", facts);
    }

    fn write(&mut self, name: &str, facts: &[Fact]) {
        let mut connection = schema::open_for_writing(&self.directory.path().join(name)).unwrap();
        let transaction = connection.transaction().unwrap();
        let mut events = Events::new(&transaction).unwrap();
        for fact in facts {
            self.row += 1;
            events.add(fact, (self.row, 0)).unwrap();
        }
        events.finish().unwrap();
        transaction.commit().unwrap();
    }

    pub fn open(&self) -> History {
        let path = |name| self.directory.path().join(name);
        History::open_files(Some(&path("history.db")), Some(&path("imported.db"))).unwrap().unwrap()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as facts have it")]
pub fn text(text: &str) -> Option<Arc<str>> {
    Some(Arc::from(text))
}

/// An event of a session that is named after its project: `checkout-1`.
pub fn fact(session: &str, prompt: &str, time_ms: i64, kind: Kind) -> Fact {
    let project = session.split('-').next().unwrap();
    let (model, tool) = match &kind {
        Kind::Request(_) | Kind::Error(_) => (text("claude-opus-4-8"), None),
        Kind::ToolResult(_) | Kind::ToolDecision(_) => (None, text("Bash")),
        Kind::Prompt { .. } => (None, None),
    };
    Fact {
        time_ms,
        session: text(session),
        prompt_id: text(prompt),
        of_session: OfSession {
            terminal: text("tmux"),
            version: text("2.1.197"),
            ..OfSession::default()
        },
        facet: Facet {
            tags: vec![("project".into(), project.into()), ("team".into(), "payments".into())],
            repository: text(&format!("acme/{project}")),
            branch: text("main"),
            model,
            tool,
            ..Facet::default()
        },
        kind,
    }
}

pub fn prompt() -> Kind {
    Kind::Prompt { length: Some(12), command: None }
}

pub fn request(cost_usd: f64, duration_ms: i64) -> Kind {
    Kind::Request(Request {
        cost_usd: Some(cost_usd),
        input_tokens: 100,
        output_tokens: 50,
        duration_ms: Some(duration_ms),
        ttft_ms: Some(duration_ms / 4),
        request_id: text("req_1"),
        effort: text("high"),
        ..Request::default()
    })
}

pub fn unpriced() -> Kind {
    Kind::Request(Request { cost_usd: None, output_tokens: 7, ..Request::default() })
}

pub fn overloaded() -> Kind {
    Kind::Error(ApiError {
        status_code: Some(529),
        class: Some("overloaded"),
        ..ApiError::default()
    })
}

pub fn tool(success: bool, duration_ms: i64) -> Kind {
    Kind::ToolResult(ToolResult {
        success: Some(success),
        duration_ms: Some(duration_ms),
        tool_use_id: text("toolu_1"),
        ..ToolResult::default()
    })
}

pub fn refused() -> Kind {
    Kind::ToolDecision(ToolDecision {
        accepted: Some(false),
        source: text("user_reject"),
        tool_use_id: text("toolu_2"),
    })
}
