//! From a starter to a holder that is nobody's child.
//!
//! The starter (the wrapper, about to become Claude Code) spawns `agent spawn` and waits for that one
//! only; it spawns `agent run` and exits at once. So the agent is never a child of Claude Code, which
//! would otherwise find a stranger among its children, and no zombie is left.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::sockets::Sockets;
use crate::paths::Paths;

/// What an agent takes from the environment of whoever starts it, beside the directories: a shell's
/// `OTEL_*`, proxies and secrets are not the agent's.
const ENVIRONMENT_KEPT: [&str; 3] = ["HOME", "PATH", "TZ"];

/// This binary, by the path that the next version will have too.
pub fn own_exe() -> io::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    // Linux marks the path of a binary that was replaced while it ran.
    let text = exe.as_os_str().as_encoded_bytes();
    match text.strip_suffix(b" (deleted)").and_then(|path| std::str::from_utf8(path).ok()) {
        Some(path) => Ok(PathBuf::from(path)),
        None => Ok(exe.canonicalize().unwrap_or(exe)),
    }
}

/// A command that runs `exe agent …`. The name is set, since a binary that is called as `claude` is the
/// wrapper.
pub fn agent_command(exe: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(exe);
    command.arg0("ccotel").arg("agent").args(arguments);
    command
}

/// Starts a holder that keeps these sockets and this lock, and returns when it has been spawned.
pub fn start_holder(
    paths: &Paths,
    exe: &Path,
    sockets: &Sockets,
    lock: File,
    log: File,
) -> io::Result<()> {
    let mut command = agent_command(exe, &["spawn"]);
    clean(&mut command, paths);
    command.stdin(lock).stdout(log.try_clone()?).stderr(log);
    sockets.pass_to(&mut command)?;
    let status = command.spawn()?.wait()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("it ended with {status}")))
}

/// Asks in the background for a hand-over to this binary, and does not wait for it.
pub fn start_restart(paths: &Paths, exe: &Path) -> io::Result<()> {
    let mut command = agent_command(exe, &["spawn", "--restart"]);
    clean(&mut command, paths);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn()?.wait()?;
    Ok(())
}

/// `agent spawn`: everything it was given is inherited as it is, sockets included.
pub fn spawn_and_exit(restart: bool) -> io::Result<()> {
    let arguments: &[&str] =
        if restart { &["restart", "--if-older"] } else { &["run", "--detached"] };
    agent_command(&own_exe()?, arguments).spawn()?;
    Ok(())
}

fn clean(command: &mut Command, paths: &Paths) {
    let kept = std::env::vars_os().filter(|(name, _)| is_kept(name));
    command
        .env_clear()
        .envs(kept)
        .env("CCOTEL_CONFIG_DIR", &paths.config_dir)
        .env("CCOTEL_DATA_DIR", &paths.data_dir)
        .env("CCOTEL_RUNTIME_DIR", &paths.runtime_dir)
        .current_dir("/");
}

fn is_kept(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| ENVIRONMENT_KEPT.contains(&name) || name.starts_with("XDG_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_takes_directories_and_nothing_else() {
        for kept in ["HOME", "PATH", "TZ", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"] {
            assert!(is_kept(OsStr::new(kept)), "{kept}");
        }
        for dropped in ["OTEL_EXPORTER_OTLP_ENDPOINT", "HTTPS_PROXY", "CLAUDECODE", "CCOTEL_TAGS"] {
            assert!(!is_kept(OsStr::new(dropped)), "{dropped}");
        }
    }
}
