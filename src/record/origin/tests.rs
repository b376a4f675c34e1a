use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;

use super::*;
use crate::config::Accept;

fn settings(level: PrivacyLevel) -> Settings {
    Settings {
        level,
        email_hashed: false,
        accept: Accept::ClaudeCode,
        tags: vec![("team".into(), "machine".into()), ("cost_center".into(), "cc-1".into())],
        install_key: [9; 32],
    }
}

fn resource(pairs: &[(&str, &str)]) -> Resource {
    let attributes = pairs.iter().map(|(key, text)| KeyValue {
        key: (*key).into(),
        value: Some(AnyValue { value: Some(AnyKind::StringValue((*text).into())) }),
        ..KeyValue::default()
    });
    Resource { attributes: attributes.collect(), ..Resource::default() }
}

fn origin(pairs: &[(&str, &str)], level: PrivacyLevel) -> Origin {
    Origin::new(Some(&resource(pairs)), &settings(level), None)
}

fn tags_of(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let origin = origin(pairs, PrivacyLevel::Standard);
    origin.tags.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn check_tags(pairs: &[(&str, &str)], expect: &[(&str, &str)]) {
    let expect: Vec<(String, String)> =
        expect.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    assert_eq!(tags_of(pairs), expect);
}

#[test]
fn the_tighter_level_holds() {
    use PrivacyLevel::{Full, Minimal, Standard};
    let check = |launch: &str, machine, expect| {
        assert_eq!(origin(&[("ccotel.privacy", launch)], machine).level, expect);
    };
    check("minimal", Standard, Minimal);
    check("full", Standard, Standard);
    check("full", Full, Full);
    check("standard", Full, Standard);
    check("nonsense", Full, Minimal);
    check("", Full, Full);
    assert_eq!(origin(&[], Standard).level, Standard);
}

#[test]
fn a_machines_tags_fill_in_only_where_no_wrapper_has_merged_them() {
    check_tags(&[("team", "a")], &[("cost_center", "cc-1"), ("team", "a")]);
    check_tags(&[("team", "a"), ("ccotel.launch.id", "l1")], &[("team", "a")]);
    check_tags(&[], &[("cost_center", "cc-1"), ("team", "machine")]);
}

#[test]
fn a_tag_cannot_take_a_name_that_others_own() {
    let launch = ("ccotel.launch.id", "l1");
    let own = [
        launch,
        ("service.name", "claude-code"),
        ("service.instance.id", "x"),
        ("os.type", "linux"),
        ("user.id", "mallory"),
        ("session.id", "s"),
        ("session_id", "s"),
        ("telemetry.sdk.name", "x"),
        ("process.command_line", "x"),
        ("vcs.repository.name", "x"),
        ("model", "x"),
        ("agent.name", "x"),
        ("job", "x"),
        ("__name__", "x"),
        ("le", "1"),
        ("empty", ""),
        ("user", "me"),
        ("repo", "x"),
        ("Env", "prod"),
        ("a-b", "c"),
        ("team", "a\nb"),
    ];
    check_tags(&own, &[]);
    check_tags(
        &[launch, ("deployment.environment", "prod")],
        &[("deployment_environment", "prod")],
    );
    check_tags(&[launch, ("a.b", "first"), ("a_b", "second")], &[("a_b", "first")]);
}

#[test]
fn no_tag_can_become_a_label_that_there_is_already() {
    for (_, label) in attributes::LABELS {
        assert!(rules::check(label, "x").is_err(), "{label}");
    }
}

#[test]
fn tags_are_few_and_short_and_tell_no_secrets() {
    let many: Vec<(String, String)> =
        (0..40).map(|number| (format!("k{number:02}"), "v".to_owned())).collect();
    let mut pairs: Vec<(&str, &str)> =
        many.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let long = "x".repeat(255);
    pairs.extend([("team", long.as_str()), ("project", "ghp_0123456789abcdefghij0123")]);
    pairs.push(("ccotel.launch.id", "l1"));
    let tags = tags_of(&pairs);
    assert_eq!(tags.len(), TAGS_MAX);
    let find =
        |name: &str| tags.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.clone());
    assert_eq!(find("team").map(|value| value.len()), Some(255));
    assert_eq!(find("project").as_deref(), Some("[masked]"));
}

