//! A plain GET of a server of the stack, on loopback: no runtime, no proxy, no redirect.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::agent::files;

const CONNECT_WAIT: Duration = Duration::from_secs(1);
const ANSWER_WAIT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// The body of a 200. `query` is encoded here.
pub fn get(port: u16, path: &str, query: &[(&str, &str)]) -> anyhow::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let said = |what: &str, error: &std::io::Error| {
        anyhow::anyhow!("{what} on 127.0.0.1:{port} ({})", files::words(error))
    };
    let stream = TcpStream::connect_timeout(&address, CONNECT_WAIT)
        .map_err(|error| said("nothing answers", &error))?;
    let request =
        format!("GET {path}{} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n", encoded(query));
    let answer =
        exchange(stream, &request).map_err(|error| said("no answer comes from what is", &error))?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer in HTTP")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    ensure!(status == "200", "it answers with {status}");
    Ok(body.to_owned())
}

fn exchange(mut stream: TcpStream, request: &str) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    stream.set_write_timeout(Some(ANSWER_WAIT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

fn encoded(query: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (index, (name, value)) in query.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() {
                text.push(char::from(byte));
            } else {
                write!(text, "%{byte:02X}").expect("a String takes everything");
            }
        }
    }
    text
}
