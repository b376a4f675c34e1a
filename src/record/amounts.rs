//! How much one record may say. Counters never fall, so a value that cannot be true would stay in every
//! total for good.
//!
//! Far above what a session that runs for weeks reaches, which cumulative points tell as one value, and
//! small enough that a double still holds each cent and token of a sum of them.

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

/// Of `claude_code.cost.usage`, and of an event's cost.
pub const USD_MAX: u64 = 1_000_000;
/// Of Claude Code's other counters, and of an event's tokens.
pub const COUNT_MAX: u64 = 1_000_000_000_000;
/// Of other programs' counters, where they are accepted: nanoseconds and bytes grow fast.
const FOREIGN_MAX: u64 = 1 << 63;
const MICROS: f64 = 1e6;

/// Whether a counter may have a value, by its name in Prometheus: several in OTLP become one.
pub fn fits(metric: &str, value: f64) -> bool {
    value
        <= as_double(match metric.strip_prefix("claude_code_") {
            Some(rest) if rest.starts_with("cost_") => USD_MAX,
            Some(_) => COUNT_MAX,
            None => FOREIGN_MAX,
        })
}

/// Whether everything of an event that is summed up may be true.
pub fn event_fits(record: &LogRecord) -> bool {
    record.attributes.iter().all(|attribute| {
        let value_max = match attribute.key.as_str() {
            "cost_usd" => as_double(USD_MAX),
            "cost_usd_micros" => as_double(USD_MAX) * MICROS,
            key if key.ends_with("_tokens") => as_double(COUNT_MAX),
            _ => return true,
        };
        number(attribute.value.as_ref()).is_none_or(|number| number.abs() <= value_max)
    })
}

/// Numbers may be texts. What is no number is in no sum.
fn number(value: Option<&AnyValue>) -> Option<f64> {
    let number = match value?.value.as_ref()? {
        AnyKind::DoubleValue(number) => *number,
        #[expect(clippy::cast_precision_loss, reason = "the limits are far from where it matters")]
        AnyKind::IntValue(number) => *number as f64,
        AnyKind::StringValue(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (!number.is_nan()).then_some(number)
}

#[expect(clippy::cast_precision_loss, reason = "the limits are exact as doubles")]
fn as_double(limit: u64) -> f64 {
    limit as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_by_what_is_counted() {
        assert!(fits("claude_code_cost_usage_USD_total", 1e6));
        assert!(!fits("claude_code_cost_usage_USD_total", 1e6 + 0.1));
        assert!(fits("claude_code_token_usage_tokens_total", 1e12));
        assert!(!fits("claude_code_token_usage_tokens_total", 1e12 + 1.0));
        assert!(fits("process_cpu_time_ns_total", 9e18));
        assert!(!fits("process_cpu_time_ns_total", 1e300));
    }
}
