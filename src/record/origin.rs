//! Who a resource is: its service, its tags, its launch and its privacy level.
//!
//! Claude Code repeats its resource attributes on every point and record, so what is taken here is
//! skipped there.
//!
//! Where a gateway receives, the sender is a part of it: its name is a label that nobody else can set,
//! its fixed tags go before those that it sends, and every hash begins with its name, so two senders
//! never have a stream or a record in common, whatever they send.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::attributes::{self, Class};
use super::hash::Canonical;
use super::privacy::{self, Outcome};
use super::values::{text_of, value_of};
use super::{Labels, PrivacyLevel, SENDER_LABEL, Sender, Settings, Value, names, secrets};
use crate::tags::rules;

/// Most tags a session can have.
pub const TAGS_MAX: usize = 16;
/// Longest value of a tag, and of any label.
pub const LABEL_BYTES_MAX: usize = 255;
const SERVICE: &str = "claude-code";
/// Resource attributes that events keep, once.
const FACTS: &[&str] = &[
    "service.version",
    "service.namespace",
    "os.type",
    "os.version",
    "os.description",
    "host.arch",
    "host.name",
    "wsl.version",
    "vcs.repository.name",
    "vcs.ref.head.name",
];

/// A resource, understood.
#[derive(Debug)]
pub struct Origin {
    /// `service.name`.
    pub service: Arc<str>,
    /// In effect: the session's, and the machine's for a session without a launch.
    pub tags: Labels,
    /// `ccotel.launch.id`; a gateway is told of no launches.
    pub launch: Option<String>,
    /// The tighter of the machine's and the launch's.
    pub level: PrivacyLevel,
    /// What events keep of the resource.
    pub facts: Vec<(Arc<str>, Value)>,
    /// Of every resource attribute as received.
    pub hash: u128,
    /// Names of tags that are not in effect: taken by others, or too many.
    pub ignored: Vec<String>,
    /// The resource attributes that are tags, as received.
    tags_received: Vec<(String, String)>,
    /// The names of all others, which events keep.
    others_received: Vec<String>,
    has_sender: bool,
}

impl Origin {
    pub fn new(resource: Option<&Resource>, settings: &Settings, sender: Option<&Sender>) -> Self {
        let received = resource.map_or(&[][..], |resource| &resource.attributes);
        let text = |key| find(received, key).filter(|text| !text.is_empty());
        let launch = text("ccotel.launch.id").filter(|_| sender.is_none());
        let level = text("ccotel.privacy").map_or(settings.level, |level| parse_level(&level));
        let level = level.min(settings.level);
        let level = level.min(sender.and_then(|sender| sender.level).unwrap_or(level));
        let tags_received = tags_received(received);
        let machine = if launch.is_some() { &[][..] } else { &settings.tags };
        let said = tags_received.iter().chain(machine);
        let mut input = Canonical::default();
        let tags = match sender {
            None => {
                input.begin(b'r');
                tags(said)
            }
            Some(sender) => {
                input.begin(b'g');
                input.text(&sender.name);
                tags_of(sender, said)
            }
        };
        input.sorted(received);
        Self {
            service: bounded(&text("service.name").unwrap_or_else(|| SERVICE.to_owned())),
            ignored: ignored(received, &tags),
            tags,
            launch,
            level,
            facts: facts(received, level, &settings.install_key),
            others_received: others_received(received),
            has_sender: sender.is_some(),
            hash: input.finish(&settings.install_key),
            tags_received,
        }
    }

    /// Whether an attribute of a record only repeats the resource, or is for the agent alone.
    pub fn repeats(&self, attribute: &KeyValue, known: bool) -> bool {
        let key = attribute.key.as_str();
        if self.has_sender && is_sender(key) {
            return true;
        }
        if key.starts_with("ccotel.") || key == "service.name" || key == "service.instance.id" {
            return true;
        }
        if known && let Some((_, fact)) = self.facts.iter().find(|(fact, _)| &**fact == key) {
            return is_text(attribute, fact);
        }
        // A name that Claude Code has for something else stays its own.
        self.tags_received.iter().any(|(tag, value)| {
            tag == key
                && (!known || attribute.value.as_ref().and_then(text_of).as_ref() == Some(value))
        })
    }

    /// Whether the resource has an attribute of this name that is no tag: then it is nothing new of
    /// Claude Code's.
    pub fn brings(&self, key: &str) -> bool {
        self.others_received.iter().any(|other| other == key)
    }
}

