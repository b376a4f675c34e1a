//! Random OTLP messages.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z.]{1,8}", "\\PC{0,6}", Just("\"\\\n\u{1}é".to_owned())]
}

fn number() -> impl Strategy<Value = f64> {
    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1 + 0.2, 5e-324, f64::MAX, 3.0];
    prop_oneof![
        proptest::sample::select(special.to_vec()),
        any::<f64>().prop_filter("NaN has many forms", |number| !number.is_nan()),
    ]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), Just(1_795_216_957_908_000_000), any::<u64>()]
}

fn id() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), vec(any::<u8>(), 8), vec(any::<u8>(), 16)]
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        text().prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|value| Some(Value::BoolValue(value))),
        any::<i64>().prop_map(|value| Some(Value::IntValue(value))),
        number().prop_map(|value| Some(Value::DoubleValue(value))),
        vec(any::<u8>(), 0..5).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(key_value(inner), 0..3)
                .prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn key_value(value: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = KeyValue> {
    (text(), option::of(value)).prop_map(|(key, value)| KeyValue {
        key,
        value,
        ..KeyValue::default()
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(key_value(value()), 0..3)
}

fn resource() -> impl Strategy<Value = Resource> {
    (attributes(), any::<u32>()).prop_map(|(attributes, dropped_attributes_count)| Resource {
        attributes,
        dropped_attributes_count,
        ..Resource::default()
    })
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    (text(), text(), attributes(), any::<u32>()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    )
}

pub fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let record = (
        (time(), time(), 0..30_i32, text(), option::of(value()), attributes()),
        (any::<u32>(), any::<u32>(), id(), id(), text()),
    );
    let record = record.prop_map(|(first, second)| LogRecord {
        time_unix_nano: first.0,
        observed_time_unix_nano: first.1,
        severity_number: first.2,
        severity_text: first.3,
        body: first.4,
        attributes: first.5,
        dropped_attributes_count: second.0,
        flags: second.1,
        trace_id: second.2,
        span_id: second.3,
        event_name: second.4,
    });
    let scopes = (option::of(scope()), vec(record, 0..3), text())
        .prop_map(|(scope, log_records, schema_url)| ScopeLogs { scope, log_records, schema_url });
    let groups = (option::of(resource()), vec(scopes, 0..3), text()).prop_map(
        |(resource, scope_logs, schema_url)| ResourceLogs { resource, scope_logs, schema_url },
    );
    vec(groups, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let value = prop_oneof![
        number().prop_map(exemplar::Value::AsDouble),
        any::<i64>().prop_map(exemplar::Value::AsInt),
    ];
    let exemplar = (attributes(), time(), id(), id(), option::of(value)).prop_map(
        |(filtered_attributes, time_unix_nano, span_id, trace_id, value)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            span_id,
            trace_id,
            value,
        },
    );
    vec(exemplar, 0..2)
}

fn numbers() -> impl Strategy<Value = Vec<NumberDataPoint>> {
    let value = prop_oneof![
        number().prop_map(number_data_point::Value::AsDouble),
        any::<i64>().prop_map(number_data_point::Value::AsInt),
    ];
    let point = (attributes(), time(), time(), exemplars(), any::<u32>(), option::of(value))
        .prop_map(|(attributes, start_time_unix_nano, time_unix_nano, exemplars, flags, value)| {
            NumberDataPoint {
                attributes,
                start_time_unix_nano,
                time_unix_nano,
                exemplars,
                flags,
                value,
            }
        });
    vec(point, 0..3)
}

fn histogram() -> impl Strategy<Value = HistogramDataPoint> {
    let head = (attributes(), time(), time(), any::<u64>(), option::of(number()));
    let tail = (vec(any::<u64>(), 0..4), vec(number(), 0..4), exemplars(), option::of(number()));
    (head, tail).prop_map(|(head, tail)| HistogramDataPoint {
        attributes: head.0,
        start_time_unix_nano: head.1,
        time_unix_nano: head.2,
        count: head.3,
        sum: head.4,
        bucket_counts: tail.0,
        explicit_bounds: tail.1,
        exemplars: tail.2,
        flags: 1,
        min: tail.3,
        max: tail.3,
    })
}

fn exponential() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let buckets = (any::<i32>(), vec(any::<u64>(), 0..4))
        .prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts });
    let head = (attributes(), time(), time(), any::<u64>(), option::of(number()));
    let tail = (any::<i32>(), any::<u64>(), option::of(buckets), exemplars(), number());
    (head, tail).prop_map(|(head, tail)| ExponentialHistogramDataPoint {
        attributes: head.0,
        start_time_unix_nano: head.1,
        time_unix_nano: head.2,
        count: head.3,
        sum: head.4,
        scale: tail.0,
        zero_count: tail.1,
        positive: tail.2.clone(),
        negative: tail.2,
        flags: 2,
        exemplars: tail.3,
        min: head.4,
        max: None,
        zero_threshold: tail.4,
    })
}

