//! Loki: the real one where there is one, else a stand-in that enforces its documented rules. Which
//! one ran is in the test's name.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use super::loki_rules::{Entry, Fields, RATE_BURST_BYTES, RATE_BYTES_PER_SECOND};
use super::loki_stand_in::{self, SharedTenants};
use super::programs::Program;
use super::server_process::ServerProcess;
use super::serving::Serving;
use super::{addresses, http};

/// The most that one query returns here; a default Loki's is less.
const ENTRIES_MAX: usize = 50_000;

/// Whom Loki takes a request to be from where it has no tenants.
const ONLY_TENANT: &str = "fake";

const DAY_S: u64 = 24 * 3600;

/// Nothing older is taken, but of the tenant below.
const KEPT_S: u64 = 8 * DAY_S;

/// A tenant that takes what is older than a week, where there are tenants.
pub const ANY_AGE_TENANT: &str = "any-age";
const ANY_AGE_KEPT_S: u64 = 20 * DAY_S;

/// Tenants with a low ingestion rate, where there are tenants.
pub const SLOW_TENANTS: [&str; 3] = ["slow-push", "slow-otlp", "slow-rules"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Real,
    StandIn,
}

impl Which {
    /// For the names of tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Real => "real Loki",
            Self::StandIn => "stand-in for Loki",
        }
    }
}

pub struct Loki {
    address: SocketAddr,
    has_tenants: bool,
    part: Part,
}

enum Part {
    Real { directory: TempDir, process: Option<ServerProcess> },
    StandIn { tenants: SharedTenants, running: Option<Serving> },
}

