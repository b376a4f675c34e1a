//! Receive: OTLP over gRPC and HTTP, answered only after a synced commit.
//!
//! ```text
//! connection ─▶ admit ─▶ endpoint ─▶ body (limits, gunzip) ─▶ hash ─▶ decode ─▶ Recorder ─▶ store
//!               401 403   404 405     400 408 413 415          400              partial     503
//!                         415                                                   success
//! ```
//!
//! Nothing is answered with success before [`store::handle::Handle::ingest`] resolved. Nothing is
//! answered with an error because of one bad record: it is counted and told in `partial_success`.
//!
//! [`store::handle::Handle::ingest`]: crate::store::handle::Handle::ingest

mod admit;
mod body;
mod counts;
pub mod expansion;
mod exposition;
mod failure;
pub mod gateway;
mod grpc;
pub mod gzip;
pub mod json;
mod otlp;
pub(crate) mod peer;
mod route;
mod scrapes;
mod serve;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use admit::bearer;
pub use admit::{Admission, InvalidToken, Token};
pub use counts::{Counts, Trouble};
pub use exposition::Sample;
pub use failure::Kind;
pub use serve::serve;

use crate::record::Recorder;
use crate::store::handle::Handle;

/// Gives the samples that other rooms add to `GET /metrics`.
pub type OwnSamples =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Vec<Sample>> + Send>> + Send + Sync>;

/// Everything a request needs on its way in.
pub struct Door {
    recorder: Arc<Recorder>,
    store: Handle,
    admission: Admission,
    limits: Limits,
    budget: body::Budget,
    counters: counts::Counters,
    more_samples: Option<OwnSamples>,
    scrapes: scrapes::Scrapes,
}

/// The limits of the door. The defaults are the design's; tests make them small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one body, as sent. Claude Code's largest batch of events is about 30 MB.
    pub body_bytes_max: usize,
    /// Of one body, decompressed.
    pub decompressed_bytes_max: usize,
    /// Of all bodies being read, as sent and decompressed: beyond that, 503.
    pub budget_bytes_max: usize,
    /// On all listeners together; more wait in the kernel's backlog.
    pub connections_max: usize,
    /// From connecting to the first request that was let in.
    pub first_request_timeout: Duration,
    /// For a whole body. Claude Code gives up after 10 s.
    pub body_timeout: Duration,
    /// From the stop to when connections that still have something to answer are cut.
    pub drain_timeout: Duration,
}

impl Limits {
    /// The design's.
    pub const DESIGN: Self = Self {
        body_bytes_max: 32 << 20,
        decompressed_bytes_max: 128 << 20,
        budget_bytes_max: 256 << 20,
        connections_max: 256,
        first_request_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(3),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DESIGN
    }
}

impl Door {
    pub fn new(recorder: Arc<Recorder>, store: Handle, admission: Admission) -> Self {
        let counters = counts::Counters::new(Arc::clone(store.tally()));
        Self {
            recorder,
            store,
            admission,
            limits: Limits::default(),
            budget: body::Budget::default(),
            counters,
            more_samples: None,
            scrapes: scrapes::Scrapes::default(),
        }
    }

    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds other rooms' samples (`ccotel_destination_…`) to `GET /metrics`.
    #[must_use]
    pub fn with_own_samples(mut self, own_samples: OwnSamples) -> Self {
        self.more_samples = Some(own_samples);
        self
    }

    /// Counts a request that was answered with an error, for its sender too where there is one.
    fn failed(&self, admitted: Option<&admit::Admitted>, failure: &failure::Failure) {
        let sender = admitted.and_then(admit::Admitted::sender);
        self.counters.failed(failure, sender.map(|sender| &*sender.facts.name));
        if let Some(sender) = sender {
            sender.usage.failed(failure);
        }
    }

    /// So many series were there before: who scrapes `GET /metrics` may know their values.
    #[must_use]
    pub fn with_series(mut self, series: usize) -> Self {
        self.scrapes = scrapes::Scrapes::new(series);
        self
    }

    /// More names that `Host` may have from now on, without a port.
    pub fn allow_hosts(&self, hosts: &[String]) {
        self.admission.allow_hosts(hosts);
    }

    /// Counts since this door was made.
    pub fn counts(&self) -> Counts {
        self.counters.counts()
    }

    /// The last trouble of each kind, for the warnings of `status`.
    pub fn troubles(&self) -> Vec<Trouble> {
        self.counters.troubles()
    }
}
