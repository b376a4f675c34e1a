//! A Prometheus without an out-of-order window, as a receiver of remote_write 1.0, behind moods.
//!
//! As in Prometheus 2.42 (`storage/remote/write_handler.go`, `tsdb/head_append.go`):
//!
//! - A series' labels are sorted by name, each once and none empty, with `__name__`.
//! - A sample at the time of the series' last one is taken if it has the same value, and changes
//!   nothing; with another value it is refused, and so is an older one.
//! - A request with a refused sample is refused whole, with 400.
//! - What it does not understand, as a request of remote_write 2.0 from a sender that takes an honest
//!   answer, is refused with 415.

use std::collections::BTreeMap;

use http::HeaderMap;
use prost::Message;

use super::backend::{Answer, Rules};
use super::harness::remote_write::{TimeSeries, WriteRequest};

pub type Labels = Vec<(String, String)>;

#[derive(Default)]
pub struct Prometheus {
    /// Times in milliseconds, and values.
    pub series: BTreeMap<Labels, Vec<(i64, f64)>>,
    /// What no Prometheus should ever be sent, in words.
    pub faults: Vec<String>,
    pub refusals: u64,
}

impl Rules for Prometheus {
    fn take(&mut self, headers: &HeaderMap, body: &[u8]) -> Answer {
        let content_type = headers.get("content-type").and_then(|it| it.to_str().ok());
        if content_type.is_some_and(|it| it.contains("io.prometheus.write.v2")) {
            return Answer { status: 415, text: "remote_write 1.0 only".into() };
        }
        match decode(body).and_then(|request| self.append(request)) {
            Ok(()) => Answer { status: 204, text: String::new() },
            Err(text) => {
                self.refusals += 1;
                Answer { status: 400, text }
            }
        }
    }
}

impl Prometheus {
    /// Of Claude Code's series.
    pub fn samples(&self) -> u64 {
        self.claude_codes().map(|(_, samples)| samples.len() as u64).sum()
    }

    /// All but the agent's own.
    pub fn claude_codes(&self) -> impl Iterator<Item = (&Labels, &Vec<(i64, f64)>)> {
        let own =
            |labels: &Labels| labels.iter().any(|(name, value)| name == "job" && value == "ccotel");
        self.series.iter().filter(move |(labels, _)| !own(labels))
    }

    /// All of it, or nothing.
    fn append(&mut self, request: WriteRequest) -> Result<(), String> {
        let mut fresh: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
        for series in request.timeseries {
            let labels = self.labels(&series)?;
            let samples = fresh.entry(labels.clone()).or_default();
            for sample in series.samples {
                let (time, value) = (sample.timestamp, sample.value);
                let known = self.series.get(&labels).and_then(|known| known.last());
                match samples.last().or(known) {
                    Some(last) if time < last.0 => return Err("out of order sample".into()),
                    Some(last) if time == last.0 && value == last.1 => {}
                    Some(last) if time == last.0 => {
                        let text = format!("duplicate sample for timestamp: {last:?}, now {value}");
                        self.faults.push(format!("{text}, of {labels:?}"));
                        return Err(text);
                    }
                    _ => samples.push((time, value)),
                }
            }
        }
        for (labels, samples) in fresh {
            self.series.entry(labels).or_default().extend(samples);
        }
        Ok(())
    }

    fn labels(&mut self, series: &TimeSeries) -> Result<Labels, String> {
        let labels: Labels =
            series.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
        let sorted = labels.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let named = labels.iter().any(|(name, _)| name == "__name__");
        if sorted && named && labels.iter().all(|(_, value)| !value.is_empty()) {
            return Ok(labels);
        }
        self.faults.push(format!("no proper labels: {labels:?}"));
        Err("invalid labels".into())
    }
}

fn decode(body: &[u8]) -> Result<WriteRequest, String> {
    let plain = snap::raw::Decoder::new().decompress_vec(body).map_err(|it| it.to_string())?;
    WriteRequest::decode(plain.as_slice()).map_err(|it| it.to_string())
}
