//! Who is at the other end of a connection.
//!
//! On Linux the kernel tells the owner of every TCP socket. On a loopback connection the peer's own
//! socket is among them, under our addresses swapped, so its owner is the user who opened it.
//! Elsewhere only the token tells.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use super::failure::Failure;
use super::gateway::strangers::Place;
use super::gateway::tls::Shown;
use super::gateway::usage::Usage;
use super::gateway::{Gateway, Sender};

/// The system's own user.
const ROOT: u32 = 0;

/// One connection, as admission sees it.
#[derive(Debug)]
pub(crate) struct Peer {
    remote: SocketAddr,
    local: SocketAddr,
    same_user: OnceLock<bool>,
    /// A request on this connection was let in: from then on it may idle.
    admitted: AtomicBool,
    /// At a gateway: the certificate that it showed.
    shown: OnceLock<Shown>,
    /// At a gateway: its place among the strangers, until somebody is let in.
    waiting: Mutex<Option<Place>>,
    /// And among those that somebody was let in on, from then on.
    place: OnceLock<OwnedSemaphorePermit>,
    /// At a gateway: the senders that this connection is counted for. A proxy's has many.
    places: Mutex<Vec<(Arc<Usage>, OwnedSemaphorePermit)>>,
}

impl Peer {
    pub fn new(remote: SocketAddr, local: SocketAddr) -> Self {
        Self {
            remote,
            local,
            same_user: OnceLock::new(),
            admitted: AtomicBool::new(false),
            shown: OnceLock::new(),
            waiting: Mutex::default(),
            place: OnceLock::new(),
            places: Mutex::default(),
        }
    }

    /// What the other end showed of itself, if it did.
    pub(super) fn shown(&self) -> Option<&Shown> {
        self.shown.get()
    }

    pub(super) fn set_shown(&self, shown: Shown) {
        // A connection has one handshake.
        let _ = self.shown.set(shown);
    }

    /// Waits at a gateway for somebody to be let in.
    pub(super) fn wait(&self, place: Place) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    /// Somebody is let in at a gateway: this connection is no stranger's any more.
    pub(super) fn enter(&self, gateway: &Gateway) -> Result<(), Failure> {
        if self.place.get().is_none() {
            // Of two requests at once, the second one's place is given back.
            let _ = self.place.set(gateway.place()?);
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        Ok(())
    }

    /// Counts this connection for a sender, once.
    pub(super) fn join(&self, sender: &Sender) -> Result<(), Failure> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if !places.iter().any(|(usage, _)| Arc::ptr_eq(usage, &sender.usage)) {
            places.push((Arc::clone(&sender.usage), sender.usage.connect()?));
        }
        Ok(())
    }

    pub fn is_loopback(&self) -> bool {
        is_loopback(self.remote)
    }

    /// Whether the socket at the other end belongs to our own user; looked up once a connection.
    pub fn is_same_user(&self) -> bool {
        *self.same_user.get_or_init(|| {
            let ours = rustix::process::geteuid().as_raw();
            socket_owner::of(self.remote, self.local) == Some(ours)
        })
    }

    /// Whether it is known to belong to another user, other than root: root can read everything
    /// anyway, and relays between a virtual machine and its host run as root.
    pub fn is_of_another_user(&self) -> bool {
        if !socket_owner::CAN_TELL {
            return false;
        }
        let ours = rustix::process::geteuid().as_raw();
        socket_owner::of(self.remote, self.local).is_none_or(|it| it != ours && it != ROOT)
    }

    pub fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::Relaxed)
    }

    pub fn set_admitted(&self) {
        self.admitted.store(true, Ordering::Relaxed);
    }
}

/// Loopback, also where a dual-stack socket shows an IPv4 address as IPv6.
pub(crate) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(target_os = "linux")]
mod proc_net;
#[cfg(target_os = "linux")]
mod sock_diag;

#[cfg(target_os = "linux")]
mod socket_owner {
    use std::net::SocketAddr;

    use tracing::{debug, warn};

    use super::{proc_net, sock_diag};

    pub const CAN_TELL: bool = true;

    /// `None` where nobody is at the other end, or nobody can tell who.
    pub fn of(remote: SocketAddr, local: SocketAddr) -> Option<u32> {
        let owner = sock_diag::owner(remote, local).or_else(|error| {
            debug!("no socket diagnosis, reading /proc instead: {error}");
            proc_net::owner(remote, local)
        });
        match owner {
            Ok(owner) => owner,
            Err(error) => {
                warn!("cannot tell whose socket {remote} is, so it needs the token: {error}");
                None
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod socket_owner {
    use std::net::SocketAddr;

    pub const CAN_TELL: bool = false;

    pub fn of(_remote: SocketAddr, _local: SocketAddr) -> Option<u32> {
        None
    }
}
