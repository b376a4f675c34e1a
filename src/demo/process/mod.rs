//! A process of Claude Code as its exporters show it: what happened becomes OTLP requests.
//!
//! As Claude Code does it: one resource, the session's attributes on every record and point, events
//! numbered from 0 in each process, counters cumulative from the first record of each stream. Exports
//! are minutes apart; an export of counters that did not change is left out.

mod counters;
mod events;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use self::counters::Counters;
use self::events::Events;
use super::calendar::Session;

const METRICS_SCOPE: &str = "com.anthropic.claude_code";
const EVENTS_SCOPE: &str = "com.anthropic.claude_code.events";

/// The bodies of OTLP requests.
#[derive(Default)]
pub struct Exports {
    pub logs: Option<Vec<u8>>,
    pub metrics: Option<Vec<u8>>,
}

pub struct Process<'a> {
    session: &'a Session,
    /// The next of its happenings.
    next: usize,
    resource: Resource,
    events: Events,
    counters: Counters,
}

impl<'a> Process<'a> {
    pub fn new(session: &'a Session) -> Self {
        let head = head(session);
        Self {
            session,
            next: 0,
            resource: resource(session),
            events: Events::new(session, head.clone()),
            counters: Counters::new(session, head),
        }
    }

    pub fn start_ms(&self) -> i64 {
        self.session.start_ms
    }

    /// Nothing will be exported any more.
    pub fn has_ended(&self) -> bool {
        self.next == self.session.happenings.len()
    }

    /// How much of it is still to come.
    pub fn happenings_left(&self) -> usize {
        self.session.happenings.len() - self.next
    }

    /// What is exported at this time: all that happened before it.
    pub fn export(&mut self, at_ms: i64) -> Exports {
        let mut records = Vec::new();
        while let Some(happening) = self.session.happenings.get(self.next)
            && happening.at_ms < at_ms
        {
            self.events.of(happening, &mut records);
            self.counters.count(happening);
            self.next += 1;
        }
        let logs = (!records.is_empty()).then(|| {
            let scope_logs = ScopeLogs {
                scope: Some(self.scope(EVENTS_SCOPE)),
                log_records: records,
                ..ScopeLogs::default()
            };
            let resource_logs = ResourceLogs {
                resource: Some(self.resource.clone()),
                scope_logs: vec![scope_logs],
                ..ResourceLogs::default()
            };
            ExportLogsServiceRequest { resource_logs: vec![resource_logs] }.encode_to_vec()
        });
        let metrics = self.counters.changed(at_ms).map(|metrics| {
            let scope_metrics = ScopeMetrics {
                scope: Some(self.scope(METRICS_SCOPE)),
                metrics,
                ..ScopeMetrics::default()
            };
            let resource_metrics = ResourceMetrics {
                resource: Some(self.resource.clone()),
                scope_metrics: vec![scope_metrics],
                ..ResourceMetrics::default()
            };
            ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec()
        });
        Exports { logs, metrics }
    }

    fn scope(&self, name: &str) -> InstrumentationScope {
        InstrumentationScope {
            name: name.to_owned(),
            version: self.session.person.version.to_owned(),
            ..InstrumentationScope::default()
        }
    }
}

/// The tags that the wrapper would have given, the repository that it would have told of, and what
/// Claude Code says of itself.
fn resource(session: &Session) -> Resource {
    let attributes = vec![
        text("team", session.person.team),
        text("project", session.project.name),
        text("vcs.repository.name", session.project.repository),
        text("vcs.ref.head.name", session.branch),
        text("host.arch", "arm64"),
        text("os.type", "darwin"),
        text("os.version", "25.1.0"),
        text("service.name", "claude-code"),
        text("service.version", session.person.version),
    ];
    Resource { attributes, ..Resource::default() }
}

/// What stands on every record and point.
fn head(session: &Session) -> Vec<KeyValue> {
    vec![
        text("team", session.person.team),
        text("project", session.project.name),
        text("user.id", &session.user_id),
        text("session.id", &session.id),
        text("organization.id", "5d0c1a52-7d6e-4b5e-9a53-0f6a3f1c7e21"),
        text("user.email", session.person.email),
        text("user.account_uuid", &session.account),
        text("terminal.type", session.person.terminal),
    ]
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, AnyKind::StringValue(value.to_owned()))
}

fn int(key: &str, value: impl Into<i64>) -> KeyValue {
    attribute(key, AnyKind::IntValue(value.into()))
}

fn attribute(key: &str, value: AnyKind) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn nanoseconds(time_ms: i64) -> u64 {
    u64::try_from(time_ms).unwrap_or(0).saturating_mul(1_000_000)
}
