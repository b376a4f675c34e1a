//! Starting, stopping and replacing the agent, for people.
//!
//! The worker is asked first, since it signals its own parent; a pid from a file is used only where
//! the worker does not answer, and only one that was written on this machine.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::control::{self, Answer, Request};
use super::ensure::{self, EnsureError};
use super::holder::Restart;
use super::identity::Identity;
use super::{files, lock, spawn};
use crate::config::Config;
use crate::paths::Paths;

/// How long an agent may take from its start to taking signals.
const READY_WAIT: Duration = Duration::from_secs(3);
/// How long it may take to end: the holder's patience with its worker, and some.
const STOP_WAIT: Duration = Duration::from_secs(13);
/// How long another starter is waited for.
const START_LOCK_WAIT: Duration = Duration::from_secs(3);

/// How long a running agent may take to read its configuration: it settles before.
const RELOAD_WAIT: Duration = Duration::from_secs(2);

/// What became of a start.
#[derive(Debug)]
pub enum Started {
    New(Identity),
    Already(Identity),
}

/// What became of a restart.
#[derive(Debug)]
pub enum Restarted {
    /// Nobody ran.
    Started(Identity),
    /// The version before, and who runs now.
    HandedOver { before: String, now: Identity },
    /// `--if-older`, and it was not.
    NotNeeded,
}

/// Ends `stop --stay`, and makes sure that an agent runs and answers.
pub fn start(paths: &Paths, config: &Config) -> anyhow::Result<Started> {
    files::remove(&paths.stay_file()).map_err(|error| told(&error.into()))?;
    let before = ensure::running(paths).map_err(|error| told(&error))?;
    ensure::ensure(paths, config).map_err(|error| told(&error))?;
    let identity = ready(paths)?;
    if let Err(error) = control::ask(paths, Request::Status) {
        match Identity::read(paths)?.and_then(|identity| identity.last_death) {
            Some(death) => {
                bail!("the agent cannot work: {}; see `ccotel agent logs`", death.reason)
            }
            None => bail!(error),
        }
    }
    Ok(if before.is_some() { Started::Already(identity) } else { Started::New(identity) })
}

/// Has a running agent read its configuration until its destinations are as wanted, so that the next
/// command finds it so. `false` if no agent runs; one that is slow comes to it by itself.
pub fn reload(paths: &Paths, wanted: impl Fn(&[&str]) -> bool) -> bool {
    if control::ask(paths, Request::Reload).is_err() {
        return false;
    }
    let _ = lock::wait_for(RELOAD_WAIT, || {
        let Ok(Answer::Status { status }) = control::ask(paths, Request::Status) else {
            return Ok::<_, Infallible>(None);
        };
        let destinations = status["destinations"].as_array().map_or(&[][..], Vec::as_slice);
        let names: Vec<&str> = destinations.iter().filter_map(|it| it["name"].as_str()).collect();
        Ok(wanted(&names).then_some(()))
    });
    true
}

/// Whether there was an agent to stop. `stay`: no `claude` starts it again.
pub fn stop(paths: &Paths, stay: bool) -> anyhow::Result<bool> {
    if stay {
        files::private_dir(&paths.data_dir)?;
        files::replace(&paths.stay_file(), b"")?;
    }
    if !lock::is_held(&paths.agent_lock())? {
        return Ok(false);
    }
    let identity = ready(paths)?;
    ask_or_signal(paths, &identity, Request::Stop, Signal::TERM)?;
    let ended = lock::wait_for(STOP_WAIT, || {
        // One that waits for its turn (`agent run --wait`) has taken over by now.
        let next = Identity::read(paths)?.is_some_and(|next| next.started != identity.started);
        anyhow::Ok((next || !lock::is_held(&paths.agent_lock())?).then_some(()))
    })?;
    ended.context("the agent does not end; `ccotel agent logs` says what it waits for")?;
    Ok(true)
}

/// Replaces the agent by this binary, without refusing a connection; starts one where none runs.
pub fn restart(paths: &Paths, config: &Config, if_older: bool) -> anyhow::Result<Restarted> {
    files::private_dir(&paths.data_dir).map_err(|error| told(&error.into()))?;
    let start_lock = lock::take(&paths.start_lock(), START_LOCK_WAIT)?
        .context("the agent is being started or restarted elsewhere; try again in a moment")?;
    if lock::is_held(&paths.agent_lock())? {
        let before = ready(paths)?;
        if if_older && !ensure::needs_replacing(&before) {
            return Ok(Restarted::NotNeeded);
        }
        if let Some(now) = hand_over(paths, config, &before)? {
            return Ok(Restarted::HandedOver { before: before.version, now });
        }
    }
    drop(start_lock);
    if if_older {
        return Ok(Restarted::NotNeeded);
    }
    match start(paths, config)? {
        Started::New(identity) | Started::Already(identity) => Ok(Restarted::Started(identity)),
    }
}

/// `None` if the agent ended instead.
fn hand_over(
    paths: &Paths,
    config: &Config,
    before: &Identity,
) -> anyhow::Result<Option<Identity>> {
    let exe = spawn::own_exe().context("cannot tell which binary this is")?;
    let listen = if before.gateway { &config.gateway.listen } else { &config.agent.listen };
    let restart = Restart { exe, listen: listen.clone() };
    let text = serde_json::to_vec(&restart).context("the path of this binary is not UTF-8")?;
    files::replace(&paths.restart_json(), &text)?;
    ask_or_signal(paths, before, Request::Restart, Signal::HUP)?;
    let now = lock::wait_for(STOP_WAIT, || {
        if !lock::is_held(&paths.agent_lock())? {
            return anyhow::Ok(Some(None));
        }
        let now = Identity::read(paths)?;
        let is_next = |now: &Identity| now.pid.is_some() && now.started != before.started;
        Ok(now.filter(is_next).map(Some))
    })?;
    now.context("the agent did not hand over; `ccotel agent logs` says why")
}

/// The agent, once it takes signals.
fn ready(paths: &Paths) -> anyhow::Result<Identity> {
    let ready = lock::wait_for(READY_WAIT, || {
        let running = ensure::running(paths)?;
        Ok::<_, EnsureError>(running.filter(|identity| identity.pid.is_some()))
    });
    ready
        .map_err(|error| told(&error))?
        .context("the agent holds its lock and does not say who it is; see `ccotel agent logs`")
}

fn ask_or_signal(
    paths: &Paths,
    identity: &Identity,
    request: Request,
    signal: Signal,
) -> anyhow::Result<()> {
    let Err(unanswered) = control::ask(paths, request) else { return Ok(()) };
    let pid = identity.pid.filter(|_| identity.is_of_this_machine());
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let Some(pid) = pid else { bail!(unanswered) };
    kill_process(pid, signal)
        .map_err(|error| anyhow::anyhow!(files::words(&error.into())))
        .with_context(|| format!("cannot signal the agent (pid {})", pid.as_raw_nonzero()))
}

/// What and what to do, in one sentence.
fn told(error: &EnsureError) -> anyhow::Error {
    anyhow::anyhow!("{error}: {}", error.remedy())
}
