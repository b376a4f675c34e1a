//! A user of their own: a home, a repository with tags, ccotel's directories, and the agent in them.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccotel::paths::Paths;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::claude::API_KEY;
use super::mock_api::MockApi;
use super::programs::Program;
use super::{addresses, poll};

pub const TEAM: &str = "payments";
pub const PROJECT: &str = "checkout";

/// Names the `ccotel` to test, instead of the one that was built with the tests.
const BINARY_VARIABLE: &str = "CCOTEL_TEST_CCOTEL";

/// A worker starts in milliseconds; a loaded machine takes longer.
const AGENT_DEADLINE: Duration = Duration::from_mins(1);

/// Everything is deleted, and the agent stopped, when dropped.
pub struct Sandbox {
    root: TempDir,
}

impl Sandbox {
    /// With a repository tagged [`TEAM`] and [`PROJECT`], and an agent on a port of its own.
    pub fn new() -> Result<Self> {
        let root = tempfile::Builder::new().prefix("ccotel-").tempdir()?;
        let sandbox = Self { root };
        for directory in [sandbox.home(), sandbox.repository(), sandbox.config_dir()] {
            fs::create_dir_all(directory)?;
        }
        let listen = format!("[agent]\nlisten = [\"{}\"]\n", addresses::free_address()?);
        fs::write(sandbox.config_dir().join("config.toml"), listen)?;
        fs::write(
            sandbox.repository().join(".ccotel.toml"),
            format!("team = \"{TEAM}\"\nproject = \"{PROJECT}\"\n"),
        )?;
        for arguments in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", "start"]] {
            let output = sandbox.command("git").args(arguments).output().context("running git")?;
            ensure!(output.status.success(), "git {arguments:?}: {output:?}");
        }
        sandbox.trust_repository()?;
        Ok(sandbox)
    }

    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub fn repository(&self) -> PathBuf {
        self.home().join("work")
    }

    pub fn config_dir(&self) -> PathBuf {
        self.root.path().join("config")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// Where this user's agent has its files.
    pub fn paths(&self) -> Paths {
        Paths {
            config_dir: self.config_dir(),
            data_dir: self.data_dir(),
            runtime_dir: self.root.path().join("run"),
            home: self.home(),
        }
    }

    /// In the repository, with this user's environment and nothing of the test's own.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.repository()).env_clear();
        for name in ["PATH", "LANG", "TZ", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", self.home())
            .env("TERM", "xterm-256color")
            .env("CCOTEL_CONFIG_DIR", self.config_dir())
            .env("CCOTEL_DATA_DIR", self.data_dir())
            .env("CCOTEL_RUNTIME_DIR", self.root.path().join("run"))
            .env("GIT_AUTHOR_NAME", "A Developer")
            .env("GIT_AUTHOR_EMAIL", "developer@example.com")
            .env("GIT_COMMITTER_NAME", "A Developer")
            .env("GIT_COMMITTER_EMAIL", "developer@example.com");
        if let Some(claude) = Program::Claude.find() {
            command.env("CCOTEL_CLAUDE", claude);
        }
        command
    }

    pub fn ccotel(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(binary());
        command.args(arguments);
        command
    }

    /// A command that must succeed; its standard output.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments)?;
        ensure!(
            output.status.success(),
            "ccotel {arguments:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The JSON document on standard output, whatever the exit code.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.output(arguments)?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("ccotel {arguments:?} printed no JSON: {output:?}"))
    }

    fn output(&self, arguments: &[&str]) -> Result<Output> {
        let output = self.ccotel(arguments).stdin(Stdio::null()).output();
        output.with_context(|| format!("running ccotel {arguments:?}"))
    }

    /// `ccotel claude` against a mock. `IS_SANDBOX` lets it skip permissions as root, too.
    pub fn claude(&self, api: &MockApi, arguments: &[&str]) -> Command {
        let mut command = self.ccotel(&["claude"]);
        command.args(arguments);
        point_at(&mut command, api);
        command
    }

    /// The real Claude Code by itself, without ccotel.
    pub fn bare_claude(&self, api: &MockApi, arguments: &[&str]) -> Result<Command> {
        let program = Program::Claude.find().with_context(|| Program::Claude.missing())?;
        let mut command = self.command(program);
        command.args(arguments);
        point_at(&mut command, api);
        Ok(command)
    }

    /// `~/.claude/settings.json`.
    pub fn write_user_settings(&self, settings: &Value) -> Result<()> {
        let directory = self.home().join(".claude");
        fs::create_dir_all(&directory)?;
        Ok(fs::write(directory.join("settings.json"), settings.to_string())?)
    }

    /// `.claude/settings.json` of the repository.
    pub fn write_project_settings(&self, settings: &Value) -> Result<()> {
        let directory = self.repository().join(".claude");
        fs::create_dir_all(&directory)?;
        Ok(fs::write(directory.join("settings.json"), settings.to_string())?)
    }

    /// Starts the agent and waits until it answers.
    pub fn start_agent(&self) -> Result<()> {
        self.run(&["agent", "start"])?;
        self.wait_for_agent()
    }

    pub fn wait_for_agent(&self) -> Result<()> {
        poll::until("the agent", AGENT_DEADLINE, || {
            let status = self.json(&["status", "--json"])?;
            ensure!(status["running"] == true, "{status}");
            Ok(())
        })
    }

    /// Where the agent receives OTLP.
    pub fn agent_address(&self) -> Result<SocketAddr> {
        let status = self.json(&["status", "--json"])?;
        let address = status["addresses"][0].as_str().with_context(|| status.to_string())?;
        Ok(address.parse()?)
    }

    /// The holder, from `agent.json`.
    pub fn holder_pid(&self) -> Result<i32> {
        let text = fs::read_to_string(self.data_dir().join("agent.json"))?;
        let identity: Value = serde_json::from_str(&text)?;
        Ok(i32::try_from(identity["pid"].as_i64().with_context(|| text.clone())?)?)
    }

    /// The worker that the holder runs now.
    pub fn worker_pid(&self) -> Result<i32> {
        let status = self.json(&["status", "--json"])?;
        let pid = status["worker"]["pid"].as_i64().with_context(|| status.to_string())?;
        Ok(i32::try_from(pid)?)
    }

    /// The first-run questions of Claude Code's terminal interface, answered.
    fn trust_repository(&self) -> Result<()> {
        let known_key = &API_KEY[API_KEY.len() - 20..];
        let answers = json!({
            "hasCompletedOnboarding": true,
            "theme": "dark",
            "customApiKeyResponses": { "approved": [known_key], "rejected": [] },
            "projects": {
                self.repository().to_string_lossy(): {
                    "hasTrustDialogAccepted": true,
                    "hasCompletedProjectOnboarding": true,
                },
            },
        });
        Ok(fs::write(self.home().join(".claude.json"), answers.to_string())?)
    }
}

/// Cargo's, or the one that the variable names: a release build, say.
fn binary() -> PathBuf {
    match std::env::var_os(BINARY_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => std::path::absolute(path).expect("the working directory is there"),
        None => env!("CARGO_BIN_EXE_ccotel").into(),
    }
}

pub fn point_at(command: &mut Command, api: &MockApi) {
    command
        .env("ANTHROPIC_BASE_URL", api.url())
        .env("ANTHROPIC_API_KEY", API_KEY)
        .env("IS_SANDBOX", "1")
        .env("DISABLE_AUTOUPDATER", "1")
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.data_dir().join("agent.json").exists() {
            let _ = self.ccotel(&["agent", "stop", "--stay"]).stdin(Stdio::null()).output();
        }
    }
}
