//! One connection of a process to the agent, by HTTP or gRPC, as OpenTelemetry's exporters have it.

use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use prost::Message;
use tonic::transport::{Channel, Endpoint};

/// Odd while the holder is dead, when nobody listens. Each change is one more.
#[derive(Default)]
pub struct Epoch(AtomicU64);

impl Epoch {
    pub fn change(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether the holder lived all the time since then.
    pub fn lived_since(&self, then: u64) -> bool {
        then.is_multiple_of(2) && self.now() == then
    }
}

#[derive(Clone)]
pub enum Body {
    Metrics(ExportMetricsServiceRequest),
    Events(ExportLogsServiceRequest),
}

/// Why a request is not acknowledged.
pub enum Failed {
    /// No connection at all: nobody listens.
    Refused,
    /// Cut off, too slow, or an answer that says to come back.
    Later(Option<Duration>),
    /// An answer that a client does not try again after.
    Rejected(String),
}

pub enum Sender {
    Http { client: reqwest::Client, base: String },
    Grpc { channel: Channel, timeout: Duration },
}

impl Sender {
    pub fn http(address: SocketAddr, timeout: Duration) -> Result<Self> {
        let client = reqwest::Client::builder().no_proxy().http1_only().timeout(timeout).build()?;
        Ok(Self::Http { client, base: format!("http://{address}") })
    }

    pub fn grpc(address: SocketAddr, timeout: Duration) -> Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
        Ok(Self::Grpc { channel, timeout })
    }

    /// Success means acknowledged, whole.
    pub async fn send(&self, body: &Body) -> Result<(), Failed> {
        match self {
            Self::Http { client, base } => post(client, base, body).await,
            Self::Grpc { channel, timeout } => {
                let call = call(channel.clone(), body.clone());
                tokio::time::timeout(*timeout, call).await.unwrap_or(Err(Failed::Later(None)))
            }
        }
    }
}

async fn post(client: &reqwest::Client, base: &str, body: &Body) -> Result<(), Failed> {
    let (path, bytes) = match body {
        Body::Metrics(request) => ("v1/metrics", request.encode_to_vec()),
        Body::Events(request) => ("v1/logs", request.encode_to_vec()),
    };
    let request = client.post(format!("{base}/{path}"));
    let request = request.header("content-type", "application/x-protobuf").body(bytes);
    let response = request.send().await.map_err(|error| failed(&error))?;
    let status = response.status().as_u16();
    let after = response.headers().get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok());
    // An answer counts once it is there to its end.
    let answer = response.bytes().await.map_err(|error| failed(&error))?;
    match status {
        200 if answer.is_empty() => Ok(()),
        429 | 502 | 503 | 504 => Err(Failed::Later(after.map(Duration::from_secs))),
        _ => Err(Failed::Rejected(format!("{status}: {}", String::from_utf8_lossy(&answer)))),
    }
}

async fn call(channel: Channel, body: Body) -> Result<(), Failed> {
    let partial = match body {
        Body::Metrics(request) => {
            let answer = MetricsServiceClient::new(channel).export(request).await;
            let partial = answer.map_err(|status| status_failed(&status))?.into_inner();
            partial.partial_success.map(|it| format!("{it:?}"))
        }
        Body::Events(request) => {
            let answer = LogsServiceClient::new(channel).export(request).await;
            let partial = answer.map_err(|status| status_failed(&status))?.into_inner();
            partial.partial_success.map(|it| format!("{it:?}"))
        }
    };
    partial.map_or(Ok(()), |partial| Err(Failed::Rejected(partial)))
}

fn status_failed(status: &tonic::Status) -> Failed {
    use tonic::Code::{
        Aborted, Cancelled, DeadlineExceeded, Internal, ResourceExhausted, Unavailable, Unknown,
    };
    match (failed(status), status.code()) {
        (Failed::Refused, _) => Failed::Refused,
        // A connection that breaks is `Unknown`, `Internal` or `Cancelled` to this client.
        (
            _,
            Aborted | Cancelled | DeadlineExceeded | Internal | ResourceExhausted | Unavailable
            | Unknown,
        ) => Failed::Later(None),
        _ => Failed::Rejected(status.to_string()),
    }
}

fn failed(error: &(dyn Error + 'static)) -> Failed {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == ErrorKind::ConnectionRefused) {
            return Failed::Refused;
        }
        cause = error.source();
    }
    Failed::Later(None)
}
