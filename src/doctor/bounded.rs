//! A program that is asked something, with a limit on its time and on what it says.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// What is read of an answer.
const OUTPUT_BYTES_MAX: u64 = 256 * 1024;
/// Between two looks whether it has ended.
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
    Failed(std::process::ExitStatus, String),
}

/// Standard output of a command that leads its own process group, or what came of it.
pub fn output(command: &mut Command, wait: Duration) -> Result<String, Unanswered> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Unanswered::NotStarted(crate::agent::files::words(&error)))?;
    let (received, errors) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let deadline = Instant::now() + wait;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            _ if Instant::now() >= deadline => {
                end(&mut child);
                return Err(Unanswered::TimedOut(wait));
            }
            _ => std::thread::sleep(PAUSE),
        }
    };
    let left = deadline.saturating_duration_since(Instant::now()).max(PAUSE);
    let bytes = received.recv_timeout(left).unwrap_or_default();
    if !status.success() {
        let errors = errors.recv_timeout(PAUSE).unwrap_or_default();
        let errors = String::from_utf8_lossy(&errors);
        let last = errors.lines().rev().find(|line| !line.trim().is_empty());
        return Err(Unanswered::Failed(status, last.unwrap_or_default().trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Something it leaves in the background may hold a pipe open: the reader is not waited for.
fn reader(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, received) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
            // More is read and dropped, so that it does not wait for a reader.
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        let _ = sender.send(bytes);
    });
    received
}

fn said(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!(": {line}") }
}

/// It, and what it has started.
fn end(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    fn sh(script: &str, wait: Duration) -> Result<String, Unanswered> {
        output(Command::new("sh").args(["-c", script]).process_group(0), wait)
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_its_children() {
        let began = Instant::now();
        let hung = sh("sleep 60 & sleep 60", Duration::from_millis(200));
        assert!(matches!(hung, Err(Unanswered::TimedOut(_))), "{hung:?}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn one_that_leaves_something_behind_is_heard() {
        let wait = Duration::from_secs(5);
        assert_eq!(sh("echo said", wait).unwrap(), "said\n");
        assert!(matches!(sh("exit 3", wait), Err(Unanswered::Failed(..))));
        let missing = output(&mut Command::new("/nonexistent/program"), wait).unwrap_err();
        assert_eq!(missing.to_string(), "it cannot be started: it does not exist");
    }
}
