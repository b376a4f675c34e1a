//! Nothing that was said is kept, at any level.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::lines::{MODEL, time};
use crate::world::{World, files};

/// In everything that a person or a model says, and in what tools are given and give.
const CANARY: &str = "canary7f3a";

#[test]
fn nothing_that_was_said_is_in_the_data_directory() -> Result<()> {
    for level in ["minimal", "standard", "full"] {
        let world = World::new()?;
        let path = world.sandbox.config_dir().join("config.toml");
        let config = fs::read_to_string(&path)? + &format!("\n[privacy]\nlevel = \"{level}\"\n");
        fs::write(&path, config)?;
        world.write("s1.jsonl", &lines())?;
        let document = world.import(&[])?;
        let added = &document["added"];
        ensure!(added["requests"] == 1 && added["prompts"] == 2, "{document}");
        ensure!(added["tool_calls"] == 1 && added["errors"] == 1, "{document}");
        ensure!(!document.to_string().contains(CANARY), "{document}");
        let files = files(&world.sandbox.data_dir())?;
        ensure!(files.iter().any(|(path, _)| path.ends_with("imported.db")), "{files:?}");
        for (path, bytes) in files {
            let found = memchr::memmem::find(&bytes, CANARY.as_bytes());
            ensure!(found.is_none(), "{} has it at {level}", path.display());
        }
    }
    Ok(())
}

/// What identifies somebody's work is not there at the level that drops it.
#[test]
fn at_minimal_there_is_no_branch_no_folder_and_no_id() -> Result<()> {
    let world = World::new()?;
    let path = world.sandbox.config_dir().join("config.toml");
    fs::write(&path, fs::read_to_string(&path)? + "\n[privacy]\nlevel = \"minimal\"\n")?;
    world.write("s1.jsonl", &lines())?;
    world.import(&[])?;
    for (path, bytes) in files(&world.sandbox.data_dir())? {
        for text in
            ["a-branch-of-mine", "session-of-mine", "req_of_mine", "toolu_of_mine", "-home-dev-src"]
        {
            let found = memchr::memmem::find(&bytes, text.as_bytes());
            ensure!(found.is_none(), "{} has {text}", path.display());
        }
    }
    Ok(())
}

fn lines() -> Vec<serde_json::Value> {
    let line = |id: &str, seconds: i64, mut more: serde_json::Value| {
        let common = json!({
            "uuid": format!("uuid-{id}"), "timestamp": time(seconds), "sessionId": "session-of-mine",
            "cwd": "/home/dev/src/shop", "gitBranch": "a-branch-of-mine", "version": "2.1.329",
            "entrypoint": "cli", "promptId": "prompt-of-mine", "slug": CANARY,
        });
        for (key, value) in common.as_object().into_iter().flatten() {
            more[key] = value.clone();
        }
        more
    };
    let usage =
        json!({"input_tokens": 1, "output_tokens": 2, "speed": CANARY, "service_tier": CANARY});
    vec![
        line("1", 0, json!({"type": "user", "message": {"role": "user", "content": CANARY}})),
        line(
            "2",
            1,
            json!({"type": "user", "message": {"role": "user", "content":
            format!("<command-name>/{CANARY}</command-name>\n<command-args>{CANARY}</command-args>")}}),
        ),
        line(
            "3",
            2,
            json!({"type": "assistant", "requestId": "req_of_mine", "message": {
            "id": "msg_1", "model": MODEL, "usage": usage, "content": [
                {"type": "thinking", "thinking": CANARY, "signature": CANARY},
                {"type": "text", "text": CANARY},
                {"type": "tool_use", "id": "toolu_of_mine", "name": "Bash",
                    "input": {"command": CANARY, "description": CANARY}}]}}),
        ),
        line(
            "4",
            3,
            json!({"type": "user", "message": {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_of_mine", "is_error": true, "content": CANARY}]},
            "toolUseResult": {"stdout": CANARY, "stderr": CANARY}}),
        ),
        line(
            "5",
            4,
            json!({"type": "assistant", "isApiErrorMessage": true, "apiErrorStatus": 400,
            "error": CANARY, "message": {"id": "e", "model": "<synthetic>",
                "content": [{"type": "text", "text": CANARY}]}}),
        ),
        json!({"type": "summary", "summary": CANARY, "leafUuid": "x"}),
        json!({"type": "queue-operation", "operation": "enqueue", "content": CANARY}),
        json!({"type": "last-prompt", "lastPrompt": CANARY}),
    ]
}
