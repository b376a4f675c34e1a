//! Record: what an OTLP request becomes before anything is kept.
//!
//! ```text
//! ExportMetricsServiceRequest ─▶ points   one a data point: series labels, source stream, value
//! ExportLogsServiceRequest    ─▶ events   one a log record: tags, session, kept attributes
//! ExportTraceServiceRequest   ─▶ spans    redacted OTLP, for `otlp` destinations only
//! ```
//!
//! Privacy is applied here, so what a level drops never reaches the store. Nothing here does I/O or
//! reads a wall clock; git facts come from a function that is handed in.

pub mod amounts;
pub mod attributes;
mod hash;
pub mod launches;
mod logs;
mod metrics;
pub mod names;
mod origin;
pub mod own;
pub mod preview;
pub mod privacy;
pub mod recorder;
mod rejections;
pub mod secrets;
pub mod tighten;
mod traces;
mod unknown;
mod values;

use std::sync::Arc;

pub use origin::tags as tag_labels;
pub use recorder::{Recorded, Recorder, Settings};
pub use tighten::{tighten_event, tighten_labels, tighten_spans};

/// The label of who sent a record, where a gateway receives for many. No tag can have this name.
pub const SENDER_LABEL: &str = "sender";

/// Who sent a request to a gateway, as its token or its certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub name: Arc<str>,
    /// Fixed: what the sender says of these counts for nothing.
    pub tags: Vec<(String, String)>,
    /// Only tighter than the gateway's.
    pub level: Option<PrivacyLevel>,
}

/// Records of one request; Claude Code sends 512 at most. Further ones are rejected, and counted.
pub const RECORDS_MAX: usize = 1 << 16;
/// Attributes of one record, as OpenTelemetry's SDKs have it. An event keeps the first ones, with
/// the number of those left out; a data point, which would become another one, is rejected.
pub const ATTRIBUTES_MAX: usize = 128;

/// Sorted, unique `(name, value)` pairs. Names as Prometheus has them (`user_email`).
pub type Labels = Vec<(Arc<str>, Arc<str>)>;

/// How a data point's value relates to the ones before it (OTLP metrics data model).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// The amount since `start`.
    Delta,
    /// The total since `start`.
    Cumulative,
}

/// One data point of a monotonic sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Name in Prometheus, with unit and `_total`: `claude_code_cost_usage_USD_total`.
    pub metric: Arc<str>,
    /// `job`, tags, identity, and the listed attributes of the point; never `__name__`, `instance`, session.
    pub labels: Labels,
    /// Source stream: 128-bit hash of metric, every attribute as received with `session.id`, launch
    /// id, and, for cumulative points, the start time.
    pub stream: u128,
    /// `startTimeUnixNano`; 0 is unknown.
    pub start_ns: u64,
    /// `timeUnixNano`.
    pub time_ns: u64,
    pub value: f64,
    pub temporality: Temporality,
}

/// An attribute's value, as OTLP has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(Arc<str>),
    Int(i64),
    Double(f64),
    Bool(bool),
    /// Anything nested, as JSON text.
    Json(Arc<str>),
}

/// One log record of Claude Code, after privacy.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `timeUnixNano`, as Claude Code sent it.
    pub time_ns: u64,
    /// `event.name` without a prefix: `api_request`.
    pub name: Arc<str>,
    /// The body as Claude Code sends it: `claude_code.api_request`.
    pub body: Arc<str>,
    /// `service.name`: `claude-code`, `claude-code-desktop`.
    pub service: Arc<str>,
    /// The tags in effect (`team`, `project`, …), sorted.
    pub tags: Labels,
    /// 128-bit id for backends that do not deduplicate: a hash of the record as received.
    pub id: u128,
    /// Every kept attribute but the tags and `event.name` (which is `name`), in the order received,
    /// keys with dots: `session.id`, `prompt.id`, `model`, `context`, `cost_usd`, …; then
    /// `vcs.repository.name` and the like, then those of the resource (`service.version`, …).
    pub attributes: Vec<(Arc<str>, Value)>,
}

impl Event {
    /// Who sent it, where a gateway received it.
    pub fn sender(&self) -> Option<&Arc<str>> {
        self.tags.iter().find(|(name, _)| **name == *SENDER_LABEL).map(|(_, sender)| sender)
    }
}

/// What one accepted request holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Batch {
    Points(Vec<Point>),
    Events(Vec<Event>),
    /// Redacted `ResourceSpans`, each encoded by itself, with the number of spans in it.
    Spans(Vec<(u32, Vec<u8>)>),
}

impl Batch {
    /// Records in this batch: points, events or spans.
    pub fn records(&self) -> u64 {
        match self {
            Self::Points(points) => points.len() as u64,
            Self::Events(events) => events.len() as u64,
            Self::Spans(spans) => spans.iter().map(|(count, _)| u64::from(*count)).sum(),
        }
    }
}

/// How much of a record is kept. Ordered from tight to wide.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum PrivacyLevel {
    Minimal,
    #[default]
    Standard,
    Full,
}
