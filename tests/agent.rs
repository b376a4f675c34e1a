//! The agent's life, with the real binary: starts, deaths, hand-overs, and what they may not cost.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ccotel::agent::control;
use ccotel::agent::ensure::{EnsureError, ensure};
use ccotel::agent::notice::LaunchNotice;
use ccotel::config::{Accept, AgentConfig, Config, PrivacyConfig};
use ccotel::paths::Paths;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

/// A user of their own, whose agent ends with the test.
struct Home {
    root: tempfile::TempDir,
    data: &'static str,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("config")).unwrap();
        let home = Self { root, data: "data" };
        home.configure("[agent]\nlisten = [\"127.0.0.1:0\"]\n");
        home
    }

    fn configure(&self, text: &str) {
        fs::write(self.root.path().join("config/config.toml"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn data(&self, name: &str) -> PathBuf {
        self.path(self.data).join(name)
    }

    fn paths(&self) -> Paths {
        Paths {
            config_dir: self.path("config"),
            data_dir: self.path(self.data),
            runtime_dir: self.path(self.data).join("run"),
            home: self.path(""),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
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

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed, and returns what it printed.
    fn say(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The document, from an agent or without one.
    fn status(&self) -> Value {
        serde_json::from_slice(&self.run(&["status", "--json"]).stdout).unwrap()
    }

    fn holder(&self) -> i32 {
        number(&self.status()["pid"])
    }

    /// The worker that answers, once one does.
    fn worker(&self) -> i32 {
        until("a worker answers", || {
            self.status()["worker"]["pid"].as_i64().map(|pid| i32::try_from(pid).unwrap())
        })
    }

    fn address(&self) -> SocketAddr {
        self.status()["addresses"][0].as_str().unwrap().parse().unwrap()
    }

    fn warnings(&self) -> String {
        self.status()["warnings"].to_string()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.run(&["agent", "stop"]);
    }
}

fn number(value: &Value) -> i32 {
    i32::try_from(value.as_i64().expect("a number")).unwrap()
}

/// Polls a condition; fails long after it should have come true.
fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn is_gone(pid: i32) -> Option<()> {
    test_kill_process(Pid::from_raw(pid).unwrap()).is_err().then_some(())
}

/// Connects without a pause, as many sessions would, and counts who was refused.
struct Client {
    stop: Arc<AtomicBool>,
    connected: Arc<AtomicU64>,
    thread: JoinHandle<Vec<String>>,
}

impl Client {
    fn start(address: SocketAddr) -> Self {
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
    fn some_more(&self) {
        let before = self.connected.load(Ordering::Relaxed);
        until("the client connects", || {
            (self.connected.load(Ordering::Relaxed) > before + 2).then_some(())
        });
    }

    fn assert_never_refused(self) {
        self.stop.store(true, Ordering::Relaxed);
        let refused = self.thread.join().unwrap();
        assert!(refused.is_empty(), "{refused:?}");
    }
}

#[test]
fn fifty_starters_at_once_make_one_agent() {
    let home = Home::new();
    let starters: Vec<_> = (0..50)
        .map(|_| {
            let mut command = home.command(&["agent", "start"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let holder = until("an agent answers", || home.status()["pid"].as_i64());
    for starter in starters {
        let output = starter.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&format!("pid {holder},")), "{output:?}");
    }
}

#[test]
fn a_worker_killed_ten_times_refuses_no_connection() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let client = Client::start(home.address());
    for _ in 0..10 {
        let worker = home.worker();
        client.some_more();
        kill(worker, Signal::KILL);
        until("another worker answers", || (home.worker() != worker).then_some(()));
    }
    client.some_more();
    client.assert_never_refused();
    let status = home.status();
    assert_eq!(status["worker"]["restarts"], 10);
    assert!(home.warnings().contains("signal: 9"), "{status}");
}

#[test]
fn restarts_refuse_no_connection_and_keep_holder_and_address() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let (holder, address) = (home.holder(), home.address());
    let client = Client::start(address);
    for _ in 0..5 {
        let worker = home.worker();
        let said = home.say(&["agent", "restart"]);
        assert!(said.contains("restarted"), "{said}");
        assert_ne!(home.worker(), worker);
        client.some_more();
    }
    client.assert_never_refused();
    assert_eq!((home.holder(), home.address()), (holder, address));
}

#[test]
fn a_restart_binds_an_address_that_was_added() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let first = home.address();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    home.configure(&format!("[agent]\nlisten = [\"127.0.0.1:0\", \"{free}\"]\n"));
    until("the change is noticed", || home.warnings().contains("agent restart").then_some(()));
    home.say(&["agent", "restart"]);
    let addresses = home.status()["addresses"].to_string();
    assert_eq!(addresses, format!("[\"{first}\",\"{free}\"]"));
    TcpStream::connect(free).unwrap();
}

#[test]
fn without_its_holder_a_worker_ends_and_the_next_agent_has_the_same_port() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let (holder, worker, address) = (home.holder(), home.worker(), home.address());
    kill(holder, Signal::KILL);
    home.say(&["agent", "start"]);
    assert_ne!(home.holder(), holder);
    assert_eq!(home.address(), address);
    until("the orphan ends", || is_gone(worker));
    assert_ne!(home.worker(), worker);
}

#[test]
fn a_busy_port_is_replaced_and_the_other_one_kept() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = stranger.local_addr().unwrap();
    let home = Home::new();
    home.configure(&format!("[agent]\nlisten = [\"{busy}\"]\n"));
    home.say(&["agent", "start"]);
    let replacement = home.address();
    assert_ne!(replacement, busy);
    drop(stranger);
    for _ in 0..2 {
        home.say(&["agent", "stop"]);
        home.say(&["agent", "start"]);
        assert_eq!(home.address(), replacement);
    }
}

#[test]
fn stop_holds_until_the_next_start_and_stay_until_agent_start() {
    let home = Home::new();
    assert!(home.say(&["agent", "stop"]).contains("no agent runs"));
    home.say(&["agent", "start"]);
    let (holder, worker) = (home.holder(), home.worker());
    assert!(home.say(&["agent", "stop"]).contains("agent stopped"));
    assert!(is_gone(holder).is_some() && is_gone(worker).is_some());
    assert!(!home.data("agent.json").exists());
    home.say(&["agent", "stop", "--stay"]);
    let refused = ensure(&home.paths(), &config()).unwrap_err();
    assert!(matches!(refused, EnsureError::StoppedToStay), "{refused}");
    assert!(refused.remedy().contains("ccotel agent start"));
    let status = home.status();
    assert_eq!((&status["running"], &status["stopped_to_stay"]), (&false.into(), &true.into()));
    // A service manager must not start it either.
    let output = home.run(&["agent", "run"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("--stay"));
    home.say(&["agent", "start"]);
    let endpoint = ensure(&home.paths(), &config()).unwrap();
    assert_eq!(endpoint.address, home.address());
    assert_eq!(endpoint.token, fs::read_to_string(home.data("token")).unwrap());
}

fn config() -> Config {
    Config {
        agent: AgentConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            max_disk_bytes: 1 << 20,
            history_days: 1,
            accept: Accept::ClaudeCode,
        },
        tags: std::collections::BTreeMap::new(),
        privacy: PrivacyConfig::default(),
        destinations: Vec::new(),
    }
}

#[test]
fn an_agent_is_nobodys_child_and_takes_nothing_of_the_shell() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let holder = home.holder();
    let pid = holder.to_string();
    let ps = Command::new("ps").args(["-o", "ppid=,sess=", "-p", &pid]).output().unwrap();
    let facts = String::from_utf8(ps.stdout).unwrap();
    let facts: Vec<_> = facts.split_whitespace().collect();
    assert_ne!(facts[0], std::process::id().to_string());
    assert_eq!(facts[1], pid, "a session of its own");
    if let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) {
        let environment = String::from_utf8_lossy(&environment);
        assert!(!environment.contains("OTEL_SECRET_OF_THE_SHELL"), "{environment}");
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/"));
    }
}

#[test]
fn nobody_else_can_read_or_write() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    home.worker();
    let mut directories = vec![home.path("data")];
    let mut seen = 0;
    while let Some(directory) = directories.pop() {
        assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700, "{directory:?}");
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().mode() & 0o777;
            if path.is_dir() {
                directories.push(path);
            } else {
                assert_eq!(mode & 0o077, 0, "{path:?}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 8, "locks, token, agent.json, listen.json, log, socket: {seen}");
}

#[test]
fn the_control_socket_refuses_garbage_and_goes_on() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let endless = vec![b'x'; 2 * 1024 * 1024];
    let future = br#"{"protocol":99,"request":{"op":"x"}}"#;
    for (sent, wanted) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "not a request"),
        (b"{\"protocol\":1}\n", "not a request"),
        (b"\xff\xfe\n", "not a request"),
        (future, "speaks control protocol 1, not 99"),
        (&endless, ""),
    ] {
        let mut stream = UnixStream::connect(home.data("run/control.sock")).unwrap();
        let _ = stream.write_all(sent);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.contains(wanted), "{answer}");
    }
    assert_eq!(home.status()["running"], true);
}

