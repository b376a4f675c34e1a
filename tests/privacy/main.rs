//! Canaries: every attribute that can hold content is filled with one, and looked for in everything
//! that a recorder lets through.

#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod preview;
mod requests;

use ccotel::config::Accept;
use ccotel::record::attributes::{Class, EVENTS, TABLE};
use ccotel::record::{Batch, Event, PrivacyLevel, Recorder, Settings, Value, tighten_event};
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use proptest::prelude::*;
use requests::{logs, pair, points, shapes, spans, text};

const CANARY: &str = "canary7f3a";
const SECRET: &str = "sk-ant-api03-canary7f3acanary7f3acanary7f3a";
const INSTALL_KEY: [u8; 32] = [5; 32];
const LEVELS: [PrivacyLevel; 3] =
    [PrivacyLevel::Minimal, PrivacyLevel::Standard, PrivacyLevel::Full];

fn settings(level: PrivacyLevel) -> Settings {
    Settings {
        level,
        email_hashed: false,
        accept: Accept::ClaudeCode,
        tags: Vec::new(),
        install_key: INSTALL_KEY,
    }
}

fn event_with(level: PrivacyLevel, name: &str, attributes: Vec<KeyValue>) -> Event {
    let mut all = vec![pair("event.name", text(name))];
    all.extend(attributes);
    let request = logs(&format!("claude_code.{name}"), Vec::new(), all);
    match Recorder::new(settings(level)).logs(request).batch {
        Batch::Events(mut events) => events.remove(0),
        other => panic!("{other:?}"),
    }
}

fn holds(batch: &Batch, canary: &str) -> bool {
    let hex: String = canary
        .bytes()
        .flat_map(|byte| format!("{byte:02x}").into_bytes())
        .map(char::from)
        .collect();
    let bytes = |bytes: &[u8], needle: &str| {
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    };
    let debug = format!("{batch:?}");
    let encoded = match batch {
        Batch::Spans(spans) => {
            spans.iter().any(|(_, span)| bytes(span, canary) || bytes(span, &hex))
        }
        _ => false,
    };
    encoded || debug.contains(canary) || debug.contains(&hex)
}

/// Keys whose value a level drops, whatever it is.
fn dropped_at(level: PrivacyLevel) -> Vec<&'static str> {
    let classes: &[Class] = match level {
        PrivacyLevel::Full => &[],
        PrivacyLevel::Standard => &[Class::Content],
        PrivacyLevel::Minimal => &[
            Class::Content,
            Class::ErrorText,
            Class::Identity,
            Class::Place,
            Class::OwnName,
            Class::Id,
        ],
    };
    let keys = TABLE.iter().filter(|(class, _)| classes.contains(class));
    let mut keys: Vec<&str> = keys.flat_map(|(_, keys)| keys.iter().copied()).collect();
    if level < PrivacyLevel::Full {
        keys.extend(["not_in_the_table", "not.in.the.table_length", "tool.output", "stdout"]);
    }
    keys
}

#[test]
fn no_content_gets_through_on_any_event() {
    for level in [PrivacyLevel::Minimal, PrivacyLevel::Standard] {
        let recorder = Recorder::new(settings(level));
        for event in EVENTS.iter().chain(&["not_in_the_table"]) {
            for key in dropped_at(level) {
                if (*event, key) == ("feedback_survey", "response") {
                    continue; // a choice from a list
                }
                for value in shapes(CANARY) {
                    let attributes = vec![pair("event.name", text(event)), pair(key, value)];
                    let request = logs(&format!("claude_code.{event}"), Vec::new(), attributes);
                    let batch = recorder.logs(request).batch;
                    assert!(!holds(&batch, CANARY), "{level:?} {event} {key}: {batch:?}");
                }
            }
        }
    }
}

