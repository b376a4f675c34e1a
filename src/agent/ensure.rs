//! Making sure that an agent runs: called by the wrapper right before it becomes Claude Code.
//!
//! With an agent up it is four small file operations and no connection. Without one it binds the
//! sockets itself, so that from then on no export can be refused, and leaves the rest to the holder.
//!
//! The order of a start matters (`start.lock` is held all along):
//! 1. remove the old `agent.json`: from now on "held, and no file" means starting;
//! 2. take `agent.lock`; 3. bind; 4. write `agent.json`; 5. spawn.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::files::{self, FileError};
use super::identity::{self, Identity};
use super::sockets::{self, BindError, Inherited, Ports};
use super::{PROTOCOL, VERSION, control, lock, spawn};
use crate::config::Config;
use crate::paths::Paths;

/// How long somebody else's start is waited for.
const START_WAIT: Duration = Duration::from_secs(2);

/// How long a socket unit's agent may take to come.
const WAKE_WAIT: Duration = Duration::from_millis(750);

/// Where Claude Code sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// 32 hexadecimal digits: the first part of the path.
    pub token: String,
}

/// Why there is no agent. Claude Code starts all the same.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    #[error("the agent was stopped with `ccotel agent stop --stay`")]
    StoppedToStay,
    #[error("an agent of the machine {host} uses this data directory")]
    OtherMachine { host: String },
    #[error("the agent is being started elsewhere, for more than {} seconds", START_WAIT.as_secs())]
    TimedOut,
    #[error("a gateway uses this data directory, and takes no session without a sender's token")]
    Gateway,
    #[error("the token that the agent was started with is gone")]
    NoToken,
    #[error("cannot start {}: {}", exe.display(), files::words(cause))]
    Spawn { exe: PathBuf, cause: std::io::Error },
    #[error(transparent)]
    Bind(BindError),
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<BindError> for EnsureError {
    fn from(error: BindError) -> Self {
        match error {
            BindError::File(error) => Self::File(error),
            other => Self::Bind(other),
        }
    }
}

impl EnsureError {
    /// What the user can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::StoppedToStay => "`ccotel agent start` starts it again",
            Self::OtherMachine { .. } => {
                "set CCOTEL_DATA_DIR to a directory on a disk of this machine"
            }
            Self::TimedOut => "see `ccotel agent logs`; `ccotel agent restart` tries again",
            Self::Gateway => "give the gateway a data directory of its own (CCOTEL_DATA_DIR)",
            Self::NoToken => "`ccotel agent restart` makes a new one",
            Self::Spawn { .. } => {
                "check that this file exists and may be executed, or install anew"
            }
            Self::Bind(BindError::ControlTaken(_)) => {
                "set CCOTEL_RUNTIME_DIR to a directory of this agent's own"
            }
            Self::Bind(_) => "set `[agent] listen` in config.toml to an address of this machine",
            Self::File(error) => error.remedy(),
        }
    }
}

/// The agent's endpoint, of the one that runs or of a new one.
pub fn ensure(paths: &Paths, config: &Config) -> Result<Endpoint, EnsureError> {
    if let Some(identity) = running(paths)? {
        hand_over_to_newer(paths, &identity);
        return endpoint(paths, &identity);
    }
    if paths.stay_file().exists() {
        return Err(EnsureError::StoppedToStay);
    }
    files::private_dir(&paths.data_dir)?;
    let start = |start_lock: File| {
        let started = start(paths, config);
        drop(start_lock);
        started
    };
    let found = lock::wait_for(START_WAIT, || {
        if let Some(identity) = running(paths)? {
            return endpoint(paths, &identity).map(Some);
        }
        match lock::try_take(&paths.start_lock())? {
            Some(start_lock) => start(start_lock),
            None => Ok(None),
        }
    });
    match found {
        Err(EnsureError::Bind(taken @ BindError::ControlTaken(_))) => woken(paths, taken),
        found => found?.ok_or(EnsureError::TimedOut),
    }
}

/// Somebody listens on the control socket, and no agent holds the lock: if it is a socket unit, the
/// question has woken our agent, which is here in a moment.
fn woken(paths: &Paths, taken: BindError) -> Result<Endpoint, EnsureError> {
    let found = lock::wait_for(WAKE_WAIT, || match running(paths)? {
        Some(identity) => endpoint(paths, &identity).map(Some),
        None => Ok(None),
    });
    found?.ok_or(EnsureError::Bind(taken))
}

