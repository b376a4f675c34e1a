//! A real VictoriaLogs, and what it has.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::programs::Program;
use super::server_process::ServerProcess;
use super::{addresses, http};

/// Ends when dropped.
pub struct VictoriaLogs {
    address: SocketAddr,
    _process: ServerProcess,
    _directory: TempDir,
}

/// One record, all of its fields.
pub type Fields = BTreeMap<String, String>;

impl VictoriaLogs {
    pub fn start() -> Result<Self> {
        let program = Program::VictoriaLogs;
        let path = program.find().with_context(|| program.missing())?;
        let (address, directory) = (addresses::free_address()?, TempDir::new()?);
        let mut command = Command::new(path);
        command
            .arg(format!("-storageDataPath={}", directory.path().display()))
            .arg(format!("-httpListenAddr={address}"))
            .args(["-retentionPeriod=30d", "-loggerLevel=ERROR"]);
        let ready_url = format!("http://{address}/-/ready");
        let process = ServerProcess::start(&mut command, directory.path(), &ready_url)?;
        Ok(Self { address, _process: process, _directory: directory })
    }

    pub fn otlp_url(&self) -> String {
        self.url("/insert/opentelemetry/v1/logs")
    }

    /// What a LogsQL query answers.
    pub fn query(&self, query: &str) -> Result<Vec<Fields>> {
        // What was taken within the last second is in no part that a query looks at.
        http::get(&self.url("/internal/force_flush"), &[])?;
        let (status, body) = http::get(&self.url("/select/logsql/query"), &[("query", query)])?;
        ensure!(status == 200, "{query}: {status}: {body}");
        let lines = body.lines().filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
