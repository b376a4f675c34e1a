//! Against a recorded session: its transcript is written here from its events, and then made to say
//! something else.

use std::collections::HashMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::World;
use crate::harness::recorded::{self, INTERACTIVE, Part};

const TITLE: &str = "generate_session_title";

/// Before the recording's end. The first of its two sessions has events on both sides of it, and the second
/// one begins within the half minute that `verify` looks at.
const AMID: SignedDuration = SignedDuration::from_secs(20);

/// The recording, which an agent was told just now.
struct Told {
    world: World,
    requests: Vec<HashMap<String, String>>,
    at: Timestamp,
}

impl Told {
    fn new() -> Result<Self> {
        let world = World::new()?;
        world.sandbox.start_agent()?;
        recorded::send(&world.sandbox, INTERACTIVE, Part::Whole)?;
        let requests = recorded::events(INTERACTIVE, "api_request")?;
        Ok(Self { world, requests, at: Timestamp::now() })
    }

    /// A line for each request of a conversation: titles stand in no transcript.
    fn lines(&self) -> Result<Vec<Value>> {
        let of_a_conversation = self.requests.iter().filter(|it| it["query_source"] != TITLE);
        of_a_conversation.map(|request| line(request, self.at)).collect()
    }

    fn write(&self, lines: &[Value]) -> Result<()> {
        let project = self.world.sandbox.home().join(".claude/projects/-work");
        fs::create_dir_all(&project)?;
        let text: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
        Ok(fs::write(project.join("recorded.jsonl"), text.concat())?)
    }

    /// With lines that `change` has made of the true ones: the one difference, which is of this cause and in
    /// the session of the first line.
    fn differing(&self, cause: &str, change: impl Fn(&mut Vec<Value>)) -> Result<Value> {
        let mut lines = self.lines()?;
        let session = lines[0]["sessionId"].as_str().context("a session")?.to_owned();
        change(&mut lines);
        self.write(&lines)?;
        self.world.verify_names(cause, &session)
    }
}

fn line(request: &HashMap<String, String>, at: Timestamp) -> Result<Value> {
    let number = |name: &str| request[name].parse::<u64>();
    Ok(json!({
        "type": "assistant", "sessionId": request["session.id"], "requestId": request["request_id"],
        "timestamp": at.to_string(), "version": "2.1.197", "entrypoint": "cli",
        "message": {
            "id": format!("msg_{}", request["request_id"]), "model": request["model"],
            "usage": {
                "input_tokens": number("input_tokens")?, "output_tokens": number("output_tokens")?,
                "cache_read_input_tokens": number("cache_read_tokens")?,
                "cache_creation_input_tokens": number("cache_creation_tokens")?,
            },
        },
    }))
}

/// Titles were asked for by requests that no transcript has.
pub fn titles() -> Result<()> {
    let told = Told::new()?;
    told.write(&told.lines()?)?;
    let document = told.world.verify_agrees(&["auxiliary_requests"])?;
    let auxiliary = |row: &Value| row["auxiliary"]["requests"].as_u64().unwrap_or_default();
    let models = document["models"].as_array().context("no models")?;
    let titles = told.requests.iter().filter(|it| it["query_source"] == TITLE).count() as u64;
    ensure!(models.iter().map(auxiliary).sum::<u64>() == titles && titles > 0, "{document:#}");
    Ok(())
}

pub fn count_differs() -> Result<()> {
    let finding = Told::new()?.differing("tokens_differ", |lines| {
        let output = &mut lines[0]["message"]["usage"]["output_tokens"];
        *output = json!(output.as_u64().unwrap_or_default() + 5);
    })?;
    ensure!(finding["difference"]["tokens"]["output"] == -5, "{finding}");
    Ok(())
}

/// The same tokens, of which those written to the cache for an hour cost more than those for five minutes.
pub fn price_differs() -> Result<()> {
    let finding = Told::new()?.differing("price_differs", |lines| {
        let usage = &mut lines[0]["message"]["usage"];
        let written = usage["cache_creation_input_tokens"].clone();
        usage["cache_creation"] =
            json!({ "ephemeral_1h_input_tokens": written, "ephemeral_5m_input_tokens": 0 });
    })?;
    let difference = &finding["difference"];
    ensure!(difference["cost_usd"].as_f64().is_some_and(|usd| usd < 0.0), "{finding}");
    ensure!(difference["requests"] == 0, "{finding}");
    Ok(())
}

/// One request more, amid others of its session that are known, while another session was heard of.
pub fn events_lost() -> Result<()> {
    let told = Told::new()?;
    let finding = told.differing("events_lost", |lines| {
        let mut more = lines[0].clone();
        more["requestId"] = json!("req_lost");
        more["message"]["id"] = json!("msg_lost");
        more["timestamp"] = json!((told.at - AMID).to_string());
        lines.push(more);
    })?;
    ensure!(finding["difference"]["requests"] == -1, "{finding}");
    Ok(())
}
