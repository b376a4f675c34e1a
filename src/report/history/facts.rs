//! What the history keeps of an event. Claude Code sends numbers as strings in some versions and some
//! events, so everything is read leniently; what cannot be read is absent.

use std::sync::Arc;

use crate::record::{Event, Labels, Value};

/// Largest whole number believed. More in a sum of millions would not fit SQLite's integers.
const INT_MAX: i64 = 1 << 40;

/// An event of a kind that reports count.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub time_ms: i64,
    pub session: Option<Arc<str>>,
    pub prompt_id: Option<Arc<str>>,
    pub of_session: OfSession,
    pub facet: Facet,
    pub kind: Kind,
}

/// What an event tells of its session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfSession {
    pub terminal: Option<Arc<str>>,
    /// `cli`, `sdk-py`, `claude-vscode`, …
    pub entrypoint: Option<Arc<str>>,
    /// Of Claude Code.
    pub version: Option<Arc<str>>,
    /// Of the account, where Claude Code says (since 2.1.329).
    pub plan: Option<Arc<str>>,
    /// With a Claude account: a key of the API, Bedrock and Vertex send no account.
    pub signed_in: bool,
}

/// Everything that a report can group an event by, except its time and session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facet {
    pub tags: Labels,
    /// The account's e-mail address, else its id, else the anonymous id of the installation.
    pub user: Option<Arc<str>>,
    pub repository: Option<Arc<str>>,
    pub branch: Option<Arc<str>>,
    pub model: Option<Arc<str>>,
    pub query_source: Option<Arc<str>>,
    pub tool: Option<Arc<str>>,
}

/// The kinds, with what is particular to each.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Request(Request),
    Error(ApiError),
    Prompt { length: Option<i64>, command: Option<Arc<str>> },
    ToolResult(ToolResult),
    ToolDecision(ToolDecision),
}

/// An answered call of the Messages API.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// `None`: the model has no price. Claude Code's own events always have a cost.
    pub cost_usd: Option<f64>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_creation_tokens: i64,
    pub duration_ms: Option<i64>,
    /// Time to the first token; versions that send none are many.
    pub ttft_ms: Option<i64>,
    pub effort: Option<Arc<str>>,
    pub speed: Option<Arc<str>>,
    pub request_id: Option<Arc<str>>,
}

/// A call of the Messages API that failed for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiError {
    pub status_code: Option<i64>,
    pub attempt: Option<i64>,
    pub duration_ms: Option<i64>,
    /// One of a few words, whatever the text was.
    pub class: Option<&'static str>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolResult {
    pub success: Option<bool>,
    pub duration_ms: Option<i64>,
    /// Absent where nobody was asked.
    pub accepted: Option<bool>,
    pub source: Option<Arc<str>>,
    pub error_type: Option<Arc<str>>,
    pub tool_use_id: Option<Arc<str>>,
}

/// Whether a tool might be used, and who said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolDecision {
    pub accepted: Option<bool>,
    pub source: Option<Arc<str>>,
    pub tool_use_id: Option<Arc<str>>,
}

impl Fact {
    /// `None` for an event of a kind that is not counted. `received_ms` stands in for a time of 0.
    pub fn from_event(event: &Event, received_ms: i64) -> Option<Self> {
        let kind = kind(event)?;
        let tool = match kind {
            Kind::ToolResult(_) | Kind::ToolDecision(_) => text(event, "tool_name"),
            _ => None,
        };
        let time_ms = i64::try_from(event.time_ns / 1_000_000).unwrap_or(0);
        Some(Self {
            time_ms: if time_ms > 0 { time_ms } else { received_ms },
            session: text(event, "session.id").map(|id| session_of(event, id)),
            prompt_id: text(event, "prompt.id"),
            of_session: of_session(event),
            facet: Facet {
                tags: event.tags.clone(),
                user: text(event, "user.email")
                    .or_else(|| text(event, "user.account_uuid"))
                    .or_else(|| text(event, "user.account_id"))
                    .or_else(|| text(event, "user.id")),
                repository: text(event, "vcs.repository.name"),
                branch: text(event, "vcs.ref.head.name"),
                model: text(event, "model"),
                query_source: text(event, "query_source"),
                tool,
            },
            kind,
        })
    }
}

/// A gateway's sender chooses its session ids: those of another are other sessions.
fn session_of(event: &Event, id: Arc<str>) -> Arc<str> {
    match event.sender() {
        Some(sender) => format!("{sender}/{id}").into(),
        None => id,
    }
}

