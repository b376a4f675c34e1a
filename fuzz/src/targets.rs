//! One function a target. Each takes any bytes, and panics where a promise is broken.

use std::path::Path;

use ccotel::config::{Accept, shape};
use ccotel::receive::expansion::{self, Shape, VALUES_MAX};
use ccotel::receive::gzip::{Gunzip, GunzipError};
use ccotel::receive::json::{self, Decoded, Unreadable};
use ccotel::record::{Batch, PrivacyLevel, RECORDS_MAX, Recorded, Recorder, Settings};
use ccotel::store::row::{RowWriter, read_events, read_points, read_spans};
use ccotel::store::samples::{read_entries, write_entries};
use ccotel::store::stream::Stream;
use ccotel::tags::{self, encode, rules};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as Logs;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as Metrics;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Traces;
use prost::Message;

use super::dialect::Dialect;
use super::plain;

/// What a test decompresses at most, small enough to be reached.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 20;

/// A target's name, and what it does with its input.
pub type Target = (&'static str, fn(&[u8]));

pub const ALL: [Target; 8] = [
    ("otlp_protobuf", otlp_protobuf),
    ("otlp_json", otlp_json),
    ("otlp_same_in_both", otlp_same_in_both),
    ("gzip_body", gzip_body),
    ("project_file", project_file),
    ("config_file", config_file),
    ("resource_attributes", resource_attributes),
    ("stored_rows", stored_rows),
];

/// A request in protobuf, as each of the signals: every record is kept or counted, is within what
/// was counted before it was decoded, and comes back from its row.
pub fn otlp_protobuf(data: &[u8]) {
    let recorder = recorder(data.len());
    if let Ok(request) = Logs::decode(data) {
        counted_before(data, &expansion::LOGS, plain::log_records(&request));
        kept_or_counted(plain::log_records(&request), &recorder.logs(request));
    }
    if let Ok(request) = Metrics::decode(data) {
        counted_before(data, &expansion::METRICS, plain::data_points(&request));
        kept_or_counted(plain::points_or_metrics(&request), &recorder.metrics(request));
    }
    if let Ok(request) = Traces::decode(data) {
        counted_before(data, &expansion::TRACES, plain::spans(&request));
        kept_or_counted(plain::spans(&request), &recorder.traces(request));
    }
}

/// The same in JSON.
pub fn otlp_json(data: &[u8]) {
    let recorder = recorder(data.len());
    let within = |records: usize| {
        let counted = expansion::json_values(data, VALUES_MAX);
        assert!(records <= counted, "{records} records in {counted} values");
    };
    if let Ok(Decoded { request, .. }) = json::logs(data) {
        within(plain::log_records(&request));
        kept_or_counted(plain::log_records(&request), &recorder.logs(request));
    }
    if let Ok(Decoded { request, .. }) = json::metrics(data) {
        within(plain::data_points(&request));
        kept_or_counted(plain::points_or_metrics(&request), &recorder.metrics(request));
    }
    if let Ok(Decoded { request, .. }) = json::traces(data) {
        within(plain::spans(&request));
        kept_or_counted(plain::spans(&request), &recorder.traces(request));
    }
}

/// What protobuf says, JSON says too, in every dialect.
pub fn otlp_same_in_both(data: &[u8]) {
    let dialects = [Dialect::SPECIFICATION, Dialect::CLAUDE_CODE, Dialect::PROTO3_WITH_NAMES];
    let dialect = dialects[data.len() % dialects.len()];
    if let Some(request) = Logs::decode(data).ok().and_then(plain::logs) {
        let written = dialect.logs(&request).to_string();
        same(&request, json::logs(written.as_bytes()), &written);
    }
    if let Some(request) = Metrics::decode(data).ok().and_then(plain::metrics) {
        let written = dialect.metrics(&request).to_string();
        same(&request, json::metrics(written.as_bytes()), &written);
    }
    if let Some(request) = Traces::decode(data).ok().and_then(plain::traces) {
        let written = dialect.traces(&request).to_string();
        same(&request, json::traces(written.as_bytes()), &written);
    }
}

/// A compressed body gives no more than the limit, and what another decoder gives.
pub fn gzip_body(data: &[u8]) {
    let reference = plain::gunzip(data, DECOMPRESSED_BYTES_MAX + 1);
    match (gunzip(data), reference) {
        (Ok(whole), reference) => assert_eq!(Some(whole), reference),
        (Err(GunzipError::TooLarge(_)), Some(reference)) => {
            assert!(reference.len() > DECOMPRESSED_BYTES_MAX);
        }
        (Err(error), Some(_)) => panic!("{error}, and it can be read"),
        // Broken beyond the limit, or before it.
        (Err(_), None) => {}
    }
    // Compressed here, as one member and as two, it is what it was.
    let (head, tail) = data.split_at(data.len() / 2);
    let members = [plain::gzip(head), plain::gzip(tail)].concat();
    assert_eq!(gunzip(&members).as_deref(), Ok(data));
}

/// A repository's file gives only tags that can be, and never a panic.
pub fn project_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (file, problems) = tags::file::read(Path::new(".ccotel.toml"), text);
    for (key, value) in &file.tags {
        assert_eq!(rules::check(key, &value.value), Ok(()));
    }
    for (_, amount) in &file.budget {
        assert!(amount.value.is_finite() && amount.value > 0.0);
    }
    // What is missing at the end is missing on the line after the last, as editors number it.
    let lines = u32::try_from(text.split('\n').count()).unwrap_or(u32::MAX);
    for problem in problems {
        assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem}");
        assert!(!problem.to_string().is_empty());
    }
}

