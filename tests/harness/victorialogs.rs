//! A real VictoriaLogs, and what it has.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::programs::Program;
use super::{http, poll};

const START_DEADLINE: Duration = Duration::from_secs(30);

/// Ends when dropped.
pub struct VictoriaLogs {
    address: SocketAddr,
    child: Child,
    _directory: TempDir,
}

/// One record, all of its fields.
pub type Fields = BTreeMap<String, String>;

impl VictoriaLogs {
    pub fn start() -> Result<Self> {
        let program = Program::VictoriaLogs;
        let path = program.find().with_context(|| program.missing())?;
        let (address, directory) = (http::free_address()?, TempDir::new()?);
        let child = Command::new(&path)
            .arg(format!("-storageDataPath={}", directory.path().display()))
            .arg(format!("-httpListenAddr={address}"))
            .args(["-retentionPeriod=30d", "-loggerLevel=ERROR"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", path.display()))?;
        let started = Self { address, child, _directory: directory };
        poll::until("VictoriaLogs' /-/ready", START_DEADLINE, || {
            let (status, body) = http::get(&started.url("/-/ready"), &[])?;
            ensure!(status == 200, "{status}: {body}");
            Ok(())
        })?;
        Ok(started)
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

impl Drop for VictoriaLogs {
    fn drop(&mut self) {
        http::end(&mut self.child);
    }
}
