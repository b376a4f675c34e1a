//! Where everything lives. The only place that asks for directories.
//!
//! | | holds | moved by |
//! | --- | --- | --- |
//! | config | `config.toml` | `CCOTEL_CONFIG_DIR` |
//! | data | `queue.db`, `queue.high-water.json`, `queue.reserve`, `history.db`, `imported.db`, `token`, `listen.json`, `launches/`, `agent.log`, `agent.lock`, `start.lock`, `agent.json`, `worker.lock`, `restart.json`, `notices.json`, `budget-warned.json`, `stopped`, `last-valid/`, `problems.jsonl`, `setup.json`, `shims/`, `stack/` | `CCOTEL_DATA_DIR` |
//! | runtime | `control.sock`, `open.html` | `CCOTEL_RUNTIME_DIR` |
//!
//! Defaults come from the `directories` crate, and are XDG's on every Unix: `~/.config/ccotel`,
//! `~/.local/share/ccotel`, `$XDG_RUNTIME_DIR/ccotel`. Where there is no runtime directory (macOS,
//! some containers), where the data directory was moved alone, or where the path is too long for a
//! Unix socket, it is `run/` in the data directory.

use std::path::{Path, PathBuf};

/// Longest path of a Unix socket that every system takes (macOS: 104 bytes with the end mark).
const SOCKET_PATH_BYTES_MAX: usize = 103;

/// The directories of this user, or of this test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    pub config_dir: PathBuf,
    pub data_dir: PathBuf,
    pub runtime_dir: PathBuf,
    /// The home directory, where the walk for `.ccotel.toml` stops.
    pub home: PathBuf,
}

/// There is nowhere to keep anything.
#[derive(Debug, thiserror::Error)]
#[error(
    "no home directory: set HOME, or CCOTEL_CONFIG_DIR, CCOTEL_DATA_DIR and CCOTEL_RUNTIME_DIR"
)]
pub struct NoHome;

impl Paths {
    /// From the environment of this process.
    pub fn from_env() -> Result<Self, NoHome> {
        let base = directories::BaseDirs::new();
        let home = base.as_ref().map(|base| base.home_dir().to_path_buf());
        let under_home = |parts: &str| home.as_ref().map(|home| home.join(parts));
        let config_dir = absolute_env("CCOTEL_CONFIG_DIR")
            .or_else(|| absolute_env("XDG_CONFIG_HOME").map(|dir| dir.join("ccotel")))
            .or_else(|| under_home(".config/ccotel"))
            .ok_or(NoHome)?;
        let data_dir = absolute_env("CCOTEL_DATA_DIR")
            .or_else(|| absolute_env("XDG_DATA_HOME").map(|dir| dir.join("ccotel")))
            .or_else(|| under_home(".local/share/ccotel"))
            .ok_or(NoHome)?;
        // Agents side by side: a data directory that was moved takes its control socket with it.
        let of_the_session = || {
            base.as_ref()
                .filter(|_| absolute_env("CCOTEL_DATA_DIR").is_none())
                .and_then(|base| base.runtime_dir().map(|dir| dir.join("ccotel")))
        };
        let runtime_dir = absolute_env("CCOTEL_RUNTIME_DIR")
            .or_else(of_the_session)
            .filter(|dir| dir.join("control.sock").as_os_str().len() <= SOCKET_PATH_BYTES_MAX)
            .unwrap_or_else(|| data_dir.join("run"));
        Ok(Self {
            config_dir,
            data_dir,
            runtime_dir,
            home: home.unwrap_or_else(|| PathBuf::from("/")),
        })
    }

    pub fn config_file(&self) -> PathBuf {
        self.config_dir.join("config.toml")
    }

    /// An organisation's file, below the user's.
    pub fn organisation_file() -> &'static Path {
        Path::new("/etc/ccotel/config.toml")
    }

    pub fn queue_db(&self) -> PathBuf {
        self.data_dir.join("queue.db")
    }

    pub fn history_db(&self) -> PathBuf {
        self.data_dir.join("history.db")
    }

    /// Past usage from transcripts, written by `ccotel import`; never leaves the machine.
    pub fn imported_db(&self) -> PathBuf {
        self.data_dir.join("imported.db")
    }

    /// The secret that the wrapper puts into Claude Code's endpoint.
    pub fn token_file(&self) -> PathBuf {
        self.data_dir.join("token")
    }

    /// Which address was bound for which configured one: kept for good.
    pub fn listen_file(&self) -> PathBuf {
        self.data_dir.join("listen.json")
    }

    /// Held by the holder for its life.
    pub fn agent_lock(&self) -> PathBuf {
        self.data_dir.join("agent.lock")
    }

    /// Held by whoever starts the agent, while it does.
    pub fn start_lock(&self) -> PathBuf {
        self.data_dir.join("start.lock")
    }

    pub fn agent_json(&self) -> PathBuf {
        self.data_dir.join("agent.json")
    }

    /// Held by the worker for its life: a worker whose holder was killed is waited for.
    pub fn worker_lock(&self) -> PathBuf {
        self.data_dir.join("worker.lock")
    }

    /// Present after `agent stop --stay`, until `agent start`.
    pub fn stay_file(&self) -> PathBuf {
        self.data_dir.join("stopped")
    }

    /// What a restarting holder shall become: written by `agent restart`.
    pub fn restart_json(&self) -> PathBuf {
        self.data_dir.join("restart.json")
    }

    /// The launches whose process lives: a new worker is told of them again.
    pub fn notices_file(&self) -> PathBuf {
        self.data_dir.join("notices.json")
    }

    /// Which budgets the desktop was told of.
    pub fn budget_warned_file(&self) -> PathBuf {
        self.data_dir.join("budget-warned.json")
    }

    /// The last valid `config.toml`, for a start while the current one is invalid.
    pub fn last_valid_dir(&self) -> PathBuf {
        self.data_dir.join("last-valid")
    }

    pub fn last_valid_file(&self) -> PathBuf {
        self.last_valid_dir().join("config.toml")
    }

    pub fn agent_log(&self) -> PathBuf {
        self.data_dir.join("agent.log")
    }

    /// Settings files given to Claude Code, one a launch.
    pub fn launches_dir(&self) -> PathBuf {
        self.data_dir.join("launches")
    }

    /// Where `claude` is a link to us, if `setup` was asked for a shim.
    pub fn shims_dir(&self) -> PathBuf {
        self.data_dir.join("shims")
    }

    /// What `setup` has changed, and what `uninstall` needs to undo it.
    pub fn setup_journal(&self) -> PathBuf {
        self.data_dir.join("setup.json")
    }

    /// What went wrong at launches: shown by `status`, `tags` and `doctor`.
    pub fn problems_file(&self) -> PathBuf {
        self.data_dir.join("problems.jsonl")
    }

    /// Leads the browser to the local page, with its token; what `ccotel open` opens.
    pub fn page_file(&self) -> PathBuf {
        self.runtime_dir.join("open.html")
    }

    /// What `ccotel stack` writes and runs: compose file, settings, dashboards.
    pub fn stack_dir(&self) -> PathBuf {
        self.data_dir.join("stack")
    }

    pub fn control_socket(&self) -> PathBuf {
        self.runtime_dir.join("control.sock")
    }
}

/// An absolute path from the environment; empty and relative values are as if unset (XDG base
/// directory specification).
fn absolute_env(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}
