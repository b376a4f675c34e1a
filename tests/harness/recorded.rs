//! Recorded sessions of the real Claude Code, sent as if they had just happened.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;

use super::http;
use super::sandbox::Sandbox;

/// A session with tools, a subagent, failed requests and a commit.
pub const RICH: &str = "rich-http-json-delta";
/// The terminal interface, with `/clear` and `/exit`: two sessions, both ended.
pub const INTERACTIVE: &str = "interactive-http-json-delta";

/// One request to a model with a window of a million tokens.
pub const MILLION: &str = "default-model-1m-http-protobuf";

/// Which events of a recording are sent.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    Whole,
    /// Events up to and with the first of this name, and no counters: as of a session that goes on.
    UpTo(&'a str),
}

/// Sends a recording to the agent, its last event now.
pub fn send(sandbox: &Sandbox, recording: &str, part: Part<'_>) -> Result<()> {
    let mut requests = requests(recording)?;
    if let Part::UpTo(name) = part {
        cut_after(&mut requests, name)?;
    }
    let newest = requests.iter().filter_map(|(_, body)| newest_ns(body)).max();
    let newest = newest.context("a recording has times")?;
    let moved = Timestamp::now().as_nanosecond() - newest;
    let token = fs::read_to_string(sandbox.data_dir().join("token"))?;
    let endpoint = format!("http://{}/{}", sandbox.agent_address()?, token.trim());
    for (signal, mut body) in requests {
        move_times(&mut body, moved);
        let headers = [("content-type", "application/json")];
        let url = format!("{endpoint}/v1/{signal}");
        let (status, answer) = http::post(&url, &headers, body.to_string().into_bytes())?;
        ensure!(status == 200, "{url} answered {status}: {answer}");
    }
    Ok(())
}

/// What the recording's mock of the Messages API knows to be true.
pub fn truth(recording: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(folder(recording).join("expected.json"))?)?)
}

/// The attributes of a recording's events of this name, each with its value as text.
pub fn events(recording: &str, name: &str) -> Result<Vec<HashMap<String, String>>> {
    let mut events = Vec::new();
    for (signal, body) in requests(recording)? {
        if signal == "logs" {
            gather(&body, name, &mut events);
        }
    }
    Ok(events)
}

fn gather(body: &Value, name: &str, events: &mut Vec<HashMap<String, String>>) {
    match body {
        Value::Object(fields) if event_name(body) == Some(name) => {
            let attributes = fields["attributes"].as_array().into_iter().flatten();
            let text = |attribute: &Value| {
                let value = attribute["value"].as_object()?.values().next()?;
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                Some((attribute["key"].as_str()?.to_owned(), text))
            };
            events.push(attributes.filter_map(text).collect());
        }
        Value::Object(fields) => fields.values().for_each(|value| gather(value, name, events)),
        Value::Array(values) => values.iter().for_each(|value| gather(value, name, events)),
        _ => {}
    }
}

/// All recordings.
pub fn all() -> Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(folder(""))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

fn folder(recording: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude-code-2.1.197").join(recording)
}

/// (signal, body), in the order of arrival.
fn requests(recording: &str) -> Result<Vec<(String, Value)>> {
    let folder = folder(recording);
    let index = fs::read_to_string(folder.join("index.jsonl"))?;
    index
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line)?;
            let file = line["file"].as_str().context("an entry has a file")?;
            let body = serde_json::from_slice(&fs::read(folder.join(format!("{file}.json")))?)?;
            Ok((line["signal"].as_str().context("an entry has a signal")?.to_owned(), body))
        })
        .collect()
}

fn cut_after(requests: &mut Vec<(String, Value)>, name: &str) -> Result<()> {
    requests.retain(|(signal, _)| signal == "logs");
    for at in 0..requests.len() {
        let records = requests[at].1["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
            .as_array_mut()
            .context("a request of logs has records")?;
        if let Some(found) = records.iter().position(|record| event_name(record) == Some(name)) {
            records.truncate(found + 1);
            requests.truncate(at + 1);
            return Ok(());
        }
    }
    anyhow::bail!("the recording has no event {name}")
}

fn event_name(record: &Value) -> Option<&str> {
    let attributes = record["attributes"].as_array()?;
    let name = attributes.iter().find(|attribute| attribute["key"] == "event.name")?;
    name["value"]["stringValue"].as_str()
}

fn newest_ns(body: &Value) -> Option<i128> {
    match body {
        Value::Object(fields) => {
            let own = fields.get("timeUnixNano").and_then(|time| time.as_str()?.parse().ok());
            own.into_iter().chain(fields.values().filter_map(newest_ns)).max()
        }
        Value::Array(values) => values.iter().filter_map(newest_ns).max(),
        _ => None,
    }
}

fn move_times(body: &mut Value, by_ns: i128) {
    match body {
        Value::Object(fields) => {
            for (name, value) in fields {
                let time = value.as_str().and_then(|time| time.parse::<i128>().ok());
                match time.filter(|time| name.ends_with("UnixNano") && *time > 0) {
                    Some(time) => *value = (time + by_ns).to_string().into(),
                    None => move_times(value, by_ns),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| move_times(value, by_ns)),
        _ => {}
    }
}
