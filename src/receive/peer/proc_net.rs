//! `/proc/net/tcp` and `tcp6`: where the kernel has no socket diagnosis. Reading one costs up to 20 ms,
//! since the kernel walks its whole hash table for it.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// The owner of the socket at `remote` that is connected to `local`.
pub fn owner(remote: SocketAddr, local: SocketAddr) -> io::Result<Option<u32>> {
    // A dual-stack socket is listed in tcp6 though it speaks IPv4.
    for (table, form) in [("/proc/net/tcp", Form::V4), ("/proc/net/tcp6", Form::V6)] {
        let (Some(remote), Some(local)) = (form.text(remote), form.text(local)) else {
            continue;
        };
        let found = match fs::read_to_string(table) {
            Ok(sockets) => find(&sockets, &remote, &local),
            // Without IPv6 in the kernel there is no second table.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The owner of the socket with these addresses.
///
/// Columns: `sl local rem st tx:rx tr:when retrnsmt uid timeout inode …`. A socket that nobody
/// holds any more (TIME_WAIT, orphaned) is listed with uid 0 and inode 0: it has no owner.
fn find(table: &str, peer: &str, ours: &str) -> Option<u32> {
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
enum Form {
    V4,
    V6,
}

impl Form {
    /// An address as the kernel prints it: 32-bit words in the machine's byte order, then the port.
    fn text(self, address: SocketAddr) -> Option<String> {
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
        assert_eq!(text(Form::V4, "[::ffff:127.0.0.1]:14318").as_deref(), Some("0100007F:37EE"));
        assert_eq!(text(Form::V6, "[::1]:14318").as_deref(), Some(v6));
        assert_eq!(text(Form::V6, "127.0.0.1:14318").as_deref(), Some(mapped));
        assert_eq!(text(Form::V4, "[::1]:14318"), None);
    }
}