fn of_session(event: &Event) -> OfSession {
    OfSession {
        terminal: text(event, "terminal.type"),
        entrypoint: text(event, "app.entrypoint"),
        version: text(event, "app.version").or_else(|| text(event, "service.version")),
        plan: text(event, "anthropic.plan"),
        signed_in: ["user.account_uuid", "user.account_id", "organization.id"]
            .iter()
            .any(|name| attribute(event, name).is_some()),
    }
}

fn kind(event: &Event) -> Option<Kind> {
    Some(match &*event.name {
        "api_request" => Kind::Request(Request {
            cost_usd: double(event, "cost_usd")
                .or_else(|| double(event, "cost_usd_micros").map(|micros| micros / 1e6))
                .or(Some(0.0)),
            input_tokens: int(event, "input_tokens").unwrap_or(0),
            output_tokens: int(event, "output_tokens").unwrap_or(0),
            cache_read_tokens: int(event, "cache_read_tokens").unwrap_or(0),
            cache_creation_tokens: int(event, "cache_creation_tokens").unwrap_or(0),
            duration_ms: int(event, "duration_ms"),
            ttft_ms: int(event, "ttft_ms"),
            effort: text(event, "effort"),
            speed: text(event, "speed"),
            request_id: text(event, "request_id"),
        }),
        "api_error" => {
            let status_code = int(event, "status_code");
            let words = text(event, "error");
            Kind::Error(ApiError {
                status_code,
                attempt: int(event, "attempt"),
                duration_ms: int(event, "duration_ms"),
                class: error_class(status_code, words.as_deref()),
            })
        }
        "user_prompt" => Kind::Prompt {
            length: int(event, "prompt_length"),
            command: text(event, "command_name"),
        },
        "tool_result" => Kind::ToolResult(ToolResult {
            success: boolean(event, "success"),
            duration_ms: int(event, "duration_ms"),
            accepted: accepted(event, "decision_type"),
            source: text(event, "decision_source"),
            error_type: text(event, "error_type"),
            tool_use_id: text(event, "tool_use_id"),
        }),
        "tool_decision" => Kind::ToolDecision(ToolDecision {
            accepted: accepted(event, "decision"),
            source: text(event, "source"),
            tool_use_id: text(event, "tool_use_id"),
        }),
        _ => return None,
    })
}

fn accepted(event: &Event, name: &str) -> Option<bool> {
    match &*text(event, name)? {
        "accept" => Some(true),
        "reject" => Some(false),
        _ => None,
    }
}

/// The API's names of errors, by status; where there was no answer, by what the text is about.
pub fn error_class(status_code: Option<i64>, words: Option<&str>) -> Option<&'static str> {
    const OF_THE_NETWORK: &[(&str, &str)] = &[
        ("abort", "aborted"),
        ("timed out", "timeout"),
        ("timeout", "timeout"),
        ("connect", "connection"),
        ("network", "connection"),
        ("fetch failed", "connection"),
    ];
    let class = match status_code {
        Some(400) => "invalid_request",
        Some(401) => "authentication",
        Some(402) => "billing",
        Some(403) => "permission",
        Some(404) => "not_found",
        Some(408 | 504) => "timeout",
        Some(413) => "request_too_large",
        Some(429) => "rate_limit",
        Some(529) => "overloaded",
        Some(500..) => "api",
        Some(_) => "other",
        None => {
            let words = words?.to_ascii_lowercase();
            OF_THE_NETWORK
                .iter()
                .find(|(word, _)| words.contains(word))
                .map_or("other", |(_, class)| class)
        }
    };
    Some(class)
}

fn attribute<'a>(event: &'a Event, name: &str) -> Option<&'a Value> {
    event.attributes.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
}

fn text(event: &Event, name: &str) -> Option<Arc<str>> {
    match attribute(event, name)? {
        Value::Text(text) if text.is_empty() => None,
        Value::Text(text) | Value::Json(text) => Some(Arc::clone(text)),
        Value::Int(int) => Some(int.to_string().into()),
        Value::Double(double) => Some(double.to_string().into()),
        Value::Bool(boolean) => Some(boolean.to_string().into()),
    }
}

fn double(event: &Event, name: &str) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "amounts of money and time are far below 2^53")]
    let double = match attribute(event, name)? {
        Value::Int(int) => *int as f64,
        Value::Double(double) => *double,
        Value::Text(text) => text.trim().parse().ok()?,
        Value::Bool(_) | Value::Json(_) => return None,
    };
    double.is_finite().then_some(double)
}

