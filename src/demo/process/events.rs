//! The events of a process.

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::{attribute, int, nanoseconds, text};
use crate::demo::calendar::Session;
use crate::demo::happening::{
    Decision, Failure, Happening, MCP_TOOL, Request, Source, ToolEnded, What,
};

/// What Claude Code says instead of content.
const REDACTED: &str = "<REDACTED>";

pub struct Events {
    head: Vec<KeyValue>,
    /// Of this process.
    sequence: i64,
    prompts: u32,
    /// Absent before the first prompt.
    prompt_id: Option<String>,
    session_id: String,
    start_ms: i64,
}

impl Events {
    pub fn new(session: &Session, head: Vec<KeyValue>) -> Self {
        Self {
            head,
            sequence: 0,
            prompts: 0,
            prompt_id: None,
            session_id: session.id.clone(),
            start_ms: session.start_ms,
        }
    }

    /// Adds the records of a happening.
    pub fn of(&mut self, happening: &Happening, records: &mut Vec<LogRecord>) {
        if matches!(happening.what, What::Prompt { .. }) {
            self.prompts += 1;
            self.prompt_id = Some(self.id_of_prompt());
        }
        for (name, own) in described(&happening.what) {
            records.push(self.record(happening.at_ms, name, own));
        }
    }

    /// A UUID that follows from the session, the process and the prompt's number.
    fn id_of_prompt(&self) -> String {
        let name = format!("{} {} {}", self.session_id, self.start_ms, self.prompts);
        let hash = blake3::hash(name.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    fn record(&mut self, at_ms: i64, name: &str, own: Vec<KeyValue>) -> LogRecord {
        let time_ns = nanoseconds(at_ms);
        let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
        let mut attributes = self.head.clone();
        attributes.push(text("event.name", name));
        attributes
            .push(text("event.timestamp", &at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()));
        attributes.push(int("event.sequence", self.sequence));
        attributes.extend(self.prompt_id.as_ref().map(|id| text("prompt.id", id)));
        attributes.extend(own);
        self.sequence += 1;
        LogRecord {
            time_unix_nano: time_ns,
            observed_time_unix_nano: time_ns,
            body: Some(AnyValue {
                value: Some(AnyKind::StringValue(format!("claude_code.{name}"))),
            }),
            attributes,
            ..LogRecord::default()
        }
    }
}

/// The events of a happening: their names and own attributes, numbers as text where Claude Code has
/// them so.
fn described(what: &What) -> Vec<(&'static str, Vec<KeyValue>)> {
    match what {
        What::Prompt { length, command } => vec![("user_prompt", prompt(*length, *command))],
        What::Request(request) => vec![("api_request", of_request(request))],
        What::Response { length, model, source, request } => {
            let own = vec![
                int("response_length", *length),
                text("response", REDACTED),
                text("request_id", &request_id(*request)),
                text("model", model.name()),
                text("query_source", &source.of_events()),
            ];
            vec![("assistant_response", own)]
        }
        What::Failure(failure) => of_failure(failure),
        What::Decision(decision) => vec![("tool_decision", of_decision(decision))],
        What::ToolEnded(ended) => vec![("tool_result", of_tool(ended))],
        What::Compaction { tokens_before, tokens_after, duration_ms } => {
            let own = vec![
                text("trigger", "auto"),
                text("success", "true"),
                text("duration_ms", &duration_ms.to_string()),
                text("pre_tokens", &tokens_before.to_string()),
                text("post_tokens", &tokens_after.to_string()),
            ];
            vec![("compaction", own)]
        }
        What::SubagentDone { agent, model, tokens, tools, duration_ms } => {
            let own = vec![
                text("agent_type", agent),
                text("agent.source", "built-in"),
                attribute("is_built_in", AnyKind::BoolValue(*agent != "custom")),
                attribute("is_async", AnyKind::BoolValue(false)),
                int("total_tokens", tokens.cast_signed()),
                int("total_tool_uses", *tools),
                int("duration_ms", *duration_ms),
                text("model", model.name()),
            ];
            vec![("subagent_completed", own)]
        }
        What::Started
        | What::Lines { .. }
        | What::Commit
        | What::PullRequest
        | What::Active { .. } => Vec::new(),
    }
}

fn prompt(length: u32, command: Option<&str>) -> Vec<KeyValue> {
    let mut own = vec![text("prompt_length", &length.to_string()), text("prompt", REDACTED)];
    if let Some(command) = command {
        let source = if command == "custom" { "custom" } else { "builtin" };
        own.extend([text("command_name", command), text("command_source", source)]);
    }
    own
}

fn of_request(request: &Request) -> Vec<KeyValue> {
    let tokens = request.tokens;
    let running = request.running;
    let mut own = vec![
        text("model", running.model.name()),
        int("input_tokens", tokens.input.cast_signed()),
        int("output_tokens", tokens.output.cast_signed()),
        int("cache_read_tokens", tokens.cache_read.cast_signed()),
        int("cache_creation_tokens", tokens.cache_creation.cast_signed()),
        attribute("cost_usd", AnyKind::DoubleValue(request.cost_usd)),
        int("cost_usd_micros", micros(request.cost_usd)),
        int("duration_ms", request.duration_ms),
        int("ttft_ms", request.first_token_ms),
        text("request_id", &request_id(request.id)),
        text("speed", if running.fast { "fast" } else { "normal" }),
        text("query_source", &request.source.of_events()),
    ];
    own.extend(running.effort.map(|effort| text("effort", effort)));
    own.extend(request.skill.map(|skill| text("skill.name", skill)));
    if request.is_of_mcp {
        own.extend([text("mcp_server.name", "custom"), text("mcp_tool.name", "custom")]);
    }
    if let Source::Agent(name) = request.source {
        own.push(text("agent.name", name));
    }
    own
}

fn of_failure(failure: &Failure) -> Vec<(&'static str, Vec<KeyValue>)> {
    let running = failure.running;
    let common = vec![
        text("model", running.model.name()),
        text("error", failure.words),
        int("status_code", failure.status),
        text("speed", if running.fast { "fast" } else { "normal" }),
        text("query_source", &Source::Main.of_events()),
    ];
    let mut error = common.clone();
    error.extend([
        int("duration_ms", failure.duration_ms),
        int("attempt", failure.attempts),
        text("request_id", &request_id(failure.id)),
    ]);
    let mut events = vec![("api_error", error)];
    if failure.attempts > 1 {
        let mut exhausted = common;
        exhausted.extend([
            int("total_attempts", failure.attempts),
            int("total_retry_duration_ms", failure.retried_ms),
        ]);
        events.push(("api_retries_exhausted", exhausted));
    }
    events
}

fn of_decision(decision: &Decision) -> Vec<KeyValue> {
    vec![
        text("decision", if decision.accepted { "accept" } else { "reject" }),
        text("source", decision.source),
        text("tool_name", decision.tool),
        text("tool_use_id", &call_id(decision.call)),
    ]
}

fn of_tool(ended: &ToolEnded) -> Vec<KeyValue> {
    let mut own = vec![
        text("tool_name", ended.tool),
        text("tool_use_id", &call_id(ended.call)),
        text("success", if ended.success { "true" } else { "false" }),
        text("duration_ms", &ended.duration_ms.to_string()),
        text("tool_input_size_bytes", &ended.input_bytes.to_string()),
        text("tool_result_size_bytes", &ended.result_bytes.to_string()),
    ];
    if !ended.success {
        own.push(text("error_type", if ended.tool == "Bash" { "ShellError" } else { "Error" }));
    }
    if ended.tool == MCP_TOOL {
        own.push(text("mcp_server_scope", "user"));
    }
    own
}

fn micros(cost_usd: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a request costs less than a million")]
    let micros = (cost_usd * 1e6).round() as i64;
    micros
}

fn request_id(id: u64) -> String {
    format!("req_demo{id:016x}")
}

fn call_id(id: u64) -> String {
    format!("toolu_demo{id:016x}")
}
