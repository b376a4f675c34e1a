//! The eight counters of a process.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, Sum,
};

use super::{nanoseconds, text};
use crate::demo::calendar::{Session, Start};
use crate::demo::happening::{ActiveBy, EDIT_TOOLS, Happening, Request, Source, What};

/// A counter: name, unit, description.
type Counter = (&'static str, &'static str, &'static str);

const SESSIONS: Counter = ("claude_code.session.count", "", "Count of CLI sessions started");
const LINES: Counter = (
    "claude_code.lines_of_code.count",
    "",
    "Count of lines of code modified, with the 'type' attribute indicating whether lines were added or removed",
);
const PULL_REQUESTS: Counter =
    ("claude_code.pull_request.count", "", "Number of pull requests created");
const COMMITS: Counter = ("claude_code.commit.count", "", "Number of git commits created");
const COST: Counter = ("claude_code.cost.usage", "USD", "Cost of the Claude Code session");
const TOKENS: Counter = ("claude_code.token.usage", "tokens", "Number of tokens used");
const DECISIONS: Counter = (
    "claude_code.code_edit_tool.decision",
    "",
    "Count of code editing tool permission decisions (accept/reject) for Edit, Write, and NotebookEdit tools",
);
const ACTIVE: Counter = ("claude_code.active_time.total", "s", "Total active time in seconds");

/// One set of attributes of a counter.
struct Stream {
    counter: Counter,
    /// Without what stands on every point.
    own: Vec<(&'static str, String)>,
    start_ns: u64,
    value: f64,
}

pub struct Counters {
    head: Vec<KeyValue>,
    start: Start,
    streams: Vec<Stream>,
    has_changed: bool,
}

impl Counters {
    pub fn new(session: &Session, head: Vec<KeyValue>) -> Self {
        Self { head, start: session.start, streams: Vec::new(), has_changed: false }
    }

    pub fn count(&mut self, happening: &Happening) {
        let at_ms = happening.at_ms;
        match &happening.what {
            What::Started => {
                let start = match self.start {
                    Start::Fresh => "fresh",
                    Start::Resume => "resume",
                    Start::Continue => "continue",
                };
                self.add(at_ms, SESSIONS, vec![("start_type", start.to_owned())], 1.0);
            }
            What::Request(request) => self.request(at_ms, request),
            What::Decision(decision) if EDIT_TOOLS.contains(&decision.tool) => {
                let verdict = if decision.accepted { "accept" } else { "reject" };
                let own = vec![
                    ("tool_name", decision.tool.to_owned()),
                    ("decision", verdict.to_owned()),
                    ("source", decision.source.to_owned()),
                    ("language", decision.language.unwrap_or("Plain text").to_owned()),
                ];
                self.add(at_ms, DECISIONS, own, 1.0);
            }
            What::Lines { running, added, removed } => {
                for (kind, count) in [("added", *added), ("removed", *removed)] {
                    let own = vec![("type", kind.to_owned()), ("model", running.metric_name())];
                    self.add(at_ms, LINES, own, f64::from(count));
                }
            }
            What::Commit => self.add(at_ms, COMMITS, Vec::new(), 1.0),
            What::PullRequest => self.add(at_ms, PULL_REQUESTS, Vec::new(), 1.0),
            What::Active { by, eighths } => {
                let by = match by {
                    ActiveBy::User => "user",
                    ActiveBy::Cli => "cli",
                };
                let seconds = f64::from(*eighths) / 8.0;
                self.add(at_ms, ACTIVE, vec![("type", by.to_owned())], seconds);
            }
            What::Prompt { .. }
            | What::Response { .. }
            | What::Failure(_)
            | What::Decision(_)
            | What::ToolEnded(_)
            | What::Compaction { .. }
            | What::SubagentDone { .. } => {}
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "tokens of one request are far below 2^53")]
    fn request(&mut self, at_ms: i64, request: &Request) {
        let own = of_request(request);
        self.add(at_ms, COST, own.clone(), request.cost_usd);
        for (kind, count) in request.tokens.by_type() {
            let mut own = own.clone();
            own.push(("type", kind.to_owned()));
            self.add(at_ms, TOKENS, own, count as f64);
        }
    }

    fn add(&mut self, at_ms: i64, counter: Counter, own: Vec<(&'static str, String)>, amount: f64) {
        self.has_changed = true;
        let known =
            self.streams.iter_mut().find(|one| one.counter.0 == counter.0 && one.own == own);
        if let Some(stream) = known {
            stream.value += amount;
        } else {
            let start_ns = nanoseconds(at_ms);
            self.streams.push(Stream { counter, own, start_ns, value: amount });
        }
    }

    /// All counters as they stand, if any has changed since the last time.
    pub fn changed(&mut self, at_ms: i64) -> Option<Vec<Metric>> {
        if !std::mem::take(&mut self.has_changed) {
            return None;
        }
        let mut metrics: Vec<Metric> = Vec::new();
        for stream in &self.streams {
            let point = self.point(stream, nanoseconds(at_ms));
            let known = metrics.iter_mut().find(|metric| metric.name == stream.counter.0);
            match known.and_then(|metric| metric.data.as_mut()) {
                Some(Data::Sum(sum)) => sum.data_points.push(point),
                _ => metrics.push(metric(stream.counter, point)),
            }
        }
        Some(metrics)
    }

    fn point(&self, stream: &Stream, time_ns: u64) -> NumberDataPoint {
        let own = stream.own.iter().map(|(key, value)| text(key, value));
        NumberDataPoint {
            attributes: self.head.iter().cloned().chain(own).collect(),
            start_time_unix_nano: stream.start_ns,
            time_unix_nano: time_ns,
            value: Some(Number::AsDouble(stream.value)),
            ..NumberDataPoint::default()
        }
    }
}

/// What cost and tokens of a request are told apart by.
fn of_request(request: &Request) -> Vec<(&'static str, String)> {
    let running = request.running;
    let mut own = vec![
        ("model", running.metric_name()),
        ("query_source", request.source.of_metrics().to_owned()),
    ];
    let mut push = |key, value: Option<&str>| {
        own.extend(value.map(|value| (key, value.to_owned())));
    };
    push("speed", running.fast.then_some("fast"));
    push("effort", running.effort);
    push("skill.name", request.skill);
    push("mcp_server.name", request.is_of_mcp.then_some("custom"));
    push("mcp_tool.name", request.is_of_mcp.then_some("custom"));
    if let Source::Agent(name) = request.source {
        push("agent.name", Some(name));
    }
    own
}

fn metric((name, unit, description): Counter, point: NumberDataPoint) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: description.to_owned(),
        data: Some(Data::Sum(Sum {
            data_points: vec![point],
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        })),
        ..Metric::default()
    }
}
