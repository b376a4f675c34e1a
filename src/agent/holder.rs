//! `agent run`: keeps the locks and the sockets, and a worker that uses them.
//!
//! ```text
//!            ┌── worker died ──▶ Waiting (0, 100 ms … 5 s) ──┐
//!  Running ◀─┴────────────────── start ◀─────────────────────┘
//!     │ SIGTERM, SIGINT          drain the worker, remove agent.json, end
//!     └ SIGHUP                   drain the worker, become restart.json's binary by exec
//! ```
//!
//! No runtime, no thread, no timer while all is well: one `poll` on the signal pipe.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::identity::{Death, Identity};
use super::signals::{Request, Signals};
use super::sockets::{self, Ports, Sockets};
use super::{ensure, files, identity, lock, log, spawn};
use crate::paths::Paths;

/// A worker that is asked to end and does not is killed after this.
const DRAIN_WAIT: Duration = Duration::from_secs(10);
/// A worker that lived shorter died "fast".
const FAST_DEATH: Duration = Duration::from_secs(10);
/// So many fast deaths in a row are answered at once; then pauses begin.
const FAST_DEATHS_FREE: u32 = 10;
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a starter that is at work is waited for.
const START_WAIT: Duration = Duration::from_secs(2);
/// Longest last words of a worker that are kept.
const LAST_WORDS_BYTES_MAX: usize = 2048;

/// `restart.json`: what the holder becomes at SIGHUP.
#[derive(Debug, Serialize, Deserialize)]
pub struct Restart {
    pub exe: PathBuf,
    /// `[agent] listen` as it is now: what is new is bound beside what is there.
    pub listen: Vec<SocketAddr>,
}

/// What keeps a holder from running, in words.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    #[error("an agent already runs here{}; `ccotel agent stop` ends it, `ccotel agent restart` replaces it", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    AlreadyRuns { pid: Option<u32> },
}

/// Sleeps while another agent runs here.
pub fn wait_for_turn(paths: &Paths) -> anyhow::Result<()> {
    while lock::is_held(&paths.agent_lock())? {
        lock::wait_until_free(&paths.agent_lock())?;
    }
    Ok(())
}

/// As what a holder runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Started by `agent spawn`, with nobody at a terminal.
    Detached,
    /// In the foreground, or of a service manager.
    Foreground,
    /// For many senders: in the foreground, as the first process of a container too. What happens is
    /// said on standard error.
    Gateway,
}

impl Role {
    fn ports(self) -> Ports {
        if self == Self::Gateway { Ports::AsConfigured } else { Ports::Free }
    }

    /// What the next holder is called with.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Detached => &["run", "--detached"],
            Self::Foreground => &["run"],
            Self::Gateway => &["run", "--gateway"],
        }
    }
}

/// Runs until it is told to stop.
pub fn run(paths: &Paths, listen: &[SocketAddr], role: Role) -> anyhow::Result<()> {
    if role == Role::Gateway {
        log::use_stderr();
    }
    let detached = role == Role::Detached;
    let signals = Signals::listen().context("cannot listen for signals")?;
    if detached {
        // Fails only if this is a session leader already, as after a hand-over.
        let _ = rustix::process::setsid();
    }
    let Taken { lock, sockets, exe, socket_unit } = take_over(paths, listen, role.ports())?;
    let mut identity = Identity::new(exe, sockets.addresses(), sockets.control_path(paths));
    identity.socket_unit = socket_unit;
    identity.gateway = role == Role::Gateway;
    identity.pid = Some(std::process::id());
    identity.write(paths)?;
    if !detached {
        let addresses: Vec<_> = identity.addresses.iter().map(ToString::to_string).collect();
        let who = if identity.gateway { "gateway" } else { "agent" };
        eprintln!("ccotel: {who} {} listens on {}", identity.version, addresses.join(", "));
    }
    let at_terminal = !detached && std::io::stderr().is_terminal();
    let mut holder = Holder { paths, lock, sockets, identity, signals, role, at_terminal };
    holder.keep_running()
}

/// What a holder begins with.
struct Taken {
    lock: File,
    sockets: Sockets,
    exe: PathBuf,
    socket_unit: bool,
}

