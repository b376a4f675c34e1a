//! A real Prometheus that takes remote_write, and questions to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::programs::Program;
use super::{http, poll};

const START_DEADLINE: Duration = Duration::from_secs(30);

/// Ends when dropped.
pub struct Prometheus {
    address: SocketAddr,
    directory: TempDir,
    child: Option<Child>,
}

/// One row of an instant query.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Prometheus {
    pub fn start() -> Result<Self> {
        let mut prometheus =
            Self { address: http::free_address()?, directory: TempDir::new()?, child: None };
        prometheus.start_again()?;
        Ok(prometheus)
    }

    /// At the same address, with what it had.
    pub fn start_again(&mut self) -> Result<()> {
        let program = Program::Prometheus.find().context(Program::Prometheus.missing())?;
        let config = self.directory.path().join("prometheus.yml");
        std::fs::write(&config, "global: {}\n")?;
        let child = Command::new(&program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", self.directory.path().join("data").display()))
            .arg(format!("--web.listen-address={}", self.address))
            .arg("--web.enable-remote-write-receiver")
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        self.child = Some(child);
        poll::until("Prometheus's /-/ready", START_DEADLINE, || {
            let (status, body) = http::get(&self.url("/-/ready"), &[])?;
            ensure!(status == 200, "{status}: {body}");
            Ok(())
        })
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            http::end(&mut child);
        }
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
        let parameters = [&[("query", query)], more].concat();
        let answer = http::get_json(&self.url("/api/v1/query"), &parameters)?;
        let rows = answer["data"]["result"].as_array().with_context(|| format!("{answer}"))?;
        rows.iter()
            .map(parse_row)
            .collect::<Result<_>>()
            .with_context(|| format!("{query}: {answer}"))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.stop();
    }
}

fn parse_row(row: &Value) -> Result<Row> {
    let labels = serde_json::from_value(row["metric"].clone())?;
    let Some(value) = row["value"][1].as_str() else { bail!("a row without a value: {row}") };
    Ok(Row { labels, value: value.parse()? })
}
