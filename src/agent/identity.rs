//! `agent.json`: who the agent is. Written by the starter before the agent runs, completed by the
//! holder with its pid, and replaced whole each time.
//!
//! It is true only while `agent.lock` is held. A starter removes the old file before it takes the
//! lock, so "held, and no file" means: starting.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::files::{self, FileError, at};
use super::{PROTOCOL, VERSION};
use crate::paths::Paths;

/// The content of `agent.json`. A field may be added, none renamed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub version: String,
    /// See [`PROTOCOL`].
    pub protocol: u32,
    /// The binary that runs.
    pub exe: PathBuf,
    /// Where OTLP is received; the first is what Claude Code is told.
    pub addresses: Vec<SocketAddr>,
    /// The control socket: with one data directory, two shells may see two runtime directories.
    pub control: PathBuf,
    pub started: jiff::Timestamp,
    /// The machine's name: the data directory may be on a network file system.
    pub host: String,
    /// The holder. `None` while it starts or hands over: it cannot take signals then.
    pub pid: Option<u32>,
    /// A socket unit owns the sockets: they stay when the agent ends.
    #[serde(default)]
    pub socket_unit: bool,
    /// It receives for many senders, and not for this user's sessions.
    #[serde(default)]
    pub gateway: bool,
    /// How often the worker had to be started again, and why the last time.
    #[serde(default)]
    pub restarts: u64,
    #[serde(default)]
    pub last_death: Option<Death>,
}

/// How a worker ended that nobody had asked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    pub at: jiff::Timestamp,
    pub reason: String,
    /// It died again right after its start, and is started with pauses.
    pub repeating: bool,
}

impl Identity {
    pub fn new(exe: PathBuf, addresses: Vec<SocketAddr>, control: PathBuf) -> Self {
        Self {
            version: VERSION.to_owned(),
            protocol: PROTOCOL,
            exe,
            addresses,
            control,
            started: jiff::Timestamp::now(),
            host: host(),
            pid: None,
            socket_unit: false,
            gateway: false,
            restarts: 0,
            last_death: None,
        }
    }

    pub fn write(&self, paths: &Paths) -> Result<(), FileError> {
        let text = serde_json::to_vec(self).expect("an identity has only text keys");
        files::replace(&paths.agent_json(), &text)
    }

    /// `None` where there is none, or none that this version can read.
    pub fn read(paths: &Paths) -> Result<Option<Self>, FileError> {
        let content = files::read_small(&paths.agent_json())?;
        Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
    }

    pub fn is_of_this_machine(&self) -> bool {
        self.host == host()
    }
}

/// This machine's name.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The token in the endpoint's path: 32 hexadecimal digits, made once.
///
/// Called under `start.lock`, so that two starters never make two.
pub fn token_or_new(paths: &Paths) -> Result<String, FileError> {
    if let Some(token) = token(paths)? {
        return Ok(token);
    }
    let path = paths.token_file();
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| at("make", &path)(std::io::Error::other(error)))?;
    let token = format!("{:032x}", u128::from_be_bytes(bytes));
    files::replace_synced(&path, token.as_bytes())?;
    Ok(token)
}

/// The token, if there is a valid one.
pub fn token(paths: &Paths) -> Result<Option<String>, FileError> {
    let content = files::read_small(&paths.token_file())?;
    Ok(content
        .and_then(|content| String::from_utf8(content).ok())
        .map(|text| text.trim().to_owned())
        .filter(|text| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(root: &std::path::Path) -> Paths {
        Paths {
            config_dir: root.to_path_buf(),
            data_dir: root.to_path_buf(),
            runtime_dir: root.to_path_buf(),
            home: root.to_path_buf(),
        }
    }

    #[test]
    fn an_agent_json_of_the_first_version_is_still_read() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path());
        let first = r#"{"version":"0.1.0","protocol":1,"exe":"/usr/bin/ccotel",
            "addresses":["127.0.0.1:14318"],"control":"/run/user/1/ccotel/control.sock","started":"2026-11-21T09:00:00Z","host":"laptop","pid":42,
            "later":"keys are ignored"}"#;
        std::fs::write(paths.agent_json(), first).unwrap();
        let identity = Identity::read(&paths).unwrap().unwrap();
        assert_eq!(identity.pid, Some(42));
        assert_eq!(identity.restarts, 0);
    }

    #[test]
    fn a_token_is_made_once_and_a_damaged_one_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path());
        let first = token_or_new(&paths).unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(token_or_new(&paths).unwrap(), first);
        std::fs::write(paths.token_file(), "short").unwrap();
        assert_ne!(token_or_new(&paths).unwrap(), first);
    }
}
