//! A user of their own for each test, and a client that never tires.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ccotel::config::{Accept, AgentConfig, Config, PrivacyConfig};
use ccotel::paths::Paths;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

/// A user of their own, whose agent ends with the test.
pub struct Home {
    root: tempfile::TempDir,
    pub data: &'static str,
}

impl Home {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("config")).unwrap();
        let home = Self { root, data: "data" };
        home.configure("[agent]\nlisten = [\"127.0.0.1:0\"]\n");
        home
    }

    pub fn configure(&self, text: &str) {
        fs::write(self.root.path().join("config/config.toml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn data(&self, name: &str) -> PathBuf {
        self.path(self.data).join(name)
    }

    pub fn paths(&self) -> Paths {
        Paths {
            config_dir: self.path("config"),
            data_dir: self.path(self.data),
            runtime_dir: self.path(self.data).join("run"),
            home: self.path(""),
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ccotel"));
        command
            .args(arguments)
            .env("HOME", self.root.path())
            .env("CCOTEL_CONFIG_DIR", self.path("config"))
            .env("CCOTEL_DATA_DIR", self.path(self.data))
            .env_remove("CCOTEL_RUNTIME_DIR")
            .env("OTEL_SECRET_OF_THE_SHELL", "1");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub fn say(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The document, from an agent or without one.
    pub fn status(&self) -> Value {
        serde_json::from_slice(&self.run(&["status", "--json"]).stdout).unwrap()
    }

    pub fn holder(&self) -> i32 {
        number(&self.status()["pid"])
    }

    /// The worker that answers, once one does.
    pub fn worker(&self) -> i32 {
        until("a worker answers", || {
            self.status()["worker"]["pid"].as_i64().map(|pid| i32::try_from(pid).unwrap())
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.status()["addresses"][0].as_str().unwrap().parse().unwrap()
    }

    pub fn warnings(&self) -> String {
        self.status()["warnings"].to_string()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.run(&["agent", "stop"]);
    }
}

pub fn number(value: &Value) -> i32 {
    i32::try_from(value.as_i64().expect("a number")).unwrap()
}

/// Polls a condition; fails long after it should have come true.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

pub fn is_gone(pid: i32) -> Option<()> {
    test_kill_process(Pid::from_raw(pid).unwrap()).is_err().then_some(())
}

/// Connects without a pause, as many sessions would, and counts who was refused.
pub struct Client {
    stop: Arc<AtomicBool>,
    connected: Arc<AtomicU64>,
    thread: JoinHandle<Vec<String>>,
}

impl Client {
    pub fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let connected = Arc::new(AtomicU64::new(0));
        let (stopping, counting) = (Arc::clone(&stop), Arc::clone(&connected));
        let thread = std::thread::spawn(move || {
            let mut refused = Vec::new();
            while !stopping.load(Ordering::Relaxed) {
                match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
                    Ok(mut stream) => {
                        counting.fetch_add(1, Ordering::Relaxed);
                        // Whether a killed worker answers is another question; so is how fast.
                        let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
                        let _ = write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
                        let _ = stream.read(&mut [0; 64]);
                    }
                    Err(error) => refused.push(error.to_string()),
                }
            }
            refused
        });
        Self { stop, connected, thread }
    }

    /// Until it has connected some more times, so that what was done meanwhile was under load.
    pub fn some_more(&self) {
        let before = self.connected.load(Ordering::Relaxed);
        until("the client connects", || {
            (self.connected.load(Ordering::Relaxed) > before + 2).then_some(())
        });
    }

    pub fn assert_never_refused(self) {
        self.stop.store(true, Ordering::Relaxed);
        let refused = self.thread.join().unwrap();
        assert!(refused.is_empty(), "{refused:?}");
    }
}

/// What the wrapper would hand in.
pub fn config() -> Config {
    Config {
        agent: AgentConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            max_disk_bytes: 1 << 20,
            history_days: 1,
            accept: Accept::ClaudeCode,
            allowed_hosts: Vec::new(),
        },
        tags: BTreeMap::new(),
        privacy: PrivacyConfig::default(),
        budgets: ccotel::config::budget::Budgets::default(),
        destinations: Vec::new(),
        gateway: ccotel::config::gateway::GatewayConfig::default(),
    }
}