fn int(event: &Event, name: &str) -> Option<i64> {
    let int = match attribute(event, name)? {
        Value::Int(int) => *int,
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
        _ => double(event, name)?.round() as i64,
    };
    (-INT_MAX..=INT_MAX).contains(&int).then_some(int)
}

fn boolean(event: &Event, name: &str) -> Option<bool> {
    match attribute(event, name)? {
        Value::Bool(boolean) => Some(*boolean),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, attributes: &[(&str, Value)]) -> Event {
        Event {
            time_ns: 1_700_000_000_123_456_789,
            name: name.into(),
            body: format!("claude_code.{name}").into(),
            service: "claude-code".into(),
            tags: Vec::new(),
            id: 1,
            attributes: attributes
                .iter()
                .map(|(key, value)| (Arc::from(*key), value.clone()))
                .collect(),
        }
    }

    /// Before 2.1.122 the numbers of api_request were strings; `duration_ms` of tool_result still is.
    #[test]
    fn numbers_may_be_strings() {
        let as_strings = event(
            "api_request",
            &[
                ("cost_usd", Value::Text("0.25".into())),
                ("input_tokens", Value::Text("12".into())),
                ("duration_ms", Value::Text(" 250 ".into())),
            ],
        );
        let as_numbers = event(
            "api_request",
            &[
                ("cost_usd", Value::Double(0.25)),
                ("input_tokens", Value::Double(12.0)),
                ("duration_ms", Value::Int(250)),
            ],
        );
        assert_eq!(Fact::from_event(&as_strings, 0), Fact::from_event(&as_numbers, 0));
        let Some(Fact { kind: Kind::Request(request), time_ms, .. }) =
            Fact::from_event(&as_strings, 0)
        else {
            panic!("an api_request is a request");
        };
        assert_eq!((request.cost_usd, request.input_tokens), (Some(0.25), 12));
        assert_eq!((request.duration_ms, time_ms), (Some(250), 1_700_000_000_123));
    }

    #[test]
    fn nonsense_is_absent_and_not_a_number() {
        let odd = event(
            "api_request",
            &[
                ("cost_usd", Value::Text("NaN".into())),
                ("output_tokens", Value::Bool(true)),
                ("input_tokens", Value::Int(i64::MAX)),
                ("cache_read_tokens", Value::Double(1e300)),
            ],
        );
        let fact = Fact::from_event(&odd, 0).unwrap();
        let nothing = Request { cost_usd: Some(0.0), ..Request::default() };
        assert_eq!(fact.kind, Kind::Request(nothing));
    }

    #[test]
    fn a_time_of_zero_is_the_time_of_reception() {
        let mut early = event("user_prompt", &[("prompt_length", Value::Text("7".into()))]);
        early.time_ns = 0;
        let fact = Fact::from_event(&early, 42).unwrap();
        assert_eq!(
            (fact.time_ms, fact.kind),
            (42, Kind::Prompt { length: Some(7), command: None })
        );
    }

    #[test]
    fn other_events_are_not_counted() {
        assert_eq!(Fact::from_event(&event("hook_registered", &[]), 0), None);
    }

    #[test]
    fn errors_have_a_class_whatever_their_text() {
        for (status, words, expected) in [
            (Some(529), None, Some("overloaded")),
            (Some(429), Some("slow down"), Some("rate_limit")),
            (Some(503), None, Some("api")),
            (None, Some("Request timed out."), Some("timeout")),
            (None, Some("Connection error."), Some("connection")),
            (None, Some("Request was aborted."), Some("aborted")),
            (None, Some("odd"), Some("other")),
            (None, None, None),
        ] {
            assert_eq!(error_class(status, words), expected, "{status:?} {words:?}");
        }
    }

    #[test]
    fn a_tool_that_was_refused() {
        let text = |text: &str| Value::Text(text.into());
        let refused = event(
            "tool_decision",
            &[
                ("tool_name", text("Bash")),
                ("decision", text("reject")),
                ("source", text("user_reject")),
                ("tool_use_id", text("toolu_1")),
                ("organization.id", text("o")),
            ],
        );
        let fact = Fact::from_event(&refused, 0).unwrap();
        assert_eq!(fact.facet.tool.as_deref(), Some("Bash"));
        assert!(fact.of_session.signed_in);
        assert_eq!(
            fact.kind,
            Kind::ToolDecision(ToolDecision {
                accepted: Some(false),
                source: Some("user_reject".into()),
                tool_use_id: Some("toolu_1".into()),
            })
        );
    }
}
