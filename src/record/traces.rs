//! Spans: redacted in place, since they are only forwarded to `otlp` destinations.
//!
//! The same table and levels as for events, on the attributes of resources, scopes, spans, their
//! events and links. Status messages are error texts.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;

use super::attributes::{self, Class};
use super::hash::DEPTH_MAX;
use super::logs::push;
use super::origin::{self, Origin};
use super::privacy::{self, Outcome};
use super::recorder::Desk;
use super::rejections::{Reason, Rejections};
use super::unknown::Unknown;
use super::values::{Rules, Texts, is_number};
use super::{PrivacyLevel, Value, names, secrets};

impl Desk {
    /// The number of spans kept, at most `room`, and their resource encoded; `None` if none is.
    pub(super) fn spans(
        &mut self,
        mut resource: ResourceSpans,
        origin: &Origin,
        room: usize,
        rejections: &mut Rejections,
    ) -> Option<(u32, Vec<u8>)> {
        resource.scope_spans.retain(|scope| {
            let accepted = self.accepts(scope.scope.as_ref());
            if !accepted {
                rejections.add(Reason::Foreign, scope.spans.len());
            }
            accepted
        });
        let mut count = 0;
        for scope in &mut resource.scope_spans {
            let surplus = scope.spans.len().saturating_sub(room - count);
            scope.spans.truncate(room - count);
            rejections.add(Reason::TooManyRecords, surplus);
            count += scope.spans.len();
        }
        resource.scope_spans.retain(|scope| !scope.spans.is_empty());
        if count == 0 {
            return None;
        }
        for scope in &mut resource.scope_spans {
            for span in &mut scope.spans {
                span.attributes.retain(|attribute| {
                    !origin.repeats(attribute, attributes::find(&attribute.key).is_some())
                });
            }
        }
        tag(resource.resource.get_or_insert_default(), origin);
        let rules = self.settings.rules(origin.level);
        let mut redactor = Redactor { texts: &mut self.texts, unknown: &mut self.unknown, rules };
        redactor.resource_spans(&mut resource);
        Some((u32::try_from(count).unwrap_or(u32::MAX), resource.encode_to_vec()))
    }
}

/// Puts the tags in effect in the place of those received, and takes off what is for the agent alone.
fn tag(resource: &mut Resource, origin: &Origin) {
    let received = std::mem::take(&mut resource.attributes);
    let own = |attribute: &KeyValue| {
        let ours = attribute.key.starts_with("ccotel.") || origin::is_sender(&attribute.key);
        !ours && !origin::is_tag(attribute)
    };
    let tags = origin.tags.iter().map(|(name, value)| text_attribute(name, value));
    resource.attributes = tags.chain(received.into_iter().filter(own)).collect();
}

/// Reduces encoded spans to what a level leaves of them; unreadable ones become `None`.
pub fn tighten(encoded: &[u8], level: PrivacyLevel, install_key: &[u8; 32]) -> Option<Vec<u8>> {
    let mut resource = ResourceSpans::decode(encoded).ok()?;
    let mut redactor = Redactor {
        texts: &mut Texts::default(),
        unknown: &mut Unknown::default(),
        rules: Rules { level, email_hashed: false, install_key },
    };
    redactor.resource_spans(&mut resource);
    Some(resource.encode_to_vec())
}

struct Redactor<'a> {
    texts: &'a mut Texts,
    unknown: &'a mut Unknown,
    rules: Rules<'a>,
}

