//! Wire: the formats that a request can have.

use super::otlp::Signal;

/// A format, and with it the path, the headers and what an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    RemoteWrite1,
    RemoteWrite2,
    LokiPush,
    OtlpLogs,
    OtlpMetrics,
    OtlpTraces,
}

const ALL: [Wire; 6] = [
    Wire::RemoteWrite1,
    Wire::RemoteWrite2,
    Wire::LokiPush,
    Wire::OtlpLogs,
    Wire::OtlpMetrics,
    Wire::OtlpTraces,
];

impl Wire {
    /// As the store's quarantine keeps it, and `ccotel quarantine` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RemoteWrite1 => "remote_write 1.0",
            Self::RemoteWrite2 => "remote_write 2.0",
            Self::LokiPush => "Loki push",
            Self::OtlpLogs => "OTLP logs",
            Self::OtlpMetrics => "OTLP metrics",
            Self::OtlpTraces => "OTLP traces",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        ALL.into_iter().find(|wire| wire.name() == name)
    }

    /// The headers that a request in this format has.
    pub fn headers(self) -> Vec<(&'static str, String)> {
        let (content_type, encoding) = match self {
            Self::RemoteWrite1 | Self::LokiPush => ("application/x-protobuf", "snappy"),
            Self::RemoteWrite2 => {
                ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy")
            }
            Self::OtlpLogs | Self::OtlpMetrics | Self::OtlpTraces => {
                ("application/x-protobuf", "gzip")
            }
        };
        let version = match self {
            Self::RemoteWrite1 => Some("0.1.0"),
            Self::RemoteWrite2 => Some("2.0.0"),
            Self::LokiPush | Self::OtlpLogs | Self::OtlpMetrics | Self::OtlpTraces => None,
        };
        [
            ("content-type", Some(content_type)),
            ("content-encoding", Some(encoding)),
            ("x-prometheus-remote-write-version", version),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?.to_owned())))
        .collect()
    }

    /// Sending the same bytes twice changes nothing at the backend, so a connection that broke may
    /// be answered with an immediate second attempt.
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::RemoteWrite1 | Self::RemoteWrite2 | Self::LokiPush)
    }

    /// The signal, for OTLP.
    pub fn signal(self) -> Option<Signal> {
        match self {
            Self::OtlpLogs => Some(Signal::Logs),
            Self::OtlpMetrics => Some(Signal::Metrics),
            Self::OtlpTraces => Some(Signal::Traces),
            Self::RemoteWrite1 | Self::RemoteWrite2 | Self::LokiPush => None,
        }
    }
}

/// An encoded request, without what belongs to the destination (address, credentials, tenant).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    pub wire: Wire,
    /// Headers that the protocol sets; a configured header never overrides them.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_name_is_found_again() {
        for wire in ALL {
            assert_eq!(Wire::from_name(wire.name()), Some(wire));
        }
        assert_eq!(Wire::from_name("smoke signals"), None);
    }
}
