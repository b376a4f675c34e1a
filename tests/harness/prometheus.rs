//! A real Prometheus that takes remote_write, or what stands in its place, and questions to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::programs::Program;
use super::server_process::ServerProcess;
use super::{addresses, http};

/// Which backend, and how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it comes: samples behind the newest by more than an hour are refused.
    Stock,
    /// With an out-of-order window of fifteen days.
    OutOfOrder,
    /// 3.x that knows remote_write 2.0 and was told not to take it, as is the default of the newest.
    RemoteWrite1,
    /// 3.x that takes both versions of remote_write.
    RemoteWrite2,
    /// Answers a remote_write 2.0 body with 204 and keeps nothing of it.
    VictoriaMetrics,
}

impl Kind {
    pub fn program(self) -> Program {
        match self {
            Self::Stock | Self::OutOfOrder => Program::Prometheus,
            Self::RemoteWrite1 | Self::RemoteWrite2 => Program::Prometheus3,
            Self::VictoriaMetrics => Program::VictoriaMetrics,
        }
    }

    /// For the names of tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stock => "Prometheus",
            Self::OutOfOrder => "Prometheus with an out-of-order window",
            Self::RemoteWrite1 => "Prometheus 3 without remote_write 2.0",
            Self::RemoteWrite2 => "Prometheus 3 with remote_write 2.0",
            Self::VictoriaMetrics => "VictoriaMetrics",
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::OutOfOrder => "storage: { tsdb: { out_of_order_time_window: 15d } }\n",
            _ => "global: {}\n",
        }
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::RemoteWrite1 => {
                &["--web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest"]
            }
            Self::RemoteWrite2 => &[
                "--web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest",
                "--web.remote-write-receiver.accepted-protobuf-messages=io.prometheus.write.v2.Request",
            ],
            _ => &[],
        }
    }
}

/// Ends when dropped.
pub struct Prometheus {
    kind: Kind,
    config: String,
    address: SocketAddr,
    directory: TempDir,
    process: Option<ServerProcess>,
}

/// One row of an instant query.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Prometheus {
    pub fn start() -> Result<Self> {
        Self::start_kind(Kind::Stock)
    }

    pub fn start_kind(kind: Kind) -> Result<Self> {
        Self::start_with(kind, kind.config().to_owned())
    }

    /// A stock one that scrapes.
    pub fn start_scraping(config: String) -> Result<Self> {
        Self::start_with(Kind::Stock, config)
    }

    fn start_with(kind: Kind, config: String) -> Result<Self> {
        let (address, directory) = (addresses::free_address()?, TempDir::new()?);
        let mut prometheus = Self { kind, config, address, directory, process: None };
        prometheus.start_again()?;
        Ok(prometheus)
    }

    /// At the same address, with what it had.
    pub fn start_again(&mut self) -> Result<()> {
        let program = self.kind.program();
        let path = program.find().with_context(|| program.missing())?;
        let mut command = Command::new(&path);
        let data = self.directory.path().join("data");
        if self.kind == Kind::VictoriaMetrics {
            command
                .arg(format!("-storageDataPath={}", data.display()))
                .arg(format!("-httpListenAddr={}", self.address))
                // What was written is seen at once.
                .args(["-search.latencyOffset=0s", "-search.disableCache"])
                .arg("-loggerLevel=ERROR");
        } else {
            let config = self.directory.path().join("prometheus.yml");
            std::fs::write(&config, &self.config)?;
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg(format!("--web.listen-address={}", self.address))
                .arg("--web.enable-remote-write-receiver")
                .args(self.kind.flags())
                .arg("--log.level=error");
        }
        let ready = if self.kind == Kind::VictoriaMetrics { "/health" } else { "/-/ready" };
        let ready_url = self.url(ready);
        let process = ServerProcess::start(&mut command, self.directory.path(), &ready_url)?;
        self.process = Some(process);
        Ok(())
    }

    pub fn stop(&mut self) {
        self.process = None;
    }

    pub fn write_url(&self) -> String {
        self.url("/api/v1/write")
    }

    /// An instant query, now.
    pub fn query(&self, query: &str) -> Result<Vec<Row>> {
        self.query_with(query, &[])
    }

    /// An instant query at a time, in seconds since the epoch.
    pub fn query_at(&self, query: &str, time_s: f64) -> Result<Vec<Row>> {
        self.query_with(query, &[("time", &time_s.to_string())])
    }

    fn query_with(&self, query: &str, more: &[(&str, &str)]) -> Result<Vec<Row>> {
        if self.kind == Kind::VictoriaMetrics {
            // What was taken within the last second is in no part that a query looks at.
            http::get(&self.url("/internal/force_flush"), &[])?;
        }
        let parameters = [&[("query", query)], more].concat();
        let answer = http::get_json(&self.url("/api/v1/query"), &parameters)?;
        let rows = answer["data"]["result"].as_array().with_context(|| format!("{answer}"))?;
        rows.iter()
            .map(parse_row)
            .collect::<Result<_>>()
            .with_context(|| format!("{query}: {answer}"))
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn parse_row(row: &Value) -> Result<Row> {
    let labels = serde_json::from_value(row["metric"].clone())?;
    let Some(value) = row["value"][1].as_str() else { bail!("a row without a value: {row}") };
    Ok(Row { labels, value: value.parse()? })
}
