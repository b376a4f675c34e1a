//! Signals through a pipe: waiting for one costs nothing.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

/// What somebody wants of the holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Stop,
    Restart,
}

pub struct Signals(SignalDelivery<UnixStream, SignalOnly>);

impl Signals {
    pub fn listen() -> std::io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let signals = [SIGTERM, SIGINT, SIGHUP, SIGCHLD];
        Ok(Self(SignalDelivery::with_pipe(read, write, SignalOnly, signals)?))
    }

    /// Sleeps until a signal arrives or the time is over. `None` means: look at the worker.
    pub fn wait(&mut self, limit: Option<Duration>) -> Option<Request> {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        // An interrupted poll is a signal, and it is in the pipe.
        let _ = poll(&mut [PollFd::new(self.0.get_read(), PollFlags::IN)], limit.as_ref());
        let mut request = None;
        for signal in self.0.pending() {
            match signal {
                SIGTERM | SIGINT => request = Some(Request::Stop),
                SIGHUP => request = request.or(Some(Request::Restart)),
                _ => {}
            }
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_by_itself() {
        let mut signals = Signals::listen().unwrap();
        assert_eq!(signals.wait(Some(Duration::from_millis(1))), None);
    }
}
