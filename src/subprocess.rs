//! Somebody else's program that is asked something, with a limit on its time and on what it says.
//!
//! It may hang, and what it leaves in the background may hold its pipes open: after its end nobody waits
//! for more than is there. The user's own status line, which is shown as far as it came, is another
//! matter: [`crate::statusline::chain`].

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process_group};

/// What is kept of an answer. More is read and dropped, so that it does not wait for a reader.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// What is read of a pipe before the clock is looked at again: no pipe holds more at one time, unless root
/// made it so, and one that is filled as fast as it is read would never be empty.
const LOOK_BYTES_MAX: usize = 1 << 20;
/// Between two looks whether it has ended, while it says nothing.
const PAUSE: Duration = Duration::from_millis(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error("it cannot be started: {0}")]
    NotStarted(String),
    #[error("it took more than {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// With the last line that it said of an error.
    #[error("it ended with {0}{said}", said = said(.1))]
    Failed(ExitStatus, String),
}

/// Standard output of a command, or what came of it. One that leads its own process group is ended with
/// everything in it.
pub fn output(command: &mut Command, wait: Duration) -> Result<String, Unanswered> {
    let not_started =
        |error: &std::io::Error| Unanswered::NotStarted(crate::agent::files::words(error));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| not_started(&error))?;
    let mut stdout = Pipe::of(child.stdout.take());
    let mut stderr = Pipe::of(child.stderr.take());
    let deadline = Instant::now() + wait;
    let status = loop {
        // Asked before its pipes are read: what it said last is in them by then.
        let ended = child.try_wait().ok().flatten();
        stdout.read_what_is_there();
        stderr.read_what_is_there();
        if let Some(status) = ended {
            break status;
        }
        if Instant::now() >= deadline {
            end(&mut child);
            return Err(Unanswered::TimedOut(wait));
        }
        wait_for_more(&stdout, &stderr);
    };
    if !status.success() {
        let errors = stderr.text();
        let last = errors.lines().rev().find(|line| !line.trim().is_empty());
        return Err(Unanswered::Failed(status, last.unwrap_or_default().trim().to_owned()));
    }
    Ok(stdout.text())
}

/// One of its two outputs, which is read without waiting.
struct Pipe<P> {
    /// `None` once it is closed.
    open: Option<P>,
    kept: Vec<u8>,
}

impl<P: Read + AsFd> Pipe<P> {
    fn of(pipe: Option<P>) -> Self {
        let open = pipe.filter(|pipe| rustix::io::ioctl_fionbio(pipe, true).is_ok());
        Self { open, kept: Vec::new() }
    }

    fn read_what_is_there(&mut self) {
        let (mut part, mut read) = ([0; 8192], 0);
        while let Some(pipe) = self.open.as_mut().filter(|_| read < LOOK_BYTES_MAX) {
            match pipe.read(&mut part) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => self.open = None,
                Ok(length) => {
                    read += length;
                    let room = OUTPUT_BYTES_MAX - self.kept.len();
                    self.kept.extend_from_slice(&part[..length.min(room)]);
                }
            }
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }
}

/// Until one of them has something, and no longer than [`PAUSE`].
fn wait_for_more<O: AsFd, E: AsFd>(stdout: &Pipe<O>, stderr: &Pipe<E>) {
    let stdout = stdout.open.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN));
    let stderr = stderr.open.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN));
    let mut open: Vec<PollFd<'_>> = stdout.into_iter().chain(stderr).collect();
    if let Ok(timeout) = PAUSE.try_into() {
        let _ = poll(&mut open, Some(&timeout));
    }
}

fn said(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!(": {line}") }
}

/// It, and what it has started.
pub fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn sh(script: &str, wait: Duration) -> Result<String, Unanswered> {
        output(Command::new("sh").args(["-c", script]).process_group(0), wait)
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_its_children() {
        let began = Instant::now();
        let hung = sh("sleep 60 & sleep 60", Duration::from_millis(200));
        assert!(matches!(hung, Err(Unanswered::TimedOut(_))), "{hung:?}");
        assert!(began.elapsed() < LONG);
    }

    #[test]
    fn one_that_leaves_something_behind_is_heard_and_not_waited_for() {
        let began = Instant::now();
        assert_eq!(sh("sleep 60 & echo said", LONG * 2).unwrap(), "said\n");
        assert!(began.elapsed() < LONG);
    }

    #[test]
    fn a_failure_is_told_with_its_last_line() {
        let failed = sh("echo one >&2; echo two >&2; echo >&2; exit 3", LONG).unwrap_err();
        assert_eq!(failed.to_string(), "it ended with exit status: 3: two");
        let missing = output(&mut Command::new("/nonexistent/program"), LONG).unwrap_err();
        assert_eq!(missing.to_string(), "it cannot be started: it does not exist");
    }

    #[test]
    fn one_that_never_stops_talking_is_heard_to_a_limit() {
        let said = sh("yes | head -c 3000000; yes | head -c 3000000 >&2", LONG).unwrap();
        assert_eq!(said.len(), OUTPUT_BYTES_MAX);
    }

    #[test]
    fn a_pipe_that_is_never_empty_keeps_nobody_from_the_clock() {
        let zeros = std::fs::File::open("/dev/zero").unwrap();
        let mut pipe = Pipe { open: Some(zeros), kept: Vec::new() };
        pipe.read_what_is_there();
        assert!(pipe.open.is_some());
        assert_eq!(pipe.kept.len(), OUTPUT_BYTES_MAX);
        let endless = sh("cat /dev/zero & cat /dev/zero", Duration::from_millis(200));
        assert!(matches!(endless, Err(Unanswered::TimedOut(_))), "{endless:?}");
    }
}
