//! Starts, deaths and hand-overs: at no time is a connection refused, and there is one agent.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use ccotel::agent::ensure::{EnsureError, ensure};
use command_fds::{CommandFdExt, FdMapping};
use rustix::process::Signal;

use crate::addresses::free_address;
use crate::home::{Client, Home, config, is_gone, kill, until};

#[test]
fn fifty_starters_at_once_make_one_agent() {
    let home = Home::new();
    let starters: Vec<_> = (0..50)
        .map(|_| {
            let mut command = home.command(&["agent", "start"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
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
fn a_changed_store_limit_is_applied_by_a_new_worker_without_refusing_anybody() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let client = Client::start(home.address());
    let worker = home.worker();
    home.configure("[agent]\nlisten = [\"127.0.0.1:0\"]\nmax_disk = \"64 MiB\"\n");
    until("another worker answers", || (home.worker() != worker).then_some(()));
    client.some_more();
    client.assert_never_refused();
    assert_eq!(home.status()["worker"]["restarts"], 0, "nothing has died");
}

#[test]
fn an_agent_that_the_wrapper_starts_is_not_claude_codes_child() {
    let home = Home::new();
    let claude = home.path("claude");
    fs::write(&claude, "#!/bin/sh\necho children:\nps -A -o ppid=,args= | grep \"^ *$$ \"\n")
        .unwrap();
    fs::set_permissions(&claude, fs::Permissions::from_mode(0o700)).unwrap();
    let said = home.say(&["wrap", claude.to_str().unwrap()]);
    assert!(said.starts_with("children:"), "{said}");
    assert!(!said.contains("agent"), "{said}");
    home.worker();
}

#[test]
fn a_restart_binds_an_address_that_was_added() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let first = home.address();
    let free = free_address().unwrap();
    home.configure(&format!("[agent]\nlisten = [\"127.0.0.1:0\", \"{free}\"]\n"));
    until("the change is noticed", || home.warnings().contains("agent restart").then_some(()));
    home.say(&["agent", "restart"]);
    let addresses = home.status()["addresses"].to_string();
    assert_eq!(addresses, format!("[\"{first}\",\"{free}\"]"));
    TcpStream::connect(free).unwrap();
}

#[test]
fn an_older_agent_and_a_lost_control_socket_are_replaced_behind_the_wrappers_back() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let (address, client) = (home.address(), Client::start(home.address()));
    let make_older = || {
        let text = fs::read_to_string(home.data("agent.json")).unwrap();
        let older = text.replace(ccotel::agent::VERSION, "0.0.1");
        fs::write(home.data("agent.json"), older).unwrap();
    };
    let lose_socket = || fs::remove_file(home.data("run/control.sock")).unwrap();
    for damage in [&make_older as &dyn Fn(), &lose_socket] {
        let before = home.worker();
        damage();
        home.say(&["wrap", "/bin/echo"]);
        until("another worker answers", || (home.worker() != before).then_some(()));
        assert_eq!(home.status()["version"], ccotel::agent::VERSION);
    }
    client.some_more();
    client.assert_never_refused();
    assert_eq!(home.address(), address);
}

#[test]
fn a_hand_over_to_a_binary_that_is_gone_changes_nothing() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let (holder, worker) = (home.holder(), home.worker());
    let client = Client::start(home.address());
    fs::write(home.data("restart.json"), r#"{"exe":"/nonexistent/ccotel","listen":[]}"#).unwrap();
    kill(holder, Signal::HUP);
    until("another worker answers", || (home.worker() != worker).then_some(()));
    client.some_more();
    client.assert_never_refused();
    until("the holder takes signals again", || home.status()["pid"].as_i64());
    assert_eq!(home.holder(), holder);
    assert!(home.say(&["agent", "logs"]).contains("cannot become /nonexistent/ccotel"));
    assert!(home.say(&["agent", "restart"]).contains("restarted"));
}

#[test]
fn the_sockets_of_a_socket_unit_are_used_and_kept() {
    let home = Home::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    home.configure(&format!("[agent]\nlisten = [\"{address}\"]\n"));
    let mut agent = home.command(&["agent", "run"]);
    agent.env("LISTEN_FDS", "1").stderr(Stdio::null());
    agent.fd_mappings(vec![FdMapping { parent_fd: socket.into(), child_fd: 3 }]).unwrap();
    let mut agent = agent.spawn().unwrap();
    let worker = home.worker();
    assert_eq!(home.address(), address);
    home.say(&["agent", "restart"]);
    assert_ne!(home.worker(), worker);
    assert_eq!(home.address(), address);
    home.say(&["agent", "stop"]);
    assert!(agent.wait().unwrap().success());
}

#[test]
fn without_its_holder_a_worker_ends_and_the_next_agent_has_the_same_port() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let (holder, worker, address) = (home.holder(), home.worker(), home.address());
    kill(holder, Signal::KILL);
    until("the holder is gone", || is_gone(holder));
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
    until("both are gone", || is_gone(holder).and(is_gone(worker)));
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