fn is_text(attribute: &KeyValue, fact: &Value) -> bool {
    let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
    matches!((value, fact), (Some(AnyKind::StringValue(a)), Value::Text(b)) if **a == **b)
}

/// A level that this version does not know is taken as the tightest.
fn parse_level(level: &str) -> PrivacyLevel {
    match level {
        "full" => PrivacyLevel::Full,
        "standard" => PrivacyLevel::Standard,
        _ => PrivacyLevel::Minimal,
    }
}

fn find(attributes: &[KeyValue], key: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    attribute.value.as_ref().and_then(text_of)
}

fn tags_received(received: &[KeyValue]) -> Vec<(String, String)> {
    let tags = received.iter().filter(|pair| is_tag(pair));
    tags.filter_map(|pair| Some((pair.key.clone(), pair.value.as_ref().and_then(text_of)?)))
        .collect()
}

fn others_received(received: &[KeyValue]) -> Vec<String> {
    received.iter().filter(|pair| !is_tag(pair)).map(|pair| pair.key.clone()).collect()
}

/// Whether a resource attribute is a tag: by the rule of the wrapper and of every file.
pub fn is_tag(attribute: &KeyValue) -> bool {
    let text = attribute.value.as_ref().and_then(text_of);
    text.is_some_and(|text| rules::check(&attribute.key, &text).is_ok())
}

/// Tags as labels: the first of a name wins; `team` and `project` go before others if there are too
/// many.
pub fn tags<'a>(tags: impl Iterator<Item = &'a (String, String)>) -> Labels {
    let mut labels: Labels = Vec::new();
    for (key, value) in tags {
        let name = names::label_name(key);
        let taken = labels.iter().any(|(label, _)| **label == *name);
        if !taken && rules::check(key, value).is_ok() {
            labels.push((name.into(), bounded(value)));
        }
    }
    labels.sort_by(|(a, _), (b, _)| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
    labels.truncate(TAGS_MAX);
    labels.sort();
    labels
}

/// A sender's: those that are fixed, then what it says, and its name.
fn tags_of<'a>(sender: &Sender, said: impl Iterator<Item = &'a (String, String)>) -> Labels {
    let mut labels = tags(sender.tags.iter());
    let mut free = tags(said);
    free.retain(|(name, _)| !labels.iter().any(|(fixed, _)| fixed == name));
    free.sort_by_key(|(name, _)| rank(name));
    free.truncate(TAGS_MAX - labels.len());
    labels.append(&mut free);
    labels.push((Arc::from(SENDER_LABEL), sender.name.clone()));
    labels.sort();
    labels
}

/// Whether a name would become the sender's label.
pub fn is_sender(key: &str) -> bool {
    key == SENDER_LABEL
}

/// What the resource would have as a tag and cannot. Names with a dot that are no tags belong to
/// OpenTelemetry, and nobody has chosen them.
fn ignored(received: &[KeyValue], tags: &Labels) -> Vec<String> {
    let ignored = received.iter().filter(|attribute| {
        let name = names::label_name(&attribute.key);
        let meant = !attribute.key.contains('.') || is_tag(attribute);
        meant && !tags.iter().any(|(tag, _)| **tag == *name)
    });
    ignored.map(|attribute| attribute.key.clone()).collect()
}

fn rank(name: &str) -> u8 {
    match name {
        "team" => 0,
        "project" => 1,
        _ => 2,
    }
}

/// A label's value: masked, and short.
pub fn bounded(value: &str) -> Arc<str> {
    let masked = secrets::mask(value);
    masked[..masked.floor_char_boundary(LABEL_BYTES_MAX)].into()
}

fn facts(received: &[KeyValue], level: PrivacyLevel, key: &[u8; 32]) -> Vec<(Arc<str>, Value)> {
    let mut facts = Vec::new();
    for name in FACTS {
        let attribute = received.iter().find(|attribute| attribute.key == *name);
        let value = attribute.and_then(|attribute| attribute.value.as_ref()).and_then(value_of);
        let class = attributes::find(name).map_or(Class::Content, |known| known.class);
        let outcome = value.map(|value| privacy::apply(class, name, value, level, key));
        if let Some(Outcome::Keep(value)) = outcome {
            facts.push((Arc::from(*name), value));
        }
    }
    facts
}

#[cfg(test)]
mod tests;