#[test]
fn a_notice_is_sent_without_waiting_and_silently_without_an_agent() {
    let home = Home::new();
    let notice = LaunchNotice { id: "launch".into(), pid: 1, directory: "/work".into() };
    control::send_notice(&home.paths(), &notice);
    assert!(!control::sync(&home.paths()));
    home.say(&["agent", "start"]);
    control::send_notice(&home.paths(), &notice);
    assert!(control::sync(&home.paths()));
    assert_eq!(home.status()["running"], true);
}

#[test]
fn a_request_in_flight_is_answered_before_the_agent_ends() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let (address, holder) = (home.address(), home.holder());
    let token = fs::read_to_string(home.data("token")).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    // An ExportMetricsServiceRequest with a field that nobody knows: valid, and empty.
    let body = b"\x7a\x06filler";
    write!(
        stream,
        "POST /{token}/v1/metrics HTTP/1.1\r\nHost: {address}\r\n\
         Content-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    stream.write_all(&body[..4]).unwrap();
    // Answered by the same worker, so the half request has been read too.
    home.worker();
    kill(holder, Signal::TERM);
    until("the worker drains", || {
        fs::read_to_string(home.data("agent.log")).unwrap().contains("draining").then_some(())
    });
    stream.write_all(&body[4..]).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    until("the agent ends", || is_gone(holder));
    assert!(fs::read_to_string(home.data("agent.log")).unwrap().contains("worker ended"));
}

