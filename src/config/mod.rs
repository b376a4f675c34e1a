//! Config: `config.toml`, read, layered, watched and edited.

pub mod budget;
pub mod destination;
pub mod edit;
pub mod file;
pub mod gateway;
pub mod layers;
pub mod limits;
pub mod problem;
pub mod shape;
pub mod show;
pub mod table;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use budget::Budgets;
use destination::DestinationConfig;
use gateway::GatewayConfig;

pub use layers::{Loaded, Origin, load, read, read_last_valid};
pub use problem::{Problem, Severity};

use crate::record::PrivacyLevel;

/// The effective configuration: built-in defaults, the organisation's file, the user's file,
/// `CCOTEL_*` of this process, flags; each proven.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub agent: AgentConfig,
    /// `[tags]` of the organisation's file (overridden by the user's), encoded nowhere yet.
    pub tags: BTreeMap<String, String>,
    pub privacy: PrivacyConfig,
    pub budgets: Budgets,
    pub destinations: Vec<DestinationConfig>,
    /// For `agent run --gateway` alone.
    pub gateway: GatewayConfig,
}

/// `[agent]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// Default `["127.0.0.1:14318"]`; loopback only.
    pub listen: Vec<SocketAddr>,
    /// Default 512 MiB.
    pub max_disk_bytes: u64,
    /// Default 400.
    pub history_days: u32,
    pub accept: Accept,
    /// More names that `Host` may have: a container reaches this machine as `host.docker.internal`.
    pub allowed_hosts: Vec<String>,
}

/// `[agent] accept`: whose records are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    /// Only Claude Code's instrumentation scopes.
    #[default]
    ClaudeCode,
    /// `"any"`.
    Any,
}

/// `[privacy]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrivacyConfig {
    pub level: PrivacyLevel,
    /// `email = "hash"`: `user.email` becomes a hash with the install's key.
    pub email_hashed: bool,
}

#[cfg(test)]
mod tests;

/// The built-in layer.
impl Default for Config {
    fn default() -> Self {
        let agent = AgentConfig {
            listen: vec![layers::LISTEN_DEFAULT],
            max_disk_bytes: layers::DISK_BYTES_DEFAULT,
            history_days: layers::HISTORY_DAYS_DEFAULT,
            accept: Accept::default(),
            allowed_hosts: Vec::new(),
        };
        Self {
            agent,
            tags: BTreeMap::new(),
            privacy: PrivacyConfig::default(),
            budgets: Budgets::default(),
            destinations: Vec::new(),
            gateway: GatewayConfig::default(),
        }
    }
}