#[test]
fn no_content_gets_through_on_points_and_spans() {
    for level in [PrivacyLevel::Minimal, PrivacyLevel::Standard] {
        let recorder = Recorder::new(settings(level));
        for key in dropped_at(level) {
            for value in shapes(CANARY) {
                let attributes = vec![pair(key, value)];
                let batch = recorder.metrics(points(Vec::new(), attributes.clone())).batch;
                assert!(!holds(&batch, CANARY), "{level:?} point {key}: {batch:?}");
                let batch = recorder.traces(spans(&attributes, "plain")).batch;
                assert!(!holds(&batch, CANARY), "{level:?} span {key}");
            }
        }
        let words = format!("words and {CANARY}");
        let batch = recorder.traces(spans(&[], &words)).batch;
        assert!(!holds(&batch, CANARY), "{level:?}: names, states and messages of spans");
    }
}

#[test]
fn no_content_gets_through_in_bodies_and_names() {
    for level in [PrivacyLevel::Minimal, PrivacyLevel::Standard] {
        let words = format!("words and {CANARY}");
        let request = logs(&words, Vec::new(), vec![pair("event.name", text(&words))]);
        let batch = Recorder::new(settings(level)).logs(request).batch;
        assert!(!holds(&batch, CANARY), "{level:?}: {batch:?}");
        let Batch::Events(events) = batch else { panic!("no events") };
        assert_eq!((&*events[0].name, &*events[0].body), ("unknown", "unknown"));
        let length = i64::try_from(words.len()).unwrap();
        assert_eq!(events[0].attributes, [("body_length".into(), Value::Int(length))]);
    }
}

#[test]
fn what_a_launch_tightens_stays_tight() {
    let recorder = Recorder::new(settings(PrivacyLevel::Full));
    let launch = |level: &str| {
        vec![pair("ccotel.privacy", text(level)), pair("ccotel.launch.id", text("l"))]
    };
    let attributes = |level: &str| {
        let mut attributes = launch(level);
        attributes.extend([pair("event.name", text("user_prompt")), pair("prompt", text(CANARY))]);
        attributes
    };
    let check = |level: &str, expect: bool| {
        let request = logs("claude_code.user_prompt", launch(level), attributes(level));
        let batch = recorder.logs(request).batch;
        assert_eq!(holds(&batch, CANARY), expect, "{level}");
        assert!(!holds(&batch, "ccotel."), "{level}: what is for the agent alone");
        let batch = recorder.metrics(points(launch(level), launch(level))).batch;
        assert!(!holds(&batch, "ccotel"), "{level}: what is for the agent alone");
    };
    check("full", true);
    check("standard", false);
    check("minimal", false);
    check("a level of the future", false);
}

#[test]
fn a_changed_level_holds_from_the_next_request_on() {
    let recorder = Recorder::new(settings(PrivacyLevel::Full));
    let resource = || vec![pair("vcs.repository.name", text(CANARY))];
    let attributes = || {
        let keys = ["prompt", "error", "user.email", "skill.name", "session.id"];
        keys.into_iter().map(|key| pair(key, text(CANARY))).collect()
    };
    for (level, expect) in
        [(PrivacyLevel::Full, true), (PrivacyLevel::Minimal, false), (PrivacyLevel::Full, true)]
    {
        recorder.reload(settings(level));
        let batch = recorder.logs(logs("claude_code.x", resource(), attributes())).batch;
        assert_eq!(holds(&batch, CANARY), expect, "{level:?}: {batch:?}");
    }
}

#[test]
fn secrets_are_masked_at_every_level_and_everywhere() {
    for level in LEVELS {
        let recorder = Recorder::new(settings(level));
        let keys = TABLE.iter().flat_map(|(_, keys)| keys.iter().copied()).chain(["unknown_key"]);
        for key in keys {
            // `event.name` and bodies are plain names, checked below.
            let attributes = vec![pair(key, text(&format!("a {SECRET} b")))];
            let resource = vec![pair(key, text(SECRET)), pair("team", text(SECRET))];
            let batch =
                recorder.logs(logs("claude_code.x", resource.clone(), attributes.clone())).batch;
            assert!(!holds(&batch, CANARY), "{level:?} event {key}: {batch:?}");
            let batch = recorder.metrics(points(resource, attributes.clone())).batch;
            assert!(!holds(&batch, CANARY), "{level:?} point {key}: {batch:?}");
            let batch = recorder.traces(spans(&attributes, SECRET)).batch;
            assert!(!holds(&batch, CANARY), "{level:?} span {key}");
        }
        let batch = recorder.logs(logs(SECRET, Vec::new(), Vec::new())).batch;
        assert!(!holds(&batch, CANARY), "{level:?} body: {batch:?}");
    }
}