#[test]
fn a_tag_that_is_not_in_effect_is_named() {
    let pairs =
        [("model", "x"), ("job", "x"), ("team", "a"), ("os.type", "linux"), ("ccotel.x", "")];
    assert_eq!(origin(&pairs, PrivacyLevel::Standard).ignored, ["model", "job"]);
    let many: Vec<(String, &str)> = (10..30).map(|number| (format!("k{number}"), "v")).collect();
    let pairs: Vec<(&str, &str)> = many.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let ignored = origin(&pairs, PrivacyLevel::Standard).ignored;
    assert_eq!(ignored.len(), 20 + 2 - TAGS_MAX, "{ignored:?}"); // two are the machine's
}

#[test]
fn facts_are_kept_by_level() {
    let pairs = [("service.version", "2.1.197"), ("host.name", "laptop"), ("custom", "x")];
    let keys = |level| {
        let facts = origin(&pairs, level).facts;
        facts.iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(keys(PrivacyLevel::Standard), ["service.version", "host.name"]);
    assert_eq!(keys(PrivacyLevel::Minimal), ["service.version"]);
}

fn sender(name: &str) -> Sender {
    let tags = [("team", "payments"), ("z_last", "fixed")];
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    Sender { name: name.into(), tags, level: Some(PrivacyLevel::Standard) }
}

fn origin_of(sender: &Sender, pairs: &[(&str, &str)]) -> Origin {
    Origin::new(Some(&resource(pairs)), &settings(PrivacyLevel::Full), Some(sender))
}

#[test]
fn what_is_fixed_for_a_sender_stays_whatever_it_says() {
    let many: Vec<(String, &str)> = (0..20).map(|number| (format!("a{number:02}"), "x")).collect();
    let mut said: Vec<(&str, &str)> =
        many.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    said.extend([("team", "other"), ("sender", "b"), ("z.last", "other"), ("project", "shop")]);
    let origin = origin_of(&sender("a"), &said);
    let value = |name: &str| {
        let found = origin.tags.iter().find(|(tag, _)| &**tag == name);
        found.map(|(_, value)| value.to_string())
    };
    assert_eq!(value("sender").as_deref(), Some("a"));
    assert_eq!(value("team").as_deref(), Some("payments"));
    assert_eq!(value("z_last").as_deref(), Some("fixed"));
    assert_eq!(value("project").as_deref(), Some("shop"));
    assert_eq!(origin.tags.len(), TAGS_MAX + 1, "and the sender's name");
    assert!(origin.tags.is_sorted());
    let attribute = &resource(&[("sender", "b")]).attributes[0];
    assert!(origin.repeats(attribute, false), "nor does an event say it");
}

#[test]
fn the_same_resource_of_two_senders_is_two_and_a_launch_is_nothing_to_a_gateway() {
    let said = [("team", "a"), ("ccotel.launch.id", "l1")];
    let (a, b) = (origin_of(&sender("a"), &said), origin_of(&sender("b"), &said));
    assert_ne!(a.hash, b.hash);
    assert_ne!(a.hash, origin(&said, PrivacyLevel::Full).hash);
    assert_eq!(a.launch, None);
    assert!(a.tags.iter().any(|(name, _)| &**name == "cost_center"), "the gateway's own tags");
}

#[test]
fn a_senders_level_is_the_tightest_of_three() {
    use PrivacyLevel::{Minimal, Standard};
    assert_eq!(origin_of(&sender("a"), &[]).level, Standard);
    assert_eq!(origin_of(&sender("a"), &[("ccotel.privacy", "full")]).level, Standard);
    assert_eq!(origin_of(&sender("a"), &[("ccotel.privacy", "minimal")]).level, Minimal);
}
