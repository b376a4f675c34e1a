//! Metrics, data point by data point.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, Summary, SummaryDataPoint,
    exemplar, number_data_point,
};
use serde_json::Value;

use super::attributes::attribute;
use super::fields::{Fields, Read, Unreadable, boolean, double, enumeration, hex, integer, text};
use super::{Losses, kept, listed};

const KINDS: [&str; 5] = ["sum", "gauge", "histogram", "exponentialHistogram", "summary"];

/// Data points of a metric; a metric that has none to see is one, so that its loss shows.
pub(super) fn points_in(metric: &Value) -> u64 {
    let points = KINDS.iter().filter_map(|kind| metric.get(kind));
    let points: usize = points.map(|data| listed(data, "dataPoints").count()).sum();
    points.max(1) as u64
}

pub(super) fn metric(value: Value, losses: &mut Losses) -> Read<Metric> {
    let mut fields = Fields::of(value)?;
    let name = fields.get("name", text)?;
    Ok(Metric {
        description: fields.get("description", text)?,
        unit: fields.get("unit", text)?,
        metadata: fields.all("metadata", attribute)?,
        data: Some(
            data(&mut fields, losses).map_err(|why| Unreadable::new(format!("{name}: {why}")))?,
        ),
        name,
    })
}

fn data(fields: &mut Fields, losses: &mut Losses) -> Read<Data> {
    for kind in KINDS {
        let Some(mut data) = fields.maybe(kind, Fields::of)? else { continue };
        return Ok(match kind {
            "sum" => Data::Sum(Sum {
                aggregation_temporality: temporality(&mut data)?,
                is_monotonic: data.get("isMonotonic", boolean)?,
                data_points: points(&mut data, number_point, losses)?,
            }),
            "gauge" => Data::Gauge(Gauge { data_points: points(&mut data, number_point, losses)? }),
            "histogram" => Data::Histogram(Histogram {
                aggregation_temporality: temporality(&mut data)?,
                data_points: points(&mut data, histogram_point, losses)?,
            }),
            "exponentialHistogram" => Data::ExponentialHistogram(ExponentialHistogram {
                aggregation_temporality: temporality(&mut data)?,
                data_points: points(&mut data, exponential_point, losses)?,
            }),
            _ => Data::Summary(Summary { data_points: points(&mut data, summary_point, losses)? }),
        });
    }
    Err(Unreadable::new("a metric without data of a known kind"))
}

fn temporality(data: &mut Fields) -> Read<i32> {
    let by_name = |name: &str| {
        AggregationTemporality::from_str_name(name).map(|temporality| temporality as i32)
    };
    data.get("aggregationTemporality", enumeration(by_name))
}

fn points<P>(
    data: &mut Fields,
    read: impl Fn(&mut Fields) -> Read<P>,
    losses: &mut Losses,
) -> Read<Vec<P>> {
    let points = data.list("dataPoints")?.into_iter();
    Ok(points.filter_map(|point| kept(losses, 1, |_| read(&mut Fields::of(point)?))).collect())
}

fn number_point(point: &mut Fields) -> Read<NumberDataPoint> {
    use number_data_point::Value::{AsDouble, AsInt};
    Ok(NumberDataPoint {
        attributes: point.all("attributes", attribute)?,
        start_time_unix_nano: point.get("startTimeUnixNano", integer)?,
        time_unix_nano: point.get("timeUnixNano", integer)?,
        exemplars: point.all("exemplars", exemplar)?,
        flags: point.get("flags", integer)?,
        value: match point.maybe("asDouble", double)? {
            Some(value) => Some(AsDouble(value)),
            None => point.maybe("asInt", integer)?.map(AsInt),
        },
    })
}

fn exemplar(value: Value) -> Read<Exemplar> {
    use exemplar::Value::{AsDouble, AsInt};
    let mut fields = Fields::of(value)?;
    Ok(Exemplar {
        filtered_attributes: fields.all("filteredAttributes", attribute)?,
        time_unix_nano: fields.get("timeUnixNano", integer)?,
        span_id: fields.get("spanId", hex)?,
        trace_id: fields.get("traceId", hex)?,
        value: match fields.maybe("asDouble", double)? {
            Some(value) => Some(AsDouble(value)),
            None => fields.maybe("asInt", integer)?.map(AsInt),
        },
    })
}

fn histogram_point(point: &mut Fields) -> Read<HistogramDataPoint> {
    Ok(HistogramDataPoint {
        attributes: point.all("attributes", attribute)?,
        start_time_unix_nano: point.get("startTimeUnixNano", integer)?,
        time_unix_nano: point.get("timeUnixNano", integer)?,
        count: point.get("count", integer)?,
        sum: point.maybe("sum", double)?,
        bucket_counts: point.all("bucketCounts", integer)?,
        explicit_bounds: point.all("explicitBounds", double)?,
        exemplars: point.all("exemplars", exemplar)?,
        flags: point.get("flags", integer)?,
        min: point.maybe("min", double)?,
        max: point.maybe("max", double)?,
    })
}

fn exponential_point(point: &mut Fields) -> Read<ExponentialHistogramDataPoint> {
    Ok(ExponentialHistogramDataPoint {
        attributes: point.all("attributes", attribute)?,
        start_time_unix_nano: point.get("startTimeUnixNano", integer)?,
        time_unix_nano: point.get("timeUnixNano", integer)?,
        count: point.get("count", integer)?,
        sum: point.maybe("sum", double)?,
        scale: point.get("scale", integer)?,
        zero_count: point.get("zeroCount", integer)?,
        positive: point.maybe("positive", buckets)?,
        negative: point.maybe("negative", buckets)?,
        flags: point.get("flags", integer)?,
        exemplars: point.all("exemplars", exemplar)?,
        min: point.maybe("min", double)?,
        max: point.maybe("max", double)?,
        zero_threshold: point.get("zeroThreshold", double)?,
    })
}

fn buckets(value: Value) -> Read<Buckets> {
    let mut fields = Fields::of(value)?;
    Ok(Buckets {
        offset: fields.get("offset", integer)?,
        bucket_counts: fields.all("bucketCounts", integer)?,
    })
}

fn summary_point(point: &mut Fields) -> Read<SummaryDataPoint> {
    Ok(SummaryDataPoint {
        attributes: point.all("attributes", attribute)?,
        start_time_unix_nano: point.get("startTimeUnixNano", integer)?,
        time_unix_nano: point.get("timeUnixNano", integer)?,
        count: point.get("count", integer)?,
        sum: point.get("sum", double)?,
        quantile_values: point.all("quantileValues", quantile)?,
        flags: point.get("flags", integer)?,
    })
}

fn quantile(value: Value) -> Read<ValueAtQuantile> {
    let mut fields = Fields::of(value)?;
    Ok(ValueAtQuantile {
        quantile: fields.get("quantile", double)?,
        value: fields.get("value", double)?,
    })
}