#[test]
fn status_tells_scripts_whether_an_agent_runs() {
    let home = Home::new();
    let without = home.run(&["status", "--json"]);
    assert_eq!(without.status.code(), Some(3));
    let document: Value = serde_json::from_slice(&without.stdout).unwrap();
    assert_eq!((&document["schema"], &document["running"]), (&1.into(), &false.into()));
    assert_eq!(home.run(&["status"]).status.code(), Some(3));
    assert_eq!(home.run(&["retry"]).status.code(), Some(1));
    home.say(&["agent", "start"]);
    let with = home.run(&["status"]);
    assert_eq!(with.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&with.stdout).starts_with("Agent 0."), "{with:?}");
    let document = home.status();
    for key in ["pid", "version", "started", "addresses", "sessions", "records", "warnings"] {
        assert!(!document[key].is_null(), "{key}: {document}");
    }
    assert_eq!(home.run(&["retry", "nowhere"]).status.code(), Some(1));
}

#[test]
fn two_agents_with_their_own_data_live_side_by_side() {
    let home = Home::new();
    let mut other = Home::new();
    other.data = "elsewhere";
    home.say(&["agent", "start"]);
    other.say(&["agent", "start"]);
    assert_ne!(home.holder(), other.holder());
    assert_ne!(home.address(), other.address());
    other.say(&["agent", "stop"]);
    assert_eq!(home.status()["running"], true);
}

#[test]
fn a_data_directory_on_which_an_agent_sits_is_left_to_it() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let holder = home.holder();
    let second = home.run(&["agent", "run"]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&format!("already runs here (pid {holder})")), "{said}");
    // A shell with another runtime directory finds the same agent.
    let mut elsewhere = home.command(&["agent", "start"]);
    let output = elsewhere.env("CCOTEL_RUNTIME_DIR", home.path("other")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&format!("runs already: pid {holder}")), "{output:?}");
}

#[test]
fn in_the_foreground_it_says_where_it_listens_and_ends_on_a_signal() {
    let home = Home::new();
    let mut agent = home.command(&["agent", "run"]);
    let mut agent = agent.stderr(std::process::Stdio::piped()).spawn().unwrap();
    home.worker();
    assert_eq!(home.holder(), i32::try_from(agent.id()).unwrap());
    kill(home.holder(), Signal::INT);
    assert!(agent.wait().unwrap().success());
    let mut said = String::new();
    agent.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("listens on 127.0.0.1:"), "{said}");
}

#[test]
fn a_configuration_that_becomes_invalid_changes_nothing_and_is_told() {
    let home = Home::new();
    let valid = fs::read_to_string(home.path("config/config.toml")).unwrap();
    home.say(&["agent", "start"]);
    let address = home.address();
    home.configure("[agent\n");
    until("it is told", || home.warnings().contains("is invalid").then_some(()));
    // Also over a restart, whose configuration is the last valid one.
    home.say(&["agent", "stop"]);
    let started = home.run(&["agent", "start"]);
    assert!(started.status.success(), "{started:?}");
    assert!(String::from_utf8_lossy(&started.stderr).contains("is invalid"), "{started:?}");
    assert_eq!(home.address(), address);
    assert!(home.warnings().contains("the last valid one"));
    home.configure(&valid);
    until("it is well again", || (!home.warnings().contains("is invalid")).then_some(()));
}

#[test]
fn a_worker_that_cannot_work_says_why() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let worker = home.worker();
    fs::remove_file(home.data("token")).unwrap();
    let refused = ensure(&home.paths(), &config()).unwrap_err();
    assert!(matches!(refused, EnsureError::NoToken), "{refused}");
    kill(worker, Signal::KILL);
    until("it is told", || home.warnings().contains("the token is gone").then_some(()));
    assert_eq!(home.run(&["status"]).status.code(), Some(0));
}

#[test]
fn where_no_data_can_be_kept_it_is_said_in_words() {
    let home = Home::new();
    fs::write(home.path("data"), "a file").unwrap();
    let output = home.run(&["agent", "start"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("not a directory") && said.contains("CCOTEL_DATA_DIR"), "{said}");
    assert!(!said.contains("os error"), "{said}");
}

#[test]
fn logs_print_the_end_of_the_log() {
    let home = Home::new();
    assert!(home.say(&["agent", "logs"]).contains("never run"));
    home.say(&["agent", "start"]);
    home.worker();
    let said = home.say(&["agent", "logs", "-n", "1"]);
    assert!(said.contains("worker started"), "{said}");
    assert_eq!(said.lines().count(), 1);
}