#[test]
fn nested_values_are_masked_by_their_name() {
    let map = |values| AnyKind::KvlistValue(KeyValueList { values });
    let list =
        |value| AnyKind::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(value) }] });
    let recorder = Recorder::new(settings(PrivacyLevel::Full));
    for secret in [text(CANARY), list(text(CANARY)), map(vec![pair("x", text(CANARY))])] {
        for key in ["password", "DB_PASSWORD", "api-key"] {
            let inner = map(vec![pair("user", text("kept-too")), pair(key, secret.clone())]);
            let attributes = vec![pair("tool_input", list(inner))];
            let batch = recorder.traces(spans(&attributes, "plain")).batch;
            assert!(holds(&batch, "kept-too") && !holds(&batch, CANARY), "span {key}");
            let batch = recorder.logs(logs("claude_code.x", Vec::new(), attributes)).batch;
            assert!(holds(&batch, "kept-too") && !holds(&batch, CANARY), "{key}: {batch:?}");
        }
    }
    let attributes = vec![pair("tool_input", map(vec![pair(SECRET, text("x"))]))];
    assert!(!holds(&recorder.traces(spans(&attributes, "plain")).batch, CANARY), "as a key");
}

#[test]
fn what_an_identity_provider_adds_is_content_unless_it_is_known() {
    let recorder = Recorder::new(settings(PrivacyLevel::Standard));
    for (key, expect) in [("user.groups", true), ("user.department", false), ("user.x.y", false)] {
        let attributes = vec![pair(key, text(CANARY))];
        let batch =
            recorder.logs(logs("claude_code.user_prompt", Vec::new(), attributes.clone())).batch;
        assert_eq!(holds(&batch, CANARY), expect, "{key}: {batch:?}");
        let batch = recorder.traces(spans(&attributes, "plain")).batch;
        assert_eq!(holds(&batch, CANARY), expect, "span {key}");
    }
    assert_eq!(recorder.unknown(), ["attribute user.department", "attribute user.x.y"]);
}

#[test]
fn content_leaves_its_length_once() {
    let lengths = |attributes: Vec<KeyValue>| {
        let event = event_with(PrivacyLevel::Standard, "user_prompt", attributes);
        event
            .attributes
            .iter()
            .map(|(key, value)| (key.to_string(), value.clone()))
            .collect::<Vec<_>>()
    };
    let check = |attributes, expect: &[(&str, Value)]| {
        let expect: Vec<(String, Value)> =
            expect.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        assert_eq!(lengths(attributes), expect);
    };
    check(vec![pair("prompt", text("héllo"))], &[("prompt_length", Value::Int(5))]);
    check(
        vec![pair("prompt", text("hello")), pair("prompt_length", text("5"))],
        &[("prompt_length", Value::Text("5".into()))],
    );
    check(vec![pair("prompt", text("<REDACTED>"))], &[]);
    check(vec![pair("new_text", text("abc"))], &[("new_text_length", Value::Int(3))]);
    check(vec![pair("new_number", AnyKind::IntValue(4))], &[]);
}

