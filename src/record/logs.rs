//! Log records: Claude Code's events.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};

use super::attributes::{self, Class};
use super::launches::Place;
use super::origin::Origin;
use super::privacy::{self, Outcome};
use super::recorder::Desk;
use super::rejections::{Reason, Rejections};
use super::{
    ATTRIBUTES_MAX, Event, PrivacyLevel, RECORDS_MAX, Value, amounts, names, own, secrets, values,
};

/// Claude Code's prefix of bodies.
const PREFIX: &str = "claude_code.";
/// Longest key of an attribute that the table does not know.
const KEY_BYTES_MAX: usize = 128;
const UNNAMED: &str = "unknown";

type Attributes = Vec<(Arc<str>, Value)>;

impl Desk {
    pub(super) fn events(
        &mut self,
        resource: &ResourceLogs,
        origin: &Origin,
        place: Option<&Place>,
        events: &mut Vec<Event>,
        rejections: &mut Rejections,
    ) {
        let added = self.added(origin, place);
        for scope in &resource.scope_logs {
            if !self.accepts(scope.scope.as_ref()) {
                rejections.add(Reason::Foreign, scope.log_records.len());
                continue;
            }
            for record in &scope.log_records {
                if events.len() == RECORDS_MAX {
                    rejections.add(Reason::TooManyRecords, 1);
                } else if record.time_unix_nano.max(record.observed_time_unix_nano) == 0 {
                    rejections.add(Reason::NoTime, 1);
                } else if !amounts::event_fits(record) {
                    rejections.add(Reason::BeyondLimit, 1);
                } else {
                    events.push(self.event(record, origin, &added));
                }
            }
        }
    }

    fn event(&mut self, record: &LogRecord, origin: &Origin, added: &Attributes) -> Event {
        let id = self.id(record, origin);
        let name = name_of(record);
        if !attributes::EVENTS.contains(&name) && name != own::MARK_EVENT {
            self.unknown.note("event", name);
        }
        let mut attributes = Attributes::with_capacity(record.attributes.len() + added.len() + 1);
        let body = self.body(record, name, origin.level, &mut attributes);
        for attribute in record.attributes.iter().take(ATTRIBUTES_MAX) {
            self.attribute(attribute, name, record, origin, &mut attributes);
        }
        if let Some(dropped) = record.attributes.len().checked_sub(ATTRIBUTES_MAX + 1) {
            let dropped = i64::try_from(dropped + 1).unwrap_or(i64::MAX);
            attributes.push((Arc::from("dropped_attributes_count"), Value::Int(dropped)));
        }
        push_id(&mut attributes, "trace_id", &record.trace_id);
        push_id(&mut attributes, "span_id", &record.span_id);
        let own = attributes.len(); // what the event itself says wins
        for (key, value) in added {
            if !attributes[..own].iter().any(|(other, _)| other == key) {
                attributes.push((key.clone(), value.clone()));
            }
        }
        Event {
            time_ns: match record.time_unix_nano {
                0 => record.observed_time_unix_nano,
                time_ns => time_ns,
            },
            name: self.word(name),
            body,
            service: origin.service.clone(),
            tags: origin.tags.clone(),
            id,
            attributes,
        }
    }

    /// Of the record as received, so that a record sent twice has one id.
    fn id(&mut self, record: &LogRecord, origin: &Origin) -> u128 {
        let named = record.attributes.iter().position(|attribute| attribute.key == "event.name");
        let (head, tail) = record.attributes.split_at(named.unwrap_or(0));
        let head = self.head_hash(head);
        let input = &mut self.canonical;
        input.begin(b'e');
        input.hash_of(origin.hash);
        input.hash_of(head);
        input.number(record.time_unix_nano);
        input.number(record.observed_time_unix_nano);
        input.value(record.body.as_ref(), 0);
        input.attributes(tail.iter());
        input.finish(&self.settings.install_key)
    }

    /// Of the attributes before `event.name`: the session's, which repeat with each record and are
    /// hashed once. Hashing is what recording costs most.
    fn head_hash(&mut self, head: &[KeyValue]) -> u128 {
        if let Some((last, hash)) = &self.last_head
            && last == head
        {
            return *hash;
        }
        self.canonical.begin(b'h');
        self.canonical.attributes(head.iter());
        let hash = self.canonical.finish(&self.settings.install_key);
        self.last_head = Some((head.to_vec(), hash));
        hash
    }

    fn attribute(
        &mut self,
        attribute: &KeyValue,
        event: &str,
        record: &LogRecord,
        origin: &Origin,
        attributes: &mut Attributes,
    ) {
        let key = attribute.key.as_str();
        let known = attributes::find(key);
        if key == "event.name" || origin.repeats(attribute, known.is_some()) {
            return;
        }
        let class = match known {
            Some(known) => Some(attributes::class_in(event, known)),
            None => attributes::class(event, key, values::is_number(attribute.value.as_ref())),
        };
        if class.is_none() {
            if !origin.brings(key) {
                self.unknown.note("attribute", key);
            }
            if key.len() > KEY_BYTES_MAX || key.is_empty() {
                return;
            }
        }
        let class = class.unwrap_or(Class::Content);
        if is_measured(class, origin.level, key, record) {
            return; // large, and its length is there: not even looked at
        }
        let rules = self.settings.rules(origin.level);
        let outcome = self.texts.reduce(attribute, known, class, rules);
        let key = known.map_or_else(|| Arc::from(key), |known| known.key.clone());
        push(attributes, key, outcome, |length| has(&record.attributes, length));
    }

