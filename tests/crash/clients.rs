//! Clients: each a user's terminal in which one Claude Code process follows another.
//!
//! ```text
//! cumulative  a failed export heals with the next, which holds the newer total; the failed bytes may
//!             come once more, later. The last export is repeated until it is acknowledged.
//! delta       the same bytes until they are acknowledged
//! events      the same bytes until they are acknowledged
//! ```
//!
//! Now and then something acknowledged is sent once more, as a client does that did not get the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use tokio::task::JoinSet;

use super::process::Process;
use super::sender::{Body, Epoch, Failed, Sender};
use super::truth::Truth;

/// So many exports has a process at most.
const EXPORTS_MAX: usize = 6;
/// Between two exports, and before another attempt.
const PAUSE_MS_MAX: u64 = 40;
/// A client of a test waits no longer, whatever `Retry-After` says.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
pub struct Kind {
    temporality: AggregationTemporality,
    grpc: bool,
}

pub const KINDS: [Kind; 6] = [
    Kind { temporality: AggregationTemporality::Cumulative, grpc: false },
    Kind { temporality: AggregationTemporality::Cumulative, grpc: false },
    Kind { temporality: AggregationTemporality::Cumulative, grpc: true },
    Kind { temporality: AggregationTemporality::Delta, grpc: false },
    Kind { temporality: AggregationTemporality::Delta, grpc: false },
    Kind { temporality: AggregationTemporality::Delta, grpc: true },
];

/// The clients, on a thread of their own.
pub struct Clients {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

/// What every client needs.
#[derive(Clone)]
pub struct Common {
    pub address: SocketAddr,
    pub timeout: Duration,
    pub truth: Arc<Truth>,
    pub epoch: Arc<Epoch>,
}

impl Clients {
    pub fn start(common: Common, seed: u64) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let mut clients = JoinSet::new();
                for (number, kind) in KINDS.into_iter().enumerate() {
                    let rng = Rng::with_seed(seed.wrapping_add(number as u64));
                    let project = format!("crash-{number}");
                    let client = Client {
                        common: common.clone(),
                        stop: stopping.clone(),
                        project,
                        kind,
                        rng,
                    };
                    clients.spawn(client.run());
                }
                while let Some(ended) = clients.join_next().await {
                    ended.context("a client broke")??;
                }
                Ok(())
            })
        });
        Ok(Self { stop, thread })
    }

    /// Returns when everything that was sent has been acknowledged.
    pub fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|_| anyhow::anyhow!("the clients' thread broke"))?
    }
}

struct Client {
    common: Common,
    stop: Arc<AtomicBool>,
    project: String,
    kind: Kind,
    rng: Rng,
}

impl Client {
    async fn run(mut self) -> Result<()> {
        while !self.stop.load(Ordering::SeqCst) {
            let (address, timeout) = (self.common.address, self.common.timeout);
            let sender = if self.kind.grpc {
                Sender::grpc(address, timeout)?
            } else {
                Sender::http(address, timeout)?
            };
            match self.kind.temporality {
                AggregationTemporality::Delta => self.delta_process(&sender).await?,
                _ => self.cumulative_process(&sender).await?,
            }
        }
        Ok(())
    }

    async fn cumulative_process(&mut self, sender: &Sender) -> Result<()> {
        let mut process = self.process();
        let mut stale = Vec::new();
        for _ in 0..self.rng.usize(..EXPORTS_MAX) {
            process.work(&mut self.rng);
            let (request, _) = process.export_metrics();
            let body = Body::Metrics(request);
            if self.attempt(sender, &body).await?.is_err() || self.rng.u8(..) < 16 {
                stale.push(body);
            }
            self.events(sender, &mut process).await?;
            if self.rng.bool()
                && let Some(body) = stale.pop()
            {
                // After newer data; whatever is answered, nothing may change.
                let _ = self.attempt(sender, &body).await?;
            }
            self.pause().await;
        }
        process.work(&mut self.rng);
        let (request, totals) = process.export_metrics();
        self.until_acknowledged(sender, &Body::Metrics(request)).await?;
        self.common.truth.counted(&process.project, &totals);
        Ok(())
    }

    async fn delta_process(&mut self, sender: &Sender) -> Result<()> {
        let mut process = self.process();
        for _ in 0..=self.rng.usize(..EXPORTS_MAX) {
            process.work(&mut self.rng);
            let (request, totals) = process.export_metrics();
            self.until_acknowledged(sender, &Body::Metrics(request)).await?;
            self.common.truth.counted(&process.project, &totals);
            self.events(sender, &mut process).await?;
            self.pause().await;
        }
        Ok(())
    }

    fn process(&mut self) -> Process {
        Process::start(&mut self.rng, &self.project, self.kind.temporality)
    }

    async fn events(&mut self, sender: &Sender, process: &mut Process) -> Result<()> {
        let (request, ids) = process.export_events(&mut self.rng);
        self.until_acknowledged(sender, &Body::Events(request)).await?;
        self.common.truth.happened(ids);
        Ok(())
    }

    async fn until_acknowledged(&mut self, sender: &Sender, body: &Body) -> Result<()> {
        while let Err(after) = self.attempt(sender, body).await? {
            match after {
                Some(after) => tokio::time::sleep(after.min(RETRY_AFTER_MAX)).await,
                None => self.pause().await,
            }
        }
        if self.rng.u8(..) < 16 {
            self.common.truth.repetitions.fetch_add(1, Ordering::Relaxed);
            let _ = self.attempt(sender, body).await?;
        }
        Ok(())
    }

    /// One attempt; without success, when to come back. An error ends the test.
    async fn attempt(
        &mut self,
        sender: &Sender,
        body: &Body,
    ) -> Result<Result<(), Option<Duration>>> {
        let Common { truth, epoch, .. } = &self.common;
        truth.attempts.fetch_add(1, Ordering::Relaxed);
        let then = epoch.now();
        match sender.send(body).await {
            Ok(()) => {
                truth.answered();
                return Ok(Ok(()));
            }
            Err(Failed::Refused) if epoch.lived_since(then) => {
                truth.violated(format!("{}: connection refused", self.project));
            }
            Err(Failed::Rejected(answer)) => {
                anyhow::bail!("{}: the agent rejected a request: {answer}", self.project)
            }
            Err(Failed::Later(after)) => {
                truth.failures.fetch_add(1, Ordering::Relaxed);
                return Ok(Err(after));
            }
            Err(Failed::Refused) => {}
        }
        truth.failures.fetch_add(1, Ordering::Relaxed);
        Ok(Err(None))
    }

    /// Time between two exports is a client's nature; nothing is waited for here.
    async fn pause(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.rng.u64(..PAUSE_MS_MAX))).await;
    }
}
