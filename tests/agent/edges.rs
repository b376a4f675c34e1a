//! Who is let in, what is told, and in which words.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use ccotel::agent::control;
use ccotel::agent::ensure::{EnsureError, ensure};
use ccotel::agent::notice::LaunchNotice;
use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::home::{Home, config, kill, until};

#[test]
fn an_agent_is_nobodys_child_and_takes_nothing_of_the_shell() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    let holder = home.holder();
    let pid = holder.to_string();
    let ps = Command::new("ps").args(["-o", "ppid=", "-p", &pid]).output().unwrap();
    let parent = String::from_utf8(ps.stdout).unwrap();
    assert_ne!(parent.trim(), std::process::id().to_string());
    let session = rustix::process::getsid(Pid::from_raw(holder)).unwrap();
    assert_eq!(Some(session), Pid::from_raw(holder), "a session of its own");
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
    assert_eq!(control::sync(&home.paths()), None, "nobody knows more than the file");
    home.say(&["agent", "start"]);
    control::send_notice(&home.paths(), &notice);
    assert_eq!(control::sync(&home.paths()), None);
    assert_eq!(home.status()["running"], true);
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
    assert_eq!(home.run(&["retry", "nowhere"]).status.code(), Some(2));
}

#[test]
fn in_the_foreground_it_says_where_it_listens_and_ends_on_a_signal() {
    let home = Home::new();
    let mut agent = home.command(&["agent", "run"]);
    let mut agent = agent.stderr(Stdio::piped()).spawn().unwrap();
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
fn a_configuration_that_is_gone_gives_no_destination_up() {
    let home = Home::new();
    let valid = fs::read_to_string(home.path("config/config.toml")).unwrap();
    let destination =
        "\n[[destination]]\nname = \"kept\"\ntype = \"otlp\"\nurl = \"http://127.0.0.1:9\"\n";
    home.configure(&format!("{valid}{destination}"));
    home.say(&["agent", "start"]);
    let names_it = || home.status()["destinations"].to_string().contains("kept");
    until("it is there", || names_it().then_some(()));
    fs::remove_file(home.path("config/config.toml")).unwrap();
    until("it is told", || home.warnings().contains("is gone").then_some(()));
    assert!(names_it());
    kill(home.worker(), Signal::KILL);
    until("also by the next worker", || home.warnings().contains("is gone").then_some(()));
    assert!(names_it());
    home.configure(&valid);
    until("a valid file decides", || (!names_it()).then_some(()));
}

#[test]
fn a_report_beside_an_agent_whose_history_is_behind_says_so_in_one_line() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    home.say(&["report"]);
    let history = rusqlite::Connection::open(home.data("history.db")).unwrap();
    // Somebody else writes to it, and does not end.
    history.execute_batch("BEGIN IMMEDIATE; CREATE TABLE somebodys(a)").unwrap();
    let worker = home.worker();
    kill(worker, Signal::KILL);
    until("another worker", || (home.worker() != worker).then_some(()));
    let report = home.run(&["report"]);
    assert!(report.status.success() && !report.stdout.is_empty(), "{report:?}");
    let said = String::from_utf8_lossy(&report.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("what came last may be missing"), "{said}");
    let document = home.run(&["report", "--json"]).stdout;
    assert!(serde_json::from_slice::<Value>(&document).is_ok(), "stdout stays one document");
    drop(history);
    until("it is whole again", || home.run(&["report"]).stderr.is_empty().then_some(()));
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
    // As it was told.
    home.run(&["agent", "restart"]);
    until("there is a new one", || home.data("token").exists().then_some(()));
    home.worker();
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
