//! What a request costs the receiver, without the store: CPU time of its thread, by way in, and of
//! the single steps. Run on demand: `cargo run --release --example receive_cost [REQUESTS]`.
//!
//! The budget is 0.8 s for 100,000 log records, 20 a request, so 160 µs a request for everything,
//! commit included.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use ccotel::config::Accept;
use ccotel::receive::{self, Admission, Door, Token};
use ccotel::record::{PrivacyLevel, Recorder, Settings};
use ccotel::store::handle::{Command, Handle, Ingested};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use prost::Message as _;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/claude-code-2.1.197");
const RECORDS: usize = 20;
const WARM_UP: usize = 200;

fn main() -> anyhow::Result<()> {
    let requests = match std::env::args_os().nth(1) {
        Some(text) => text.to_string_lossy().parse().context("REQUESTS is a number")?,
        None => 5000,
    };
    let message = message()?;
    let protobuf = message.encode_to_vec();
    let json = serde_json::to_vec(&message)?;
    println!("{RECORDS} log records: {} bytes of protobuf, {} of JSON", protobuf.len(), json.len());
    steps(requests, &protobuf, &json)?;

    let server = Server::start()?;
    let http = |content_type: &'static str, body: &[u8]| {
        let mut client = HttpClient::connect(server.address, content_type, body)?;
        server.cost(requests, || client.export())
    };
    println!(
        "{:>8.1} µs  a request over HTTP, protobuf",
        http("application/x-protobuf", &protobuf)?
    );
    println!("{:>8.1} µs  a request over HTTP, JSON", http("application/json", &json)?);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut client =
        runtime.block_on(LogsServiceClient::connect(format!("http://{}", server.address)))?;
    let grpc = server.cost(requests, || grpc(&runtime, &mut client, &message))?;
    println!("{grpc:>8.1} µs  a request over gRPC");
    Ok(())
}

/// A request like those of a busy session.
fn message() -> anyhow::Result<ExportLogsServiceRequest> {
    let path = format!("{FIXTURES}/rich-http-protobuf-cumulative/007-logs-http_protobuf.bin");
    let body = std::fs::read(&path).with_context(|| path.clone())?;
    let mut message = ExportLogsServiceRequest::decode(body.as_slice())?;
    let records = &mut message.resource_logs[0].scope_logs[0].log_records;
    ensure!(records.len() >= RECORDS, "{path} has {} records only", records.len());
    records.truncate(RECORDS);
    Ok(message)
}

/// What of a request is not sockets.
fn steps(requests: usize, protobuf: &[u8], json: &[u8]) -> anyhow::Result<()> {
    let recorder = recorder();
    step("hash", requests, || black_box(blake3::hash(black_box(protobuf))));
    step("decode protobuf", requests, || ExportLogsServiceRequest::decode(black_box(protobuf)));
    step("decode JSON", requests, || receive::json::logs(black_box(json)));
    let message = ExportLogsServiceRequest::decode(protobuf)?;
    step("copy (to take off the next)", requests, || message.clone());
    step("copy and record", requests, || recorder.logs(message.clone()));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
fn step<T>(name: &str, times: usize, run: impl Fn() -> T) {
    let begin = Instant::now();
    for _ in 0..times {
        black_box(run());
    }
    println!("{:>8.1} µs  {name}", begin.elapsed().as_secs_f64() * 1e6 / times as f64);
}

struct HttpClient {
    stream: TcpStream,
    request: Vec<u8>,
}

impl HttpClient {
    fn connect(address: SocketAddr, content_type: &str, body: &[u8]) -> anyhow::Result<Self> {
        let head = format!(
            "POST /v1/logs HTTP/1.1\r\nHost: {address}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: [head.as_bytes(), body].concat() })
    }

    fn export(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(&self.request)?;
        let mut answer = [0; 1024];
        let length = self.stream.read(&mut answer)?;
        ensure!(answer[..length].starts_with(b"HTTP/1.1 200"), "not a success");
        Ok(())
    }
}

fn grpc(
    runtime: &Runtime,
    client: &mut LogsServiceClient<tonic::transport::Channel>,
    message: &ExportLogsServiceRequest,
) -> anyhow::Result<()> {
    runtime.block_on(client.export(message.clone()))?;
    Ok(())
}

/// The receiver on a thread of its own, whose clock can be asked.
struct Server {
    address: SocketAddr,
    ask: mpsc::Sender<oneshot::Sender<anyhow::Result<u64>>>,
}

impl Server {
    fn start() -> anyhow::Result<Self> {
        let (ask, mut asked) = mpsc::channel::<oneshot::Sender<anyhow::Result<u64>>>(1);
        let (ready, address) = sync_channel(1);
        let run = async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            ready.send(listener.local_addr()?)?;
            let door = Arc::new(Door::new(Arc::new(recorder()), store(), admission()?));
            tokio::spawn(receive::serve(vec![listener], door, CancellationToken::new()));
            while let Some(reply) = asked.recv().await {
                drop(reply.send(cpu_ns()));
            }
            anyhow::Ok(())
        };
        std::thread::spawn(move || {
            Builder::new_current_thread().enable_all().build()?.block_on(run)
        });
        Ok(Self { address: address.recv().context("the receiver did not start")?, ask })
    }

    /// CPU time of the receiver's thread, in µs a request.
    #[expect(clippy::cast_precision_loss, reason = "a few seconds in ns")]
    fn cost(
        &self,
        requests: usize,
        mut export: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<f64> {
        for _ in 0..WARM_UP {
            export()?;
        }
        let before = self.cpu_ns()?;
        for _ in 0..requests {
            export()?;
        }
        Ok((self.cpu_ns()? - before) as f64 / 1e3 / requests as f64)
    }

    fn cpu_ns(&self) -> anyhow::Result<u64> {
        let (reply, answer) = oneshot::channel();
        self.ask.blocking_send(reply)?;
        answer.blocking_recv()?
    }
}

fn admission() -> anyhow::Result<Admission> {
    Ok(Admission::new(Token::parse("a-token-of-the-benchmark")?))
}

/// A store that is always done at once.
fn store() -> Handle {
    let (commands, mut inbox) = mpsc::channel(64);
    let (news, receiver) = watch::channel(0);
    tokio::spawn(async move {
        let _news = news;
        while let Some(command) = inbox.recv().await {
            if let Command::Ingest(_, reply) = command {
                drop(reply.send(Ok(Ingested::Stored)));
            }
        }
    });
    Handle::new(commands, receiver)
}

/// CPU time of this thread: the first number in Linux' `schedstat`.
fn cpu_ns() -> anyhow::Result<u64> {
    let path = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(path).with_context(|| format!("{path} (Linux only)"))?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

fn recorder() -> Recorder {
    Recorder::new(Settings {
        level: PrivacyLevel::Standard,
        email_hashed: false,
        accept: Accept::ClaudeCode,
        tags: Vec::new(),
        install_key: [7; 32],
    })
}
