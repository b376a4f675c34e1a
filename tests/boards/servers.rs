//! The stack's servers without containers: each with the stack's own configuration, as far as it says
//! something about what is kept and answered.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::dashboards::root;
use crate::harness::programs::Program;
use crate::harness::{http, poll};

const READY: Duration = Duration::from_mins(1);

/// Ends when dropped.
pub struct Server {
    address: SocketAddr,
    child: Child,
    _directory: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        http::end(&mut self.child);
    }
}

impl Server {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn json(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        http::get_json(&self.url(path), parameters)
    }

    pub fn start(
        program: Program,
        ready: &str,
        arguments: impl Fn(&str, SocketAddr) -> Result<Vec<String>>,
    ) -> Result<Self> {
        let (address, directory) = (http::free_address()?, TempDir::new()?);
        let arguments = arguments(&directory.path().display().to_string(), address)?;
        let path = program.find().with_context(|| program.missing())?;
        let child = Command::new(path)
            .args(arguments)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { address, child, _directory: directory };
        poll::until(ready, READY, || {
            let (status, body) = http::get(&server.url(ready), &[])?;
            ensure!(status == 200, "{status}: {body}");
            Ok(())
        })?;
        Ok(server)
    }

    /// With the rules included; `program` is an older or a newer one.
    pub fn prometheus(program: Program) -> Result<Self> {
        Self::start(program, "/-/ready", |directory, address| {
            let config = std::fs::read_to_string(root().join("stack/prometheus.yml"))?;
            let alerts = root().join("grafana/alerts");
            let config = config.replace("/etc/prometheus/rules", &alerts.display().to_string());
            let config = config.split("scrape_configs:").next().unwrap_or_default().to_owned();
            std::fs::write(format!("{directory}/prometheus.yml"), config)?;
            Ok(vec![
                format!("--config.file={directory}/prometheus.yml"),
                format!("--storage.tsdb.path={directory}/data"),
                format!("--web.listen-address={address}"),
                "--web.enable-remote-write-receiver".to_owned(),
            ])
        })
    }

    pub fn victoriametrics() -> Result<Self> {
        Self::start(Program::VictoriaMetrics, "/health", |directory, address| {
            Ok(vec![
                format!("-storageDataPath={directory}"),
                format!("-httpListenAddr={address}"),
                "-retentionPeriod=400d".to_owned(),
                // What was asked while it was written is not remembered.
                "-search.disableCache".to_owned(),
            ])
        })
    }

    /// With all rules but the logs', asked of and written to that one: as they are, but at once.
    pub fn vmalert(of: &Self) -> Result<Self> {
        // Older ones want somebody to send alerts to.
        let nobody = http::free_address()?;
        Self::start(Program::Vmalert, "/health", |directory, address| {
            for entry in std::fs::read_dir(root().join("grafana/alerts"))? {
                let path = entry?.path();
                if path.extension().is_some_and(|it| it == "yaml") {
                    let text = std::fs::read_to_string(&path)?;
                    let often = text
                        .replace("interval: 1m", "interval: 1s")
                        .replace("interval: 5m", "interval: 1s");
                    let name = path.file_name().context("a file")?;
                    std::fs::write(Path::new(directory).join(name), often)?;
                }
            }
            Ok(vec![
                format!("-rule={directory}/*.yaml"),
                format!("-datasource.url={}", of.url("")),
                format!("-remoteWrite.url={}", of.url("")),
                format!("-notifier.url=http://{nobody}"),
                "-evaluationInterval=1s".to_owned(),
                format!("-httpListenAddr={address}"),
            ])
        })
    }

    /// The demo's first day is older than what is in memory only.
    pub fn loki() -> Result<Self> {
        let grpc = http::free_address()?;
        Self::start(Program::Loki, "/ready", |directory, address| {
            let config = std::fs::read_to_string(root().join("stack/loki.yaml"))?
                .replace("/etc/loki", directory)
                .replace("/loki", directory)
                .replace("http_listen_port: 3100", &format!("http_listen_address: 127.0.0.1\n  http_listen_port: {}", address.port()))
                .replace("grpc_listen_port: 9096", &format!("grpc_listen_address: 127.0.0.1\n  grpc_listen_port: {}", grpc.port()))
                .replace("ingester:\n", "ingester:\n  lifecycler: { min_ready_duration: 0s, join_after: 0s, final_sleep: 0s }\n");
            let config = config.split("ruler:").next().unwrap_or_default().to_owned();
            std::fs::write(format!("{directory}/loki.yaml"), config)?;
            Ok(vec![format!("-config.file={directory}/loki.yaml")])
        })
    }

    pub fn victorialogs() -> Result<Self> {
        Self::start(Program::VictoriaLogs, "/-/ready", |directory, address| {
            Ok(vec![
                format!("-storageDataPath={directory}"),
                format!("-httpListenAddr={address}"),
                "-retentionPeriod=31d".to_owned(),
            ])
        })
    }
}