impl Redactor<'_> {
    fn resource_spans(&mut self, resource: &mut ResourceSpans) {
        if let Some(resource) = &mut resource.resource {
            resource.entity_refs.clear();
            self.attributes(&mut resource.attributes, true);
        }
        for scope in &mut resource.scope_spans {
            if let Some(scope) = &mut scope.scope {
                self.attributes(&mut scope.attributes, false);
            }
            for span in &mut scope.spans {
                self.span(span);
            }
        }
    }

    fn span(&mut self, span: &mut Span) {
        self.attributes(&mut span.attributes, false);
        span.name = self.name(&span.name);
        span.trace_state = self.free_text(Class::Content, "trace_state", &span.trace_state);
        for event in &mut span.events {
            event.name = self.name(&event.name);
            self.attributes(&mut event.attributes, false);
        }
        for link in &mut span.links {
            link.trace_state = self.free_text(Class::Content, "trace_state", &link.trace_state);
            self.attributes(&mut link.attributes, false);
        }
        if let Some(status) = &mut span.status {
            status.message = self.free_text(Class::ErrorText, "error", &status.message);
        }
    }

    /// A plain name stays, as Claude Code's are; anything else is content.
    fn name(&self, name: &str) -> String {
        let class = if names::is_plain(name) { Class::Kept } else { Class::Content };
        self.free_text(class, "name", name)
    }

    /// A text that has no attribute to keep its length in.
    fn free_text(&self, class: Class, key: &str, text: &str) -> String {
        let value = Value::Text(secrets::mask(text).into());
        match privacy::apply(class, key, value, self.rules.level, self.rules.install_key) {
            Outcome::Keep(Value::Text(text)) | Outcome::Cut(Value::Text(text), _) => {
                text.to_string()
            }
            _ => String::new(),
        }
    }

    fn attributes(&mut self, attributes: &mut Vec<KeyValue>, on_resource: bool) {
        let received = std::mem::take(attributes);
        let keys: Vec<String> = received
            .iter()
            .filter(|attribute| attribute.key.ends_with("_length"))
            .map(|attribute| attribute.key.clone())
            .collect();
        for attribute in received {
            self.attribute(attribute, on_resource, &keys, attributes);
        }
    }

    fn attribute(
        &mut self,
        mut attribute: KeyValue,
        on_resource: bool,
        lengths: &[String],
        kept: &mut Vec<KeyValue>,
    ) {
        let known = attributes::find(&attribute.key);
        let number = is_number(attribute.value.as_ref());
        let tag = on_resource && (origin::is_tag(&attribute) || origin::is_sender(&attribute.key));
        let class = match known {
            _ if tag => Some(Class::Kept),
            Some(known) => Some(known.class),
            None => attributes::class("", &attribute.key, number),
        };
        if class.is_none() {
            self.unknown.note("attribute", &attribute.key);
        }
        let class = class.unwrap_or(Class::Content);
        let outcome = self.texts.reduce(&attribute, known, class, self.rules);
        if let (Outcome::Keep(Value::Json(_)), Some(value)) = (&outcome, &mut attribute.value) {
            mask_nested(value, 0); // an array stays one
            kept.push(attribute);
            return;
        }
        let mut left = Vec::new();
        push(&mut left, Arc::from(attribute.key), outcome, |length| {
            lengths.iter().any(|other| other == length)
        });
        kept.extend(left.into_iter().map(|(key, value)| KeyValue {
            key: key.to_string(),
            value: Some(AnyValue { value: Some(kind_of(value)) }),
            ..KeyValue::default()
        }));
    }
}

fn mask_nested(value: &mut AnyValue, depth: usize) {
    match &mut value.value {
        _ if depth >= DEPTH_MAX => value.value = None,
        Some(AnyKind::StringValue(text)) => *text = secrets::mask(text).into_owned(),
        Some(AnyKind::ArrayValue(array)) => {
            array.values.iter_mut().for_each(|value| mask_nested(value, depth + 1));
        }
        Some(AnyKind::KvlistValue(list)) => {
            for KeyValue { key, value, .. } in &mut list.values {
                match value {
                    Some(value) if secrets::is_named(key) => {
                        value.value = Some(AnyKind::StringValue(secrets::MASK.to_owned()));
                    }
                    Some(value) => mask_nested(value, depth + 1),
                    None => {}
                }
                *key = secrets::mask(key).into_owned();
            }
        }
        _ => {}
    }
}

fn text_attribute(key: &str, text: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(AnyKind::StringValue(text.to_owned())) }),
        ..KeyValue::default()
    }
}

fn kind_of(value: Value) -> AnyKind {
    match value {
        Value::Text(text) | Value::Json(text) => AnyKind::StringValue(text.to_string()),
        Value::Int(number) => AnyKind::IntValue(number),
        Value::Double(number) => AnyKind::DoubleValue(number),
        Value::Bool(flag) => AnyKind::BoolValue(flag),
    }
}