/// The user's file gives only values within their limits, and never a panic.
pub fn config_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (read, problems) = shape::read(Path::new("config.toml"), text, Path::new("/home/user"));
    assert!(read.is_some() || !problems.is_empty(), "what is not read is reported");
    for problem in problems {
        assert!(!problem.to_string().is_empty());
    }
    let Some(shape) = read else { return };
    if let Some(listen) = &shape.listen {
        assert!(listen.value.iter().all(|address| address.ip().is_loopback()));
    }
    for (key, value) in &shape.tags {
        assert_eq!(rules::check(key, &value.value), Ok(()));
    }
    let mut names: Vec<_> = shape.destinations.iter().map(|it| &it.destination.name).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "two destinations of one name");
}

/// What is read of `OTEL_RESOURCE_ATTRIBUTES` and can be written, reads back the same.
pub fn resource_attributes(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = encode::entries(&text);
    let safe: Vec<(String, String)> =
        read.into_iter().filter(|(key, value)| encode::is_attribute(key, value)).collect();
    let written = encode::join(safe.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    assert!(written.bytes().all(|byte| byte.is_ascii_graphic() && !b";\\\"".contains(&byte)));
    assert_eq!(encode::entries(&written), safe, "{written}");
    assert_eq!(encode::decode(&encode::value(&text)), text);
}

/// Stored bytes, as each kind of them: what can be read, reads the same after it is written.
pub fn stored_rows(data: &[u8]) {
    if let Ok(points) = read_points(data) {
        comes_back(&Batch::Points(points));
    }
    if let Ok(events) = read_events(data) {
        comes_back(&Batch::Events(events));
    }
    if let Ok(spans) = read_spans(data) {
        comes_back(&Batch::Spans(spans));
    }
    if let Ok(entries) = read_entries(data) {
        let written = write_entries(&entries);
        let again = read_entries(&written).expect("what was written can be read");
        assert_eq!(write_entries(&again), written);
    }
    if let Some(stream) = Stream::from_bytes(data) {
        assert_eq!(stream.to_bytes(), data);
    }
}

/// Takes every program's records, so that more of them are looked at.
pub fn recorder(choice: usize) -> Recorder {
    let levels = [PrivacyLevel::Minimal, PrivacyLevel::Standard, PrivacyLevel::Full];
    Recorder::new(Settings {
        level: levels[choice % levels.len()],
        email_hashed: choice.is_multiple_of(2),
        accept: Accept::Any,
        tags: vec![("team".to_owned(), "payments".to_owned())],
        install_key: [7; 32],
    })
}

fn counted_before(body: &[u8], shape: &Shape, records: usize) {
    let counted = expansion::protobuf_values(body, shape, VALUES_MAX);
    assert!(records <= counted, "{records} records in {counted} messages");
}

fn kept_or_counted(records: usize, recorded: &Recorded) {
    let kept = recorded.batch.records();
    assert_eq!(kept + recorded.rejected, records as u64, "{:?}", recorded.message);
    assert!(kept <= RECORDS_MAX as u64 && recorded.foreign == 0);
    assert_eq!(recorded.rejected > 0, recorded.message.is_some());
    comes_back(&recorded.batch);
}

/// Compared as rows, since a NaN is not equal to itself.
fn comes_back(batch: &Batch) {
    let mut writer = RowWriter::new().expect("a compressor");
    let row = writer.write(batch).expect("a row");
    let again = match batch {
        Batch::Points(_) => Batch::Points(read_points(&row).expect("points")),
        Batch::Events(_) => Batch::Events(read_events(&row).expect("events")),
        Batch::Spans(_) => Batch::Spans(read_spans(&row).expect("spans")),
    };
    assert_eq!(writer.write(&again).expect("a row"), row);
}

fn same<M: Message>(sent: &M, decoded: Result<Decoded<M>, Unreadable>, written: &str) {
    let decoded = decoded.unwrap_or_else(|error| panic!("{error} in {written}"));
    assert_eq!((decoded.unreadable, decoded.reason), (0, None), "{written}");
    assert_eq!(decoded.request.encode_to_vec(), sent.encode_to_vec(), "{written}");
}

fn gunzip(body: &[u8]) -> Result<Vec<u8>, GunzipError> {
    let mut gunzip = Gunzip::new(body, DECOMPRESSED_BYTES_MAX);
    while !gunzip.step()?.is_last {}
    Ok(gunzip.into_whole())
}
