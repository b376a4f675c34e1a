//! The marked record: sent over OTLP as Claude Code sends, and looked for on disk. What it is, and
//! why it changes nobody's totals: [`crate::record::own`].

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use tokio::time::timeout;

use super::check::Check;
use super::marked;
use super::remedy::ours;
use crate::agent::control;
use crate::agent::ensure::Endpoint;
use crate::agent::files;
use crate::config::destination::{DestinationConfig, DestinationType};
use crate::deliver::client::{Answer, Client, Failure};
use crate::deliver::otlp::partial_success;
use crate::deliver::wire::Wire;
use crate::paths::Paths;
use crate::record::own;

/// The agent answers within milliseconds; a disk that hangs takes longer.
const AGENT_WAIT: Duration = Duration::from_secs(5);

/// A mark that is on disk.
#[derive(Clone, Debug)]
pub struct Mark {
    pub sent: Timestamp,
    /// Of the event, in hexadecimal digits.
    pub trace_id: String,
    /// The counter's labels, without `instance`, and its value with this mark in it.
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Sends one, and finds it in the store. The checks say how far it came.
pub async fn send(paths: &Paths, endpoint: &Endpoint) -> (Option<Mark>, Vec<Check>) {
    let unstored = |because: &str| Check::not_checked("record_stored", because);
    let client = match Client::new(&door(endpoint)) {
        Ok(client) => client,
        Err(failure) => {
            let why = hidden(&failure.to_string(), endpoint);
            return (
                None,
                vec![Check::failed("record_accepted", why), unstored("nothing was sent")],
            );
        }
    };
    let before = counters(&client, endpoint).await.unwrap_or_default();
    let (sent, trace_id) = (Timestamp::now(), random_id());
    for request in [marked::metrics(sent), marked::logs(sent, trace_id)] {
        let answer = timeout(AGENT_WAIT, client.send(&request)).await;
        if let Some(check) = refused(request.wire, answer.ok(), endpoint) {
            return (None, vec![check, unstored("the agent did not accept it")]);
        }
    }
    let place = endpoint.address;
    let accepted = format!("http://{place} accepted a marked metric and event (http/protobuf)");
    let mut checks = vec![Check::ok("record_accepted", accepted)];
    let synced = control::sync(paths);
    let after = counters(&client, endpoint).await.unwrap_or_default();
    let grown = after
        .into_iter()
        .find(|(labels, value)| *value > before.get(labels).copied().unwrap_or_default());
    let mark = grown.map(|(mut labels, value)| {
        labels.remove("instance");
        Mark { sent, trace_id: format!("{:032x}", u128::from_be_bytes(trace_id)), labels, value }
    });
    checks.push(match (&mark, synced) {
        (Some(_), None) => Check::ok("record_stored", "it is in the store, synced to disk"),
        (Some(_), Some(why)) => Check::warning("record_stored", format!("it is stored, but {why}")),
        (None, _) => {
            let why = "the agent accepted it, and its counter has not grown";
            Check::failed("record_stored", why).remedy(ours("agent restart"))
        }
    });
    (mark, checks)
}

/// The agent, as a destination: the same client as for any other backend.
fn door(endpoint: &Endpoint) -> DestinationConfig {
    DestinationConfig {
        name: "the agent".to_owned(),
        kind: DestinationType::Otlp,
        url: format!("http://{}/{}", endpoint.address, endpoint.token),
        ..super::destinations::plain()
    }
}

/// The token is in the path, and stays out of every message.
fn hidden(text: &str, endpoint: &Endpoint) -> String {
    text.replace(&endpoint.token, "TOKEN")
}

/// Why the agent did not take it.
fn refused(
    wire: Wire,
    answer: Option<Result<Answer, Failure>>,
    endpoint: &Endpoint,
) -> Option<Check> {
    let name = "record_accepted";
    let restart = || ours("agent restart");
    let answer = match answer {
        None => {
            let why = format!("{} did not answer within 5 seconds", endpoint.address);
            return Some(Check::failed(name, why).remedy(restart()));
        }
        Some(Err(failure)) => {
            let why = hidden(&failure.to_string(), endpoint);
            return Some(Check::failed(name, why).remedy(restart()));
        }
        Some(Ok(answer)) => answer,
    };
    let words = || hidden(&answer.words(), endpoint);
    match answer.status {
        200 => {
            let left_out = partial_success(wire, &answer.body);
            (left_out.rejected > 0).then(|| {
                let why = format!("the agent turned {} away: {}", wire.name(), left_out.message);
                Check::failed(name, why).remedy(restart())
            })
        }
        401 | 403 => {
            let why = "the agent does not know the token that sessions are given";
            Some(Check::failed(name, why).remedy(restart()))
        }
        503 => Some(
            Check::failed(name, format!("the agent can store nothing now: {}", words()))
                .by_hand("see what is said of the disk"),
        ),
        status => {
            let why = format!("{} answered {status}: {}", endpoint.address, words());
            Some(Check::failed(name, why).remedy(restart()))
        }
    }
}

/// The counters of marks as the store has them, by their labels.
async fn counters(client: &Client, endpoint: &Endpoint) -> Option<BTreeMap<Labels, f64>> {
    let url = Url::parse(&format!("http://{}/metrics", endpoint.address)).ok()?;
    let answer = timeout(AGENT_WAIT, client.get(url)).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    Some(text.lines().filter_map(counter).collect())
}

type Labels = BTreeMap<String, String>;

/// `ccotel_doctor_marks_total{job="ccotel",team="a\"b"} 3`.
fn counter(line: &str) -> Option<(Labels, f64)> {
    let rest = line.strip_prefix(own::MARKS_SERIES)?;
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once("} ")?,
        None => ("", rest.trim()),
    };
    let mut found = Labels::new();
    let mut rest = labels;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut text = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => match letters.next()?.1 {
                    'n' => text.push('\n'),
                    other => text.push(other),
                },
                (_, other) => text.push(other),
            }
        };
        found.insert(name.to_owned(), text);
        rest = after[end + 1..].trim_start_matches(',');
    }
    Some((found, value.trim().parse().ok()?))
}

fn random_id() -> [u8; 16] {
    *uuid::Uuid::new_v4().as_bytes()
}

/// Whether the agent's socket can be connected to at all, for who sends nothing.
pub fn reachable(endpoint: &Endpoint) -> Check {
    let name = "record_accepted";
    match std::net::TcpStream::connect_timeout(&endpoint.address, AGENT_WAIT) {
        Ok(_) => Check::not_checked(name, "--offline: nothing was sent; the port answers"),
        Err(error) => {
            let why = format!("{} cannot be reached: {}", endpoint.address, files::words(&error));
            Check::failed(name, why).remedy(ours("agent restart"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_read_with_its_labels() {
        let line = r#"ccotel_doctor_marks_total{job="ccotel",team="a\"b, c=\"",x="\\"} 3"#;
        let (labels, value) = counter(line).unwrap();
        let pairs: Vec<_> = labels.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(pairs, [("job", "ccotel"), ("team", "a\"b, c=\""), ("x", "\\")]);
        assert_eq!(value.to_string(), "3");
        assert_eq!(counter("ccotel_doctor_marks_total 1").unwrap().0, Labels::new());
        assert!(counter("claude_code_commit_count_total 1").is_none());
    }
}