/// Who runs, if somebody does; an agent that is just being started does not yet.
pub fn running(paths: &Paths) -> Result<Option<Identity>, EnsureError> {
    // First the lock, then the file: a file that is read while the lock is held is not a dead agent's.
    if !lock::is_held(&paths.agent_lock())? {
        return Ok(None);
    }
    let Some(identity) = Identity::read(paths)? else { return Ok(None) };
    // A machine may change its name while the agent runs; the socket of another one never answers.
    if !identity.is_of_this_machine() && !control::answers(paths) {
        return Err(EnsureError::OtherMachine { host: identity.host });
    }
    Ok(Some(identity))
}

/// Whether an agent lives, or is being started, whatever is known of it.
pub fn is_held(paths: &Paths) -> Result<bool, EnsureError> {
    Ok(lock::is_held(&paths.agent_lock())?)
}

fn endpoint(paths: &Paths, identity: &Identity) -> Result<Endpoint, EnsureError> {
    if identity.gateway {
        return Err(EnsureError::Gateway);
    }
    let address = identity.addresses.first().copied().ok_or(EnsureError::NoToken)?;
    let token = identity::token(paths)?.ok_or(EnsureError::NoToken)?;
    Ok(Endpoint { address, token })
}

/// Under `start.lock`. `None` if an agent lives after all.
fn start(paths: &Paths, config: &Config) -> Result<Option<Endpoint>, EnsureError> {
    if lock::is_held(&paths.agent_lock())? {
        return Ok(None);
    }
    files::remove(&paths.agent_json())?;
    // A probe holds the lock for an instant; only a holder holds it longer.
    let Some(agent_lock) = lock::take(&paths.agent_lock(), Duration::from_millis(100))? else {
        return Ok(None);
    };
    let token = identity::token_or_new(paths)?;
    let sockets = sockets::bind(paths, &config.agent.listen, Ports::Free, Inherited::default())?;
    let addresses = sockets.addresses();
    let exe = spawn::own_exe()
        .map_err(|cause| EnsureError::Spawn { exe: PathBuf::from("ccotel"), cause })?;
    Identity::new(exe.clone(), addresses.clone(), paths.control_socket()).write(paths)?;
    let log = files::open_private(&paths.agent_log())?;
    spawn::start_holder(paths, &exe, &sockets, agent_lock, log)
        .map_err(|cause| EnsureError::Spawn { exe, cause })?;
    Ok(addresses.first().map(|&address| Endpoint { address, token }))
}

/// An agent that should be replaced is, behind our back.
fn hand_over_to_newer(paths: &Paths, identity: &Identity) {
    if needs_replacing(identity)
        && let Ok(exe) = spawn::own_exe()
    {
        // Fails open: the old agent goes on receiving.
        let _ = spawn::start_restart(paths, &exe);
    }
}

/// Whether that agent is older than this binary, or lost its binary or its control socket. A newer one
/// is left alone, so that two installed versions do not take turns.
pub fn needs_replacing(identity: &Identity) -> bool {
    let lost = || !identity.exe.exists() || !identity.control.exists();
    identity.is_of_this_machine() && (is_older(identity) || lost())
}

/// Whether that agent is of an older version than this binary.
pub fn is_older(identity: &Identity) -> bool {
    (identity.protocol, version_numbers(&identity.version)) < (PROTOCOL, version_numbers(VERSION))
}

/// `1.12.0` as numbers, so that it comes after `1.9.0`.
fn version_numbers(version: &str) -> Vec<u64> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_older_agent_is_replaced() {
        let mut identity =
            Identity::new("/usr/bin/ccotel".into(), Vec::new(), "/run/control.sock".into());
        assert!(!is_older(&identity));
        identity.version = "0.0.9".into();
        assert!(is_older(&identity));
        identity.version = "999.0.0".into();
        assert!(!is_older(&identity));
        identity.protocol = PROTOCOL - 1;
        assert!(is_older(&identity));
    }

    #[test]
    fn versions_are_numbers_not_text() {
        assert!(version_numbers("0.9.0") < version_numbers("0.12.0"));
    }
}