#[test]
fn full_keeps_what_claude_code_sends() {
    let prompt = "p".repeat(100_000);
    let attributes = vec![
        pair("prompt", text(&prompt)),
        pair("response", text("<REDACTED>")),
        pair("error", text("two\nlines /with/path")),
        pair("new_thing", AnyKind::IntValue(4)),
    ];
    let event = event_with(PrivacyLevel::Full, "user_prompt", attributes);
    let find = |key: &str| {
        let found = event.attributes.iter().find(|(other, _)| **other == *key);
        found.map(|(_, value)| value.clone())
    };
    let Some(Value::Text(kept)) = find("prompt") else { panic!("no prompt") };
    assert!(kept.len() <= 64 * 1024 && kept.ends_with("…[cut]"));
    assert_eq!(find("prompt_length"), Some(Value::Int(100_000)));
    assert_eq!(find("response"), Some(Value::Text("<REDACTED>".into())));
    assert_eq!(find("error"), Some(Value::Text("two\nlines /with/path".into())));
    assert_eq!(find("new_thing"), Some(Value::Int(4)));
}

#[test]
fn an_email_is_hashed_alike_on_series_and_events() {
    for level in [PrivacyLevel::Standard, PrivacyLevel::Full] {
        let recorder = Recorder::new(Settings { email_hashed: true, ..settings(level) });
        let email = || vec![pair("user.email", text("canary7f3a@example.com"))];
        let Batch::Events(events) = recorder.logs(logs("claude_code.x", Vec::new(), email())).batch
        else {
            panic!("no events")
        };
        let Batch::Points(points) = recorder.metrics(points(Vec::new(), email())).batch else {
            panic!("no points")
        };
        let Value::Text(on_event) = &events[0].attributes[0].1 else { panic!("no text") };
        let on_series = points[0].labels.iter().find(|(name, _)| &**name == "user_email");
        assert_eq!(on_series.map(|(_, value)| value), Some(on_event));
        assert_eq!(on_event.len(), 32);
    }
}

#[test]
fn names_that_the_table_does_not_know_are_told() {
    let recorder = Recorder::new(settings(PrivacyLevel::Standard));
    let _ = recorder.logs(logs(
        "claude_code.new_event",
        Vec::new(),
        vec![pair("new_key", text(CANARY))],
    ));
    let _ = recorder.metrics(points(Vec::new(), vec![pair("new_label", text(CANARY))]));
    assert_eq!(recorder.unknown(), ["attribute new_key", "event new_event", "label new_label"]);
}

fn any_attribute() -> impl Strategy<Value = KeyValue> {
    let known: Vec<&str> = TABLE
        .iter()
        .flat_map(|(_, keys)| keys.iter().copied())
        .chain(["unknown_key", "user.department", "other_length"])
        .collect();
    let values = prop_oneof![
        "(mcp__|agent:custom:|PreToolUse:|/home/x| |'|\"|\\n|é|sk-ant-0123456789|[a-z]{1,6}){0,12}"
            .prop_map(AnyKind::StringValue),
        // What is beyond a limit is rejected, and no event at any level.
        (-1_000_000_i64..=1_000_000).prop_map(AnyKind::IntValue),
        any::<bool>().prop_map(AnyKind::BoolValue),
        "[a-z/]{0,9}".prop_map(|inner| AnyKind::ArrayValue(ArrayValue {
            values: vec![AnyValue { value: Some(AnyKind::StringValue(inner)) }],
        })),
    ];
    (proptest::sample::select(known), values).prop_map(|(key, value)| pair(key, value))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn tightening_an_event_is_recording_it_tighter(
        attributes in proptest::collection::vec(any_attribute(), 0..8),
        event in proptest::sample::select(vec!["api_request", "hook_plugin_metrics", "feedback_survey"]),
    ) {
        let mut keys = std::collections::BTreeSet::new();
        let attributes: Vec<KeyValue> =
            attributes.into_iter().filter(|pair| keys.insert(pair.key.clone())).collect();
        for level in LEVELS {
            let direct = event_with(level, event, attributes.clone());
            for wider in LEVELS.into_iter().filter(|wider| *wider >= level) {
                let recorded = event_with(wider, event, attributes.clone());
                let tightened = tighten_event(&recorded, level, &INSTALL_KEY);
                prop_assert_eq!(&tightened, &direct, "{:?} through {:?}", level, wider);
            }
        }
    }
}
