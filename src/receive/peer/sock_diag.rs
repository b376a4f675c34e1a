//! One socket's owner, asked of the kernel over netlink in a few microseconds: `sock_diag(7)`.
//!
//! Every field is in the machine's byte order but ports and addresses, which are as on the wire.
//!
//! ```text
//! request   nlmsghdr 16 │ family 1, protocol 1, ext 1, pad 1, states 4 │ sockid 48
//! answer    nlmsghdr 16 │ family 1, state 1, timer 1, retrans 1        │ sockid 48 │ expires 4,
//!           rqueue 4, wqueue 4, uid 4, inode 4 │ attributes
//! sockid    sport 2, dport 2, source 16, destination 16, interface 4, cookie 8
//! nlmsghdr  length 4, type 2, flags 2, sequence 4, port 4
//! ```

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

const NLMSG_ERROR: u16 = 2;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;
const STATE_LISTEN: u8 = 10;
const ENOENT: i32 = 2;
const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: u32 = 16 + 8 + 48;
const ANSWER_BYTES_MAX: usize = 4096;

/// The owner of the socket at `remote` that is connected to `local`.
pub fn owner(remote: SocketAddr, local: SocketAddr) -> io::Result<Option<u32>> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(SOCK_DIAG))?;
    send(&socket, &request(remote, local), SendFlags::empty())?;
    let mut answer = [0; ANSWER_BYTES_MAX];
    // The kernel answers before `send` returns: nothing to read now is nothing at all.
    let (length, _) = recv(&socket, &mut answer, RecvFlags::DONTWAIT)?;
    read(&answer[..length], remote, local)
}

fn request(remote: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let (remote_ip, local_ip) = (remote.ip().to_canonical(), local.ip().to_canonical());
    let family = if remote_ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let mut request = Vec::with_capacity(REQUEST_BYTES as usize);
    request.extend(REQUEST_BYTES.to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([family.as_raw().to_ne_bytes()[0], IPPROTO_TCP, 0, 0]);
    request.extend(u32::MAX.to_ne_bytes()); // any state
    request.extend(remote.port().to_be_bytes());
    request.extend(local.port().to_be_bytes());
    request.extend(address(remote_ip));
    request.extend(address(local_ip));
    request.extend([0; 4]); // any interface
    request.extend([0xff; 8]); // no cookie
    request
}

fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// A socket that nobody holds any more (TIME_WAIT, orphaned) is told with uid 0 and inode 0: it has no
/// owner. Where no connection fits, the kernel tells of a listener on that port: it is not asked for.
fn read(answer: &[u8], remote: SocketAddr, local: SocketAddr) -> io::Result<Option<u32>> {
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "an answer of another form");
    let kind = bytes(answer, 4).map(u16::from_ne_bytes).ok_or_else(unreadable)?;
    if kind == NLMSG_ERROR {
        let code = bytes(answer, HEADER_BYTES).map(i32::from_ne_bytes).ok_or_else(unreadable)?;
        let error = code.wrapping_neg();
        return if error == ENOENT { Ok(None) } else { Err(io::Error::from_raw_os_error(error)) };
    }
    let answer = answer.get(HEADER_BYTES..).ok_or_else(unreadable)?;
    let [family, state] = bytes(answer, 0).ok_or_else(unreadable)?;
    let source = endpoint(family, answer, 4, 8).ok_or_else(unreadable)?;
    let destination = endpoint(family, answer, 6, 24).ok_or_else(unreadable)?;
    let uid = bytes(answer, 64).map(u32::from_ne_bytes).ok_or_else(unreadable)?;
    let inode = bytes(answer, 68).map(u32::from_ne_bytes).ok_or_else(unreadable)?;
    let asked_for = (source, destination) == (canonical(remote), canonical(local));
    Ok((asked_for && state != STATE_LISTEN && inode != 0).then_some(uid))
}

/// A dual-stack socket is told as IPv6 with mapped addresses, though asked for as IPv4.
fn endpoint(family: u8, answer: &[u8], port: usize, ip: usize) -> Option<(IpAddr, u16)> {
    let port = u16::from_be_bytes(bytes(answer, port)?);
    let ip = if u16::from(family) == AddressFamily::INET.as_raw() {
        IpAddr::from(bytes::<4>(answer, ip)?)
    } else {
        IpAddr::from(bytes::<16>(answer, ip)?).to_canonical()
    };
    Some((ip, port))
}

fn canonical(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

fn bytes<const N: usize>(answer: &[u8], at: usize) -> Option<[u8; N]> {
    answer.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::receive::peer::proc_net;

    /// Both ways of asking agree; `/proc` is the reference.
    #[test]
    fn the_owner_is_told_for_both_families_and_both_ends() {
        let us = rustix::process::geteuid().as_raw();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine without IPv6 has nothing to ask about.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let local = listener.local_addr().unwrap();
            let stream = TcpStream::connect(local).unwrap();
            let remote = stream.local_addr().unwrap();
            assert_eq!(owner(remote, local).unwrap(), Some(us), "{address}");
            assert_eq!(proc_net::owner(remote, local).unwrap(), Some(us), "{address}");
            let nobody = SocketAddr::new(local.ip(), 1);
            assert_eq!(owner(nobody, local).unwrap(), None, "no such connection");
            assert_eq!(owner(local, nobody).unwrap(), None, "a listener is no connection");
            assert_eq!(proc_net::owner(local, nobody).unwrap(), None);
        }
    }

    #[test]
    fn nobodys_socket_has_no_owner_and_nonsense_is_an_error() {
        let (remote, local) = (([127, 0, 0, 1], 5).into(), ([127, 0, 0, 1], 6).into());
        let answer = |state: u8, port: u8, inode: u32| {
            let mut answer = vec![0; HEADER_BYTES + 72];
            answer[4..6].copy_from_slice(&20_u16.to_ne_bytes());
            answer[HEADER_BYTES..][..2].copy_from_slice(&[2, state]);
            answer[HEADER_BYTES + 4..][..4].copy_from_slice(&[0, port, 0, 6]);
            answer[HEADER_BYTES + 8..][..4].copy_from_slice(&[127, 0, 0, 1]);
            answer[HEADER_BYTES + 24..][..4].copy_from_slice(&[127, 0, 0, 1]);
            answer[HEADER_BYTES + 64..][..4].copy_from_slice(&1000_u32.to_ne_bytes());
            answer[HEADER_BYTES + 68..][..4].copy_from_slice(&inode.to_ne_bytes());
            answer
        };
        assert_eq!(read(&answer(1, 5, 7), remote, local).unwrap(), Some(1000));
        assert_eq!(read(&answer(6, 5, 0), remote, local).unwrap(), None, "TIME_WAIT");
        assert_eq!(read(&answer(10, 5, 7), remote, local).unwrap(), None, "a listener");
        assert_eq!(read(&answer(1, 9, 7), remote, local).unwrap(), None, "another socket");
        assert!(read(&answer(1, 5, 7)[..80], remote, local).is_err());
        assert!(read(&[], remote, local).is_err());
    }
}
