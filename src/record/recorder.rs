//! The recorder: one for the agent, asked with every request.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::hash::Canonical;
use super::launches::{Facts, Launches, Resolver};
use super::metrics::MetricNames;
use super::origin::Origin;
use super::rejections::{Rejections, is_claude_code};
use super::unknown::Unknown;
use super::values::{Rules, Texts};
use super::{Batch, PrivacyLevel, RECORDS_MAX, Sender};
use crate::config::Accept;

/// What the configuration says about recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub level: PrivacyLevel,
    /// `user.email` becomes a hash, at every level that keeps it.
    pub email_hashed: bool,
    pub accept: Accept,
    /// This machine's tags (organisation's and user's), for sessions without a launch id.
    pub tags: Vec<(String, String)>,
    /// Key of every hash. As long as the install lives, it must not change.
    pub install_key: [u8; 32],
}

/// A request, recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub batch: Batch,
    /// Records that are not kept, foreign ones included.
    pub rejected: u64,
    /// Records whose instrumentation scope is not Claude Code's.
    pub foreign: u64,
    /// How many were rejected and why, for `partial_success`.
    pub message: Option<String>,
}

/// Turns OTLP requests into records. Cheap to ask, and shared by all connections.
pub struct Recorder {
    desk: Mutex<Desk>,
    launches: Launches,
}

/// What one request works with.
pub(super) struct Desk {
    pub settings: Settings,
    pub texts: Texts,
    pub names: MetricNames,
    pub unknown: Unknown,
    /// Names of events and bodies.
    pub words: HashSet<Arc<str>>,
    /// Where hashes are prepared.
    pub canonical: Canonical,
    /// The last session attributes of an event, and their hash.
    pub last_head: Option<(Vec<KeyValue>, u128)>,
    /// The last resource and what it was understood as: sessions repeat theirs.
    last_origin: Option<LastOrigin>,
    /// The same of each sender of a gateway.
    last_origins: HashMap<Arc<str>, LastOrigin>,
}

struct LastOrigin {
    sender: Option<Arc<Sender>>,
    resource: Option<Resource>,
    origin: Arc<Origin>,
}

/// Senders whose last resource is remembered: those of today, and some of yesterday.
const LAST_ORIGINS_MAX: usize = 1024;

impl Recorder {
    /// A recorder that knows no git facts; see [`Recorder::with_git_facts`].
    pub fn new(settings: Settings) -> Self {
        fn unresolved(_: &Path) -> Option<Facts> {
            None
        }
        let desk = Desk {
            settings,
            texts: Texts::default(),
            names: MetricNames::default(),
            unknown: Unknown::default(),
            words: HashSet::new(),
            canonical: Canonical::default(),
            last_head: None,
            last_origin: None,
            last_origins: HashMap::new(),
        };
        Self { desk: Mutex::new(desk), launches: Launches::new(unresolved) }
    }

    /// Events of a launch get repository, branch and worktree from this function.
    #[must_use]
    pub fn with_git_facts(self, resolver: Resolver) -> Self {
        Self { launches: Launches::new(resolver), ..self }
    }

    /// Applies a changed configuration to the requests after this one.
    pub fn reload(&self, settings: Settings) {
        let mut desk = self.desk();
        desk.settings = settings;
        desk.texts = Texts::default();
        desk.last_head = None;
        desk.last_origin = None;
        desk.last_origins.clear();
    }

    pub fn launches(&self) -> &Launches {
        &self.launches
    }

    #[expect(clippy::needless_pass_by_value, reason = "a request is read once, and then gone")]
    pub fn metrics(&self, request: ExportMetricsServiceRequest) -> Recorded {
        self.metrics_of(&request)
    }

    /// As [`Recorder::metrics`], for one who keeps the request.
    pub fn metrics_of(&self, request: &ExportMetricsServiceRequest) -> Recorded {
        self.metrics_from(request, None)
    }

    /// Of a gateway's sender.
    pub fn metrics_from(
        &self,
        request: &ExportMetricsServiceRequest,
        sender: Option<&Arc<Sender>>,
    ) -> Recorded {
        let mut rejections = Rejections::default();
        let mut points = Vec::new();
        let desk = &mut *self.desk();
        for resource in &request.resource_metrics {
            let origin = desk.origin(resource.resource.as_ref(), sender);
            self.heard(&origin);
            desk.points(resource, &origin, &mut points, &mut rejections);
        }
        recorded(Batch::Points(points), &rejections)
    }

