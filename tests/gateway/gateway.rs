//! A gateway that runs as a process, in the foreground, as a container would have it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::authority::Authority;
use super::harness::poll;
use super::harness::sandbox::Sandbox;

/// A process is up, replaced or gone long before.
pub const DEADLINE: Duration = Duration::from_mins(1);
/// Where it listens, and what its certificate is for.
pub const HOST: &str = "127.0.0.1";

pub struct Gateway {
    pub sandbox: Sandbox,
    pub authority: Authority,
    pub address: SocketAddr,
    child: Child,
}

/// `[gateway]` with TLS of this authority.
pub fn with_tls(authority: &Authority, host: &str) -> String {
    format!(
        "[gateway]\nlisten = [\"{host}:0\"]\ntls = {{ cert = \"{}\", key = \"{}\" }}\n",
        authority.path("tls.crt").display(),
        authority.path("tls.key").display(),
    )
}

impl Gateway {
    /// Over TLS, with a token for each of `senders` and whatever else `more` configures.
    pub fn start(senders: &[&str], more: &str) -> Result<Self> {
        let authority = Authority::for_gateway(HOST)?;
        let config = with_tls(&authority, HOST) + more;
        Self::start_with(authority, &config, senders)
    }

    pub fn start_with(authority: Authority, config: &str, senders: &[&str]) -> Result<Self> {
        let sandbox = Sandbox::new()?;
        fs::write(sandbox.config_dir().join("config.toml"), config)?;
        for sender in senders {
            write_token(&sandbox, sender, &token_of(sender))?;
        }
        let (child, address) = run(&sandbox)?;
        Ok(Self { sandbox, authority, address, child })
    }

    pub fn status(&self) -> Result<Value> {
        self.sandbox.json(&["status", "--json"])
    }

    /// What `status` says of one sender.
    pub fn sender(&self, name: &str) -> Result<Value> {
        let status = self.status()?;
        let senders =
            status["gateway"]["senders"].as_array().with_context(|| status.to_string())?;
        let found = senders.iter().find(|sender| sender["name"] == name);
        Ok(found.with_context(|| status.to_string())?.clone())
    }

    pub fn denied(&self) -> Result<u64> {
        let status = self.status()?;
        status["requests"]["denied"].as_u64().with_context(|| status.to_string())
    }

    /// Kills the worker as a lack of memory would; the holder stays.
    pub fn kill_worker(&self) -> Result<()> {
        let pid = Pid::from_raw(self.sandbox.worker_pid()?).context("no worker")?;
        Ok(kill_process(pid, Signal::KILL)?)
    }

    /// SIGTERM, as Kubernetes ends a container.
    pub fn end(&mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.child.id())?;
        kill_process(Pid::from_raw(pid).context("no pid")?, Signal::TERM)?;
        poll::until("the gateway ends", DEADLINE, || {
            self.child.try_wait()?.context("it still runs")
        })
    }

    /// With the same directories, after [`Self::end`].
    pub fn start_again(&mut self) -> Result<()> {
        let (child, address) = run(&self.sandbox)?;
        (self.child, self.address) = (child, address);
        Ok(())
    }

    /// What it said on standard error.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(log_file(&self.sandbox))?)
    }

    /// Waits until changed certificates, its own or those of an authority, are in use.
    pub fn has_read_certificates(&self) -> Result<()> {
        poll::until("changed certificates are in use", DEADLINE, || {
            let log = self.log()?;
            ensure!(log.contains("the certificate's files were read"), "{log}");
            Ok(())
        })
    }

    /// Rows of `report --by sender`: sender, cost, sessions, requests.
    pub fn report(&self) -> Result<Vec<(String, f64, u64, u64)>> {
        let document =
            self.sandbox.json(&["report", "--by", "sender", "--since", "2d", "--json"])?;
        let rows = document["rows"].as_array().with_context(|| document.to_string())?;
        rows.iter()
            .map(|row| {
                let whole = |key: &str| row[key].as_u64().with_context(|| row.to_string());
                let sender = row["sender"].as_str().unwrap_or_default().to_owned();
                let cost = row["cost_usd"].as_f64().with_context(|| row.to_string())?;
                Ok((sender, cost, whole("sessions")?, whole("requests")?))
            })
            .collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.end();
        }
    }
}

pub fn write_token(sandbox: &Sandbox, sender: &str, token: &str) -> Result<()> {
    let directory = tokens_dir(sandbox);
    fs::create_dir_all(&directory)?;
    Ok(fs::write(directory.join(sender), format!("{token}\n"))?)
}

pub fn tokens_dir(sandbox: &Sandbox) -> PathBuf {
    sandbox.config_dir().join("tokens")
}

/// No secret here: each sender has one that can be told by its name.
pub fn token_of(sender: &str) -> String {
    format!("0123456789abcdef-{}", sender.replace('.', "_"))
}

/// In the foreground, its words in a file; returns when it answers.
fn run(sandbox: &Sandbox) -> Result<(Child, SocketAddr)> {
    let log = File::create(log_file(sandbox))?;
    let mut child = sandbox
        .ccotel(&["agent", "run", "--gateway"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let address = poll::until("the gateway answers", DEADLINE, || {
        if let Some(status) = child.try_wait()? {
            let said = fs::read_to_string(log_file(sandbox))?;
            return Ok(Err(anyhow::anyhow!("it ended with {status}: {said}")));
        }
        let status = sandbox.json(&["status", "--json"])?;
        ensure!(status["worker"]["pid"].is_number(), "{status}");
        Ok(Ok(sandbox.agent_address()?))
    })??;
    Ok((child, address))
}

fn log_file(sandbox: &Sandbox) -> PathBuf {
    sandbox.data_dir().with_extension("log")
}

/// Whether it ended by itself and said nothing is wrong.
pub fn is_orderly(status: ExitStatus) -> bool {
    status.success() && status.signal().is_none()
}
