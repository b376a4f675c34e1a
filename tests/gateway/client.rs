//! One sender's connection, as OpenTelemetry's exporters have it: over TLS, by HTTP or gRPC, from an
//! address of its own.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use anyhow::{Context, Result};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use prost::Message as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::Service;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};

use super::authority::Identity;
use super::work::Body;

const TIMEOUT: Duration = Duration::from_secs(20);

/// How a sender says who it is.
#[derive(Clone, Debug)]
pub enum Auth {
    /// A certificate alone, or nothing at all.
    None,
    Bearer(String),
    Path(String),
}

/// Where and as whom.
#[derive(Clone)]
pub struct Spec {
    pub address: SocketAddr,
    /// The authority that is trusted; without one it is plain HTTP.
    pub ca: Option<String>,
    pub identity: Option<Identity>,
    pub auth: Auth,
    /// The last byte and a half of `127.0.1.x`, from 1 on.
    pub source: u8,
    pub grpc: bool,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Success,
    /// HTTP's status or gRPC's code, and the words.
    Refused(u16, String),
    /// No answer: the connection broke, or there was none.
    Broken(String),
}

pub enum Client {
    Http { client: reqwest::Client, base: String, auth: Auth },
    Grpc { channel: Channel, auth: Auth },
}

/// What a test asks, to its end.
pub fn run<T>(asking: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(asking)
}

impl Spec {
    pub fn new(address: SocketAddr, ca: String, auth: Auth) -> Self {
        Self { address, ca: Some(ca), identity: None, auth, source: 1, grpc: false }
    }

    pub fn by_grpc(self) -> Self {
        Self { grpc: true, ..self }
    }

    pub fn client(&self) -> Result<Client> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        if self.grpc {
            let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?;
            let channel = endpoint
                .timeout(TIMEOUT)
                .connect_with_connector_lazy(Connector(Arc::new(self.clone())));
            return Ok(Client::Grpc { channel, auth: self.auth.clone() });
        }
        let mut builder = reqwest::Client::builder().no_proxy().http1_only().timeout(TIMEOUT);
        if self.address.ip().is_loopback() {
            builder = builder.local_address(self.source_address());
        }
        if let Some(ca) = &self.ca {
            builder = builder.tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes())?]);
        }
        if let Some(identity) = &self.identity {
            let both = format!("{}\n{}", identity.certificate, identity.key);
            builder = builder.identity(reqwest::Identity::from_pem(both.as_bytes())?);
        }
        let base = format!("{scheme}://{}", self.address);
        Ok(Client::Http { client: builder.build()?, base, auth: self.auth.clone() })
    }

    fn source_address(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, 0, 1, self.source))
    }

    fn tls(&self) -> Result<Option<ClientConfig>> {
        let Some(ca) = &self.ca else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?,
            )?,
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Some(config))
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let socket = TcpSocket::new_v4()?;
        if self.address.ip().is_loopback() {
            socket.bind(SocketAddr::new(self.source_address(), 0))?;
        }
        let stream = socket.connect(self.address).await?;
        let config = self.tls()?.context("gRPC goes over TLS in these tests")?;
        let name = ServerName::IpAddress(self.address.ip().into());
        Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
    }
}

/// For tonic, which brings TLS of another kind by itself.
#[derive(Clone)]
struct Connector(Arc<Spec>);

impl Service<http::Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let spec = Arc::clone(&self.0);
        Box::pin(async move {
            spec.connect().await.map(TokioIo::new).map_err(|error| match error.downcast() {
                Ok(error) => error,
                Err(error) => std::io::Error::other(error.to_string()),
            })
        })
    }
}

impl Client {
    pub async fn send(&self, body: &Body) -> Answer {
        match self {
            Self::Http { client, base, auth } => post(client, base, auth, body).await,
            Self::Grpc { channel, auth } => call(channel.clone(), auth, body).await,
        }
    }

    /// Until it is acknowledged, as an exporter with patience. An answer that says no is an error.
    pub async fn send_until_acknowledged(&self, body: &Body) -> Result<()> {
        loop {
            match self.send(body).await {
                Answer::Success => return Ok(()),
                // The holder keeps the socket, whatever becomes of its worker.
                Answer::Broken(words) if words.contains("ConnectionRefused") => {
                    anyhow::bail!("nobody listened: {words}")
                }
                Answer::Broken(_) | Answer::Refused(429 | 502 | 503 | 504, _) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Answer::Refused(status, words) => anyhow::bail!("refused with {status}: {words}"),
            }
        }
    }
}

async fn post(client: &reqwest::Client, base: &str, auth: &Auth, body: &Body) -> Answer {
    let (path, bytes) = match body {
        Body::Metrics(request) => ("v1/metrics", request.encode_to_vec()),
        Body::Events(request) => ("v1/logs", request.encode_to_vec()),
    };
    let url = match auth {
        Auth::Path(token) => format!("{base}/{token}/{path}"),
        _ => format!("{base}/{path}"),
    };
    let mut request = client.post(url).header("content-type", "application/x-protobuf");
    if let Auth::Bearer(token) = auth {
        request = request.bearer_auth(token);
    }
    let response = match request.body(bytes).send().await {
        Ok(response) => response,
        Err(error) => return Answer::Broken(format!("{error:?}")),
    };
    let status = response.status().as_u16();
    match response.bytes().await {
        Ok(answer) if status == 200 && answer.is_empty() => Answer::Success,
        Ok(answer) => Answer::Refused(status, String::from_utf8_lossy(&answer).into_owned()),
        Err(error) => Answer::Broken(format!("{error:?}")),
    }
}

async fn call(channel: Channel, auth: &Auth, body: &Body) -> Answer {
    let bearer = match auth {
        Auth::Bearer(token) => format!("Bearer {token}").parse().ok(),
        _ => None,
    };
    let answered = match body.clone() {
        Body::Metrics(message) => MetricsServiceClient::new(channel)
            .export(authorised(message, bearer))
            .await
            .map(|answer| answer.into_inner().partial_success.map(|it| format!("{it:?}"))),
        Body::Events(message) => LogsServiceClient::new(channel)
            .export(authorised(message, bearer))
            .await
            .map(|answer| answer.into_inner().partial_success.map(|it| format!("{it:?}"))),
    };
    match answered {
        Ok(None) => Answer::Success,
        Ok(Some(partial)) => Answer::Refused(200, partial),
        Err(status) => of_status(&status),
    }
}

fn authorised<T>(message: T, bearer: Option<AsciiMetadataValue>) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    if let Some(bearer) = bearer {
        request.metadata_mut().insert("authorization", bearer);
    }
    request
}

fn of_status(status: &tonic::Status) -> Answer {
    use tonic::Code::{Cancelled, Internal, Unavailable, Unknown};
    let words = format!("{status:?}");
    match status.code() {
        // A connection that breaks is one of these to this client, and has no details.
        Cancelled | Internal | Unknown | Unavailable if status.details().is_empty() => {
            Answer::Broken(words)
        }
        Unavailable => Answer::Refused(503, words),
        code => Answer::Refused(code as u16, status.message().to_owned()),
    }
}
