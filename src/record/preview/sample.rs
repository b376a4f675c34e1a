//! A session to preview where nothing has been stored: recorded from Claude Code 2.1.197, with made-up
//! content in it as if Claude Code had been told to send all it can. It is recorded once a level, as a
//! real request is.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::{Map, Value};

use super::{LEVELS, Preview, of_attributes, of_series};
use crate::record::{Batch, Event, PrivacyLevel, Recorder, Settings};

const SAMPLE: &str = include_str!("sample.json");

#[derive(serde::Deserialize)]
struct Sample {
    resource: Map<String, Value>,
    session: Map<String, Value>,
    events: Vec<Map<String, Value>>,
    point: Map<String, Value>,
}

/// What this configuration makes of it at each level.
pub fn sample(settings: &Settings) -> Vec<Preview> {
    let Ok(sample) = serde_json::from_str::<Sample>(SAMPLE) else { return Vec::new() };
    let recorders = LEVELS.map(|level| Recorder::new(Settings { level, ..settings.clone() }));
    let logs = sample.logs();
    let recorded = recorders.each_ref().map(|recorder| match recorder.logs(logs.clone()).batch {
        Batch::Events(events) => events,
        _ => Vec::new(),
    });
    let mut previews = Vec::new();
    for (index, own) in sample.events.iter().enumerate() {
        let at: [Option<Event>; 3] =
            recorded.each_ref().map(|events: &Vec<Event>| events.get(index).cloned());
        let name = at[2].as_ref().map(|event| event.name.to_string()).unwrap_or_default();
        let original: Vec<_> = (sample.session.iter())
            .chain(own)
            .chain(&sample.resource)
            .filter(|(key, _)| *key != "event.name" && *key != "service.name")
            .map(|(key, value)| (Arc::from(key.as_str()), text(value)))
            .collect();
        previews.push(of_attributes(&name, &original, &at));
    }
    if let Batch::Points(points) = recorders[2].metrics(sample.metrics()).batch
        && let Some(point) = points.first()
    {
        let mut labels = point.labels.clone();
        labels.insert(0, ("__name__".into(), point.metric.clone()));
        previews.push(of_series(&labels, PrivacyLevel::Full));
    }
    previews
}

impl Sample {
    fn logs(&self) -> ExportLogsServiceRequest {
        let record = |(number, own): (u64, &Map<String, Value>)| LogRecord {
            time_unix_nano: number,
            attributes: attributes(&[&self.session, own]),
            ..LogRecord::default()
        };
        let scope_logs = ScopeLogs {
            scope: Some(scope("com.anthropic.claude_code.events")),
            log_records: (1..).zip(&self.events).map(record).collect(),
            ..ScopeLogs::default()
        };
        let resource = ResourceLogs {
            resource: Some(self.resource()),
            scope_logs: vec![scope_logs],
            ..ResourceLogs::default()
        };
        ExportLogsServiceRequest { resource_logs: vec![resource] }
    }

    fn metrics(&self) -> ExportMetricsServiceRequest {
        let point = NumberDataPoint {
            attributes: attributes(&[&self.session, &self.point]),
            start_time_unix_nano: 1,
            time_unix_nano: 2,
            value: Some(number_data_point::Value::AsDouble(1.0)),
            ..NumberDataPoint::default()
        };
        let sum = Sum { data_points: vec![point], aggregation_temporality: 2, is_monotonic: true };
        let metric = Metric {
            name: "claude_code.cost.usage".to_owned(),
            unit: "USD".to_owned(),
            data: Some(metric::Data::Sum(sum)),
            ..Metric::default()
        };
        let scope_metrics = ScopeMetrics {
            scope: Some(scope("com.anthropic.claude_code")),
            metrics: vec![metric],
            ..ScopeMetrics::default()
        };
        let resource = ResourceMetrics {
            resource: Some(self.resource()),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        };
        ExportMetricsServiceRequest { resource_metrics: vec![resource] }
    }

    fn resource(&self) -> Resource {
        Resource { attributes: attributes(&[&self.resource]), ..Resource::default() }
    }
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope { name: name.to_owned(), ..InstrumentationScope::default() }
}

fn attributes(parts: &[&Map<String, Value>]) -> Vec<KeyValue> {
    let attribute = |(key, value): (&String, &Value)| {
        let kind = match value.as_i64() {
            Some(number) => AnyKind::IntValue(number),
            None => match value.as_f64() {
                Some(number) => AnyKind::DoubleValue(number),
                None => AnyKind::StringValue(text(value)),
            },
        };
        KeyValue {
            key: key.clone(),
            value: Some(AnyValue { value: Some(kind) }),
            ..KeyValue::default()
        }
    };
    parts.iter().flat_map(|part| part.iter()).map(attribute).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn settings(email_hashed: bool) -> Settings {
        Settings {
            level: PrivacyLevel::Standard,
            email_hashed,
            accept: crate::config::Accept::ClaudeCode,
            tags: Vec::new(),
            install_key: [7; 32],
        }
    }

    /// The outcomes of an attribute, tightest level first.
    fn outcomes(previews: &[Preview], record: &str, name: &str) -> [Option<Outcome>; 3] {
        let preview = previews.iter().find(|it| it.name == record).unwrap();
        let attribute = preview.attributes.iter().find(|it| it.name == name);
        let attribute = attribute.unwrap_or_else(|| panic!("{name}: {preview:#?}"));
        LEVELS.map(|level| attribute.at(level).map(|left| left.outcome))
    }

    #[test]
    fn every_class_is_there_and_ends_as_the_levels_say() {
        use Outcome::{Dropped, Hashed, Kept, Length, Masked};
        let previews = sample(&settings(false));
        for (record, name, expected) in [
            ("api_request", "cost_usd", [Kept, Kept, Kept]),
            ("api_request", "team", [Kept, Kept, Kept]),
            ("api_request", "session.id", [Hashed, Kept, Kept]),
            ("api_request", "user.email", [Dropped, Kept, Kept]),
            ("api_request", "query_source", [Masked, Kept, Kept]),
            ("tool_result", "tool_name", [Masked, Kept, Kept]),
            ("tool_result", "tool_input", [Length, Length, Kept]),
            ("tool_result", "an_attribute_of_tomorrow", [Length, Length, Kept]),
            ("user_prompt", "prompt", [Length, Length, Masked]),
            ("api_error", "error", [Dropped, Masked, Kept]),
            ("claude_code_cost_usage_USD_total", "user_email", [Dropped, Kept, Kept]),
            ("claude_code_cost_usage_USD_total", "agent_name", [Dropped, Kept, Kept]),
            ("claude_code_cost_usage_USD_total", "context", [Kept, Kept, Kept]),
        ] {
            let found = outcomes(&previews, record, name);
            assert_eq!(found, expected.map(Some), "{record} {name}");
        }
        let hashed = sample(&settings(true));
        assert_eq!(
            outcomes(&hashed, "api_request", "user.email"),
            [Dropped, Hashed, Hashed].map(Some)
        );
    }
}
