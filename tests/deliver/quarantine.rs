//! `ccotel quarantine`, with an agent of its own and without.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::Value;

use super::balance::{Agent, points};
use super::server::{Request, Server, status as reply};
use super::setup::{prometheus, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("quarantine::without_an_agent_is_told_so", without_agent),
        trial("quarantine::is_listed_shown_exported_retried_and_dropped", with_agent),
    ]
}

/// A user of their own, whose agent ends with the test.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        for name in ["config", "data"] {
            std::fs::create_dir(home.path(name)).unwrap();
        }
        home
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ccotel"))
            .args(arguments)
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .env("CCOTEL_CONFIG_DIR", self.path("config"))
            .env("CCOTEL_DATA_DIR", self.path("data"))
            .env("CCOTEL_RUNTIME_DIR", self.path("run"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn listed(&self) -> Vec<Value> {
        let document: Value =
            serde_json::from_str(&self.done(&["quarantine", "ls", "--json"])).unwrap();
        assert_eq!((&document["schema"], &document["running"]), (&1.into(), &true.into()));
        document["requests"].as_array().unwrap().clone()
    }

    fn metrics(&self) -> String {
        let status: Value = serde_json::from_str(&self.done(&["status", "--json"])).unwrap();
        let mut stream = TcpStream::connect(status["addresses"][0].as_str().unwrap()).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn destination(&self) -> Value {
        let document: Value = serde_json::from_str(&self.done(&["status", "--json"])).unwrap();
        document["destinations"][0].clone()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.run(&["agent", "stop"]);
    }
}

async fn without_agent() {
    let home = Home::new();
    let output = home.run(&["quarantine", "ls", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document.to_string(), r#"{"schema":1,"running":false,"requests":null}"#);
    for arguments in [&["ls"][..], &["show", "1"], &["retry", "--all"], &["drop", "1", "--yes"]] {
        let output = home.run(&[&["quarantine"], arguments].concat());
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{arguments:?}");
        assert!(words.contains("no agent runs") && words.contains("agent start"), "{words}");
    }
    let neither = home.run(&["quarantine", "retry"]);
    assert_eq!(neither.status.code(), Some(2));
}

/// A data directory in which a backend that is gone has refused three series for good.
async fn refused_by_another(home: &Home, name: &str) -> Vec<Request> {
    let server = Server::start(Vec::new(), reply(400).body("not today"));
    let config = prometheus(&server.url("/write"));
    assert_eq!(config.name, name);
    let mut agent = Agent::start(&home.path("data"), &config).await;
    for value in [1.0, 2.0, 3.0] {
        agent.ingest(points(1, value)).await;
        agent.drained().await;
    }
    agent.stop().await;
    server.wait_for(server.count())
}

async fn with_agent() {
    let home = Home::new();
    let refused = refused_by_another(&home, "backend").await;
    // The other backend takes one, refuses one, and cannot be reached for the rest of the test.
    let server = Server::start(vec![reply(204), reply(422).body("not this one")], reply(404));
    let config = format!(
        "[agent]\nlisten = [\"127.0.0.1:0\"]\n[[destination]]\nname = \"backend\"\n\
         type = \"prometheus\"\nurl = \"{}\"\nprotocol = \"1.0\"\n",
        server.url("/write")
    );
    std::fs::write(home.path("config/config.toml"), config).unwrap();
    home.done(&["agent", "start"]);

    let listed = home.listed();
    assert!(listed.len() >= 3, "{listed:?}");
    let id = |index: usize| listed[index]["id"].to_string();
    assert_eq!(listed[0]["destination"], "backend");
    assert_eq!((&listed[0]["status"], &listed[0]["answer"]), (&400.into(), &"not today".into()));
    assert_eq!(
        (&listed[0]["lane"], &listed[0]["format"]),
        (&"samples".into(), &"remote_write 1.0".into())
    );
    let table = home.done(&["quarantine", "ls", "backend"]);
    assert!(table.contains("not today") && table.lines().count() == listed.len() + 1, "{table}");
    assert!(home.done(&["quarantine", "ls", "other"]).contains("Nothing is in quarantine"));
    let shown = home.done(&["quarantine", "show", &id(0)]);
    assert!(shown.contains("Status 400: not today") && shown.contains("s0_total{"), "{shown}");

    home.done(&["quarantine", "export", &id(0), "--output", "body"]);
    let body = std::fs::read(home.path("body")).unwrap();
    assert!(refused.iter().any(|request| request.body == body));
    let again = home.run(&["quarantine", "export", &id(0), "--output", "body"]);
    assert!(!again.status.success(), "a file that is there is not written over");
    assert_eq!(home.run(&["quarantine", "show", "999"]).status.code(), Some(1));

    let before = home.destination();
    let words = home.done(&["quarantine", "retry", &id(0), &id(1)]);
    assert!(words.contains("backend is sent 2 requests again"), "{words}");
    let settled = until(|| {
        let listed = home.listed();
        listed.iter().all(|line| line["waiting"] == false).then_some(listed)
    })
    .await;
    assert_eq!(settled.len(), listed.len() - 1);
    assert_eq!((&settled[0]["id"], &settled[0]["status"]), (&listed[1]["id"], &422.into()));
    let after = home.destination();
    let count = |status: &Value, key: &str| status[key].as_u64().unwrap();
    let records = listed[0]["records"].as_u64().unwrap();
    assert_eq!(count(&after, "delivered"), count(&before, "delivered") + records);
    assert_eq!(count(&after, "quarantined"), count(&before, "quarantined") - records);

    let metrics = home.metrics();
    for (key, name) in [
        ("delivered", "delivered_records_total"),
        ("expired", "expired_records_total"),
        ("evicted", "evicted_records_total"),
        ("compacted", "compacted_records_total"),
        ("quarantined", "quarantined_records_total"),
        ("quarantine_kept", "quarantine_kept_records"),
    ] {
        let line = format!("ccotel_destination_{name}{{destination=\"backend\"}} {}\n", after[key]);
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }

    // Not to be reached: it waits, and the status says why.
    home.done(&["quarantine", "retry", "--destination", "backend"]);
    let parked = until(|| Some(home.destination()).filter(|now| now["state"] == "parked")).await;
    assert!(parked["last_error"].as_str().unwrap().contains("status 404"), "{parked}");
    assert!(home.listed().iter().all(|line| line["waiting"] == true));

    let unasked = home.run(&["quarantine", "drop", "--all"]);
    assert_eq!(unasked.status.code(), Some(1));
    assert_eq!(home.listed().len(), settled.len());
    home.done(&["quarantine", "drop", "--all", "--yes"]);
    assert!(home.listed().is_empty());
    let dropped = home.destination();
    assert_eq!(count(&dropped, "quarantined"), count(&after, "quarantined"));
    assert_eq!(count(&dropped, "quarantine_kept"), 0);
    let screen = home.done(&["status"]);
    assert!(screen.contains("no longer kept"), "{screen}");
}

async fn until<T>(look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never is so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
