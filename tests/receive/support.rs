//! An agent's door in this process, the store behind it, and clients of several kinds.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ccotel::config::Accept;
use ccotel::receive::{self, Admission, Counts, Door, Limits, Token};
use ccotel::record::{PrivacyLevel, Recorder, Settings};
use ccotel::store::handle::{Command, Handle, Ingest, Ingested, Refused, SeriesValue, StoreStats};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const TOKEN: &str = "a-token-of-the-tests-0123456789";
/// For what should have happened long before.
pub const PATIENCE: Duration = Duration::from_mins(1);

type IngestReply = oneshot::Sender<Result<Ingested, Refused>>;

/// What the store does with a request.
#[derive(Clone, Debug)]
pub enum Script {
    Answer(Result<Ingested, Refused>),
    /// Keep it until `Store::release`.
    Hold,
}

/// The store's end of the handle.
#[derive(Clone)]
pub struct Store {
    script: Arc<Mutex<Script>>,
    ingested: watch::Sender<Vec<(u128, u64)>>,
    held: Arc<Mutex<Vec<IngestReply>>>,
}

impl Store {
    fn start() -> (Self, Handle) {
        let (commands, mut inbox) = mpsc::channel(64);
        let (news, receiver) = watch::channel(0);
        let store = Self {
            script: Arc::new(Mutex::new(Script::Answer(Ok(Ingested::Stored)))),
            ingested: watch::Sender::new(Vec::new()),
            held: Arc::default(),
        };
        let answering = store.clone();
        tokio::spawn(async move {
            let _news = news; // alive as long as the store
            while let Some(command) = inbox.recv().await {
                answering.answer(command);
            }
        });
        (store, Handle::new(commands, receiver))
    }

    fn answer(&self, command: Command) {
        match command {
            Command::Ingest(Ingest { body_hash, batch }, reply) => {
                self.ingested.send_modify(|seen| seen.push((body_hash, batch.records())));
                match self.script.lock().unwrap().clone() {
                    Script::Answer(answer) => drop(reply.send(answer)),
                    Script::Hold => self.held.lock().unwrap().push(reply),
                }
            }
            Command::Stats(reply) => {
                let stats = StoreStats { series: 7, ..StoreStats::default() };
                drop(reply.send(stats));
            }
            Command::Values(reply) => {
                let labels =
                    [("__name__", "claude_code_cost_usage_USD_total"), ("team", "platform")];
                let labels = labels.map(|(name, text)| (name.into(), text.into())).to_vec();
                drop(reply.send(vec![SeriesValue { labels: Arc::new(labels), value: 12.5 }]));
            }
            other => panic!("the receiver asked the store {other:?}"),
        }
    }

    pub fn script(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    /// `(body hash, records)` of every request that reached the store.
    pub fn ingested(&self) -> Vec<(u128, u64)> {
        self.ingested.borrow().clone()
    }

    /// Waits until so many requests reached the store.
    pub async fn reached(&self, requests: usize) {
        let mut seen = self.ingested.subscribe();
        let enough = seen.wait_for(|seen| seen.len() >= requests);
        tokio::time::timeout(PATIENCE, enough).await.expect("requests reach the store").unwrap();
    }

    pub fn release(&self, answer: &Result<Ingested, Refused>) {
        for reply in self.held.lock().unwrap().drain(..) {
            drop(reply.send(answer.clone()));
        }
    }
}

/// A door on a free port.
pub struct Agent {
    pub address: SocketAddr,
    pub door: Arc<Door>,
    pub store: Store,
    pub stop: CancellationToken,
    pub served: JoinHandle<()>,
    /// What the holder keeps: the socket outlives the worker.
    pub socket: std::net::TcpListener,
}

impl Agent {
    pub fn start() -> Self {
        Self::with(Limits::default(), admission())
    }

    pub fn with(limits: Limits, admission: Admission) -> Self {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(socket.try_clone().unwrap()).unwrap();
        let (store, handle) = Store::start();
        let door = Arc::new(Door::new(recorder(), handle, admission).with_limits(limits));
        let stop = CancellationToken::new();
        let serving = receive::serve(vec![listener], Arc::clone(&door), stop.clone());
        let served = tokio::spawn(serving);
        Self { address: socket.local_addr().unwrap(), door, store, stop, served, socket }
    }

    pub fn counts(&self) -> Counts {
        self.door.counts()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn connect(&self) -> Raw {
        Raw(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    pub async fn raw(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut connection = self.connect().await;
        connection.send(request.as_ref()).await;
        connection.answer().await
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.raw(post(path, headers, body)).await
    }
}

fn recorder() -> Arc<Recorder> {
    Arc::new(Recorder::new(Settings {
        level: PrivacyLevel::Standard,
        email_hashed: false,
        accept: Accept::ClaudeCode,
        tags: Vec::new(),
        install_key: [7; 32],
    }))
}

pub fn admission() -> Admission {
    Admission::new(Token::parse(TOKEN).unwrap())
}

/// A POST with its length; `Host` and `Content-Type` unless given.
pub fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let mut request = format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    if !given("host") {
        request += "Host: 127.0.0.1\r\n";
    }
    if !given("content-type") {
        request += "Content-Type: application/x-protobuf\r\n";
    }
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    [request.as_bytes(), b"\r\n", body].concat()
}

/// A connection on which the test says every byte.
pub struct Raw(pub TcpStream);

impl Raw {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next response with its announced length.
    pub async fn answer(&mut self) -> Answer {
        tokio::time::timeout(PATIENCE, self.read_answer()).await.expect("an answer")
    }

    async fn read_answer(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a response's head"));
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = vec![0; length];
        self.0.read_exact(&mut answer.body).await.unwrap();
        answer
    }

    /// Everything until the other side closes.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        // A reset is a way to close, too.
        let _ = closed.expect("the connection is closed");
        rest
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub fn rpc(&self) -> RpcStatus {
        RpcStatus::decode(self.body.as_slice()).expect("a google.rpc.Status")
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<RpcAny>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcAny {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

pub fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/claude-code-2.1.197");
    std::fs::read(format!("{folder}/{name}")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A real batch of events, and how many there are in it.
pub fn logs() -> (Vec<u8>, u64) {
    let body = fixture("rich-http-protobuf-cumulative/001-logs-http_protobuf.bin");
    let records = records(&logs_message());
    (body, records)
}

pub fn logs_message() -> ExportLogsServiceRequest {
    let body = fixture("rich-http-protobuf-cumulative/001-logs-http_protobuf.bin");
    ExportLogsServiceRequest::decode(body.as_slice()).unwrap()
}

pub fn records(request: &ExportLogsServiceRequest) -> u64 {
    let scopes = request.resource_logs.iter().flat_map(|group| &group.scope_logs);
    scopes.map(|scope| scope.log_records.len() as u64).sum()
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// Waits for something that another task does.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}
