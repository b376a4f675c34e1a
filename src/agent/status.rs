//! The status document: what the worker knows of itself, and what a command shows of it.
//!
//! `status --json` prints it as it is. Keys are added, never renamed.

use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use crate::budget::Standing;
use crate::paths::Paths;
use crate::statusline::limits::Limits;

/// Version of the document.
pub const SCHEMA: u32 = 1;

/// Something the user should know, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    pub at: Timestamp,
    pub what: String,
    pub remedy: String,
}

/// With an agent every field is there; without one those that only it knows are `null`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    pub schema: u32,
    pub running: bool,
    pub pid: Option<u32>,
    pub version: Option<String>,
    pub started: Option<Timestamp>,
    pub addresses: Vec<SocketAddr>,
    pub sessions: Option<SessionCounts>,
    pub records: Option<RecordCounts>,
    pub requests: Option<RequestCounts>,
    pub warnings: Vec<Warning>,
    /// `deliver::DestinationStatus`, one each.
    pub destinations: Vec<serde_json::Value>,
    pub worker: Option<WorkerFacts>,
    pub install_id: Option<String>,
    /// Different label sets that are counted.
    pub series: Option<u64>,
    /// Of an agent that receives for many.
    pub gateway: Option<GatewayStatus>,
    #[serde(default)]
    pub budgets: Vec<Standing>,
    /// Of a subscription, by window, as status lines were told.
    #[serde(default)]
    pub rate_limits: Limits,
    pub config_file: PathBuf,
    pub data_dir: PathBuf,
    pub disk_bytes: u64,
    /// `agent stop --stay` is in force.
    pub stopped_to_stay: bool,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct SessionCounts {
    pub active: u64,
    pub today: u64,
}

/// Since the install began.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordCounts {
    /// In accepted requests: the sum of the next three.
    pub received: u64,
    /// Points, which are in the counters, events and spans, which go to destinations.
    pub stored: u64,
    /// Sent again by Claude Code, and counted once.
    pub duplicate: u64,
    /// Points that changed no counter.
    pub unchanged: u64,
    /// Not received: malformed or beyond a limit.
    pub rejected: u64,
    /// Not received: other programs', turned away.
    pub foreign: u64,
}

/// Requests that were not accepted, since the install began.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestCounts {
    /// Nothing could be stored: the sender was told to come back.
    pub refused: u64,
    /// Could not be read.
    pub malformed: u64,
    /// Of somebody who may not come in.
    pub denied: u64,
}

/// `agent run --gateway`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayStatus {
    /// By name: who may send, and who was heard of since the worker began.
    pub senders: Vec<SenderStatus>,
}

/// Counts are the worker's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SenderStatus {
    pub name: String,
    /// Whether it may send now.
    pub known: bool,
    pub connections: u64,
    /// Records in accepted requests.
    pub received: u64,
    /// Records that were malformed, beyond a limit, or another program's.
    pub rejected: u64,
    /// Requests that were told to come back.
    pub refused: u64,
    /// Requests that could not be read.
    pub malformed: u64,
    pub last_seen: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WorkerFacts {
    pub pid: u32,
    pub started: Timestamp,
    /// How often it had to be started again.
    pub restarts: u64,
}

impl Status {
    /// What can be said from the files alone.
    pub fn on_disk(paths: &Paths) -> Self {
        Self {
            schema: SCHEMA,
            config_file: paths.config_file(),
            data_dir: paths.data_dir.clone(),
            disk_bytes: disk_bytes(paths),
            stopped_to_stay: paths.stay_file().exists(),
            ..Self::default()
        }
    }

    /// Adds who runs, and what happened to its workers.
    #[must_use]
    pub fn with_identity(mut self, identity: &Identity) -> Self {
        self.running = true;
        self.pid = identity.pid;
        self.version = Some(identity.version.clone());
        self.started = Some(identity.started);
        self.addresses.clone_from(&identity.addresses);
        if let Some(death) = &identity.last_death {
            let often = if death.repeating { ", again and again" } else { "" };
            self.warnings.push(Warning {
                at: death.at,
                what: format!(
                    "the worker ended{often} and was started again ({} in all): {}",
                    times(identity.restarts),
                    death.reason
                ),
                remedy: "`ccotel agent logs` says more; nothing that was acknowledged is lost"
                    .into(),
            });
        }
        self
    }
}

/// Bytes of all files in the data directory.
pub fn disk_bytes(paths: &Paths) -> u64 {
    let Ok(entries) = std::fs::read_dir(&paths.data_dir) else { return 0 };
    let lengths = entries.flatten().filter_map(|entry| entry.metadata().ok());
    lengths.filter(std::fs::Metadata::is_file).map(|metadata| metadata.len()).sum()
}

fn times(count: u64) -> String {
    if count == 1 { "once".into() } else { format!("{count} times") }
}
