//! Recorded requests of the real Claude Code, replayed in every order that a network could give, come to
//! the truth that the recording's mock of the Messages API kept.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ccotel::config::Accept;
use ccotel::record::{Batch, Event, PrivacyLevel, Recorder, Settings, Value};
use ccotel::store::Options;
use ccotel::store::core::Core;
use ccotel::store::handle::{Content, DestinationKey, Ingest, Lane, Settled, Since};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message;

/// The orders in which requests may arrive.
#[derive(Clone, Copy, Debug)]
enum Order {
    AsRecorded,
    /// Each request at once again: its answer got lost.
    Twice,
    /// All of it again at the end: a whole spool was replayed.
    AllAgain,
    Backwards,
    /// Every third request arrives five later: a retry overtaken by newer data.
    LateRetries,
}

#[test]
fn every_recording_in_every_order_comes_to_the_truth() {
    for folder in folders() {
        let requests = requests(&folder);
        assert!(!requests.is_empty(), "{} holds no requests", folder.display());
        for order in
            [Order::AsRecorded, Order::Twice, Order::AllAgain, Order::Backwards, Order::LateRetries]
        {
            let found = replay(&ordered(&requests, order), false);
            check(&folder, &found, &format!("{order:?}"));
        }
    }
}

#[test]
fn a_crash_after_each_request_changes_nothing() {
    for name in [
        "rich-http-protobuf-cumulative",
        "resume-continue-http-protobuf-delta",
        "concurrent-grpc-delta",
    ] {
        let folder = fixtures().join(name);
        check(&folder, &replay(&requests(&folder), true), "crash after each");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_order_at_all_comes_to_the_truth(seed in any::<u64>()) {
        let folders = folders();
        let folder = &folders[usize::try_from(seed % folders.len() as u64).unwrap()];
        let mut all = requests(folder);
        all.extend(requests(folder));
        let mut state = seed;
        for left in (1..all.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            all.swap(left, usize::try_from((state >> 33) % (left as u64 + 1)).unwrap());
        }
        check(folder, &replay(&all, false), &format!("seed {seed}"));
    }
}

/// A request as it was sent.
#[derive(Clone)]
struct Request {
    signal: String,
    json: bool,
    body: Vec<u8>,
}

/// What a backend would show.
#[derive(Debug, Default)]
struct Found {
    /// By (metric, model, type).
    counters: BTreeMap<(String, String, String), f64>,
    events: Vec<Event>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude-code-2.1.197")
}

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert_eq!(folders.len(), 15);
    folders
}

fn requests(folder: &Path) -> Vec<Request> {
    let index = std::fs::read_to_string(folder.join("index.jsonl")).unwrap();
    index
        .lines()
        .map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            let file = entry["file"].as_str().unwrap();
            let body = std::fs::read(folder.join(format!("{file}.bin"))).unwrap();
            Request {
                signal: entry["signal"].as_str().unwrap().into(),
                json: entry["proto"] == "http/json",
                body,
            }
        })
        .collect()
}

fn ordered(requests: &[Request], order: Order) -> Vec<Request> {
    let mut all = requests.to_vec();
    match order {
        Order::AsRecorded => {}
        Order::Twice => {
            all = all.into_iter().flat_map(|request| [request.clone(), request]).collect();
        }
        Order::AllAgain => all.extend(requests.to_vec()),
        Order::Backwards => all.reverse(),
        Order::LateRetries => {
            let mut keyed: Vec<_> = all
                .into_iter()
                .enumerate()
                .map(|(at, request)| (if at % 3 == 0 { at + 5 } else { at }, request))
                .collect();
            keyed.sort_by_key(|(at, _)| *at);
            all = keyed.into_iter().map(|(_, request)| request).collect();
        }
    }
    all
}

