//! Real requests of Claude Code 2.1.197, recorded: nothing of them is rejected or unknown, JSON and
//! protobuf are one, and a tighter level is the same at once and later.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use std::path::{Path, PathBuf};

use ccotel::config::Accept;
use ccotel::record::{
    Batch, PrivacyLevel, Recorded, Recorder, Settings, tighten_event, tighten_labels, tighten_spans,
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

const INSTALL_KEY: [u8; 32] = [5; 32];

fn recorder(level: PrivacyLevel) -> Recorder {
    Recorder::new(Settings {
        level,
        email_hashed: false,
        accept: Accept::ClaudeCode,
        tags: vec![("cost_center".into(), "cc-42".into())],
        install_key: INSTALL_KEY,
    })
}

/// The bodies as sent, sorted by name.
fn bodies() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude-code-2.1.197");
    let folders = std::fs::read_dir(root).unwrap().map(|folder| folder.unwrap().path());
    let mut bodies: Vec<PathBuf> = folders
        .filter(|path| path.is_dir())
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .collect();
    bodies.sort();
    assert!(bodies.len() > 50, "the recorded requests are missing");
    bodies
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn decode<T: Message + Default + DeserializeOwned>(path: &Path) -> T {
    let body = std::fs::read(path).unwrap();
    if name(path).contains("http_json") {
        return serde_json::from_slice(&body).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    T::decode(&*body).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn record(recorder: &Recorder, path: &Path) -> Recorded {
    let name = name(path);
    match () {
        () if name.contains("-metrics-") => recorder.metrics(decode(path)),
        () if name.contains("-logs-") => recorder.logs(decode(path)),
        () => recorder.traces(decode(path)),
    }
}

#[test]
fn everything_that_claude_code_sends_is_known_and_kept() {
    let recorder = recorder(PrivacyLevel::Standard);
    let mut records = [0; 3];
    for path in bodies() {
        let outcome = record(&recorder, &path);
        assert_eq!(outcome.rejected, 0, "{}: {:?}", path.display(), outcome.message);
        assert_eq!(outcome.message, None);
        assert_ne!(outcome.batch.records(), 0, "{}", path.display());
        let kind = match outcome.batch {
            Batch::Points(_) => 0,
            Batch::Events(_) => 1,
            Batch::Spans(_) => 2,
        };
        records[kind] += outcome.batch.records();
    }
    assert!(records.iter().all(|count| *count > 20), "{records:?}");
    assert_eq!(recorder.unknown(), Vec::<String>::new());
}

#[test]
fn json_and_protobuf_are_recorded_alike() {
    let recorder = recorder(PrivacyLevel::Full);
    for path in bodies().into_iter().filter(|path| !name(path).contains("http_json")) {
        let (sent, as_json) = match () {
            () if name(&path).contains("-metrics-") => {
                let request: ExportMetricsServiceRequest = decode(&path);
                (recorder.metrics(request.clone()), recorder.metrics(through_json(&request)))
            }
            () if name(&path).contains("-logs-") => {
                let request: ExportLogsServiceRequest = decode(&path);
                (recorder.logs(request.clone()), recorder.logs(through_json(&request)))
            }
            () => continue,
        };
        assert_eq!(sent, as_json, "{}", path.display());
    }
}

fn through_json<T: Serialize + DeserializeOwned>(request: &T) -> T {
    serde_json::from_slice(&serde_json::to_vec(request).unwrap()).unwrap()
}

#[test]
fn a_tighter_level_is_the_same_at_once_and_later() {
    let (standard, minimal) = (recorder(PrivacyLevel::Standard), recorder(PrivacyLevel::Minimal));
    for path in bodies() {
        let at = path.display();
        match (record(&standard, &path).batch, record(&minimal, &path).batch) {
            (Batch::Points(standard), Batch::Points(minimal)) => {
                for (point, expect) in standard.iter().zip(&minimal) {
                    assert_eq!(point.stream, expect.stream, "{at}");
                    let labels = tighten_labels(&point.labels, PrivacyLevel::Minimal);
                    assert_eq!(labels, expect.labels, "{at}");
                    assert_eq!(tighten_labels(&labels, PrivacyLevel::Minimal), labels);
                }
            }
            (Batch::Events(standard), Batch::Events(minimal)) => {
                for (event, expect) in standard.iter().zip(&minimal) {
                    let event = tighten_event(event, PrivacyLevel::Minimal, &INSTALL_KEY);
                    assert_eq!(&event, expect, "{at}");
                    assert_eq!(tighten_event(&event, PrivacyLevel::Minimal, &INSTALL_KEY), event);
                }
            }
            (Batch::Spans(standard), Batch::Spans(minimal)) => {
                for ((_, spans), (_, expect)) in standard.iter().zip(&minimal) {
                    let spans = tighten_spans(spans, PrivacyLevel::Minimal, &INSTALL_KEY);
                    assert_eq!(spans.as_ref(), Some(expect), "{at}");
                }
            }
            _ => panic!("{at}: the level changed the signal"),
        }
    }
}

#[test]
fn labels_are_those_of_the_list_and_no_others() {
    let recorder = recorder(PrivacyLevel::Standard);
    let mut seen = std::collections::BTreeSet::new();
    for path in bodies() {
        if let Batch::Points(points) = record(&recorder, &path).batch {
            for point in points {
                let names: Vec<&str> = point.labels.iter().map(|(name, _)| &**name).collect();
                assert!(names.is_sorted(), "{names:?}");
                seen.extend(names.into_iter().map(str::to_owned));
            }
        }
    }
    let expect = [
        "agent_name",
        "context",
        "cost_center",
        "decision",
        "effort",
        "job",
        "language",
        "mcp_server_name",
        "mcp_tool_name",
        "model",
        "project",
        "query_source",
        "skill_name",
        "source",
        "start_type",
        "team",
        "tool_name",
        "type",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expect);
}

#[test]
fn events_hold_what_the_resource_says_once() {
    let recorder = recorder(PrivacyLevel::Standard);
    for path in bodies() {
        let Batch::Events(events) = record(&recorder, &path).batch else { continue };
        for event in events {
            let count = |key: &str| event.attributes.iter().filter(|(k, _)| &**k == key).count();
            for key in ["session.id", "event.timestamp", "service.version", "os.type", "host.arch"]
            {
                assert_eq!(count(key), 1, "{key} of {event:?}");
            }
            for key in ["team", "project", "service.name", "event.name", "prompt", "response"] {
                assert_eq!(count(key), 0, "{key} of {event:?}");
            }
            assert_eq!(*event.body, format!("claude_code.{}", event.name));
            let tags: Vec<&str> = event.tags.iter().map(|(name, _)| &**name).collect();
            assert_eq!(tags, ["cost_center", "project", "team"]);
        }
    }
}

#[test]
fn two_processes_of_one_session_are_two_streams() {
    // What a resumed session sends differs from its first life only in the start times.
    let recorder = recorder(PrivacyLevel::Standard);
    let path = bodies()
        .into_iter()
        .find(|path| {
            path.to_str().unwrap().contains("cumulative") && name(path).contains("metrics")
        })
        .unwrap();
    let request: ExportMetricsServiceRequest = decode(&path);
    let mut resumed = request.clone();
    for metric in resumed
        .resource_metrics
        .iter_mut()
        .flat_map(|resource| &mut resource.scope_metrics)
        .flat_map(|scope| &mut scope.metrics)
    {
        let Some(Data::Sum(sum)) = &mut metric.data else { panic!("not a sum") };
        sum.data_points.iter_mut().for_each(|point| point.start_time_unix_nano += 1);
    }
    let (Batch::Points(first), Batch::Points(second)) =
        (recorder.metrics(request).batch, recorder.metrics(resumed).batch)
    else {
        panic!("not points")
    };
    for (a, b) in first.iter().zip(&second) {
        assert_eq!(a.labels, b.labels);
        assert_ne!(a.stream, b.stream);
    }
}
