//! Loopback addresses for parts that cannot be handed a socket or say which port they got.
//!
//! The kernel picks the port, and on Linux it stays ours until the test's process ends: a socket that never
//! listens is left bound to it. Otherwise the port would go back to those that any connection on the
//! machine may leave from, and on a busy one some other test's does, before the part under test binds it.
//! A bound socket that does not listen keeps nobody from the address who sets `SO_REUSEADDR`, as Go, Rust,
//! Node, Python and systemd all do for what they listen on; who connects before is refused, as anywhere
//! that nobody listens. Other systems refuse the second bind, so there the port is only likely to be free.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use tokio::net::TcpSocket;

static KEPT: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());

/// A loopback address that nobody listens on, and nobody else is given.
pub fn free_address() -> Result<SocketAddr> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = socket.local_addr()?;
    if cfg!(target_os = "linux") {
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
    }
    Ok(address)
}
