//! The control socket: how commands and the wrapper speak to the worker.
//!
//! One JSON line in, one JSON line out, and the connection ends. The socket is 0600 in a directory
//! 0700, and the worker checks the peer's user besides.
//!
//! ```text
//! {"protocol":1,"request":{"op":"retry","name":"team-prom"}}
//! {"protocol":1,"answer":{"result":"done","what":"trying team-prom now"}}
//! ```

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use serde::{Deserialize, Serialize};

use super::PROTOCOL;
use super::files;
use super::identity::Identity;
use super::notice::LaunchNotice;
use super::rooms::quarantine::QuarantineLine;
use crate::paths::Paths;
use crate::record::PrivacyLevel;
use crate::record::preview::Preview;
use crate::statusline::limits::Limits;

pub mod server;

/// Longest line in either direction.
pub const LINE_BYTES_MAX: u64 = 1024 * 1024;
/// How long one side waits for the other.
pub const WAIT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// The status document.
    Status,
    /// A launch; the sender does not wait for an answer.
    Launch { notice: LaunchNotice },
    /// What a status line was told of a subscription's limits; the sender does not wait for an answer.
    RateLimits { limits: Limits },
    /// Samples and history up to this moment, for a report.
    Sync,
    /// Where the local page is, and the token for it; starts to serve it.
    Page,
    /// Try one destination, or all, now.
    Retry { name: Option<String> },
    /// The key that ids are hashed with at the level `minimal`, in base64, for an import.
    InstallKey,
    /// The newest stored records, as each privacy level leaves them.
    Newest,
    /// Requests in quarantine, above this id.
    QuarantineList { after: i64 },
    /// A part of one request's body.
    QuarantineBody { id: i64, offset: usize },
    /// Send these again.
    QuarantineRetry { ids: Vec<i64> },
    /// Let go of these.
    QuarantineDrop { ids: Vec<i64> },
    /// End the agent.
    Stop,
    /// Replace the agent as `restart.json` says.
    Restart,
    /// Read the configuration again.
    Reload,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Answer {
    Done {
        what: String,
    },
    Status {
        status: serde_json::Value,
    },
    Quarantine {
        entries: Vec<QuarantineLine>,
    },
    Page {
        address: SocketAddr,
        token: String,
    },
    /// As they were stored at this level.
    Newest {
        stored: PrivacyLevel,
        records: Vec<Preview>,
    },
    /// In base64, from the offset that was asked for; none left of it at the end.
    Body {
        base64: String,
    },
    Failed {
        what: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub struct RequestLine {
    pub protocol: u32,
    pub request: Request,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct AnswerLine {
    pub protocol: u32,
    pub answer: Answer,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("the agent cannot be reached on {socket}: {why}; see `ccotel agent logs`")]
    Unreachable { socket: String, why: String },
    #[error(
        "the agent answered in a way that this version does not understand; `ccotel agent restart` replaces it"
    )]
    Strange,
    #[error("{0}")]
    Refused(String),
}

/// Asks and waits for the answer, at most [`WAIT`] for each step.
pub fn ask(paths: &Paths, request: Request) -> Result<Answer, ControlError> {
    let socket = socket(paths);
    let unreachable = |error: std::io::Error| ControlError::Unreachable {
        socket: socket.display().to_string(),
        why: files::words(&error),
    };
    let mut stream = UnixStream::connect(&socket).map_err(unreachable)?;
    stream.set_read_timeout(Some(WAIT)).map_err(unreachable)?;
    stream.set_write_timeout(Some(WAIT)).map_err(unreachable)?;
    stream.write_all(&encode(&RequestLine { protocol: PROTOCOL, request })).map_err(unreachable)?;
    let mut line = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut line).map_err(unreachable)?;
    let answer: AnswerLine = serde_json::from_str(&line).map_err(|_| ControlError::Strange)?;
    match answer.answer {
        Answer::Failed { what } => Err(ControlError::Refused(what)),
        answer => Ok(answer),
    }
}

/// Where the agent says it is: another shell's runtime directory may not be this one's.
fn socket(paths: &Paths) -> PathBuf {
    let identity = Identity::read(paths).ok().flatten();
    identity.map_or_else(|| paths.control_socket(), |identity| identity.control)
}

/// Whether somebody of this machine listens on the control socket.
pub fn answers(paths: &Paths) -> bool {
    UnixStream::connect(socket(paths)).is_ok()
}

/// Tells the agent of a launch. Never waits, and says nothing if it fails: it only enriches.
pub fn send_notice(paths: &Paths, notice: &LaunchNotice) {
    let _ = tell(paths, Request::Launch { notice: notice.clone() });
}

/// Tells the agent of limits, in the same way.
pub fn send_limits(paths: &Paths, limits: &Limits) {
    let _ = tell(paths, Request::RateLimits { limits: limits.clone() });
}

fn tell(paths: &Paths, request: Request) -> rustix::io::Result<()> {
    let stream = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::ioctl_fionbio(&stream, true)?;
    rustix::net::connect(&stream, &SocketAddrUnix::new(socket(paths))?)?;
    // One write: it fits into the socket's buffer, where it waits for a worker that is still starting.
    rustix::io::write(&stream, &encode(&RequestLine { protocol: PROTOCOL, request }))?;
    Ok(())
}

/// Brings samples and history up to this moment. Says why, where a running agent could not.
pub fn sync(paths: &Paths) -> Option<String> {
    match ask(paths, Request::Sync) {
        Ok(_) => None,
        // Nobody is there to know more than the file does.
        Err(ControlError::Unreachable { .. }) if !answers(paths) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// A message as one line.
pub fn encode(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("messages have only text keys");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yesterdays_lines_are_understood() {
        let lines = [
            (r#"{"protocol":1,"request":{"op":"status"}}"#, Request::Status),
            (r#"{"protocol":1,"request":{"op":"page"}}"#, Request::Page),
            (
                r#"{"protocol":1,"request":{"op":"retry","name":null}}"#,
                Request::Retry { name: None },
            ),
            (
                r#"{"protocol":1,"request":{"op":"launch","notice":{"id":"a","pid":7,"directory":"/w"}}}"#,
                Request::Launch {
                    notice: LaunchNotice { id: "a".into(), pid: 7, directory: "/w".into() },
                },
            ),
        ];
        for (line, wanted) in lines {
            let parsed: RequestLine = serde_json::from_str(line).unwrap();
            assert_eq!(parsed.request, wanted);
            let again = String::from_utf8(encode(&parsed)).unwrap();
            assert_eq!(again.trim_end(), line);
        }
    }
}
