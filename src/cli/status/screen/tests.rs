use serde_json::json;

use super::*;
use crate::agent::status::{GatewayStatus, SCHEMA};

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn running() -> Status {
    Status {
        schema: SCHEMA,
        running: true,
        pid: Some(123),
        version: Some("0.1.0".into()),
        started: Some("2026-11-21T06:48:00Z".parse().unwrap()),
        addresses: vec!["127.0.0.1:14318".parse().unwrap()],
        sessions: Some(SessionCounts { active: 1, today: 4 }),
        records: Some(RecordCounts {
            received: 9000,
            stored: 8990,
            duplicate: 3,
            unchanged: 7,
            rejected: 0,
            foreign: 0,
        }),
        data_dir: "/home/a/.local/share/ccotel".into(),
        disk_bytes: 3 * 1024 * 1024,
        ..Status::default()
    }
}

#[test]
fn a_quiet_agent_is_a_few_lines_without_zeros() {
    insta::assert_snapshot!(draw(&running(), None, now()), @r"
    Agent 0.1.0 has been running for 5 h 12 min, pid 123
      listens on  127.0.0.1:14318
      sessions    1 active, 4 today
      records     9,000 received = 8,990 stored + 7 that changed nothing + 3 sent twice by Claude Code and counted once
      forwards    to nobody; `ccotel connect` adds a backend
      on disk     3.0 MiB in /home/a/.local/share/ccotel
    ");
}

#[test]
fn trouble_is_said_in_words_with_what_to_do() {
    let mut status = running();
    status.records.as_mut().unwrap().rejected = 2;
    status.requests = Some(RequestCounts { refused: 1, malformed: 0, denied: 5 });
    status.destinations = vec![
        json!({"name": "team-prom", "type": "prometheus", "state": "ok", "meant": 8997, "delivered": 8997,
               "backlog": {"records": 0, "bytes": 0, "oldest_seconds": 0},
               "last_success": "2026-11-21T11:59:57Z", "last_error": null, "next_try": null,
               "from_a_newer_agent": true}),
        json!({"name": "logs", "type": "loki", "state": "retrying", "meant": 1307, "delivered": 100,
               "backlog": {"records": 1200, "bytes": 250_000, "oldest_seconds": 10_800},
               "expired": 7, "last_error": "connection refused by loki.example.com",
               "next_try": "2026-11-21T12:02:05Z"}),
    ];
    status.warnings = vec![Warning {
        at: "2026-11-21T11:00:00Z".parse().unwrap(),
        what: "the configuration is invalid".into(),
        remedy: "correct it".into(),
    }];
    let mut before = status.clone();
    before.destinations[1]["delivered"] = json!(0);
    let earlier = "2026-11-21T11:59:59Z".parse().unwrap();
    insta::assert_snapshot!(draw(&status, Some((earlier, &before)), now()), @r"
    Agent 0.1.0 has been running for 5 h 12 min, pid 123
      listens on  127.0.0.1:14318
      sessions    1 active, 4 today
      records     9,000 received = 8,990 stored + 7 that changed nothing + 3 sent twice by Claude Code and counted once; 2 rejected: malformed or beyond a limit
      requests    1 refused, since nothing could be stored; 5 of somebody who may not come in
      on disk     3.0 MiB in /home/a/.local/share/ccotel

    Destinations
      team-prom (prometheus): in order
        8,997 delivered, last success 3 s ago
      logs (loki): not reachable for now, is tried again by itself
        1,307 meant for it = 100 delivered + 1,200 waiting + 7 expired
        last error: connection refused by loki.example.com
        waiting: 1,200 records (244.1 KiB), the oldest for 3 h; 100 a second, done in about 12 s
        next try in 2 min; `ccotel retry logs` now
        7 records older than the backend accepts; kept here for reports only

    Warnings
      ! the configuration is invalid (1 h ago)
        correct it
    ");
}

#[test]
fn without_an_agent_it_says_how_to_get_one() {
    let mut status = Status { schema: SCHEMA, ..Status::default() };
    assert!(draw(&status, None, now()).contains("the next `claude` starts one"));
    status.stopped_to_stay = true;
    assert!(draw(&status, None, now()).contains("`ccotel agent start` starts it"));
}

#[test]
fn numbers_and_times_read_easily() {
    assert_eq!(count(0), "0");
    assert_eq!(count(999), "999");
    assert_eq!(count(1_234_567), "1,234,567");
    for (seconds, words) in [
        (0.4, "0 s"),
        (59.0, "59 s"),
        (60.0, "1 min"),
        (3_660.0, "1 h 1 min"),
        (700_000.0, "8 d 2 h"),
    ] {
        assert_eq!(seconds_words(seconds), words);
    }
}

#[test]
fn a_backends_words_cannot_steer_the_terminal() {
    let mut status = running();
    status.destinations = vec![json!({
        "name": "a\u{1b}[2J", "type": "loki", "state": "retrying",
        "last_error": "500 \u{1b}]0;title\u{7}\nWarnings\r",
    })];
    let screen = draw(&status, None, now());
    assert!(!screen.contains(|letter: char| letter.is_control() && letter != '\n'), "{screen}");
    assert!(screen.contains("    last error: 500 ?]0;title??Warnings?\n"), "{screen}");
}

#[test]
fn an_agent_of_before_tells_less_and_books_that_do_not_add_up_are_not_hidden() {
    let mut status = running();
    status.records = Some(RecordCounts { received: 5, duplicate: 1, ..RecordCounts::default() });
    let screen = draw(&status, None, now());
    assert!(screen.contains("5 received, 1 sent twice by Claude Code"), "{screen}");
    status.destinations = vec![json!({"name": "d", "type": "loki", "meant": 5, "delivered": 4})];
    let screen = draw(&status, None, now());
    assert!(
        screen.contains("5 meant for it, but these do not add up to it: 4 delivered"),
        "{screen}"
    );
}

#[test]
fn a_gateways_senders_are_shown_the_last_heard_of_first() {
    let mut status = running();
    let sender = |name: &str, received, last_seen: Option<&str>| SenderStatus {
        name: name.into(),
        known: true,
        received,
        last_seen: last_seen.map(|at| at.parse().unwrap()),
        ..SenderStatus::default()
    };
    let mut gone = sender("ci-old", 7, Some("2026-11-21T11:00:00Z"));
    (gone.known, gone.rejected, gone.refused) = (false, 2, 3);
    let senders = vec![
        sender("ci-docs", 0, None),
        gone,
        sender("ci-shop", 8_993, Some("2026-11-21T11:59:58Z")),
    ];
    status.gateway = Some(GatewayStatus { senders });
    insta::assert_snapshot!(draw(&status, None, now()), @r"
    Agent 0.1.0 has been running for 5 h 12 min, pid 123
      listens on  127.0.0.1:14318
      sessions    1 active, 4 today
      records     9,000 received = 8,990 stored + 7 that changed nothing + 3 sent twice by Claude Code and counted once
      forwards    to nobody; `ccotel connect` adds a backend
      on disk     3.0 MiB in /home/a/.local/share/ccotel

    Senders (2 may send)
      ci-shop  8,993 records; last heard of 2 s ago
      ci-old  7 records; 2 rejected; 3 requests told to come back; last heard of 1 h ago; may not send any more
      ci-docs  0 records; not heard of since the worker began
    ");
}
