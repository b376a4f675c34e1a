//! The agent as a service: a systemd user unit or a launchd agent, so that it runs from login on.
//!
//! The agent needs none: the first `claude` starts it. A service is for what no wrapper starts (the
//! desktop app), for backends that scrape, and for those who want it restarted by the system. Its unit
//! runs `agent run --wait`, which waits while another agent lives, so that two owners never fight.
//!
//! Unit files are those of `packaging/`, with this user's paths. A file that a package has installed
//! and that says the same is enabled as it is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::paths::Paths;
use crate::setup::files::SetupError;
use crate::setup::journal::Journal;

pub mod launchd;
pub mod registration;
pub mod systemd;

/// Who starts services here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    Systemd,
    Launchd,
}

/// What the service is to be.
#[derive(Debug)]
pub struct Service<'s> {
    pub paths: &'s Paths,
    pub program: &'s Path,
    /// `XDG_CONFIG_HOME`, or its default.
    pub config_home: PathBuf,
    /// systemd owns the sockets, and starts the agent at the first connection.
    pub socket: bool,
    /// The address that the agent has, or would have.
    pub address: std::net::SocketAddr,
}

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(
        "there is no service manager for this user here ({why}); the agent needs none: it starts with `claude`"
    )]
    NoManager { why: String },
    #[error("`{command}` failed: {why}")]
    Failed { command: String, why: String },
    #[error(transparent)]
    Setup(#[from] SetupError),
}

impl Manager {
    pub fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
        }
    }

    /// The one that answers, for this user.
    pub fn of_this_user() -> Result<Self, ServiceError> {
        if cfg!(target_os = "macos") {
            return Ok(Self::Launchd);
        }
        match run("systemctl", &["--user", "show-environment"]) {
            Ok(()) => Ok(Self::Systemd),
            Err(ServiceError::Failed { command, why }) => {
                Err(ServiceError::NoManager { why: format!("{command}: {why}") })
            }
            Err(error) => Err(error),
        }
    }

    /// Writes what is missing, enables it and starts it.
    pub fn install(self, service: &Service<'_>, journal: &mut Journal) -> Result<(), ServiceError> {
        match self {
            Self::Systemd => systemd::install(service, journal),
            Self::Launchd => launchd::install(service, journal),
        }
    }

    /// Stops and disables it. Files are the journal's to remove.
    pub fn uninstall(self, paths: &Paths, config_home: &Path) -> Result<(), ServiceError> {
        match self {
            Self::Systemd => systemd::uninstall(config_home),
            Self::Launchd => launchd::uninstall(&paths.home),
        }
    }
}

/// The manager that the journal names.
pub fn of_journal(journal: &Journal) -> Option<Manager> {
    let name = journal.content.service.as_deref()?;
    [Manager::Systemd, Manager::Launchd].into_iter().find(|manager| manager.name() == name)
}

/// `XDG_CONFIG_HOME`, or its default.
pub fn config_home(paths: &Paths) -> PathBuf {
    let moved = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    moved.filter(|dir| dir.is_absolute()).unwrap_or_else(|| paths.home.join(".config"))
}

/// Runs a command of the service manager's; what it says is the reason if it fails.
fn run(program: &str, arguments: &[&str]) -> Result<(), ServiceError> {
    let command = format!("{program} {}", arguments.join(" "));
    let failed = |why: String| ServiceError::Failed { command: command.clone(), why };
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(crate::agent::files::words(&error)))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(str::trim).find(|line| !line.is_empty());
    Err(failed(said.map_or_else(|| output.status.to_string(), str::to_owned)))
}

/// The directories that an agent of the service manager's would not find by itself.
fn moved_directories(paths: &Paths) -> Vec<(&'static str, String)> {
    let defaults = [
        ("CCOTEL_CONFIG_DIR", &paths.config_dir, Some(paths.home.join(".config/ccotel"))),
        ("CCOTEL_DATA_DIR", &paths.data_dir, Some(paths.home.join(".local/share/ccotel"))),
        // Of the session, unless it was moved.
        ("CCOTEL_RUNTIME_DIR", &paths.runtime_dir, None),
    ];
    let is_moved = |(name, path, default): &(&str, &PathBuf, Option<PathBuf>)| match default {
        Some(default) => *path != default,
        None => std::env::var_os(name).is_some(),
    };
    let moved = defaults.into_iter().filter(is_moved);
    moved.map(|(name, path, _)| (name, path.to_string_lossy().into_owned())).collect()
}
