//! `GET /metrics`: the current counters and the agent's own health, in Prometheus' text format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Response};
use http_body_util::Full;

use super::failure::Failure;
use super::{Counts, Door, route};
use crate::store::handle::{Refused, SeriesValue, StoreStats, TallyCounts, TurnedAway};

/// One value of the agent's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// `ccotel_…`; a name that ends in `_total` is a counter, any other a gauge.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub help: &'static str,
    pub labels: Vec<(&'static str, String)>,
    pub value: f64,
}

impl Sample {
    fn new(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, labels: Vec::new(), value }
    }
}

pub(super) async fn page(door: &Door, request: &Parts) -> Result<Response<Full<Bytes>>, Failure> {
    let own = door.own_samples().await?;
    let mut values = door.store.values().await?;
    let shown = door.scrapes.shown(request, values.len());
    values.iter_mut().skip(shown).for_each(|series| series.value = 0.0);
    let mut response = route::text(render(&own, &values));
    let version = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, version);
    Ok(response)
}

impl Door {
    /// What the agent says of itself.
    pub async fn own_samples(&self) -> Result<Vec<Sample>, Refused> {
        let stats = self.store.stats().await?;
        let tally = self.store.tally().counts();
        let mut own = own_samples(&self.counts(), &tally, &stats);
        if let Some(more) = &self.more_samples {
            own.extend(more().await);
        }
        Ok(own)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a double, in Prometheus too")]
fn own_samples(counts: &Counts, tally: &TallyCounts, stats: &StoreStats) -> Vec<Sample> {
    let plain = |name, help, value: u64| Sample::new(name, help, value as f64);
    let labelled = |name, help, label, text: &str, value: u64| Sample {
        labels: vec![(label, text.to_owned())],
        ..Sample::new(name, help, value as f64)
    };
    let turned_away = |what| tally.of(what);
    let record = |outcome, value| {
        let help = "Records by what became of them at the door, since the install began.";
        labelled("ccotel_receive_records_total", help, "outcome", outcome, value)
    };
    let request = |outcome, what| {
        let help = "OTLP requests that were turned away, since the install began.";
        let name = "ccotel_receive_failed_requests_total";
        labelled(name, help, "outcome", outcome, turned_away(what))
    };
    let stored = |kind, value| {
        let help = "Of the received records, those that were stored.";
        labelled("ccotel_store_stored_records_total", help, "kind", kind, value)
    };
    let [points, events, spans] = stats.stored;
    let version = env!("CARGO_PKG_VERSION");
    let requests = "OTLP requests since this worker began, however they ended.";
    let received = "Records in accepted requests: stored, duplicate or unchanged.";
    let duplicate = "Of the received records, those that had been stored before.";
    let unchanged = "Of the received records, points that changed no counter.";
    vec![
        labelled("ccotel_build_info", "The version that runs.", "version", version, 1),
        plain("ccotel_receive_requests_total", requests, counts.requests),
        request("refused", TurnedAway::Refused),
        request("malformed", TurnedAway::Malformed),
        request("denied", TurnedAway::Denied),
        record("received", stats.received),
        record("rejected", turned_away(TurnedAway::Rejected)),
        record("foreign", turned_away(TurnedAway::Foreign)),
        plain("ccotel_store_records_total", received, stats.received),
        stored("points", points),
        stored("events", events),
        stored("spans", spans),
        plain("ccotel_store_duplicate_records_total", duplicate, stats.duplicate),
        plain("ccotel_store_unchanged_records_total", unchanged, stats.unchanged),
        plain("ccotel_store_series", "Series with a counter.", stats.series),
        plain("ccotel_store_bytes", "Bytes on disk.", stats.disk_bytes),
        plain("ccotel_sessions_active", "Sessions at work now.", stats.sessions_active),
    ]
}

/// Families sorted by name, each with its type once.
fn render(own: &[Sample], values: &[SeriesValue]) -> String {
    let mut page = String::new();
    let mut families: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in own {
        families.entry(sample.name).or_default().push(sample);
    }
    for (name, samples) in families {
        header(&mut page, name, samples[0].help);
        for sample in samples {
            let labels = sample.labels.iter().map(|(name, text)| (*name, text.as_str()));
            line(&mut page, name, labels, sample.value);
        }
    }
    let mut families: BTreeMap<&str, Vec<&SeriesValue>> = BTreeMap::new();
    for series in values {
        let name = series.labels.iter().find(|(name, _)| &**name == "__name__");
        if let Some((_, name)) = name {
            families.entry(name).or_default().push(series);
        }
    }
    for (name, series) in families {
        header(&mut page, name, "Counted from Claude Code's own metric.");
        for series in series {
            let labels = series.labels.iter().filter(|(name, _)| &**name != "__name__");
            line(&mut page, name, labels.map(|(name, text)| (&**name, &**text)), series.value);
        }
    }
    page
}

fn header(page: &mut String, name: &str, help: &str) {
    let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
    writing(write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

fn line<'a>(
    page: &mut String,
    name: &str,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    value: f64,
) {
    page.push_str(name);
    let mut separator = '{';
    for (name, text) in labels {
        page.push(separator);
        page.push_str(name);
        page.push_str("=\"");
        for character in text.chars() {
            match character {
                '\\' => page.push_str("\\\\"),
                '"' => page.push_str("\\\""),
                '\n' => page.push_str("\\n"),
                other => page.push(other),
            }
        }
        page.push('"');
        separator = ',';
    }
    if separator == ',' {
        page.push('}');
    }
    writing(match value {
        f64::INFINITY => writeln!(page, " +Inf"),
        f64::NEG_INFINITY => writeln!(page, " -Inf"),
        value => writeln!(page, " {value}"),
    });
}

fn writing(result: std::fmt::Result) {
    result.expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_family_has_its_type_once_and_values_are_escaped() {
        let series = |model: &str, value| SeriesValue {
            labels: Arc::new(vec![
                ("__name__".into(), "claude_code_cost_usage_USD_total".into()),
                ("model".into(), model.into()),
            ]),
            value,
        };
        let own = [Sample::new("ccotel_store_series", "Series.", 2.0)];
        let values = [series("a\"b\\c\nd", 1.25), series("plain", f64::INFINITY)];
        insta::assert_snapshot!(render(&own, &values), @r#"
        # HELP ccotel_store_series Series.
        # TYPE ccotel_store_series gauge
        ccotel_store_series 2
        # HELP claude_code_cost_usage_USD_total Counted from Claude Code's own metric.
        # TYPE claude_code_cost_usage_USD_total counter
        claude_code_cost_usage_USD_total{model="a\"b\\c\nd"} 1.25
        claude_code_cost_usage_USD_total{model="plain"} +Inf
        "#);
    }
}
