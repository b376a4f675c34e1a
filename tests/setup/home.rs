//! A home directory with a blank and a quote in its path, a `claude` on PATH, and ccotel under the
//! name that an upgrade keeps.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::harness::poll;
use crate::harness::terminal::Terminal;

const DEADLINE: Duration = Duration::from_mins(1);

/// Notes what it is asked to do, and links as the real one does; no manager runs the agent here.
pub const SYSTEMCTL: &str = r#"#!/bin/sh
units="$HOME/.config/systemd/user"
echo "$*" >>"$XDG_RUNTIME_DIR/systemctl.calls"
case "$*" in
  *enable\ --now*)
    for unit; do :; done
    mkdir -p "$units/default.target.wants"
    ln -sf "../$unit" "$units/default.target.wants/$unit" ;;
esac
"#;

/// The agent is stopped, and everything deleted, when dropped.
pub struct Home {
    root: tempfile::TempDir,
    variables: BTreeMap<OsString, OsString>,
}

impl Home {
    pub fn new() -> Result<Self> {
        let root = tempfile::Builder::new().prefix("ccotel-setup-").tempdir()?;
        let at = |below: &str| root.path().join(below);
        for directory in ["o'hara's home", "the bin", "claude's bin", "run"] {
            std::fs::create_dir(at(directory))?;
        }
        symlink(env!("CARGO_BIN_EXE_ccotel"), at("the bin/ccotel"))?;
        symlink(std::env::current_exe()?, at("claude's bin/claude"))?;
        let path =
            format!("{}:{}:/usr/bin:/bin", at("the bin").display(), at("claude's bin").display());
        let variables = [
            ("PATH", path.into()),
            ("HOME", at("o'hara's home").into_os_string()),
            ("XDG_RUNTIME_DIR", at("run").into_os_string()),
            ("SHELL", "/bin/bash".into()),
            ("TERM", "xterm-256color".into()),
            ("LANG", "C.UTF-8".into()),
            ("HISTFILE", "/dev/null".into()),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Ok(Self { root, variables })
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// A path in the home directory.
    pub fn home(&self, below: &str) -> PathBuf {
        self.path("o'hara's home").join(below)
    }

    pub fn ccotel(&self) -> PathBuf {
        self.path("the bin/ccotel")
    }

    pub fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.variables.insert(name.into(), value.as_ref().to_owned());
    }

    pub fn write(&self, below: &str, text: &str) -> Result<PathBuf> {
        let path = self.home(below);
        std::fs::create_dir_all(path.parent().context("a directory")?)?;
        std::fs::write(&path, text)?;
        Ok(path)
    }

    pub fn read(&self, below: &str) -> Result<String> {
        let path = self.home(below);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// A program of the test's own, first on PATH.
    pub fn executable(&self, name: &str, text: &str) -> Result<()> {
        let (draft, path) = (self.path(&format!("{name}.text")), self.path("the bin").join(name));
        std::fs::write(&draft, text)?;
        // By another process: a file that is open for writing cannot be executed.
        ensure!(Command::new("cp").arg(&draft).arg(&path).status()?.success());
        Ok(std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?)
    }

    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.variables).current_dir(self.home(""));
        command
    }

    pub fn output(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(self.ccotel());
        command.args(arguments).stdin(Stdio::null());
        command.output().with_context(|| format!("{arguments:?}"))
    }

    /// A command that must succeed; what it printed.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments)?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        ensure!(
            output.status.success(),
            "ccotel {arguments:?} ended with {}: {said}",
            output.status
        );
        Ok(said)
    }

    pub fn terminal(&self, program: &str, arguments: &[&str]) -> Result<Terminal> {
        let mut command = self.command(program);
        command.args(arguments);
        Terminal::start(command)
    }

    /// Waits until so many requests are in the report.
    pub fn wait_for_requests(&self, count: u64) -> Result<()> {
        poll::until("the report", DEADLINE, || {
            let output = self.output(&["report", "--since", "today", "--json"])?;
            let report: Value = serde_json::from_slice(&output.stdout)?;
            ensure!(report["total"]["requests"] == count, "{}", report["total"]);
            Ok(())
        })
    }

    /// Every path below the home directory, with its mode, and what it holds or leads to.
    pub fn snapshot(&self) -> Result<BTreeMap<PathBuf, String>> {
        let mut found = BTreeMap::new();
        let top = self.home("");
        walk(&top, &top, &mut found)?;
        Ok(found)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.output(&["agent", "stop"]);
    }
}

fn walk(top: &Path, directory: &Path, found: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let metadata = path.symlink_metadata()?;
        let mode = metadata.permissions().mode();
        let content = if metadata.is_symlink() {
            path.read_link()?.display().to_string()
        } else if metadata.is_dir() {
            walk(top, &path, found)?;
            String::new()
        } else {
            blake3::hash(&std::fs::read(&path)?).to_string()
        };
        found.insert(path.strip_prefix(top)?.to_path_buf(), format!("{mode:o} {content}"));
    }
    Ok(())
}
