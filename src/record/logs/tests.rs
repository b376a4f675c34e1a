use std::path::Path;
use std::time::Instant;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::ScopeLogs;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::*;
use crate::agent::notice::LaunchNotice;
use crate::config::Accept;
use crate::record::launches::Facts;
use crate::record::{Batch, Recorder, Settings};

fn recorder(level: PrivacyLevel) -> Recorder {
    Recorder::new(Settings {
        level,
        email_hashed: false,
        accept: Accept::ClaudeCode,
        tags: Vec::new(),
        install_key: [1; 32],
    })
}

fn pair(key: &str, text: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(AnyKind::StringValue(text.into())) }),
        ..KeyValue::default()
    }
}

fn log(body: &str, attributes: &[(&str, &str)]) -> LogRecord {
    LogRecord {
        time_unix_nano: 5,
        body: Some(AnyValue { value: Some(AnyKind::StringValue(body.into())) }),
        attributes: attributes.iter().map(|(key, text)| pair(key, text)).collect(),
        ..LogRecord::default()
    }
}

fn request(resource: &[(&str, &str)], record: LogRecord) -> ExportLogsServiceRequest {
    let scope = InstrumentationScope {
        name: "com.anthropic.claude_code.events".into(),
        ..InstrumentationScope::default()
    };
    let scope = ScopeLogs { scope: Some(scope), log_records: vec![record], ..ScopeLogs::default() };
    let resource = Resource {
        attributes: resource.iter().map(|(key, text)| pair(key, text)).collect(),
        ..Resource::default()
    };
    let resource = ResourceLogs {
        resource: Some(resource),
        scope_logs: vec![scope],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest { resource_logs: vec![resource] }
}

fn only_event(batch: Batch) -> Event {
    match batch {
        Batch::Events(mut events) if events.len() == 1 => events.remove(0),
        other => panic!("not one event: {other:?}"),
    }
}

fn event(record: LogRecord) -> Event {
    only_event(recorder(PrivacyLevel::Standard).logs(request(&[], record)).batch)
}

fn texts(event: &Event) -> Vec<(&str, &str)> {
    fn text(value: &Value) -> &str {
        match value {
            Value::Text(text) => text,
            other => panic!("not a text: {other:?}"),
        }
    }
    event.attributes.iter().map(|(key, value)| (&**key, text(value))).collect()
}

#[test]
fn an_event_is_named_by_its_attribute_or_else_by_its_body() {
    let check = |record, name: &str| assert_eq!(&*event(record).name, name);
    check(log("claude_code.x", &[("event.name", "api_request")]), "api_request");
    check(log("claude_code.api_error", &[]), "api_error");
    check(log("claude_code.x", &[("event.name", "free text of a prompt")]), "x");
    check(log("free text", &[]), "unknown");
    check(LogRecord { event_name: "claude_code.auth".into(), ..log("free text", &[]) }, "auth");
}

#[test]
fn the_time_is_the_records_or_else_the_observers() {
    assert_eq!(event(log("claude_code.x", &[])).time_ns, 5);
    let observed =
        LogRecord { time_unix_nano: 0, observed_time_unix_nano: 9, ..log("claude_code.x", &[]) };
    assert_eq!(event(observed).time_ns, 9);
    let neither = LogRecord { time_unix_nano: 0, ..log("claude_code.x", &[]) };
    let recorded = recorder(PrivacyLevel::Standard).logs(request(&[], neither));
    assert_eq!((recorded.rejected, recorded.batch.records()), (1, 0));
}

#[test]
fn attributes_keep_their_order_and_a_model_loses_its_suffix() {
    let attributes =
        [("team", "a"), ("success", "true"), ("model", "claude-opus-4-8[1m]"), ("speed", "fast")];
    let event = only_event(
        recorder(PrivacyLevel::Standard)
            .logs(request(
                &[("team", "a"), ("os.type", "linux")],
                log("claude_code.x", &attributes),
            ))
            .batch,
    );
    assert_eq!(
        texts(&event),
        [
            ("success", "true"),
            ("model", "claude-opus-4-8"),
            ("context", "1m"),
            ("speed", "fast"),
            ("os.type", "linux"),
        ]
    );
    assert_eq!(event.tags, [("team".into(), "a".into())]);
}

#[test]
fn a_tag_hides_no_attribute_of_claude_codes_own() {
    let resource = [("trigger", "nightly")];
    let record = log("claude_code.compaction", &[("trigger", "manual")]);
    let event = only_event(recorder(PrivacyLevel::Standard).logs(request(&resource, record)).batch);
    assert_eq!(texts(&event), [("trigger", "manual")]);
    assert_eq!(event.tags, [], "it is Claude Code's name");
}

#[test]
fn a_record_sent_twice_has_one_id() {
    let id = |record| event(record).id;
    let first = id(log("claude_code.x", &[("event.sequence", "1")]));
    assert_eq!(first, id(log("claude_code.x", &[("event.sequence", "1")])));
    assert_ne!(first, id(log("claude_code.x", &[("event.sequence", "2")])));
    assert_ne!(first, id(log("claude_code.y", &[("event.sequence", "1")])));
}

#[test]
fn trace_ids_of_a_traced_session_are_kept() {
    let record =
        LogRecord { trace_id: vec![0xab; 16], span_id: vec![1; 8], ..log("claude_code.x", &[]) };
    let ids = [("trace_id", "ab".repeat(16)), ("span_id", "01".repeat(8))];
    let event = event(record);
    assert_eq!(texts(&event), ids.each_ref().map(|(key, id)| (*key, id.as_str())));
}

#[test]
fn events_of_a_launch_tell_their_place_below_minimal_only() {
    fn facts(directory: &Path) -> Option<Facts> {
        directory.is_absolute().then(|| Facts {
            repository: Some("shop".into()),
            branch: Some("main".into()),
            worktree: Some("fix".into()),
        })
    }
    let record = |level| {
        let recorder = recorder(level).with_git_facts(facts);
        let notice =
            LaunchNotice { id: "l1".into(), pid: 1, directory: "/home/me/shop-fix".into() };
        recorder.launches().notice(notice, Instant::now());
        let launch = [("ccotel.launch.id", "l1")];
        let request = request(&launch, log("claude_code.x", &launch));
        only_event(recorder.logs(request).batch)
    };
    assert_eq!(
        texts(&record(PrivacyLevel::Standard)),
        [
            ("vcs.repository.name", "shop"),
            ("vcs.ref.head.name", "main"),
            ("ccotel.worktree", "fix"),
            ("ccotel.directory", "shop-fix"),
        ]
    );
    assert_eq!(texts(&record(PrivacyLevel::Minimal)), []);
}

#[test]
fn a_place_that_the_event_itself_tells_is_not_added_again() {
    let place = |resource: &[(&str, &str)], own: &[(&str, &str)]| {
        let recorder = recorder(PrivacyLevel::Standard).with_git_facts(|_| {
            let (repository, branch) = (Some("shop".into()), Some("main".into()));
            Some(Facts { repository, branch, worktree: None })
        });
        let notice = LaunchNotice { id: "l1".into(), pid: 1, directory: "/home/me/shop".into() };
        recorder.launches().notice(notice, Instant::now());
        let resource = [&[("ccotel.launch.id", "l1")], resource].concat();
        let event = only_event(recorder.logs(request(&resource, log("claude_code.x", own))).batch);
        let mut place: Vec<_> =
            texts(&event).iter().map(|(key, text)| format!("{key}={text}")).collect();
        place.sort();
        place
    };
    let expect = ["ccotel.directory=shop", "vcs.ref.head.name=fix", "vcs.repository.name=theirs"];
    let own = [("vcs.repository.name", "theirs"), ("vcs.ref.head.name", "fix")];
    assert_eq!(place(&[], &own), expect);
    assert_eq!(place(&[("vcs.ref.head.name", "main")], &own), expect);
}

#[test]
fn attributes_beyond_the_limit_are_counted() {
    let keys: Vec<String> =
        (0..ATTRIBUTES_MAX + 3).map(|number| format!("k{number}_length")).collect();
    let attributes: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "1")).collect();
    let event = event(log("claude_code.x", &attributes));
    assert_eq!(event.attributes.len(), ATTRIBUTES_MAX + 1);
    let last = event.attributes.last().map(|(key, value)| (&**key, value.clone()));
    assert_eq!(last, Some(("dropped_attributes_count", Value::Int(3))));
}

#[test]
fn an_event_that_says_more_than_can_be_true_is_rejected() {
    let rejected = |key, value| {
        let record = log("claude_code.api_request", &[(key, value)]);
        recorder(PrivacyLevel::Standard).logs(request(&[], record)).rejected
    };
    assert_eq!(rejected("cost_usd", "1e300"), 1);
    assert_eq!(rejected("cost_usd", "-1e300"), 1);
    assert_eq!(rejected("cost_usd_micros", "1e13"), 1);
    assert_eq!(rejected("input_tokens", "9000000000000000000"), 1);
    assert_eq!(rejected("cost_usd", "123.45"), 0);
    assert_eq!(rejected("duration_ms", "9000000000000000000"), 0);
}
