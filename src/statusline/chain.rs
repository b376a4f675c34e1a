//! The user's own status line, which ours stands behind: the same standard input, its output first.
//!
//! It is theirs, so it may be slow, fail, print nothing, or leave something running in the background;
//! none of it takes our line away. What it printed in time is shown.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

/// How long it may take. One that starts an interpreter takes a second.
pub const WAIT: Duration = Duration::from_secs(3);
/// What it left in the background may hold its output open: after its end nobody waits longer.
const GRACE: Duration = Duration::from_millis(30);
/// How often it is looked at while it prints nothing.
const POLL: Duration = Duration::from_millis(10);
/// Longest output that is shown.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Their command, running.
pub struct Chained {
    child: Child,
    deadline: Instant,
}

/// Starts it as Claude Code would, by the shell, with this standard input.
pub fn start(command: &str, stdin: Vec<u8>) -> Option<Chained> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Nobody sees it, and what holds it open would hold up Claude Code.
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()?;
    if let Some(mut pipe) = child.stdin.take() {
        // One that reads nothing must not hold us up: a thread does, and ends with the process.
        let _ = std::thread::Builder::new().spawn(move || drop(pipe.write_all(&stdin)));
    }
    Some(Chained { child, deadline: Instant::now() + WAIT })
}

impl Chained {
    /// What it printed, without the line end.
    pub fn output(mut self) -> String {
        let printed = self.child.stdout.take().map(|stdout| self.read(stdout)).unwrap_or_default();
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // Its children as well: they are a group of their own.
            crate::subprocess::end(&mut self.child);
        }
        String::from_utf8_lossy(&printed).trim_end().to_owned()
    }

    fn read(&mut self, mut stdout: ChildStdout) -> Vec<u8> {
        let mut printed = Vec::new();
        let mut part = [0; 4096];
        let mut ended: Option<Instant> = None;
        while rustix::io::ioctl_fionbio(&stdout, true).is_ok() && printed.len() < OUTPUT_BYTES_MAX {
            if ended.is_none() && matches!(self.child.try_wait(), Ok(Some(_))) {
                ended = Some(Instant::now());
            }
            match stdout.read(&mut part) {
                Ok(0) => break,
                Ok(length) => printed.extend_from_slice(&part[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let over = ended.is_some_and(|at| at.elapsed() >= GRACE);
                    if over || Instant::now() >= self.deadline {
                        break;
                    }
                    wait(&stdout);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.leave_time();
        printed.truncate(OUTPUT_BYTES_MAX);
        printed
    }

    /// It has closed its output and is about to end by itself.
    fn leave_time(&mut self) {
        let until = self.deadline.min(Instant::now() + GRACE);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn wait(stdout: &ChildStdout) {
    if let Ok(timeout) = POLL.try_into() {
        let _ = poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&timeout));
    }
}
