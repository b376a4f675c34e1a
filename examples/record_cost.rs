//! What recording costs: CPU time a request, over the requests recorded from Claude Code.
//!
//! `cargo run --release --example record_cost`

use std::hint::black_box;
use std::time::{Duration, Instant};

use ccotel::config::Accept;
use ccotel::record::{PrivacyLevel, Recorder, Settings};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;

const RECORDS: usize = 20;
const POINTS: usize = 26;
const ROUNDS: u32 = 2_000;

fn main() -> anyhow::Result<()> {
    let (logs, metrics) = requests()?;
    for level in [PrivacyLevel::Minimal, PrivacyLevel::Standard, PrivacyLevel::Full] {
        let recorder = Recorder::new(Settings {
            level,
            email_hashed: false,
            accept: Accept::ClaudeCode,
            tags: Vec::new(),
            install_key: [1; 32],
        });
        let now = Instant::now();
        let events = median(&logs, |request| drop(black_box(recorder.logs_at(request, now))));
        let points = median(&metrics, |request| drop(black_box(recorder.metrics_of(request))));
        println!("{level:?}: {events:?} for {RECORDS} events, {points:?} for {POINTS} points");
    }
    Ok(())
}

/// Every record of one long session, in requests of the size that the budget is stated for.
fn requests() -> anyhow::Result<(Vec<ExportLogsServiceRequest>, Vec<ExportMetricsServiceRequest>)> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/claude-code-2.1.197/rich-http-protobuf-cumulative"
    );
    let (mut logs, mut metrics) = (Vec::new(), Vec::new());
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.to_string_lossy();
        if name.ends_with(".bin") && name.contains("-logs-") {
            logs.push(ExportLogsServiceRequest::decode(&*std::fs::read(&path)?)?);
        } else if name.ends_with(".bin") && name.contains("-metrics-") {
            metrics.push(ExportMetricsServiceRequest::decode(&*std::fs::read(&path)?)?);
        }
    }
    Ok((regroup_logs(&logs), regroup_metrics(&metrics)))
}

fn regroup_logs(requests: &[ExportLogsServiceRequest]) -> Vec<ExportLogsServiceRequest> {
    let scopes = requests.iter().flat_map(|request| &request.resource_logs[0].scope_logs);
    let records: Vec<_> = scopes.flat_map(|scope| scope.log_records.iter().cloned()).collect();
    let request = |records: &[_]| {
        let mut request = requests[0].clone();
        request.resource_logs[0].scope_logs[0].log_records = records.to_vec();
        request
    };
    records.chunks_exact(RECORDS).map(request).collect()
}

fn regroup_metrics(requests: &[ExportMetricsServiceRequest]) -> Vec<ExportMetricsServiceRequest> {
    let request = |request: &ExportMetricsServiceRequest| {
        let mut request = request.clone();
        let metrics = &mut request.resource_metrics[0].scope_metrics[0].metrics;
        for metric in metrics.iter_mut() {
            use opentelemetry_proto::tonic::metrics::v1::metric::Data;
            // Token usage has the most attributes; it is repeated up to the number wanted.
            if let (true, Some(Data::Sum(sum))) =
                (metric.name == "claude_code.token.usage", &mut metric.data)
            {
                sum.data_points = sum.data_points.iter().cloned().cycle().take(POINTS).collect();
            }
        }
        metrics.retain(|metric| metric.name == "claude_code.token.usage");
        request
    };
    let requests = requests.iter().map(request);
    requests
        .filter(|request| !request.resource_metrics[0].scope_metrics[0].metrics.is_empty())
        .collect()
}

/// Median time of one call, without the decoding and freeing of the request: other work on the
/// machine does not move it.
fn median<T>(requests: &[T], call: impl Fn(&T)) -> Duration {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        for request in requests {
            let began = Instant::now();
            call(request);
            times.push(began.elapsed());
        }
    }
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
