//! Random messages, written as JSON in three dialects, are what protobuf says they are.

mod arbitrary;
mod dialect;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

use self::dialect::Dialect;
use super::{Decoded, Unreadable, logs, metrics, traces};

const DIALECTS: [Dialect; 3] =
    [Dialect::SPECIFICATION, Dialect::CLAUDE_CODE, Dialect::PROTO3_WITH_NAMES];

/// Compared as bytes, since a NaN is not equal to itself.
fn same<M: Message>(sent: &M, decoded: Result<Decoded<M>, Unreadable>, json: &serde_json::Value) {
    let decoded = decoded.unwrap_or_else(|error| panic!("{error} in {json}"));
    assert_eq!((decoded.unreadable, decoded.reason), (0, None), "{json}");
    assert_eq!(decoded.request.encode_to_vec(), sent.encode_to_vec(), "{json}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn logs_are_the_same_in_every_dialect(request in arbitrary::logs()) {
        for dialect in DIALECTS {
            let json = dialect.logs(&request);
            same(&request, logs(json.to_string().as_bytes()), &json);
        }
    }

    #[test]
    fn metrics_are_the_same_in_every_dialect(request in arbitrary::metrics()) {
        for dialect in DIALECTS {
            let json = dialect.metrics(&request);
            same(&request, metrics(json.to_string().as_bytes()), &json);
        }
    }

    #[test]
    fn traces_are_the_same_in_every_dialect(request in arbitrary::traces()) {
        for dialect in DIALECTS {
            let json = dialect.traces(&request);
            same(&request, traces(json.to_string().as_bytes()), &json);
        }
    }

    #[test]
    fn bytes_that_are_no_json_are_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (logs(&bytes), metrics(&bytes), traces(&bytes));
    }
}

#[test]
fn what_is_left_out_is_counted_by_records() {
    let point = |time| json!({ "timeUnixNano": time, "asInt": 1 });
    let sum = |points: &[serde_json::Value]| json!({ "name": "a", "sum": { "aggregationTemporality": 1, "dataPoints": points } });
    let mut bad_kind = sum(&[point(1), point(2), point(3)]);
    bad_kind["sum"]["aggregationTemporality"] = json!("SOMETIMES");
    let good = sum(&[point(1), json!("no point"), json!({ "asInt": "1.5" })]);
    let scope = |metrics: &[serde_json::Value]| json!({ "metrics": metrics });
    let request = json!({ "resourceMetrics": [
        { "scopeMetrics": [scope(&[good, bad_kind, json!({ "name": "none" })]), 7] },
        { "resource": [], "scopeMetrics": [scope(&[sum(&[point(1), point(2)])])] },
    ] });
    let decoded = metrics(request.to_string().as_bytes()).unwrap();
    // Two points, three of an unknown temporality, one without data, two of a bad resource; the
    // scope that is a number had none.
    assert_eq!(decoded.unreadable, 2 + 3 + 1 + 2);
    assert_eq!(decoded.reason.unwrap(), "an object expected, found \"no point\"");
    let metrics = &decoded.request.resource_metrics[0].scope_metrics[0].metrics;
    assert_eq!(metrics.len(), 1);
    let Some(Data::Sum(sum)) = &metrics[0].data else { panic!("a sum") };
    assert_eq!(sum.data_points.len(), 1);
}

#[test]
fn an_unreadable_value_is_named_by_its_path() {
    let record = json!({ "attributes": [{ "key": "a", "value": { "intValue": "12e" } }] });
    let request = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record, {}] }] }] });
    let decoded = logs(request.to_string().as_bytes()).unwrap();
    assert_eq!(decoded.unreadable, 1);
    assert_eq!(
        decoded.reason.unwrap(),
        "attributes: value: intValue: an integer in range expected, found \"12e\""
    );
    assert_eq!(decoded.request.resource_logs[0].scope_logs[0].log_records.len(), 1);
}

#[test]
fn nesting_beyond_the_limit_is_an_error_of_the_request() {
    let value = "{\"arrayValue\":{\"values\":[".repeat(5000);
    let request = format!("{{\"resourceLogs\":[{{\"resource\":{{\"attributes\":[{value}");
    assert!(logs(request.as_bytes()).unwrap_err().to_string().contains("recursion limit"));
}

#[test]
fn empty_requests_are_requests() {
    for body in ["{}", "{\"resourceLogs\":[]}", "{\"resourceLogs\":null}", "{\"somethingNew\":{}}"]
    {
        assert_eq!(logs(body.as_bytes()).unwrap().request.resource_logs, [], "{body}");
    }
}
