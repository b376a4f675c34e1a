//! Loki: the real one where there is one, else a stand-in that enforces its documented rules. Which
//! one ran is in the test's name.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::loki_rules::{Entry, Fields, Streams};
use super::programs::Program;
use super::{http, poll};

/// A real Loki on a slow machine.
const START_DEADLINE: Duration = Duration::from_mins(1);

/// The most that one query of a default Loki returns.
const ENTRIES_MAX: usize = 5000;

pub struct Loki {
    address: SocketAddr,
    part: Part,
}

enum Part {
    Real { directory: TempDir, child: Option<Child> },
    StandIn { streams: Arc<Mutex<Streams>>, running: Option<StandIn> },
}

impl Loki {
    /// For the names of tests: which one they run against.
    pub fn which() -> &'static str {
        if Program::Loki.find().is_some() { "real Loki" } else { "stand-in for Loki" }
    }

    /// The real one where there is one.
    pub fn start() -> Result<Self> {
        if Program::Loki.find().is_some() { Self::start_real() } else { Self::start_stand_in() }
    }

    pub fn start_real() -> Result<Self> {
        Self::start_part(Part::Real { directory: TempDir::new()?, child: None })
    }

    pub fn start_stand_in() -> Result<Self> {
        Self::start_part(Part::StandIn { streams: Arc::default(), running: None })
    }

    fn start_part(part: Part) -> Result<Self> {
        let mut loki = Self { address: http::free_address()?, part };
        loki.start_again()?;
        Ok(loki)
    }

    /// At the same address, with what it had.
    pub fn start_again(&mut self) -> Result<()> {
        match &mut self.part {
            Part::Real { directory, child } => {
                *child = Some(spawn(directory.path(), self.address)?);
                poll::until("Loki's /ready", START_DEADLINE, || {
                    let (status, body) = http::get(&format!("http://{}/ready", self.address), &[])?;
                    ensure!(status == 200, "{status}: {body}");
                    Ok(())
                })
            }
            Part::StandIn { streams, running } => {
                *running = Some(StandIn::start(self.address, streams.clone())?);
                Ok(())
            }
        }
    }

    pub fn stop(&mut self) {
        match &mut self.part {
            Part::Real { child, .. } => {
                if let Some(mut child) = child.take() {
                    http::end(&mut child);
                }
            }
            Part::StandIn { running, .. } => *running = None,
        }
    }

    pub fn push_url(&self) -> String {
        format!("http://{}/loki/api/v1/push", self.address)
    }

    /// Every entry of Claude Code of the last day that has these labels.
    pub fn entries(&self, labels: &[(&str, &str)]) -> Result<Vec<Entry>> {
        match &self.part {
            Part::Real { .. } => self.query(labels),
            Part::StandIn { streams, .. } => {
                let streams = streams.lock().map_err(|_| anyhow::anyhow!("the stand-in broke"))?;
                let mut entries = streams.entries();
                entries.retain(|entry| {
                    let of = |name: &str| entry.labels.get(name).map(String::as_str);
                    of("service_name").is_some_and(|name| name.starts_with("claude-code"))
                        && labels.iter().all(|(name, value)| of(name) == Some(*value))
                });
                Ok(entries)
            }
        }
    }

    fn query(&self, labels: &[(&str, &str)]) -> Result<Vec<Entry>> {
        let mut selector = String::from(r#"{service_name=~"claude-code.*""#);
        for (name, value) in labels {
            let _ = write!(selector, ",{name}={}", Value::from(*value));
        }
        selector.push('}');
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let answer = http::get_json(
            &format!("http://{}/loki/api/v1/query_range", self.address),
            &[
                ("query", &selector),
                ("start", &(now - 24 * 3600).to_string()),
                ("end", &(now + 60).to_string()),
                ("limit", &ENTRIES_MAX.to_string()),
                ("direction", "forward"),
            ],
        )?;
        parse_streams(&answer).with_context(|| format!("Loki's answer to {selector}: {answer}"))
    }
}

impl Drop for Loki {
    fn drop(&mut self) {
        self.stop();
    }
}

/// `data.result`: streams, with structured metadata merged into the labels.
fn parse_streams(answer: &Value) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for stream in answer["data"]["result"].as_array().context("no result")? {
        let labels: Fields = serde_json::from_value(stream["stream"].clone())?;
        for value in stream["values"].as_array().context("no values")? {
            let (time, line): (String, String) = serde_json::from_value(value.clone())?;
            let time_ns = time.parse()?;
            entries.push(Entry { labels: labels.clone(), metadata: Fields::new(), time_ns, line });
        }
    }
    entries.sort_by_key(|entry| entry.time_ns);
    Ok(entries)
}

fn spawn(directory: &Path, address: SocketAddr) -> Result<Child> {
    let program = Program::Loki.find().context(Program::Loki.missing())?;
    let config = directory.join("loki.yaml");
    std::fs::write(&config, real_config(directory, address, http::free_address()?))?;
    Command::new(&program)
        .arg(format!("-config.file={}", config.display()))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {}", program.display()))
}

/// One process, files only, limits at their defaults, and ready at once.
fn real_config(directory: &Path, http: SocketAddr, grpc: SocketAddr) -> String {
    format!(
        "auth_enabled: false
analytics: {{ reporting_enabled: false }}
server:
  http_listen_address: 127.0.0.1
  http_listen_port: {}
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: {}
  log_level: warn
common:
  instance_addr: 127.0.0.1
  path_prefix: {directory}
  replication_factor: 1
  ring: {{ kvstore: {{ store: inmemory }} }}
  storage:
    filesystem: {{ chunks_directory: {directory}/chunks, rules_directory: {directory}/rules }}
ingester:
  lifecycler: {{ min_ready_duration: 0s, join_after: 0s, final_sleep: 0s }}
  wal: {{ dir: {directory}/wal }}
schema_config:
  configs:
    - from: 2024-01-01
      store: tsdb
      object_store: filesystem
      schema: v13
      index: {{ prefix: index_, period: 24h }}
limits_config:
  allow_structured_metadata: true
",
        http.port(),
        grpc.port(),
        directory = directory.display(),
    )
}

/// The stand-in's server; ends when dropped.
struct StandIn {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    fn start(address: SocketAddr, streams: Arc<Mutex<Streams>>) -> Result<Self> {
        debug_assert_eq!(address.ip(), Ipv4Addr::LOCALHOST);
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("non-blocking");
                let router = Router::new()
                    .route("/ready", get(|| async { "ready\n" }))
                    .route("/loki/api/v1/push", post(push))
                    .with_state(streams);
                tokio::select! {
                    _ = std::future::IntoFuture::into_future(axum::serve(listener, router)) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn push(
    State(streams): State<Arc<Mutex<Streams>>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let now_ns = i64::try_from(now).expect("before 2262");
    let mut streams = streams.lock().expect("no push panics");
    let answer = streams.push(now_ns, content_type.unwrap_or_default(), &body);
    (StatusCode::from_u16(answer.status).expect("a status of ours"), answer.text)
}
