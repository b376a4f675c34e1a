//! The stack's servers without containers: each with the stack's own configuration, as far as it says
//! something about what is kept and answered.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::dashboards::root;
use crate::harness::programs::Program;
use crate::harness::server_process::ServerProcess;
use crate::harness::{addresses, http};

/// Ends when dropped.
pub struct Server {
    address: SocketAddr,
    _process: ServerProcess,
    _directory: TempDir,
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
        let (address, directory) = (addresses::free_address()?, TempDir::new()?);
        let arguments = arguments(&directory.path().display().to_string(), address)?;
        let path = program.find().with_context(|| program.missing())?;
        let mut command = Command::new(path);
        command.args(arguments).current_dir(directory.path());
        let ready_url = format!("http://{address}{ready}");
        let process = ServerProcess::start(&mut command, directory.path(), &ready_url)?;
        Ok(Self { address, _process: process, _directory: directory })
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
        let nobody = addresses::free_address()?;
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
        let grpc = addresses::free_address()?;
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
