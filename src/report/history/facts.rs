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
    pub facet: Facet,
    pub kind: Kind,
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
    Error { status_code: Option<i64>, attempt: Option<i64>, duration_ms: Option<i64> },
    Prompt { length: Option<i64> },
    ToolResult { success: Option<bool>, duration_ms: Option<i64> },
}

/// An answered call of the Messages API.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub cost_usd: f64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_creation_tokens: i64,
    pub duration_ms: Option<i64>,
}

impl Fact {
    /// `None` for an event of a kind that is not counted. `received_ms` stands in for a time of 0.
    pub fn from_event(event: &Event, received_ms: i64) -> Option<Self> {
        let kind = kind(event)?;
        let tool = match kind {
            Kind::ToolResult { .. } => text(event, "tool_name"),
            _ => None,
        };
        let time_ms = i64::try_from(event.time_ns / 1_000_000).unwrap_or(0);
        Some(Self {
            time_ms: if time_ms > 0 { time_ms } else { received_ms },
            session: text(event, "session.id"),
            prompt_id: text(event, "prompt.id"),
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

fn kind(event: &Event) -> Option<Kind> {
    Some(match &*event.name {
        "api_request" => Kind::Request(Request {
            cost_usd: double(event, "cost_usd")
                .or_else(|| double(event, "cost_usd_micros").map(|micros| micros / 1e6))
                .unwrap_or(0.0),
            input_tokens: int(event, "input_tokens").unwrap_or(0),
            output_tokens: int(event, "output_tokens").unwrap_or(0),
            cache_read_tokens: int(event, "cache_read_tokens").unwrap_or(0),
            cache_creation_tokens: int(event, "cache_creation_tokens").unwrap_or(0),
            duration_ms: int(event, "duration_ms"),
        }),
        "api_error" => Kind::Error {
            status_code: int(event, "status_code"),
            attempt: int(event, "attempt"),
            duration_ms: int(event, "duration_ms"),
        },
        "user_prompt" => Kind::Prompt { length: int(event, "prompt_length") },
        "tool_result" => Kind::ToolResult {
            success: boolean(event, "success"),
            duration_ms: int(event, "duration_ms"),
        },
        _ => return None,
    })
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
        assert_eq!((request.cost_usd, request.input_tokens), (0.25, 12));
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
        assert_eq!(fact.kind, Kind::Request(Request::default()));
    }

    #[test]
    fn a_time_of_zero_is_the_time_of_reception() {
        let mut early = event("user_prompt", &[("prompt_length", Value::Text("7".into()))]);
        early.time_ns = 0;
        let fact = Fact::from_event(&early, 42).unwrap();
        assert_eq!((fact.time_ms, fact.kind), (42, Kind::Prompt { length: Some(7) }));
    }

    #[test]
    fn other_events_are_not_counted() {
        assert_eq!(Fact::from_event(&event("hook_registered", &[]), 0), None);
    }
}