/// Lock and sockets: those that came with the process, or new ones.
fn take_over(paths: &Paths, listen: &[SocketAddr], ports: Ports) -> anyhow::Result<Taken> {
    let inherited = sockets::inherit().context("cannot use the sockets that were passed")?;
    let exe = spawn::own_exe().context("cannot tell which binary this is")?;
    if let (Some(lock), Some(control)) = (inherited_lock(paths), &inherited.control) {
        // `agent restart` is what a worker without a token asks for.
        identity::token_or_new(paths)?;
        let configured = take_restart(paths).map(|restart| restart.listen).unwrap_or_default();
        let otlp = sockets::bind_otlp(paths, &configured, ports, inherited.otlp)?;
        // The end of a login session empties the runtime directory.
        let lost = !sockets::path_of(control).is_some_and(|path| path.exists());
        let control = if lost { None } else { inherited.control };
        let control = control.map_or_else(|| sockets::bind_control(paths), Ok)?;
        // The holder before this one has said so.
        let socket_unit = Identity::read(paths)?.is_some_and(|before| before.socket_unit);
        return Ok(Taken { lock, sockets: Sockets { otlp, control }, exe, socket_unit });
    }
    let socket_unit = inherited.control.is_some();
    files::private_dir(&paths.data_dir)?;
    let start_lock = lock::take(&paths.start_lock(), START_WAIT)?;
    let lock = if lock::is_held(&paths.agent_lock())? {
        None
    } else {
        lock::take(&paths.agent_lock(), Duration::from_millis(100))?
    };
    let Some(lock) = lock else {
        let pid = ensure::running(paths)?.and_then(|identity| identity.pid);
        return Err(NotStarted::AlreadyRuns { pid }.into());
    };
    files::remove(&paths.agent_json())?;
    files::remove(&paths.restart_json())?;
    identity::token_or_new(paths)?;
    let sockets = sockets::bind(paths, listen, ports, inherited)?;
    drop(start_lock);
    Ok(Taken { lock, sockets, exe, socket_unit })
}

/// Standard input, if it is `agent.lock` and the lock is ours.
fn inherited_lock(paths: &Paths) -> Option<File> {
    let stdin = File::from(std::io::stdin().as_fd().try_clone_to_owned().ok()?);
    let (given, wanted) = (stdin.metadata().ok()?, std::fs::metadata(paths.agent_lock()).ok()?);
    let same = (given.dev(), given.ino()) == (wanted.dev(), wanted.ino());
    (same && stdin.try_lock().is_ok()).then_some(stdin)
}

fn take_restart(paths: &Paths) -> Option<Restart> {
    let content = files::read_small(&paths.restart_json()).ok()??;
    let _ = files::remove(&paths.restart_json());
    serde_json::from_slice(&content).ok()
}

struct Holder<'a> {
    paths: &'a Paths,
    lock: File,
    sockets: Sockets,
    identity: Identity,
    signals: Signals,
    role: Role,
    at_terminal: bool,
}

