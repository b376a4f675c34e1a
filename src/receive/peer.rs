//! Who is at the other end of a connection.
//!
//! On Linux the kernel lists every TCP socket with its owner in `/proc/net/tcp` and `tcp6`. On a
//! loopback connection the peer's own socket is in that list too, under our addresses swapped, so
//! its owner is the user who opened it. Elsewhere only the token tells.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// One connection, as admission sees it.
#[derive(Debug)]
pub(super) struct Peer {
    remote: SocketAddr,
    local: SocketAddr,
    same_user: OnceLock<bool>,
    /// A request on this connection was let in: from then on it may idle.
    admitted: AtomicBool,
}

impl Peer {
    pub fn new(remote: SocketAddr, local: SocketAddr) -> Self {
        Self { remote, local, same_user: OnceLock::new(), admitted: AtomicBool::new(false) }
    }

    pub fn is_loopback(&self) -> bool {
        is_loopback(self.remote)
    }

    /// Whether the socket at the other end belongs to our own user; looked up once a connection.
    pub fn is_same_user(&self) -> bool {
        *self.same_user.get_or_init(|| socket_owner::is_ours(self.remote, self.local))
    }

    pub fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::Relaxed)
    }

    pub fn set_admitted(&self) {
        self.admitted.store(true, Ordering::Relaxed);
    }
}

/// Loopback, also where a dual-stack socket shows an IPv4 address as IPv6.
pub(super) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(not(target_os = "linux"))]
mod socket_owner {
    use std::net::SocketAddr;

    pub fn is_ours(_remote: SocketAddr, _local: SocketAddr) -> bool {
        false
    }
}

#[cfg(target_os = "linux")]
mod socket_owner {
    use std::fs;
    use std::net::{IpAddr, SocketAddr};

    use tracing::warn;

    pub fn is_ours(remote: SocketAddr, local: SocketAddr) -> bool {
        let us = rustix::process::geteuid().as_raw();
        // A dual-stack socket is listed in tcp6 though it speaks IPv4.
        for (table, form) in [("/proc/net/tcp", Form::V4), ("/proc/net/tcp6", Form::V6)] {
            let (Some(remote), Some(local)) = (form.text(remote), form.text(local)) else {
                continue;
            };
            match fs::read_to_string(table) {
                Ok(sockets) => {
                    if let Some(owner) = find(&sockets, &remote, &local) {
                        return owner == us;
                    }
                }
                // Without IPv6 in the kernel there is no second table.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    warn!("cannot read {table}, so senders need the token: {error}");
                }
            }
        }
        false
    }

    /// The owner of the socket with these addresses.
    ///
    /// Columns: `sl local rem st tx:rx tr:when retrnsmt uid timeout inode …`. A socket that nobody
    /// holds any more (TIME_WAIT, orphaned) is listed with uid 0 and inode 0: it has no owner.
    pub(super) fn find(table: &str, peer: &str, ours: &str) -> Option<u32> {
        table.lines().skip(1).find_map(|line| {
            let mut columns = line.split_ascii_whitespace().skip(1);
            if columns.next()? != peer || columns.next()? != ours {
                return None;
            }
            let uid = columns.nth(4)?.parse().ok()?;
            let inode = columns.nth(1)?;
            (inode != "0").then_some(uid)
        })
    }

    #[derive(Clone, Copy)]
    pub(super) enum Form {
        V4,
        V6,
    }

    impl Form {
        /// An address as the kernel prints it: 32-bit words in the machine's byte order, then the port.
        pub(super) fn text(self, address: SocketAddr) -> Option<String> {
            use std::fmt::Write as _;

            let mut text = String::with_capacity(37);
            let octets: &[u8] = match (self, address.ip().to_canonical()) {
                (Self::V4, IpAddr::V4(ip)) => &ip.octets(),
                (Self::V6, IpAddr::V4(ip)) => &ip.to_ipv6_mapped().octets(),
                (Self::V6, IpAddr::V6(ip)) => &ip.octets(),
                (Self::V4, IpAddr::V6(_)) => return None,
            };
            for word in octets.as_chunks::<4>().0 {
                write!(text, "{:08X}", u32::from_ne_bytes(*word)).ok()?;
            }
            write!(text, ":{:04X}", address.port()).ok()?;
            Some(text)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:37EE 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0
   1: 0100007F:C350 0100007F:37EE 06 00000000:00000000 03:00000F4A 00000000     0        0 0 3 0
   2: 0100007F:C351 0100007F:37EE 01 00000000:00000000 00:00000000 00000000  1000        0 12 1 0
   3: 0100007F:37EE 0100007F:C352 01 00000000:00000000 00:00000000 00000000  1000        0 13 1 0
";

        #[test]
        fn the_owner_is_the_peers_not_ours_and_never_nobodys() {
            let owner = |peer| find(TABLE, peer, "0100007F:37EE");
            assert_eq!(owner("0100007F:C351"), Some(1000));
            assert_eq!(owner("0100007F:C350"), None, "TIME_WAIT shows uid 0 of nobody");
            assert_eq!(owner("0100007F:C352"), None, "only our own end is listed");
            assert_eq!(find("", "0100007F:C351", "0100007F:37EE"), None);
        }

        #[test]
        #[cfg(target_endian = "little")]
        fn addresses_are_printed_as_the_kernel_does() {
            let text = |form: Form, address: &str| form.text(address.parse().unwrap());
            let v6 = "00000000000000000000000001000000:37EE";
            let mapped = "0000000000000000FFFF00000100007F:37EE";
            assert_eq!(text(Form::V4, "127.0.0.1:14318").as_deref(), Some("0100007F:37EE"));
            assert_eq!(
                text(Form::V4, "[::ffff:127.0.0.1]:14318").as_deref(),
                Some("0100007F:37EE")
            );
            assert_eq!(text(Form::V6, "[::1]:14318").as_deref(), Some(v6));
            assert_eq!(text(Form::V6, "127.0.0.1:14318").as_deref(), Some(mapped));
            assert_eq!(text(Form::V4, "[::1]:14318"), None);
        }
    }
}