    #[expect(clippy::needless_pass_by_value, reason = "a request is read once, and then gone")]
    pub fn logs(&self, request: ExportLogsServiceRequest) -> Recorded {
        self.logs_at(&request, Instant::now())
    }

    /// Of a gateway's sender.
    pub fn logs_from(
        &self,
        request: &ExportLogsServiceRequest,
        sender: Option<&Arc<Sender>>,
    ) -> Recorded {
        self.events_of(request, sender, Instant::now())
    }

    /// As [`Recorder::logs`]; `now` decides whether git facts are read again.
    pub fn logs_at(&self, request: &ExportLogsServiceRequest, now: Instant) -> Recorded {
        self.events_of(request, None, now)
    }

    fn events_of(
        &self,
        request: &ExportLogsServiceRequest,
        sender: Option<&Arc<Sender>>,
        now: Instant,
    ) -> Recorded {
        let mut rejections = Rejections::default();
        let mut events = Vec::new();
        for resource in &request.resource_logs {
            let origin = self.desk().origin(resource.resource.as_ref(), sender);
            self.heard(&origin);
            // Files are read here, so nobody waits at the desk meanwhile.
            let place = origin.launch.as_deref().and_then(|id| self.launches.place(id, now));
            self.desk().events(resource, &origin, place.as_ref(), &mut events, &mut rejections);
        }
        recorded(Batch::Events(events), &rejections)
    }

    pub fn traces(&self, request: ExportTraceServiceRequest) -> Recorded {
        self.traces_from(request, None)
    }

    /// Of a gateway's sender.
    pub fn traces_from(
        &self,
        request: ExportTraceServiceRequest,
        sender: Option<&Arc<Sender>>,
    ) -> Recorded {
        let mut rejections = Rejections::default();
        let (mut spans, mut kept) = (Vec::new(), 0);
        let desk = &mut *self.desk();
        for resource in request.resource_spans {
            let origin = desk.origin(resource.resource.as_ref(), sender);
            self.heard(&origin);
            let room = RECORDS_MAX - kept;
            if let Some((count, encoded)) = desk.spans(resource, &origin, room, &mut rejections) {
                kept += count as usize;
                spans.push((count, encoded));
            }
        }
        recorded(Batch::Spans(spans), &rejections)
    }

    /// `attribute x`, `event x`, `metric x`, `label x`: what this version does not know; `tag x`: what
    /// cannot be one. Names only.
    pub fn unknown(&self) -> Vec<String> {
        self.desk().unknown.names()
    }

    fn heard(&self, origin: &Origin) {
        if let Some(id) = &origin.launch {
            self.launches.heard(id);
        }
    }

    /// A panic at the desk leaves caches at worst half filled, never wrong.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    pub fn accepts(&self, scope: Option<&InstrumentationScope>) -> bool {
        self.settings.accept == Accept::Any
            || scope.is_some_and(|scope| is_claude_code(&scope.name))
    }

    fn origin(&mut self, resource: Option<&Resource>, sender: Option<&Arc<Sender>>) -> Arc<Origin> {
        let last = match sender {
            None => self.last_origin.as_ref(),
            Some(sender) => self.last_origins.get(&sender.name),
        };
        if let Some(last) = last
            && last.resource.as_ref() == resource
            && last.sender.as_ref() == sender
        {
            return last.origin.clone();
        }
        let known_sender = sender.map(|sender| &**sender);
        let origin = Arc::new(Origin::new(resource, &self.settings, known_sender));
        origin.ignored.iter().for_each(|name| self.unknown.note("tag", name));
        let last = LastOrigin {
            sender: sender.cloned(),
            resource: resource.cloned(),
            origin: origin.clone(),
        };
        match sender {
            None => self.last_origin = Some(last),
            Some(sender) => {
                if self.last_origins.len() >= LAST_ORIGINS_MAX {
                    self.last_origins.clear();
                }
                self.last_origins.insert(sender.name.clone(), last);
            }
        }
        origin
    }
}

impl Settings {
    pub(super) fn rules(&self, level: PrivacyLevel) -> Rules<'_> {
        Rules { level, email_hashed: self.email_hashed, install_key: &self.install_key }
    }
}

fn recorded(batch: Batch, rejections: &Rejections) -> Recorded {
    Recorded {
        batch,
        rejected: rejections.total(),
        foreign: rejections.foreign(),
        message: rejections.message(),
    }
}