    /// A plain name stays; anything else is content, as a foreign program's message is.
    fn body(
        &mut self,
        record: &LogRecord,
        name: &str,
        level: PrivacyLevel,
        attributes: &mut Attributes,
    ) -> Arc<str> {
        let text = match record.body.as_ref().and_then(|body| body.value.as_ref()) {
            None => return Arc::from(""),
            Some(AnyKind::StringValue(text)) if names::is_plain(text) => return self.word(text),
            Some(_) => record.body.as_ref().and_then(values::value_of),
        };
        let Some(Value::Text(text) | Value::Json(text)) = text else { return self.word(name) };
        if level == PrivacyLevel::Full {
            return privacy::cut(&text, privacy::FULL_TEXT_BYTES_MAX).into();
        }
        let length = Outcome::Length(privacy::length(&text));
        push(attributes, Arc::from("body"), length, |length| has(&record.attributes, length));
        self.word(name)
    }

    /// A short name, allocated once.
    fn word(&mut self, word: &str) -> Arc<str> {
        const WORDS_MAX: usize = 256;
        if let Some(word) = self.words.get(word) {
            return word.clone();
        }
        if self.words.len() >= WORDS_MAX {
            self.words.clear();
        }
        let word: Arc<str> = secrets::mask(word).into();
        self.words.insert(word.clone());
        word
    }

    /// What every event of a request gets: its place, and what is kept of the resource.
    fn added(&self, origin: &Origin, place: Option<&Place>) -> Attributes {
        let mut added = Attributes::new();
        let rules = self.settings.rules(origin.level);
        for (key, text) in place.into_iter().flat_map(facts_of) {
            let value = Value::Text(secrets::mask(text).into());
            let outcome = privacy::apply(Class::Place, key, value, rules.level, rules.install_key);
            push(&mut added, Arc::from(key), outcome, |_| true);
        }
        for (key, value) in &origin.facts {
            if !added.iter().any(|(other, _)| other == key) {
                added.push((key.clone(), value.clone()));
            }
        }
        added
    }
}

/// Adds what a level left of an attribute. `has` tells whether there is one of that name already.
pub(super) fn push(
    attributes: &mut Attributes,
    key: Arc<str>,
    outcome: Outcome,
    has: impl Fn(&str) -> bool,
) {
    let (value, length) = match outcome {
        Outcome::Keep(value) => (Some(value), None),
        Outcome::Cut(value, length) => (Some(value), Some(length)),
        Outcome::Length(length) => (None, Some(length)),
        Outcome::Drop => return,
    };
    let length = length.map(|length| (Arc::from(format!("{key}_length")), Value::Int(length)));
    match value {
        Some(Value::Text(text)) if &*key == "model" => {
            let (model, suffix) = names::split_model(&text);
            let suffix = suffix.map(|suffix| (Arc::from("context"), Value::Text(suffix.into())));
            let model = if suffix.is_some() { Arc::from(model) } else { text.clone() };
            attributes.push((key, Value::Text(model)));
            attributes.extend(suffix);
        }
        Some(value) => attributes.push((key, value)),
        None => {}
    }
    attributes.extend(length.filter(|(key, _)| !has(key)));
}

/// Content that is dropped and whose length Claude Code sends itself.
fn is_measured(class: Class, level: PrivacyLevel, key: &str, record: &LogRecord) -> bool {
    class == Class::Content
        && level < PrivacyLevel::Full
        && record.attributes.iter().any(|other| other.key.strip_suffix("_length") == Some(key))
}

fn has(attributes: &[KeyValue], key: &str) -> bool {
    attributes.iter().any(|attribute| attribute.key == key)
}

/// `event.name`, or the record's own event name, or the body without its prefix.
fn name_of(record: &LogRecord) -> &str {
    let attribute = record.attributes.iter().find(|attribute| attribute.key == "event.name");
    let attribute = attribute.and_then(|attribute| plain(attribute.value.as_ref()));
    let own = Some(record.event_name.as_str()).filter(|name| names::is_plain(name));
    let name = attribute.or(own).or_else(|| plain(record.body.as_ref())).unwrap_or(UNNAMED);
    name.strip_prefix(PREFIX).filter(|name| !name.is_empty()).unwrap_or(name)
}

fn plain(value: Option<&AnyValue>) -> Option<&str> {
    match value?.value.as_ref()? {
        AnyKind::StringValue(text) if names::is_plain(text) => Some(text),
        _ => None,
    }
}

fn push_id(attributes: &mut Attributes, key: &'static str, id: &[u8]) {
    const ID_BYTES_MAX: usize = 16;
    if !id.is_empty() && id.len() <= ID_BYTES_MAX {
        attributes.push((Arc::from(key), Value::Text(values::hex(id).into())));
    }
}

fn facts_of(place: &Place) -> impl Iterator<Item = (&'static str, &str)> {
    let facts = [
        ("vcs.repository.name", &place.facts.repository),
        ("vcs.ref.head.name", &place.facts.branch),
        ("ccotel.worktree", &place.facts.worktree),
        ("ccotel.directory", &place.directory),
    ];
    facts.into_iter().filter_map(|(key, text)| Some((key, text.as_deref()?)))
}

#[cfg(test)]
mod tests;
