//! Metrics and their data points.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
    NumberDataPoint, SummaryDataPoint, exemplar, number_data_point,
};
use serde_json::{Value, json};

use super::Dialect;

impl Dialect {
    fn temporality(self, number: i32) -> Value {
        let temporality = AggregationTemporality::try_from(number);
        self.name(number, temporality.ok().map(|temporality| temporality.as_str_name()))
    }

    pub(super) fn metric(self, metric: &Metric) -> Value {
        let (kind, data) = match metric.data.as_ref().expect("every metric has data") {
            Data::Sum(sum) => (
                "sum",
                json!({
                    "aggregationTemporality": self.temporality(sum.aggregation_temporality),
                    "isMonotonic": sum.is_monotonic,
                    "dataPoints": self.numbers(&sum.data_points),
                }),
            ),
            Data::Gauge(gauge) => {
                ("gauge", json!({ "dataPoints": self.numbers(&gauge.data_points) }))
            }
            Data::Histogram(histogram) => {
                let points = histogram.data_points.iter().map(|point| self.histogram(point));
                let temporality = self.temporality(histogram.aggregation_temporality);
                (
                    "histogram",
                    json!({ "aggregationTemporality": temporality, "dataPoints": points.collect::<Vec<_>>() }),
                )
            }
            Data::ExponentialHistogram(histogram) => {
                let points = histogram.data_points.iter().map(|point| self.exponential(point));
                let temporality = self.temporality(histogram.aggregation_temporality);
                (
                    "exponentialHistogram",
                    json!({ "aggregationTemporality": temporality, "dataPoints": points.collect::<Vec<_>>() }),
                )
            }
            Data::Summary(summary) => {
                let points = summary.data_points.iter().map(|point| self.summary(point));
                ("summary", json!({ "dataPoints": points.collect::<Vec<_>>() }))
            }
        };
        self.object(json!({
            "name": metric.name,
            "description": metric.description,
            "unit": metric.unit,
            "metadata": self.attributes(&metric.metadata),
            kind: self.object(data),
        }))
    }

    fn numbers(self, points: &[NumberDataPoint]) -> Vec<Value> {
        let written = points.iter().map(|point| {
            let value = match point.value {
                Some(number_data_point::Value::AsDouble(value)) => {
                    ("asDouble", Some(Self::double(value)))
                }
                Some(number_data_point::Value::AsInt(value)) => ("asInt", Some(self.wide(value))),
                None => ("asInt", None),
            };
            let object = self.object(json!({
                "attributes": self.attributes(&point.attributes),
                "startTimeUnixNano": self.wide_field(point.start_time_unix_nano),
                "timeUnixNano": self.wide_field(point.time_unix_nano),
                "exemplars": self.exemplars(&point.exemplars),
                "flags": point.flags,
            }));
            Self::with(object, &[value])
        });
        written.collect()
    }

    fn exemplars(self, exemplars: &[Exemplar]) -> Vec<Value> {
        let written = exemplars.iter().map(|exemplar| {
            let value = match exemplar.value {
                Some(exemplar::Value::AsDouble(value)) => ("asDouble", Some(Self::double(value))),
                Some(exemplar::Value::AsInt(value)) => ("asInt", Some(self.wide(value))),
                None => ("asInt", None),
            };
            let object = self.object(json!({
                "filteredAttributes": self.attributes(&exemplar.filtered_attributes),
                "timeUnixNano": self.wide_field(exemplar.time_unix_nano),
                "spanId": Self::hex(&exemplar.span_id),
                "traceId": Self::hex(&exemplar.trace_id),
            }));
            Self::with(object, &[value])
        });
        written.collect()
    }

    fn histogram(self, point: &HistogramDataPoint) -> Value {
        let bounds: Vec<_> = point.explicit_bounds.iter().copied().map(Self::double).collect();
        let object = self.object(json!({
            "attributes": self.attributes(&point.attributes),
            "startTimeUnixNano": self.wide_field(point.start_time_unix_nano),
            "timeUnixNano": self.wide_field(point.time_unix_nano),
            "count": self.wide_field(point.count),
            "bucketCounts": self.wides(&point.bucket_counts),
            "explicitBounds": bounds,
            "exemplars": self.exemplars(&point.exemplars),
            "flags": point.flags,
        }));
        let optional = [("sum", point.sum), ("min", point.min), ("max", point.max)];
        Self::with(object, &optional.map(|(name, value)| (name, value.map(Self::double))))
    }

    fn exponential(self, point: &ExponentialHistogramDataPoint) -> Value {
        let buckets = |buckets: &Buckets| {
            self.object(json!({
                "offset": buckets.offset,
                "bucketCounts": self.wides(&buckets.bucket_counts),
            }))
        };
        let object = self.object(json!({
            "attributes": self.attributes(&point.attributes),
            "startTimeUnixNano": self.wide_field(point.start_time_unix_nano),
            "timeUnixNano": self.wide_field(point.time_unix_nano),
            "count": self.wide_field(point.count),
            "scale": point.scale,
            "zeroCount": self.wide_field(point.zero_count),
            "positive": point.positive.as_ref().map(buckets),
            "negative": point.negative.as_ref().map(buckets),
            "flags": point.flags,
            "exemplars": self.exemplars(&point.exemplars),
            "zeroThreshold": Self::double(point.zero_threshold),
        }));
        let optional = [("sum", point.sum), ("min", point.min), ("max", point.max)];
        Self::with(object, &optional.map(|(name, value)| (name, value.map(Self::double))))
    }

    fn summary(self, point: &SummaryDataPoint) -> Value {
        let quantiles = point.quantile_values.iter().map(
            |at| json!({ "quantile": Self::double(at.quantile), "value": Self::double(at.value) }),
        );
        self.object(json!({
            "attributes": self.attributes(&point.attributes),
            "startTimeUnixNano": self.wide_field(point.start_time_unix_nano),
            "timeUnixNano": self.wide_field(point.time_unix_nano),
            "count": self.wide_field(point.count),
            "sum": Self::double(point.sum),
            "quantileValues": quantiles.collect::<Vec<_>>(),
            "flags": point.flags,
        }))
    }
}
