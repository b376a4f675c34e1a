//! A gateway's senders, in `status` and in the agent's own metrics.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use crate::agent::status::{GatewayStatus, SenderStatus};
use crate::receive::Sample;
use crate::receive::gateway::{Facts, Gateway};

/// For what is wrong with the gateway's files.
pub const REMEDY: &str = "mend it: the gateway reads its files again by itself";

pub fn status(facts: &Facts) -> GatewayStatus {
    let senders = facts.senders.iter().map(|sender| SenderStatus {
        name: sender.name.to_string(),
        known: sender.known,
        connections: sender.usage.connections,
        received: sender.usage.received,
        rejected: sender.usage.rejected,
        refused: sender.usage.refused,
        malformed: sender.usage.malformed,
        last_seen: sender.usage.last_seen.and_then(|at| Timestamp::try_from(at).ok()),
    });
    GatewayStatus { senders: senders.collect() }
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a double, in Prometheus too")]
pub fn samples(gateway: &Gateway) -> Vec<Sample> {
    let mut samples = Vec::new();
    for sender in gateway.facts().senders {
        let of_sender = ("sender", sender.name.to_string());
        let mut push = |name, help, outcome: Option<&str>, value: u64| {
            let outcome = outcome.map(|outcome| ("outcome", outcome.to_owned()));
            let labels = std::iter::once(of_sender.clone()).chain(outcome).collect();
            samples.push(Sample { name, help, labels, value: value as f64 });
        };
        let usage = sender.usage;
        let records = "A sender's records by what became of them, since this worker began.";
        let requests = "A sender's requests that were turned away, since this worker began.";
        let (name, failed) = ("ccotel_sender_records_total", "ccotel_sender_failed_requests_total");
        push(name, records, Some("received"), usage.received);
        push(name, records, Some("rejected"), usage.rejected);
        push(failed, requests, Some("refused"), usage.refused);
        push(failed, requests, Some("malformed"), usage.malformed);
        push("ccotel_sender_connections", "A sender's open connections.", None, usage.connections);
        if let Some(at) = usage.last_seen {
            let help = "When a sender's last request came.";
            push("ccotel_sender_last_seen_seconds", help, None, seconds(at));
        }
    }
    samples
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
