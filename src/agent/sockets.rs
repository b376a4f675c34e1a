//! The listening sockets: bound by whoever starts the agent, passed on, never closed between.
//!
//! They travel as systemd passes sockets (`LISTEN_FDS`), so a holder takes those of a socket unit in
//! the same way. Ours begin at descriptor 100 instead of 3 (`LISTEN_FDS_FIRST_FD`): far above
//! anything that a process has open when it maps them, so a failed `exec` has overwritten nothing.
//!
//! `listen.json` remembers which address was bound for which configured one. A busy port is replaced
//! by a free one, and that one is kept: sessions that outlive an agent find the next one there. A
//! gateway's senders know its port from elsewhere, so it has the configured one or none.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};

use super::files::{self, FileError, at};
use super::{lock, log};
use crate::config::Config;
use crate::paths::Paths;

/// The first descriptor of those that are passed on.
const FIRST_DESCRIPTOR: RawFd = 100;
/// Most sockets that are passed on.
const SOCKETS_MAX: usize = 32;
/// Connections that may wait in the kernel while a worker is replaced.
const BACKLOG_CONNECTIONS: i32 = 1024;
/// How long a killed holder's worker may take to let go of its ports.
const ORPHAN_WAIT: Duration = Duration::from_secs(2);

/// What to do where a port is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// A free one does as well, and is kept for good.
    Free,
    /// Only the configured ones.
    AsConfigured,
}

/// What the holder keeps.
#[derive(Debug)]
pub struct Sockets {
    /// In the order of the configuration.
    pub otlp: Vec<TcpListener>,
    pub control: UnixListener,
}

/// No socket could be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {address}: {}", files::words(cause))]
    Listen { address: SocketAddr, cause: io::Error },
    #[error("another agent, with another data directory, answers on {0}")]
    ControlTaken(String),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Binds everything. The caller holds `agent.lock`, so a control socket that lies there is dead.
///
/// `inherited` sockets (a socket unit's) stay, and what is configured and not among them is bound
/// beside them.
pub fn bind(
    paths: &Paths,
    configured: &[SocketAddr],
    ports: Ports,
    inherited: Inherited,
) -> Result<Sockets, BindError> {
    let control = inherited.control.map_or_else(|| bind_control(paths), Ok)?;
    let otlp = bind_otlp(paths, configured, ports, inherited.otlp)?;
    Ok(Sockets { otlp, control })
}

/// The OTLP sockets, each where `listen.json` has it, else where it is configured, else on a free port.
pub fn bind_otlp(
    paths: &Paths,
    configured: &[SocketAddr],
    ports: Ports,
    mut inherited: Vec<TcpListener>,
) -> Result<Vec<TcpListener>, BindError> {
    let mut kept = match ports {
        Ports::Free => read_kept(paths)?,
        Ports::AsConfigured => BTreeMap::new(),
    };
    let before = kept.clone();
    let mut sockets = Vec::new();
    let mut last_error = None;
    for &address in configured.iter().take(SOCKETS_MAX) {
        let wanted = kept.get(&address).copied();
        // Of port 0 the kernel has chosen one already.
        let any_port = ports == Ports::AsConfigured && address.port() == 0;
        let is_it = |socket: &TcpListener| {
            socket.local_addr().is_ok_and(|actual| {
                let same = Some(actual) == wanted || actual == address;
                same || (any_port && actual.ip() == address.ip())
            })
        };
        let socket = match inherited.iter().position(is_it) {
            Some(index) => inherited.remove(index),
            None => match bind_one(paths, address, ports, wanted) {
                // One address that this machine does not have must not end an agent that has others.
                Err(error @ BindError::Listen { .. }) if configured.len() + inherited.len() > 1 => {
                    log::line(paths, &error.to_string());
                    last_error = Some(error);
                    continue;
                }
                bound => bound?,
            },
        };
        let actual = socket.local_addr().map_err(|cause| BindError::Listen { address, cause })?;
        kept.insert(address, actual);
        sockets.push(socket);
    }
    sockets.append(&mut inherited);
    if let (true, Some(error)) = (sockets.is_empty(), last_error) {
        return Err(error);
    }
    for socket in &sockets {
        // Best effort: the standard library's shorter queue works too.
        let _ = rustix::net::listen(socket, BACKLOG_CONNECTIONS);
    }
    if kept != before && ports == Ports::Free {
        write_kept(paths, &kept)?;
    }
    Ok(sockets)
}

