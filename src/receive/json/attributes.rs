//! Attributes and their values, and what carries them in every signal: resources and scopes.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::Value;

use super::fields::{Fields, Read, base64, boolean, double, integer, text};

pub(super) fn resource(value: Value) -> Read<Resource> {
    let mut fields = Fields::of(value)?;
    Ok(Resource {
        attributes: fields.all("attributes", attribute)?,
        dropped_attributes_count: fields.get("droppedAttributesCount", integer)?,
        entity_refs: fields.all("entityRefs", entity_ref)?,
    })
}

fn entity_ref(value: Value) -> Read<EntityRef> {
    let mut fields = Fields::of(value)?;
    Ok(EntityRef {
        schema_url: fields.get("schemaUrl", text)?,
        r#type: fields.get("type", text)?,
        id_keys: fields.all("idKeys", text)?,
        description_keys: fields.all("descriptionKeys", text)?,
    })
}

pub(super) fn scope(value: Value) -> Read<InstrumentationScope> {
    let mut fields = Fields::of(value)?;
    Ok(InstrumentationScope {
        name: fields.get("name", text)?,
        version: fields.get("version", text)?,
        attributes: fields.all("attributes", attribute)?,
        dropped_attributes_count: fields.get("droppedAttributesCount", integer)?,
    })
}

pub(super) fn attribute(value: Value) -> Read<KeyValue> {
    let mut fields = Fields::of(value)?;
    Ok(KeyValue {
        key: fields.get("key", text)?,
        value: fields.maybe("value", any)?,
        ..KeyValue::default()
    })
}

/// A value with no known field is an empty one, as in protobuf.
pub(super) fn any(value: Value) -> Read<AnyValue> {
    let mut fields = Fields::of(value)?;
    let value = if let Some(value) = fields.maybe("stringValue", text)? {
        Some(Any::StringValue(value))
    } else if let Some(value) = fields.maybe("intValue", integer)? {
        Some(Any::IntValue(value))
    } else if let Some(value) = fields.maybe("doubleValue", double)? {
        Some(Any::DoubleValue(value))
    } else if let Some(value) = fields.maybe("boolValue", boolean)? {
        Some(Any::BoolValue(value))
    } else if let Some(values) =
        fields.maybe("arrayValue", |value| Fields::of(value)?.all("values", any))?
    {
        Some(Any::ArrayValue(ArrayValue { values }))
    } else if let Some(values) =
        fields.maybe("kvlistValue", |value| Fields::of(value)?.all("values", attribute))?
    {
        Some(Any::KvlistValue(KeyValueList { values }))
    } else {
        fields.maybe("bytesValue", base64)?.map(Any::BytesValue)
    };
    Ok(AnyValue { value })
}
