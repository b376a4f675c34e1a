//! The rooms of the worker, wired: receive → record → store → deliver, and the history beside them.
//!
//! The worker's life (locks, signals, control, reload) is in `worker`; this is all it knows of the rest.

#![expect(
    clippy::unused_async,
    clippy::needless_pass_by_value,
    reason = "the signatures that the rooms will need"
)]

use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::any;
use tokio_util::sync::CancellationToken;

use super::notice::LaunchNotice;
use super::status::{RecordCounts, SessionCounts};
use crate::config::{Accept, AgentConfig, Config, PrivacyConfig};
use crate::paths::Paths;
use crate::record::PrivacyLevel;

/// What the rooms say about themselves for `status`.
#[derive(Debug, Default)]
pub struct Facts {
    pub sessions: SessionCounts,
    pub records: RecordCounts,
    pub destinations: Vec<serde_json::Value>,
    pub install_id: String,
    pub series: u64,
    /// In words, with what to do.
    pub warnings: Vec<String>,
}

pub struct Rooms {}

impl Rooms {
    /// Opens the store and starts everything but reception. Without `destinations_known` (no valid
    /// configuration was found) the destinations' books are left as they are.
    pub async fn open(
        _paths: &Paths,
        _config: &Config,
        _token: String,
        _destinations_known: bool,
    ) -> anyhow::Result<Self> {
        Ok(Self {})
    }

    /// Receives until cancelled: the listeners are closed at once, requests in flight are answered.
    pub fn serve(
        &self,
        listeners: Vec<tokio::net::TcpListener>,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + 'static {
        let router = Router::new().fallback(any(|_: Bytes| async { StatusCode::OK }));
        let servers: Vec<_> = listeners
            .into_iter()
            .map(|listener| {
                let server = axum::serve(listener, router.clone())
                    .with_graceful_shutdown(stop.clone().cancelled_owned());
                tokio::spawn(async move { server.await })
            })
            .collect();
        async move {
            for server in servers {
                let _ = server.await;
            }
        }
    }

    /// A changed configuration, proven.
    pub async fn apply(&self, _config: &Config) {}

    pub fn notice(&self, _notice: &LaunchNotice) {}

    /// Whether a record with this launch id has been received.
    pub fn was_heard(&self, _launch_id: &str) -> bool {
        true
    }

    pub async fn facts(&self) -> Facts {
        Facts::default()
    }

    /// Samples and history up to this moment.
    pub async fn sync(&self) -> Result<(), String> {
        Ok(())
    }

    /// Tries one destination now, or all; says which.
    pub async fn retry(&self, name: Option<&str>) -> Result<String, String> {
        match name {
            Some(name) => Err(format!("there is no destination named {name}")),
            None => Ok("there is no destination".to_owned()),
        }
    }

    /// After reception has ended: settles, commits, marks a clean stop.
    pub async fn stop(&self) {}
}

/// The effective configuration; the error is for the user.
pub fn load_config(paths: &Paths) -> Result<Config, String> {
    let text = match std::fs::read_to_string(paths.config_file()) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(super::files::words(&error)),
    };
    parse(&text, &paths.config_file())
}

fn parse(text: &str, file: &Path) -> Result<Config, String> {
    let table: toml::Table =
        text.parse().map_err(|error| format!("{}: {error}", file.display()))?;
    let listen = table.get("agent").and_then(|agent| agent.get("listen")?.as_array()).map_or_else(
        || tightest().agent.listen,
        |list| list.iter().filter_map(|item| item.as_str()?.parse().ok()).collect(),
    );
    Ok(Config { agent: AgentConfig { listen, ..tightest().agent }, ..tightest() })
}

/// What holds while no valid configuration was ever seen: no level that the user might have
/// tightened is widened.
pub fn tightest() -> Config {
    Config {
        agent: AgentConfig {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 14318))],
            max_disk_bytes: 512 * 1024 * 1024,
            history_days: 400,
            accept: Accept::ClaudeCode,
        },
        tags: std::collections::BTreeMap::new(),
        privacy: PrivacyConfig { level: PrivacyLevel::Minimal, email_hashed: true },
        destinations: Vec::new(),
    }
}
