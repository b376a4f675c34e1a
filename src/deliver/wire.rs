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

impl Wire {
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
