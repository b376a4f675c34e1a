//! Data points of monotonic sums.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, Sum,
};

use super::attributes::{self, Class};
use super::origin::{self, Origin};
use super::privacy::Outcome;
use super::recorder::Desk;
use super::rejections::{Reason, Rejections};
use super::values::label_text;
use super::{ATTRIBUTES_MAX, Labels, Point, RECORDS_MAX, Temporality, amounts, names, own};

/// Names of metrics are remembered for so many (name, unit).
const NAMES_MAX: usize = 256;
/// Metrics of Claude Code that this version knows.
const KNOWN: &[&str] = &[
    "claude_code.session.count",
    "claude_code.lines_of_code.count",
    "claude_code.pull_request.count",
    "claude_code.commit.count",
    "claude_code.cost.usage",
    "claude_code.token.usage",
    "claude_code.code_edit_tool.decision",
    "claude_code.active_time.total",
];

/// Names in Prometheus, by name and unit in OTLP.
#[derive(Default)]
pub struct MetricNames(HashMap<String, HashMap<String, Arc<str>>>);

impl MetricNames {
    fn of(&mut self, metric: &Metric) -> Arc<str> {
        let units = self.0.get(&metric.name);
        if let Some(name) = units.and_then(|units| units.get(&metric.unit)) {
            return name.clone();
        }
        let name: Arc<str> = names::metric_name(&metric.name, &metric.unit).into();
        if self.0.values().map(HashMap::len).sum::<usize>() >= NAMES_MAX {
            self.0.clear();
        }
        let units = self.0.entry(metric.name.clone()).or_default();
        units.insert(metric.unit.clone(), name.clone());
        name
    }
}

impl Desk {
    pub(super) fn points(
        &mut self,
        resource: &ResourceMetrics,
        origin: &Origin,
        points: &mut Vec<Point>,
        rejections: &mut Rejections,
    ) {
        for scope in &resource.scope_metrics {
            if !self.accepts(scope.scope.as_ref()) {
                let records = scope.metrics.iter().map(record_count).sum();
                rejections.add(Reason::Foreign, records);
                continue;
            }
            for metric in &scope.metrics {
                match proven(metric) {
                    Ok((sum, temporality)) => {
                        self.sum(metric, sum, temporality, origin, points, rejections);
                    }
                    Err(reason) => rejections.add(reason, record_count(metric)),
                }
            }
        }
    }

    fn sum(
        &mut self,
        metric: &Metric,
        sum: &Sum,
        temporality: Temporality,
        origin: &Origin,
        points: &mut Vec<Point>,
        rejections: &mut Rejections,
    ) {
        if !KNOWN.contains(&metric.name.as_str()) && metric.name != own::MARKS_METRIC {
            self.unknown.note("metric", &metric.name);
        }
        let name = self.names.of(metric);
        for point in &sum.data_points {
            let room =
                if points.len() < RECORDS_MAX { Ok(()) } else { Err(Reason::TooManyRecords) };
            let value = match room.and_then(|()| value_of(point, &name)) {
                Ok(value) => value,
                Err(reason) => {
                    rejections.add(reason, 1);
                    continue;
                }
            };
            points.push(Point {
                metric: name.clone(),
                labels: self.labels(point, origin),
                stream: self.stream(metric, point, temporality, origin),
                start_ns: point.start_time_unix_nano,
                time_ns: point.time_unix_nano,
                value,
                temporality,
            });
        }
    }

    /// Before privacy: two streams stay two, whatever a level takes away from them.
    fn stream(
        &mut self,
        metric: &Metric,
        point: &NumberDataPoint,
        temporality: Temporality,
        origin: &Origin,
    ) -> u128 {
        let input = &mut self.canonical;
        input.begin(b's');
        input.hash_of(origin.hash);
        input.text(&metric.name);
        input.text(&metric.unit);
        match temporality {
            Temporality::Delta => input.number(0),
            Temporality::Cumulative => {
                input.number(1);
                input.number(point.start_time_unix_nano);
            }
        }
        input.sorted(&point.attributes);
        input.finish(&self.settings.install_key)
    }

    fn labels(&mut self, point: &NumberDataPoint, origin: &Origin) -> Labels {
        let mut labels = Labels::with_capacity(origin.tags.len() + point.attributes.len() + 2);
        labels.push((JOB.clone(), origin.service.clone()));
        labels.extend(origin.tags.iter().cloned());
        for attribute in &point.attributes {
            self.label(attribute, origin, &mut labels);
        }
        labels.retain(|(_, value)| !value.is_empty());
        labels.sort_by(|(a, _), (b, _)| a.cmp(b));
        labels.dedup_by(|(a, _), (b, _)| a == b); // of one name twice, the first stays
        labels
    }

    fn label(&mut self, attribute: &KeyValue, origin: &Origin, labels: &mut Labels) {
        let known = attributes::find(&attribute.key);
        let Some((known, name)) = known.and_then(|known| Some((known, known.label.as_ref()?)))
        else {
            let skip = known.is_some()
                || origin.repeats(attribute, false)
                || origin.brings(&attribute.key);
            if !skip && attributes::class("", &attribute.key, false) != Some(Class::Identity) {
                self.unknown.note("label", &attribute.key);
            }
            return;
        };
        let rules = self.settings.rules(origin.level);
        let (Outcome::Keep(value) | Outcome::Cut(value, _)) =
            self.texts.reduce(attribute, Some(known), known.class, rules)
        else {
            return;
        };
        let Some(text) = label_text(&value) else { return };
        if &*known.key == "model"
            && let (model, Some(suffix)) = names::split_model(&text)
        {
            labels.push((CONTEXT.clone(), suffix.into()));
            labels.push((name.clone(), model.into()));
            return;
        }
        let short = text.len() <= origin::LABEL_BYTES_MAX;
        labels.push((name.clone(), if short { text } else { origin::bounded(&text) }));
    }
}

static JOB: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("job"));
static CONTEXT: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("context"));

/// A metric as a monotonic sum with a temporality.
fn proven(metric: &Metric) -> Result<(&Sum, Temporality), Reason> {
    let Some(Data::Sum(sum)) = &metric.data else { return Err(Reason::NotASum) };
    if !sum.is_monotonic {
        return Err(Reason::NotMonotonic);
    }
    match AggregationTemporality::try_from(sum.aggregation_temporality) {
        Ok(AggregationTemporality::Delta) => Ok((sum, Temporality::Delta)),
        Ok(AggregationTemporality::Cumulative) => Ok((sum, Temporality::Cumulative)),
        _ => Err(Reason::NoTemporality),
    }
}

fn value_of(point: &NumberDataPoint, name: &str) -> Result<f64, Reason> {
    #[expect(clippy::cast_precision_loss, reason = "counters are doubles, as in Prometheus")]
    let value = match point.value.ok_or(Reason::NoValue)? {
        Number::AsDouble(number) => number,
        Number::AsInt(number) => number as f64,
    };
    if !value.is_finite() {
        return Err(Reason::NotANumber);
    }
    if value < 0.0 {
        return Err(Reason::Negative);
    }
    if !amounts::fits(name, value) {
        return Err(Reason::BeyondLimit);
    }
    if point.time_unix_nano == 0 {
        return Err(Reason::NoTime);
    }
    if point.attributes.len() > ATTRIBUTES_MAX {
        return Err(Reason::TooManyAttributes);
    }
    Ok(value)
}

fn record_count(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
        None => 1, // what it held could not be read
    }
}

#[cfg(test)]
mod tests;