fn bind_one(
    paths: &Paths,
    configured: SocketAddr,
    ports: Ports,
    kept: Option<SocketAddr>,
) -> Result<TcpListener, BindError> {
    let free = (ports == Ports::Free).then(|| SocketAddr::new(configured.ip(), 0));
    let mut last = None;
    for address in kept.into_iter().chain([configured]).chain(free) {
        match bind_patiently(paths, address) {
            Ok(socket) => return Ok(socket),
            // A port below 1024 is refused in another way than a busy one; a free one serves both.
            Err(error) => last = Some(BindError::Listen { address, cause: error }),
        }
    }
    Err(last.expect("at least the configured address was tried"))
}

/// A busy port may be our own, of a worker whose holder was killed: it lets go in a moment.
fn bind_patiently(paths: &Paths, address: SocketAddr) -> io::Result<TcpListener> {
    let bound = lock::wait_for(ORPHAN_WAIT, || match TcpListener::bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && has_orphan(paths) => Ok(None),
        Err(error) => Err(error),
        Ok(socket) => Ok(Some(socket)),
    })?;
    bound.ok_or_else(|| io::ErrorKind::AddrInUse.into())
}

fn has_orphan(paths: &Paths) -> bool {
    lock::is_held(&paths.worker_lock()).unwrap_or(false)
}

/// The control socket, 0600 in a directory of ours alone.
pub fn bind_control(paths: &Paths) -> Result<UnixListener, BindError> {
    files::private_dir(&paths.runtime_dir)?;
    let path = paths.control_socket();
    if !has_orphan(paths) && UnixStream::connect(&path).is_ok() {
        return Err(BindError::ControlTaken(path.display().to_string()));
    }
    files::remove(&path)?;
    let socket = UnixListener::bind(&path).map_err(at("listen on", &path))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .map_err(at("set the permissions of", &path))?;
    Ok(socket)
}

/// The file of a Unix socket.
pub fn path_of(socket: &UnixListener) -> Option<PathBuf> {
    socket.local_addr().ok()?.as_pathname().map(Path::to_path_buf)
}

/// What `LISTEN_FDS` brought.
#[derive(Debug, Default)]
pub struct Inherited {
    pub otlp: Vec<TcpListener>,
    pub control: Option<UnixListener>,
}

/// Takes the sockets that were passed to this process, once, before it starts any thread.
pub fn inherit() -> io::Result<Inherited> {
    let mut passed = listenfd::ListenFd::from_env();
    let mut inherited = Inherited::default();
    for index in 0..passed.len().min(SOCKETS_MAX + 1) {
        if let Ok(Some(socket)) = passed.take_tcp_listener(index) {
            inherited.otlp.push(socket);
        } else if let Some(socket) = passed.take_unix_listener(index)? {
            inherited.control = Some(socket);
        }
    }
    Ok(inherited)
}

impl Sockets {
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.otlp.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Where the control socket is.
    pub fn control_path(&self, paths: &Paths) -> PathBuf {
        path_of(&self.control).unwrap_or_else(|| paths.control_socket())
    }

