//! The destinations' part of the agent's own metrics.

use crate::deliver::DestinationStatus;
use crate::receive::Sample;

#[expect(clippy::cast_precision_loss, reason = "a sample is a double, in Prometheus too")]
pub fn samples(statuses: &[DestinationStatus]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for status in statuses {
        let mut push = |name, help, value: u64| {
            let labels = vec![("destination", status.name.clone())];
            samples.push(Sample { name, help, labels, value: value as f64 });
        };
        push(
            "ccotel_destination_backlog_records",
            "Records not delivered yet.",
            status.backlog.records,
        );
        push("ccotel_destination_backlog_bytes", "Their bytes on disk.", status.backlog.bytes);
        push(
            "ccotel_destination_backlog_oldest_seconds",
            "Age of the oldest of them.",
            status.backlog.oldest_seconds,
        );
        push(
            "ccotel_destination_delivered_records_total",
            "Records that the backend took.",
            status.delivered,
        );
        push(
            "ccotel_destination_expired_records_total",
            "Records too old for the backend.",
            status.expired,
        );
        push(
            "ccotel_destination_evicted_records_total",
            "Records dropped for want of disk.",
            status.evicted,
        );
        push(
            "ccotel_destination_compacted_records_total",
            "Records whose totals went out at a coarser time.",
            status.compacted,
        );
        push(
            "ccotel_destination_quarantined_records_total",
            "Records that the backend refused for good.",
            status.quarantined,
        );
        push(
            "ccotel_destination_quarantine_kept_records",
            "Of these, records that can still be looked at and sent again.",
            status.quarantine_kept,
        );
        if let Some(at) = status.last_success {
            push(
                "ccotel_destination_last_success_seconds",
                "When the backend took something last.",
                u64::try_from(at.as_second()).unwrap_or(0),
            );
        }
    }
    samples
}
