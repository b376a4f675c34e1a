//! A panic of the store's thread, for real: a number in its database that arithmetic cannot go beyond.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::home::{Home, until};

/// The newest row of events: the next one would have no number.
const LAST_ROW: i64 = i64::MAX;

#[test]
#[cfg_attr(not(debug_assertions), ignore = "needs a build that panics on overflow")]
fn a_store_that_panics_is_replaced_and_nothing_acknowledged_is_lost() {
    let home = Home::new();
    home.say(&["agent", "start"]);
    assert_eq!(send(&home, 1), Some(200));
    home.say(&["agent", "stop"]);
    in_queue(
        &home,
        &format!(
            "INSERT INTO events_inbox SELECT {LAST_ROW}, received_ms, zeroblob(16), 0, records_total, bytes_total, body FROM events_inbox"
        ),
    );
    home.say(&["agent", "start"]);
    let worker = home.worker();
    assert_ne!(send(&home, 2), Some(200), "it is not on disk");
    until("another worker answers", || (home.worker() != worker).then_some(()));
    let status = home.status();
    assert!(status["worker"]["restarts"].as_u64().unwrap() > 0, "{status}");
    assert!(home.warnings().contains("the store's thread has ended"), "{status}");
    let log = fs::read_to_string(home.data("agent.log")).unwrap();
    assert!(log.contains("panic:") && log.contains("overflow"), "{log}");

    home.say(&["agent", "stop"]);
    in_queue(&home, &format!("DELETE FROM events_inbox WHERE row = {LAST_ROW}"));
    home.say(&["agent", "start"]);
    assert_eq!(send(&home, 2), Some(200));
    assert_eq!(home.status()["records"]["received"], 2);
}

fn in_queue(home: &Home, sql: &str) {
    let queue = rusqlite::Connection::open(home.data("queue.db")).unwrap();
    queue.execute_batch(sql).unwrap();
}

/// The status of the answer to an event of Claude Code's; none if there was none.
fn send(home: &Home, number: u32) -> Option<u16> {
    let token = fs::read_to_string(home.data("token")).unwrap();
    let body = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"scope":{{"name":"com.anthropic.claude_code.events"}},"logRecords":[{{"timeUnixNano":"{number}","body":{{"stringValue":"claude_code.user_prompt"}}}}]}}]}}]}}"#
    );
    let head = format!(
        "POST /{}/v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        token.trim(),
        body.len()
    );
    let mut stream = TcpStream::connect(home.address()).ok()?;
    stream.write_all((head + &body).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}