    /// Gives copies of all sockets to a command that is about to be run.
    pub fn pass_to(&self, command: &mut Command) -> io::Result<()> {
        let sockets = self.otlp.iter().map(AsFd::as_fd).chain([self.control.as_fd()]);
        let descriptors = sockets
            .map(|socket| socket.try_clone_to_owned())
            .collect::<io::Result<Vec<OwnedFd>>>()?;
        command
            .env("LISTEN_FDS", descriptors.len().to_string())
            .env("LISTEN_FDS_FIRST_FD", FIRST_DESCRIPTOR.to_string())
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDNAMES");
        let mappings = (FIRST_DESCRIPTOR..)
            .zip(descriptors)
            .map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd })
            .collect();
        command.fd_mappings(mappings).map_err(io::Error::other)?;
        Ok(())
    }
}

/// Which address an agent bound for each configured one, the last time that it did. Empty if that
/// cannot be told.
pub fn bound_for(paths: &Paths) -> BTreeMap<SocketAddr, SocketAddr> {
    read_kept(paths).unwrap_or_default()
}

/// Where the agent listens, or would. A gateway's addresses count once it has bound them: by default
/// they are a collector's.
pub fn listened(paths: &Paths, config: &Config) -> Vec<SocketAddr> {
    let bound = bound_for(paths);
    let own = config.agent.listen.iter();
    let own = own.map(|address| bound.get(address).copied().unwrap_or(*address));
    own.chain(config.gateway.listen.iter().filter_map(|address| bound.get(address).copied()))
        .collect()
}

/// `listen.json`: configured → bound. Unreadable is as if absent: the addresses are bound anew.
fn read_kept(paths: &Paths) -> Result<BTreeMap<SocketAddr, SocketAddr>, FileError> {
    let content = files::read_small(&paths.listen_file())?;
    Ok(content.and_then(|content| serde_json::from_slice(&content).ok()).unwrap_or_default())
}

fn write_kept(paths: &Paths, kept: &BTreeMap<SocketAddr, SocketAddr>) -> Result<(), FileError> {
    let text = serde_json::to_vec(kept).expect("addresses are text");
    files::replace_synced(&paths.listen_file(), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(root: &std::path::Path) -> Paths {
        Paths {
            config_dir: root.join("config"),
            data_dir: root.to_path_buf(),
            runtime_dir: root.join("run"),
            home: root.to_path_buf(),
        }
    }

    fn only(paths: &Paths, configured: SocketAddr) -> TcpListener {
        bind_otlp(paths, &[configured], Ports::Free, Vec::new()).unwrap().remove(0)
    }

    #[test]
    fn a_busy_port_is_replaced_and_the_replacement_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path());
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let configured = stranger.local_addr().unwrap();
        let replacement = only(&paths, configured).local_addr().unwrap();
        assert_ne!(replacement, configured);
        drop(stranger);
        assert_eq!(only(&paths, configured).local_addr().unwrap(), replacement);
    }

    #[test]
    fn a_gateways_busy_port_is_an_error_and_nothing_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path());
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let configured = stranger.local_addr().unwrap();
        let bind = || bind_otlp(&paths, &[configured], Ports::AsConfigured, Vec::new());
        let error = bind().unwrap_err().to_string();
        assert_eq!(error, format!("cannot listen on {configured}: the address is in use"));
        drop(stranger);
        assert_eq!(bind().unwrap()[0].local_addr().unwrap(), configured);
        assert!(!paths.listen_file().exists());
    }

    #[test]
    fn inherited_sockets_stay_and_new_addresses_come_first_to_last() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path());
        let old = only(&paths, "127.0.0.1:0".parse().unwrap());
        let old_address = old.local_addr().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let sockets = bind_otlp(&paths, &[free], Ports::Free, vec![old]).unwrap();
        let addresses: Vec<_> = sockets.iter().map(|s| s.local_addr().unwrap()).collect();
        assert_eq!(addresses, [free, old_address]);
    }

    #[test]
    fn a_control_socket_that_answers_is_not_taken_over() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path());
        let first = bind_control(&paths).unwrap();
        assert!(matches!(bind_control(&paths), Err(BindError::ControlTaken(_))));
        drop(first);
        bind_control(&paths).unwrap();
    }
}
