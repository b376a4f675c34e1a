//! What targets hold the code against: counts, a reference decoder, and requests in the form that
//! both encodings can say.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as Logs;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as Metrics;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Traces;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, exemplar, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// Values within values that JSON still has levels for: three a value, of 128 in all.
const DEPTH_MAX: usize = 32;

pub fn log_records(request: &Logs) -> usize {
    let scopes = request.resource_logs.iter().flat_map(|group| &group.scope_logs);
    scopes.map(|scope| scope.log_records.len()).sum()
}

pub fn spans(request: &Traces) -> usize {
    let scopes = request.resource_spans.iter().flat_map(|group| &group.scope_spans);
    scopes.map(|scope| scope.spans.len()).sum()
}

pub fn data_points(request: &Metrics) -> usize {
    all_metrics(request).map(|metric| metric.data.as_ref().map_or(0, points_in)).sum()
}

/// As data points are counted when they are rejected: a metric without data is one.
pub fn points_or_metrics(request: &Metrics) -> usize {
    all_metrics(request).map(|metric| metric.data.as_ref().map_or(1, points_in)).sum()
}

fn all_metrics(request: &Metrics) -> impl Iterator<Item = &Metric> {
    let scopes = request.resource_metrics.iter().flat_map(|group| &group.scope_metrics);
    scopes.flat_map(|scope| &scope.metrics)
}

fn points_in(data: &Data) -> usize {
    match data {
        Data::Gauge(data) => data.data_points.len(),
        Data::Sum(data) => data.data_points.len(),
        Data::Histogram(data) => data.data_points.len(),
        Data::ExponentialHistogram(data) => data.data_points.len(),
        Data::Summary(data) => data.data_points.len(),
    }
}

/// Everything at once, read in another way than the agent does; `None` if it is broken.
pub fn gunzip(body: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    MultiGzDecoder::new(body).take(bytes_max as u64).read_to_end(&mut whole).ok()?;
    Some(whole)
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all")
}

/// `None` where a value is nested more deeply than JSON can be.
pub fn logs(mut request: Logs) -> Option<Logs> {
    for group in &mut request.resource_logs {
        resource(group.resource.as_mut())?;
        for scope in &mut group.scope_logs {
            attributes(scope.scope.iter_mut().flat_map(|scope| &mut scope.attributes))?;
            for record in &mut scope.log_records {
                any(record.body.as_mut(), 0)?;
                attributes(&mut record.attributes)?;
            }
        }
    }
    Some(request)
}

pub fn metrics(mut request: Metrics) -> Option<Metrics> {
    for group in &mut request.resource_metrics {
        resource(group.resource.as_mut())?;
        for scope in &mut group.scope_metrics {
            attributes(scope.scope.iter_mut().flat_map(|scope| &mut scope.attributes))?;
            // In JSON, one without data is counted and left out.
            scope.metrics.retain(|metric| metric.data.is_some());
            for metric in &mut scope.metrics {
                attributes(&mut metric.metadata)?;
                metric.data.as_mut().map_or(Some(()), data)?;
            }
        }
    }
    Some(request)
}

pub fn traces(mut request: Traces) -> Option<Traces> {
    for group in &mut request.resource_spans {
        resource(group.resource.as_mut())?;
        for scope in &mut group.scope_spans {
            attributes(scope.scope.iter_mut().flat_map(|scope| &mut scope.attributes))?;
            for span in &mut scope.spans {
                attributes(&mut span.attributes)?;
                attributes(span.events.iter_mut().flat_map(|event| &mut event.attributes))?;
                attributes(span.links.iter_mut().flat_map(|link| &mut link.attributes))?;
            }
        }
    }
    Some(request)
}

fn data(data: &mut Data) -> Option<()> {
    match data {
        Data::Gauge(gauge) => numbers(&mut gauge.data_points),
        Data::Sum(sum) => numbers(&mut sum.data_points),
        Data::Histogram(histogram) => histogram.data_points.iter_mut().try_for_each(|point| {
            point.explicit_bounds.iter_mut().for_each(number);
            [&mut point.sum, &mut point.min, &mut point.max].into_iter().flatten().for_each(number);
            exemplars(&mut point.exemplars)?;
            attributes(&mut point.attributes)
        }),
        Data::ExponentialHistogram(histogram) => {
            histogram.data_points.iter_mut().try_for_each(|point| {
                number(&mut point.zero_threshold);
                let numbers = [&mut point.sum, &mut point.min, &mut point.max];
                numbers.into_iter().flatten().for_each(number);
                exemplars(&mut point.exemplars)?;
                attributes(&mut point.attributes)
            })
        }
        Data::Summary(summary) => summary.data_points.iter_mut().try_for_each(|point| {
            number(&mut point.sum);
            for quantile in &mut point.quantile_values {
                number(&mut quantile.quantile);
                number(&mut quantile.value);
            }
            attributes(&mut point.attributes)
        }),
    }
}

fn numbers(points: &mut [opentelemetry_proto::tonic::metrics::v1::NumberDataPoint]) -> Option<()> {
    points.iter_mut().try_for_each(|point| {
        if let Some(number_data_point::Value::AsDouble(value)) = &mut point.value {
            number(value);
        }
        exemplars(&mut point.exemplars)?;
        attributes(&mut point.attributes)
    })
}

fn exemplars(exemplars: &mut [Exemplar]) -> Option<()> {
    exemplars.iter_mut().try_for_each(|exemplar| {
        if let Some(exemplar::Value::AsDouble(value)) = &mut exemplar.value {
            number(value);
        }
        attributes(&mut exemplar.filtered_attributes)
    })
}

fn resource(resource: Option<&mut Resource>) -> Option<()> {
    let Some(resource) = resource else { return Some(()) };
    // A beta of the specification that the dialects do not write.
    resource.entity_refs.clear();
    attributes(&mut resource.attributes)
}

fn attributes<'a>(attributes: impl IntoIterator<Item = &'a mut KeyValue>) -> Option<()> {
    attributes.into_iter().try_for_each(|attribute| key_value(attribute, 0))
}

fn key_value(attribute: &mut KeyValue, depth: usize) -> Option<()> {
    let KeyValue { key, value, .. } = std::mem::take(attribute);
    // The other fields are of profiles.
    *attribute = KeyValue { key, value, ..KeyValue::default() };
    any(attribute.value.as_mut(), depth)
}

fn any(value: Option<&mut AnyValue>, depth: usize) -> Option<()> {
    let Some(value) = value else { return Some(()) };
    if depth == DEPTH_MAX {
        return None;
    }
    match &mut value.value {
        Some(Value::DoubleValue(value)) => number(value),
        Some(Value::ArrayValue(array)) => {
            return array.values.iter_mut().try_for_each(|value| any(Some(value), depth + 1));
        }
        Some(Value::KvlistValue(list)) => {
            return list.values.iter_mut().try_for_each(|value| key_value(value, depth + 1));
        }
        Some(Value::StringValueStrindex(_)) => value.value = None,
        _ => {}
    }
    Some(())
}

/// JSON has one NaN.
fn number(number: &mut f64) {
    if number.is_nan() {
        *number = f64::NAN;
    }
}