/// Through the recorder and the store to a destination that takes everything.
fn replay(requests: &[Request], crashes: bool) -> Found {
    let directory = tempfile::tempdir().unwrap();
    let mut now_ms = 1_800_000_000_000;
    let mut generation = 0;
    let open = |generation: i32, now_ms: i64| {
        let folder = directory.path().join(generation.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        Core::open(
            Options {
                queue_db: folder.join("queue.db"),
                disk_bytes_max: 1 << 30,
                history_days: 400,
            },
            now_ms,
        )
        .unwrap()
    };
    let mut core = open(0, now_ms);
    let recorder = Recorder::new(Settings {
        level: PrivacyLevel::Standard,
        email_hashed: false,
        accept: Accept::ClaudeCode,
        tags: Vec::new(),
        install_key: [7; 32],
    });
    for (at, request) in requests.iter().enumerate() {
        now_ms += 1_000;
        let batch = record(&recorder, request);
        let body_hash =
            u128::from_le_bytes(blake3::hash(&request.body).as_bytes()[..16].try_into().unwrap());
        core.ingest(&mut [Ingest { body_hash, batch }], now_ms).remove(0).unwrap();
        if at % 4 == 3 {
            core.tick(now_ms).unwrap();
        }
        if crashes {
            let from = directory.path().join(generation.to_string());
            generation += 1;
            let to = directory.path().join(generation.to_string());
            std::fs::create_dir_all(&to).unwrap();
            for file in ["queue.db", "queue.db-wal"] {
                std::fs::copy(from.join(file), to.join(file)).unwrap();
            }
            core = open(generation, now_ms);
        }
    }
    core.tick(now_ms + 15_000).unwrap();
    delivered(&mut core, now_ms)
}

fn record(recorder: &Recorder, request: &Request) -> Batch {
    let outcome = match request.signal.as_str() {
        "metrics" => recorder.metrics(decode::<ExportMetricsServiceRequest>(request)),
        "logs" => recorder.logs(decode::<ExportLogsServiceRequest>(request)),
        "traces" => recorder.traces(decode::<ExportTraceServiceRequest>(request)),
        other => panic!("unknown signal {other}"),
    };
    assert_eq!((outcome.rejected, outcome.foreign), (0, 0), "{:?}", outcome.message);
    outcome.batch
}

fn decode<T: Message + Default + serde::de::DeserializeOwned>(request: &Request) -> T {
    if request.json {
        serde_json::from_slice(&request.body).unwrap()
    } else {
        T::decode(request.body.as_slice()).unwrap()
    }
}

fn delivered(core: &mut Core, now_ms: i64) -> Found {
    let key = DestinationKey {
        name: "all".into(),
        privacy: PrivacyLevel::Full,
        lanes: vec![Lane::Samples, Lane::Events],
        since: Since::All,
    };
    core.open_destination(&key, now_ms).unwrap();
    let mut found = Found::default();
    let mut series_ends = BTreeMap::new();
    for lane in key.lanes {
        while let Some(batch) = core.freeze(&key.name, lane, 100, 1 << 20).unwrap() {
            match batch.content {
                Content::Samples(all) => {
                    for series in all {
                        let (first, last) =
                            (series.samples[0].1, series.samples[series.samples.len() - 1].1);
                        series_ends.entry(series.labels).or_insert((first, last)).1 = last;
                    }
                }
                Content::Events(events) => found.events.extend(events),
                Content::Spans(_) => panic!("no spans were asked for"),
            }
            core.settle(
                &key.name,
                lane,
                &Settled { delivered: batch.records, ..Settled::default() },
            )
            .unwrap();
        }
    }
    for (labels, (first, last)) in series_ends {
        assert_eq!(first, 0.0, "every series starts with a 0");
        let label = |name: &str| {
            labels
                .iter()
                .find(|(key, _)| **key == *name)
                .map_or(String::new(), |(_, value)| value.to_string())
        };
        *found.counters.entry((label("__name__"), label("model"), label("type"))).or_default() +=
            last;
    }
    found
}

fn check(folder: &Path, found: &Found, how: &str) {
    let what = format!("{}, {how}", folder.file_name().unwrap().display());
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let counter = |metric: &str, model: &str, kind: &str| {
        found.counters.get(&(metric.into(), model.into(), kind.into())).copied().unwrap_or(0.0)
    };
    for (model, kind, count) in true_tokens(&expected) {
        assert_eq!(
            counter("claude_code_token_usage_tokens_total", &model, kind),
            count,
            "{what}: {kind} tokens of {model}"
        );
    }
    if let Some(cost) = true_cost(&expected) {
        let total: f64 = found
            .counters
            .iter()
            .filter(|((metric, _, _), _)| metric == "claude_code_cost_usage_USD_total")
            .map(|(_, value)| value)
            .sum();
        assert!((total - cost).abs() < 1e-9, "{what}: cost {total}, the CLI says {cost}");
    }
    if let Some(commits) = expected["commits"].as_f64() {
        assert_eq!(counter("claude_code_commit_count_total", "", ""), commits, "{what}: commits");
    }
    if let Some(prompts) = expected["prompts"].as_u64() {
        assert_eq!(count(&found.events, "user_prompt"), prompts, "{what}: prompts");
    }
    assert_eq!(
        count(&found.events, "api_request"),
        expected["api_requests_ok"].as_u64().unwrap(),
        "{what}: requests"
    );
    let ids: BTreeSet<u128> = found.events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), found.events.len(), "{what}: an event came twice");
    let cost: f64 = found
        .events
        .iter()
        .filter(|event| &*event.name == "api_request")
        .filter_map(event_cost)
        .sum();
    if let Some(true_cost) = true_cost(&expected) {
        assert!(
            (cost - true_cost).abs() < 1e-6,
            "{what}: cost by events {cost}, the CLI says {true_cost}"
        );
    }
}

/// `(model, type, tokens)` as the CLI itself counted them, else as the mock did. They differ in
/// `errors-http-protobuf`: a stream that broke off had already been charged 5 input and 1 output tokens.
fn true_tokens(expected: &serde_json::Value) -> Vec<(String, &'static str, f64)> {
    let names = [
        ("input", "inputTokens"),
        ("output", "outputTokens"),
        ("cacheRead", "cacheReadInputTokens"),
        ("cacheCreation", "cacheCreationInputTokens"),
    ];
    let by_cli = expected["cli_model_usage"].as_object();
    let models = by_cli.or(expected["tokens_by_model"].as_object()).unwrap();
    models
        .iter()
        .flat_map(|(model, tokens)| {
            names.map(|(kind, of_cli)| {
                let count = tokens[if by_cli.is_some() { of_cli } else { kind }].as_f64().unwrap();
                (model.trim_end_matches("[1m]").to_owned(), kind, count)
            })
        })
        .collect()
}

fn true_cost(expected: &serde_json::Value) -> Option<f64> {
    let sessions = expected["sessions"].as_array();
    let parts = sessions.map(|sessions| {
        sessions.iter().filter_map(|session| session["cli_total_cost_usd"].as_f64()).sum()
    });
    expected["cli_total_cost_usd"].as_f64().or(parts)
}

fn count(events: &[Event], name: &str) -> u64 {
    events.iter().filter(|event| &*event.name == name).count() as u64
}

fn event_cost(event: &Event) -> Option<f64> {
    event.attributes.iter().find_map(|(key, value)| match value {
        Value::Double(cost) if &**key == "cost_usd" => Some(*cost),
        Value::Int(cost) if &**key == "cost_usd" => Some(f64::from(u32::try_from(*cost).unwrap())),
        _ => None,
    })
}
