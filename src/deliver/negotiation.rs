//! Negotiation: which version of remote_write a Prometheus-like backend understands.
//!
//! ```text
//!            ┌──── 2xx or 400 with …-Written headers ───▶ V2
//! Unknown ───┤ (first request is 2.0)                      │ 415, or 2xx without the headers
//!            └──── 415, 400, 2xx without the headers ───▶ V1 ◀┘
//!                                                          │ after 7 days
//!                                              Unknown ◀───┘
//! ```
//!
//! A 2xx alone proves nothing: Prometheus before 2.54 and VictoriaMetrics ignore the content type,
//! decode a 2.0 body to an empty 1.0 request, and say 204. The data is then sent again as 1.0, as
//! for a 415 (remote_write 2.0 specification, "Required Written Response Headers"). Once 2.0 has
//! worked, a 400 is about the data.

use super::outcome::Outcome;
use super::wire::Wire;
use crate::config::destination::Protocol;

/// After this long on 1.0, a backend may have been upgraded.
const PROBE_AGAIN_AFTER_MS: i64 = 7 * 24 * 3_600_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Negotiation {
    /// Stated in the configuration.
    Fixed(Version),
    Unknown,
    V2,
    V1 {
        /// In milliseconds since the epoch.
        since_ms: i64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    V1,
    V2,
}

impl Negotiation {
    pub fn new(protocol: Protocol) -> Self {
        match protocol {
            Protocol::RemoteWrite1 => Self::Fixed(Version::V1),
            Protocol::RemoteWrite2 => Self::Fixed(Version::V2),
            Protocol::Auto | Protocol::Otlp => Self::Unknown,
        }
    }

    /// The format of the next request.
    pub fn wire(&mut self, now_ms: i64) -> Wire {
        // A clock that was set back tries again, too.
        if let Self::V1 { since_ms } = *self
            && !(0..PROBE_AGAIN_AFTER_MS).contains(&now_ms.saturating_sub(since_ms))
        {
            *self = Self::Unknown;
        }
        match self {
            Self::Fixed(Version::V1) | Self::V1 { .. } => Wire::RemoteWrite1,
            Self::Fixed(Version::V2) | Self::Unknown | Self::V2 => Wire::RemoteWrite2,
        }
    }

    /// Learns from an answer to a remote_write request.
    pub fn observe(&mut self, wire: Wire, outcome: &Outcome, now_ms: i64) {
        if matches!(self, Self::Fixed(_)) || wire != Wire::RemoteWrite2 {
            return;
        }
        match outcome {
            Outcome::Fallback => *self = Self::V1 { since_ms: now_ms },
            // Only answers with the headers are accepted or refused (see `outcome`).
            Outcome::Accepted { .. } | Outcome::Refused { .. } => *self = Self::V2,
            Outcome::Retry { .. }
            | Outcome::SlowDown { .. }
            | Outcome::TooLarge { .. }
            | Outcome::Park { .. } => {}
        }
    }

    /// 2.0 has worked here, or was asked for: a 400 is about the data.
    pub fn trusts_v2(self) -> bool {
        matches!(self, Self::V2 | Self::Fixed(Version::V2))
    }

    /// The configuration leaves no other version to fall back to.
    pub fn is_fixed(self) -> bool {
        matches!(self, Self::Fixed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted() -> Outcome {
        Outcome::Accepted { refused: 0, status: 204, answer: String::new() }
    }

    #[test]
    fn falls_back_once_and_probes_again_after_a_week() {
        let mut negotiation = Negotiation::new(Protocol::Auto);
        let start = 1_795_262_400_000;
        assert_eq!(negotiation.wire(start), Wire::RemoteWrite2);
        negotiation.observe(Wire::RemoteWrite2, &Outcome::Fallback, start);
        assert_eq!(negotiation.wire(start), Wire::RemoteWrite1);
        negotiation.observe(Wire::RemoteWrite1, &accepted(), start);
        let week = start + PROBE_AGAIN_AFTER_MS;
        assert_eq!(negotiation.wire(week - 1), Wire::RemoteWrite1);
        assert_eq!(negotiation.wire(week), Wire::RemoteWrite2);
    }

    #[test]
    fn trust_comes_from_the_headers_and_goes_with_them() {
        let mut negotiation = Negotiation::new(Protocol::Auto);
        let retry = Outcome::Retry { why: String::new(), after: None };
        negotiation.observe(Wire::RemoteWrite2, &retry, 7);
        assert!(!negotiation.trusts_v2());
        negotiation.observe(Wire::RemoteWrite2, &accepted(), 7);
        assert!(negotiation.trusts_v2());
        // The backend was downgraded.
        negotiation.observe(Wire::RemoteWrite2, &Outcome::Fallback, 7);
        assert_eq!(negotiation.wire(7), Wire::RemoteWrite1);
    }

    #[test]
    fn what_the_configuration_states_holds() {
        for (protocol, wire) in [
            (Protocol::RemoteWrite1, Wire::RemoteWrite1),
            (Protocol::RemoteWrite2, Wire::RemoteWrite2),
        ] {
            let mut negotiation = Negotiation::new(protocol);
            negotiation.observe(wire, &Outcome::Fallback, 7);
            assert_eq!(negotiation.wire(7), wire);
        }
    }
}
