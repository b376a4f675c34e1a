//! Running clients, what each says of itself, and what the agent must say of them all.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::harness::sandbox::Sandbox;
use crate::harness::{http, poll};
use crate::{MODULES_VARIABLE, modules};

/// A round takes milliseconds; an answer may be lost or late, and 50 processes share the machine.
const ROUND_DEADLINE: Duration = Duration::from_mins(2);
const REPORT_DEADLINE: Duration = Duration::from_mins(1);
/// Of one round, as `client.cjs` has it.
pub const COST_USD_PER_TOKEN: f64 = 0.25 / 7.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Protobuf,
    Json,
    Grpc,
}

impl Protocol {
    pub const ALL: [Self; 3] = [Self::Protobuf, Self::Json, Self::Grpc];

    fn name(self) -> &'static str {
        match self {
            Self::Protobuf => "http/protobuf",
            Self::Json => "http/json",
            Self::Grpc => "grpc",
        }
    }
}

/// What a client says of itself at its end.
#[derive(Clone, Debug, Deserialize)]
pub struct Tally {
    pub endpoint: String,
    pub sent: Counts,
    pub acknowledged: Counts,
    /// Of exports that the exporter gave up.
    pub failures: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Counts {
    pub events: u64,
    pub tokens: u64,
}

/// A process under `ccotel wrap`. Killed when dropped.
pub struct Client {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Client {
    /// Sends to the agent, or to a proxy in its place.
    pub fn start(sandbox: &Sandbox, protocol: Protocol, proxy: Option<SocketAddr>) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node_clients/client.cjs");
        let mut command = sandbox.ccotel(&["wrap"]);
        command
            .arg(script)
            .env(MODULES_VARIABLE, modules().context("the packages are found before")?)
            .env("CLIENT_PROTOCOL", protocol.name());
        if let Some(proxy) = proxy {
            command.env("CLIENT_ADDRESS", proxy.to_string());
        }
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = sync_channel(1024);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        Ok(Self { child, input, lines })
    }

    /// Asks for a round, and does not wait for it.
    pub fn ask(&mut self) -> Result<()> {
        let input = self.input.as_mut().context("the client's input is closed")?;
        Ok(input.write_all(b"round\n")?)
    }

    /// The end of a round that was asked for.
    pub fn answered(&mut self) -> Result<()> {
        let line = self.lines.recv_timeout(ROUND_DEADLINE).context("no round from a client")?;
        ensure!(line.starts_with(r#"{"round""#), "a client says {line}");
        Ok(())
    }

    pub fn rounds(&mut self, count: usize) -> Result<()> {
        (0..count).try_for_each(|_| {
            self.ask()?;
            self.answered()
        })
    }

    /// Closes its input, and hears what it has to say.
    pub fn finish(mut self) -> Result<Tally> {
        drop(self.input.take());
        let mut last = None;
        while let Ok(line) = self.lines.recv_timeout(ROUND_DEADLINE) {
            last = Some(line);
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "a client ended with {status}");
        let last = last.context("a client that said nothing")?;
        serde_json::from_str(&last).with_context(|| format!("a client's last words: {last}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        http::end(&mut self.child);
    }
}

/// Everything that was sent is in the report, once: also what an exporter gave up and the agent had
/// stored all the same.
pub fn report_has_all(sandbox: &Sandbox, tallies: &[Tally]) -> Result<()> {
    let sum = |count: fn(&Tally) -> u64| tallies.iter().map(count).sum::<u64>();
    let (events, tokens) = (sum(|it| it.sent.events), sum(|it| it.sent.tokens));
    poll::until("the report", REPORT_DEADLINE, || {
        let report = sandbox.json(&["report", "--since", "1d", "--json"])?;
        let total = &report["total"];
        let is = |found: &Value, expected: u64, what: &str| {
            ensure!(found.as_u64() == Some(expected), "{what}: {found} instead of {expected}");
            Ok(())
        };
        is(&total["requests"], events, "events")?;
        is(&total["tokens"]["input"], tokens, "tokens")?;
        is(&total["sessions"], tallies.len() as u64, "sessions")?;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand tokens")]
        let cost_usd = tokens as f64 * COST_USD_PER_TOKEN;
        let found = total["cost_usd"].as_f64().context("no cost")?;
        ensure!((found - cost_usd).abs() < 1e-9, "cost: {found} instead of {cost_usd}");
        Ok(())
    })
    .with_context(|| format!("{tallies:#?}"))?;
    let status = sandbox.json(&["status", "--json"])?;
    let records = &status["records"];
    ensure!(records["rejected"] == 0 && records["foreign"] == 0, "{status}");
    Ok(())
}

/// No exporter gave anything up: all that was sent was acknowledged.
pub fn nothing_failed(tallies: &[Tally]) -> Result<()> {
    for tally in tallies {
        ensure!(tally.failures.is_empty() && tally.acknowledged == tally.sent, "{tally:#?}");
    }
    Ok(())
}
