//! A proxy between a client and the agent that loses answers, or holds them back. Requests always
//! arrive.
//!
//! An answer begins with the agent's first byte over HTTP/1, and with its first HEADERS frame over
//! HTTP/2: what comes before (SETTINGS, acknowledgements) is the connection's.
//!
//! ```text
//! HTTP/2 frame = length:3 bytes · type:u8 · flags:u8 · stream:4 bytes · payload      (RFC 9113, 4.1)
//! ```

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::clients::Protocol;

const FRAME_HEAD_BYTES: usize = 9;
const FRAME_TYPE_AT: usize = 3;
const HEADERS: u8 = 1;

/// What happens to an answer.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The connection is cut in its place.
    Lost,
    Late(Duration),
}

/// Ends with the test's process; its connections end with their clients.
pub struct Proxy {
    pub address: SocketAddr,
    left: Arc<AtomicUsize>,
}

impl Proxy {
    /// Treats the first `answers` so, and lets the others pass.
    pub fn start(
        agent: SocketAddr,
        protocol: Protocol,
        fault: Fault,
        answers: usize,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let left = Arc::new(AtomicUsize::new(answers));
        let shared = Arc::clone(&left);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let left = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // Either side may be gone: that ends this connection, as it should.
                    let _ = relay(&client, agent, protocol, fault, &left);
                    let _ = client.shutdown(Shutdown::Both);
                });
            }
        });
        Ok(Self { address, left })
    }

    /// Answers that are still to be lost or held back.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }
}

fn relay(
    client: &TcpStream,
    agent: SocketAddr,
    protocol: Protocol,
    fault: Fault,
    left: &AtomicUsize,
) -> io::Result<()> {
    let upstream = TcpStream::connect(agent)?;
    let (mut from_client, mut to_agent) = (client.try_clone()?, upstream.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_agent);
        let _ = to_agent.shutdown(Shutdown::Write);
    });
    let (mut upstream, mut client) = (upstream, client);
    loop {
        let (piece, begins_answer) = match protocol {
            Protocol::Grpc => frame(&mut upstream)?,
            Protocol::Protobuf | Protocol::Json => (some(&mut upstream)?, true),
        };
        if begins_answer && take_one(left) {
            match fault {
                Fault::Lost => {
                    upstream.shutdown(Shutdown::Both)?;
                    return Ok(());
                }
                Fault::Late(delay) => std::thread::sleep(delay),
            }
        }
        client.write_all(&piece)?;
    }
}

fn take_one(left: &AtomicUsize) -> bool {
    let one_less = |left: usize| left.checked_sub(1);
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
}

/// What has arrived. The agent's answers are small, and written whole.
fn some(upstream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; 64 << 10];
    let length = upstream.read(&mut piece)?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    piece.truncate(length);
    Ok(piece)
}

/// One whole frame, and whether an answer begins with it.
fn frame(upstream: &mut TcpStream) -> io::Result<(Vec<u8>, bool)> {
    let mut frame = vec![0; FRAME_HEAD_BYTES];
    upstream.read_exact(&mut frame)?;
    let length = frame[..FRAME_TYPE_AT].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let is_headers = frame[FRAME_TYPE_AT] == HEADERS;
    frame.resize(FRAME_HEAD_BYTES + length, 0);
    upstream.read_exact(&mut frame[FRAME_HEAD_BYTES..])?;
    Ok((frame, is_headers))
}