fn summary() -> impl Strategy<Value = SummaryDataPoint> {
    let quantile =
        (number(), number()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    (attributes(), time(), any::<u64>(), number(), vec(quantile, 0..3)).prop_map(
        |(attributes, time_unix_nano, count, sum, quantile_values)| SummaryDataPoint {
            attributes,
            start_time_unix_nano: time_unix_nano,
            time_unix_nano,
            count,
            sum,
            quantile_values,
            flags: 0,
        },
    )
}

fn data() -> impl Strategy<Value = Data> {
    prop_oneof![
        (numbers(), 0..4_i32, any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| {
                Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
            }
        ),
        numbers().prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (vec(histogram(), 0..3), 0..3_i32).prop_map(|(data_points, aggregation_temporality)| {
            Data::Histogram(Histogram { data_points, aggregation_temporality })
        }),
        (vec(exponential(), 0..3), 0..3_i32).prop_map(|(data_points, aggregation_temporality)| {
            let histogram = ExponentialHistogram { data_points, aggregation_temporality };
            Data::ExponentialHistogram(histogram)
        }),
        vec(summary(), 0..3).prop_map(|data_points| Data::Summary(Summary { data_points })),
    ]
}

pub fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let metric = (text(), text(), text(), attributes(), data()).prop_map(
        |(name, description, unit, metadata, data)| Metric {
            name,
            description,
            unit,
            metadata,
            data: Some(data),
        },
    );
    let scopes = (option::of(scope()), vec(metric, 0..3), text())
        .prop_map(|(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url });
    let groups = (option::of(resource()), vec(scopes, 0..2), text()).prop_map(
        |(resource, scope_metrics, schema_url)| ResourceMetrics {
            resource,
            scope_metrics,
            schema_url,
        },
    );
    vec(groups, 0..2).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

pub fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let event = (time(), text(), attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    let link = (id(), id(), text(), attributes(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count: 1,
            flags,
        },
    );
    let status = (text(), 0..4_i32).prop_map(|(message, code)| Status { message, code });
    let span = (
        (id(), id(), text(), id(), any::<u32>(), text(), 0..7_i32),
        (time(), time(), attributes(), any::<u32>()),
        (vec(event, 0..2), vec(link, 0..2), option::of(status)),
    );
    let span = span.prop_map(|(ids, times, rest)| Span {
        trace_id: ids.0,
        span_id: ids.1,
        trace_state: ids.2,
        parent_span_id: ids.3,
        flags: ids.4,
        name: ids.5,
        kind: ids.6,
        start_time_unix_nano: times.0,
        end_time_unix_nano: times.1,
        attributes: times.2,
        dropped_attributes_count: times.3,
        events: rest.0,
        dropped_events_count: 2,
        links: rest.1,
        dropped_links_count: 3,
        status: rest.2,
    });
    let scopes = (option::of(scope()), vec(span, 0..3), text())
        .prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let groups = (option::of(resource()), vec(scopes, 0..2), text()).prop_map(
        |(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url },
    );
    vec(groups, 0..2).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}
