//! Spans, passed through: redacted `ResourceSpans` with the install's id in their resource.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;

use super::{encoded, text_attribute};
use crate::deliver::wire::{Encoded, Wire};

/// The export of these encoded `ResourceSpans`.
pub fn encode(spans: &[Vec<u8>], install_id: &str) -> Encoded {
    let resource_spans = spans.iter().filter_map(|bytes| decode(bytes, install_id)).collect();
    encoded(Wire::OtlpTraces, &ExportTraceServiceRequest { resource_spans })
}

/// Spans in an encoded `ResourceSpans`.
pub fn count(bytes: &[u8]) -> u64 {
    ResourceSpans::decode(bytes).map_or(0, |resource| {
        resource.scope_spans.iter().map(|scope| scope.spans.len() as u64).sum()
    })
}

/// The store has written these bytes itself; what it cannot read back any more is left out.
fn decode(bytes: &[u8], install_id: &str) -> Option<ResourceSpans> {
    let mut spans = ResourceSpans::decode(bytes).ok()?;
    let resource = spans.resource.get_or_insert_with(Resource::default);
    if resource.attributes.iter().all(|attribute| attribute.key != "service.instance.id") {
        resource.attributes.push(text_attribute("service.instance.id", install_id));
    }
    Some(spans)
}