impl Holder<'_> {
    fn keep_running(&mut self) -> anyhow::Result<()> {
        let mut fast_deaths = 0;
        loop {
            let started = Instant::now();
            let (asked, reason) = match self.start_worker() {
                Ok(mut worker) => self.watch(&mut worker),
                Err(error) => (None, Some(format!("it could not be started: {error:#}"))),
            };
            let asked = if asked.is_some() {
                asked
            } else {
                fast_deaths = if started.elapsed() < FAST_DEATH { fast_deaths + 1 } else { 0 };
                if let Some(reason) = reason {
                    self.note_death(reason, fast_deaths);
                }
                self.pause(pause_after(fast_deaths))
            };
            match asked {
                None => {}
                Some(Request::Stop) => return self.end(),
                Some(Request::Restart) => self.become_next()?,
            }
        }
    }

    fn start_worker(&self) -> anyhow::Result<Child> {
        let arguments: &[&str] = match self.role {
            Role::Gateway => &["worker", "--gateway"],
            Role::Detached | Role::Foreground => &["worker"],
        };
        let mut command = spawn::agent_command(&self.identity.exe, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        self.sockets.pass_to(&mut command)?;
        let mut worker = command
            .spawn()
            .with_context(|| format!("cannot run {}", self.identity.exe.display()))?;
        if let Some(stdout) = &mut worker.stdout {
            // A grandchild may keep it open: reading must not wait for its end.
            rustix::io::ioctl_fionbio(stdout, true)?;
        }
        Ok(worker)
    }

    /// Until the worker has ended (with its reason, if nobody wanted that) or somebody asks for something (worker drained).
    fn watch(&mut self, worker: &mut Child) -> (Option<Request>, Option<String>) {
        loop {
            match worker.try_wait() {
                Ok(None) => {}
                // Drained: it wants to begin anew, or somebody sent it a signal.
                Ok(Some(status)) if status.success() => return (None, None),
                Ok(Some(status)) => return (None, Some(words_of_death(worker, status))),
                Err(error) => return (None, Some(files::words(&error))),
            }
            if let Some(request) = self.signals.wait(None) {
                let request = self.understand(request);
                self.drain(worker);
                return (Some(request), None);
            }
        }
    }

    /// The leash is let go and SIGTERM sent; what does not end in time is killed.
    fn drain(&mut self, worker: &mut Child) {
        let pid = i32::try_from(worker.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        drop(worker.stdin.take());
        let deadline = Instant::now() + DRAIN_WAIT;
        while let Ok(None) = worker.try_wait() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                log::line(self.paths, "the worker did not end in time and was killed");
                let _ = worker.kill();
                let _ = worker.wait();
                return;
            }
            // Further requests change nothing now: the first one is being carried out.
            let _ = self.signals.wait(Some(left));
        }
    }

    fn pause(&mut self, pause: Duration) -> Option<Request> {
        let deadline = Instant::now() + pause;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            if let Some(request) = self.signals.wait(Some(left)) {
                return Some(self.understand(request));
            }
        }
    }

    /// A terminal that is closed sends SIGHUP too; there nobody wants a restart.
    fn understand(&self, request: Request) -> Request {
        match request {
            Request::Restart if self.at_terminal && !self.paths.restart_json().exists() => {
                Request::Stop
            }
            request => request,
        }
    }

    fn note_death(&mut self, reason: String, fast_deaths: u32) {
        log::line(self.paths, &format!("the worker ended: {reason}"));
        self.identity.restarts += 1;
        self.identity.last_death = Some(Death {
            at: jiff::Timestamp::now(),
            reason,
            repeating: fast_deaths > FAST_DEATHS_FREE,
        });
        // On a full disk the agent goes on without this note.
        let _ = self.identity.write(self.paths);
    }

    fn end(&mut self) -> anyhow::Result<()> {
        // A socket unit's socket starts the next agent.
        if !self.identity.socket_unit {
            files::remove(&self.paths.control_socket())?;
        }
        files::remove(&self.paths.agent_json())?;
        Ok(())
    }

    /// Returns only if it failed: then this binary goes on.
    fn become_next(&mut self) -> anyhow::Result<()> {
        let exe = self.next_exe();
        // No pid: until the next holder has set up its signals, nobody may send one.
        self.identity.pid = None;
        let _ = self.identity.write(self.paths);
        let mut command = spawn::agent_command(&exe, self.role.arguments());
        command.stdin(self.lock.try_clone()?);
        self.sockets.pass_to(&mut command)?;
        let error = command.exec();
        log::line(
            self.paths,
            &format!("cannot become {}: {}", exe.display(), files::words(&error)),
        );
        let _ = files::remove(&self.paths.restart_json());
        self.identity.pid = Some(std::process::id());
        let _ = self.identity.write(self.paths);
        Ok(())
    }

    fn next_exe(&self) -> PathBuf {
        let content = files::read_small(&self.paths.restart_json()).ok().flatten();
        content
            .and_then(|content| serde_json::from_slice::<Restart>(&content).ok())
            .map_or_else(|| self.identity.exe.clone(), |restart| restart.exe)
    }
}

/// None for the first few deaths, then 100 ms, doubled up to 5 s.
fn pause_after(fast_deaths: u32) -> Duration {
    match fast_deaths.checked_sub(FAST_DEATHS_FREE + 1) {
        None => Duration::ZERO,
        Some(more) => PAUSE_MIN.saturating_mul(2_u32.saturating_pow(more)).min(PAUSE_MAX),
    }
}

/// What a worker said last on its standard output, else how it ended.
fn words_of_death(worker: &mut Child, status: std::process::ExitStatus) -> String {
    let mut said = vec![0; LAST_WORDS_BYTES_MAX];
    let length = worker.stdout.take().and_then(|mut out| out.read(&mut said).ok()).unwrap_or(0);
    let said = String::from_utf8_lossy(&said[..length]).trim().to_owned();
    if said.is_empty() { status.to_string() } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_keeps_dying_is_started_with_growing_pauses() {
        let pauses: Vec<_> = (9..=19).map(|deaths| pause_after(deaths).as_millis()).collect();
        assert_eq!(pauses, [0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    }
}