impl Loki {
    /// For the names of tests: which one they run against.
    pub fn which() -> &'static str {
        Self::here().name()
    }

    fn here() -> Which {
        if Program::Loki.find().is_some() { Which::Real } else { Which::StandIn }
    }

    /// The real one where there is one.
    pub fn start() -> Result<Self> {
        Self::start_part(Self::here(), false)
    }

    pub fn start_real() -> Result<Self> {
        Self::start_part(Which::Real, false)
    }

    pub fn start_stand_in() -> Result<Self> {
        Self::start_part(Which::StandIn, false)
    }

    /// One that tells tenants apart by `X-Scope-OrgID`.
    pub fn start_with_tenants(which: Which) -> Result<Self> {
        Self::start_part(which, true)
    }

    fn start_part(which: Which, has_tenants: bool) -> Result<Self> {
        let part = match which {
            Which::Real => Part::Real { directory: TempDir::new()?, process: None },
            Which::StandIn => Part::StandIn { tenants: SharedTenants::default(), running: None },
        };
        let mut loki = Self { address: addresses::free_address()?, has_tenants, part };
        loki.start_again()?;
        Ok(loki)
    }

    /// At the same address, with what it had.
    pub fn start_again(&mut self) -> Result<()> {
        match &mut self.part {
            Part::Real { directory, process } => {
                *process = Some(start(directory.path(), self.address, self.has_tenants)?);
                Ok(())
            }
            Part::StandIn { tenants, running } => {
                let router = loki_stand_in::router(tenants.clone(), self.has_tenants);
                *running = Some(Serving::start(self.address, router)?);
                Ok(())
            }
        }
    }

    pub fn stop(&mut self) {
        match &mut self.part {
            Part::Real { process, .. } => *process = None,
            Part::StandIn { running, .. } => *running = None,
        }
    }

    pub fn push_url(&self) -> String {
        format!("http://{}/loki/api/v1/push", self.address)
    }

    /// For `protocol = "otlp"`.
    pub fn otlp_url(&self) -> String {
        format!("http://{}/otlp", self.address)
    }

    /// Every entry of Claude Code that has these labels.
    pub fn entries(&self, labels: &[(&str, &str)]) -> Result<Vec<Entry>> {
        self.entries_of(ONLY_TENANT, labels)
    }

    /// The same of one tenant.
    pub fn entries_of(&self, tenant: &str, labels: &[(&str, &str)]) -> Result<Vec<Entry>> {
        match &self.part {
            Part::Real { .. } => self.query(tenant, labels),
            Part::StandIn { tenants, .. } => {
                let mut entries = loki_stand_in::entries(tenants, tenant);
                entries.retain(|entry| {
                    let of = |name: &str| entry.labels.get(name).map(String::as_str);
                    of("service_name").is_some_and(|name| name.starts_with("claude-code"))
                        && labels.iter().all(|(name, value)| of(name) == Some(*value))
                });
                Ok(entries)
            }
        }
    }

    /// What is older than some hours is looked for on disk only, however lately it came; what is ahead of
    /// the clock only in memory, so that it is not to be flushed before it was seen.
    pub fn flush(&self) -> Result<()> {
        if matches!(self.part, Part::Real { .. }) {
            http::post(&format!("http://{}/flush", self.address), &[], Vec::new())?;
        }
        Ok(())
    }

    fn query(&self, tenant: &str, labels: &[(&str, &str)]) -> Result<Vec<Entry>> {
        let mut selector = String::from(r#"{service_name=~"claude-code.*""#);
        for (name, value) in labels {
            let _ = write!(selector, ",{name}={}", Value::from(*value));
        }
        selector.push('}');
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let end = now + 3600;
        if tenant != ANY_AGE_TENANT {
            return self.query_range(tenant, &selector, now - KEPT_S, end);
        }
        // A fortnight of entries at once takes longer than a request may.
        let mut entries = Vec::new();
        for start in (now - ANY_AGE_KEPT_S..end).step_by(usize::try_from(DAY_S)?) {
            let end = end.min(start + DAY_S);
            entries.extend(self.query_range(tenant, &selector, start, end)?);
        }
        Ok(entries)
    }

    /// The end is not included.
    fn query_range(
        &self,
        tenant: &str,
        selector: &str,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>> {
        let answer = http::get_json_with(
            &format!("http://{}/loki/api/v1/query_range", self.address),
            &[
                ("query", selector),
                ("start", &start.to_string()),
                ("end", &end.to_string()),
                ("limit", &ENTRIES_MAX.to_string()),
                ("direction", "forward"),
            ],
            &[("x-scope-orgid", tenant)],
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

fn start(directory: &Path, address: SocketAddr, has_tenants: bool) -> Result<ServerProcess> {
    let program = Program::Loki.find().context(Program::Loki.missing())?;
    let config = directory.join("loki.yaml");
    std::fs::write(directory.join("overrides.yaml"), overrides())?;
    std::fs::write(
        &config,
        real_config(directory, address, addresses::free_address()?, has_tenants),
    )?;
    let mut command = Command::new(program);
    command.arg(format!("-config.file={}", config.display())).current_dir(directory);
    ServerProcess::start(&mut command, directory, &format!("http://{address}/ready"))
}

/// The limits of single tenants.
fn overrides() -> String {
    let megabytes = |bytes: u32| f64::from(bytes) / f64::from(1 << 20);
    let any_age = format!("overrides:\n  {ANY_AGE_TENANT}: {{ reject_old_samples: false }}\n");
    SLOW_TENANTS.iter().fold(any_age, |mut text, tenant| {
        let (rate, burst) = (megabytes(RATE_BYTES_PER_SECOND), megabytes(RATE_BURST_BYTES));
        let _ = writeln!(
            text,
            "  {tenant}: {{ ingestion_rate_mb: {rate}, ingestion_burst_size_mb: {burst} }}"
        );
        text
    })
}

/// One process, files only, limits on what is written at their defaults, and ready at once.
fn real_config(directory: &Path, http: SocketAddr, grpc: SocketAddr, has_tenants: bool) -> String {
    format!(
        "auth_enabled: {has_tenants}
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
  max_entries_limit_per_query: {ENTRIES_MAX}
runtime_config: {{ file: {directory}/overrides.yaml }}
",
        http.port(),
        grpc.port(),
        directory = directory.display(),
    )
}
