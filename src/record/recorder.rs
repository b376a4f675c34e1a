//! Placeholder until the recorder proper arrives: it keeps nothing but the shape of a batch.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;

use super::{Batch, Event, Point, Recorded, Temporality};

#[derive(Debug, Default)]
pub struct Recorder;

fn ours(scope: Option<&InstrumentationScope>) -> bool {
    scope.is_some_and(|scope| scope.name.starts_with("com.anthropic.claude_code"))
}

fn recorded(batch: Batch, foreign: u64) -> Recorded {
    let message = (foreign > 0).then(|| format!("{foreign} records of another program's scope"));
    Recorded { batch, rejected: foreign, foreign, message }
}

impl Recorder {
    pub fn metrics(&self, request: ExportMetricsServiceRequest) -> Recorded {
        let (mut points, mut foreign) = (Vec::new(), 0);
        for scope in request.resource_metrics.into_iter().flat_map(|group| group.scope_metrics) {
            for metric in scope.metrics {
                let Some(Data::Sum(sum)) = metric.data else { continue };
                if !ours(scope.scope.as_ref()) {
                    foreign += sum.data_points.len() as u64;
                    continue;
                }
                points.extend(sum.data_points.into_iter().map(|point| Point {
                    metric: Arc::from(metric.name.as_str()),
                    labels: Vec::new(),
                    stream: 0,
                    start_ns: point.start_time_unix_nano,
                    time_ns: point.time_unix_nano,
                    value: 1.0,
                    temporality: Temporality::Cumulative,
                }));
            }
        }
        recorded(Batch::Points(points), foreign)
    }

    pub fn logs(&self, request: ExportLogsServiceRequest) -> Recorded {
        let (mut events, mut foreign) = (Vec::new(), 0);
        for scope in request.resource_logs.into_iter().flat_map(|group| group.scope_logs) {
            if !ours(scope.scope.as_ref()) {
                foreign += scope.log_records.len() as u64;
                continue;
            }
            events.extend(scope.log_records.into_iter().map(|record| Event {
                time_ns: record.time_unix_nano,
                name: Arc::from(""),
                body: Arc::from(""),
                service: Arc::from("claude-code"),
                tags: Vec::new(),
                id: 0,
                attributes: Vec::new(),
            }));
        }
        recorded(Batch::Events(events), foreign)
    }

    pub fn traces(&self, request: ExportTraceServiceRequest) -> Recorded {
        let spans = request
            .resource_spans
            .into_iter()
            .map(|group| {
                let count: usize = group.scope_spans.iter().map(|scope| scope.spans.len()).sum();
                (u32::try_from(count).unwrap_or(u32::MAX), group.encode_to_vec())
            })
            .collect();
        recorded(Batch::Spans(spans), 0)
    }
}
