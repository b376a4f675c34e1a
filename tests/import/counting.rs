//! What is counted, once, and what is passed over.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::lines::{answer, cost_usd, prompt};
use crate::world::{World, files, same_cost};

/// A seed whose transcripts have everything that is hard.
const SEED: u64 = 7;
const BYTES: u64 = 4 << 20;

#[test]
fn generated_transcripts_come_to_their_truth_and_the_same_import_twice_changes_nothing()
-> Result<()> {
    let (world, truth) = World::generated(SEED, BYTES)?;
    ensure!(
        [
            truth.broken,
            truth.half,
            truth.foreign,
            truth.synthetic,
            truth.unpriced_requests,
            truth.errors
        ]
        .iter()
        .all(|count| *count > 0),
        "another seed is needed: {truth:#?}"
    );
    let first = world.import(&[])?;
    for (key, expected) in [
        ("broken", truth.broken),
        ("half", truth.half),
        ("foreign", truth.foreign),
        ("synthetic", truth.synthetic),
        ("too_long", 0),
    ] {
        ensure!(first["lines"][key] == expected, "{key} instead of {expected}: {first}");
    }
    for (key, expected) in [
        ("sessions", truth.sessions),
        ("prompts", truth.prompts),
        ("requests", truth.requests),
        ("unpriced_requests", truth.unpriced_requests),
        ("errors", truth.errors),
        ("tool_calls", truth.tool_calls),
    ] {
        ensure!(first["added"][key] == expected, "{key} instead of {expected}: {first}");
    }
    same_cost(&first["added"]["cost_usd"], truth.cost_usd)?;
    ensure!(first["files"]["read"] == truth.files && first["problems"] == json!([]), "{first}");
    ensure!(first["unpriced_models"] == json!(["some-gateway-model"]), "{first}");
    world.check(&truth)?;

    let before = world.imported("day,model")?;
    let again = world.import(&[])?;
    ensure!(again["added"]["requests"] == 0 && again["grown"] == 0, "{again}");
    ensure!(again["files"]["unchanged"] == truth.files && again["bytes"] == 0, "{again}");
    ensure!(world.imported("day,model")?["rows"] == before["rows"]);
    world.check(&truth)
}

/// Not only the ledger of files: with every file looked at anew, each line is known.
#[test]
fn files_that_look_new_count_no_second_time() -> Result<()> {
    let (world, truth) = World::generated(SEED + 1, 1 << 20)?;
    world.import(&[])?;
    let copy = world.sandbox.home().join("copy");
    copy_all(&world.projects(), &copy)?;
    let again = world.import(&[&copy.to_string_lossy()])?;
    ensure!(again["files"]["read"] == truth.files, "{again}");
    ensure!(again["added"]["requests"] == 0 && again["added"]["prompts"] == 0, "{again}");
    world.check(&truth)
}

#[test]
fn lines_of_any_shape_are_counted_and_passed_over() -> Result<()> {
    let world = World::new()?;
    let whole = answer("s1", "1", 0);
    let without_usage = json!({"type": "assistant", "timestamp": "2026-11-02T10:00:00Z",
        "message": {"id": "msg_2", "model": "claude-sonnet-4-6", "content": "x"}});
    let mut odd_time = answer("s1", "3", 0);
    odd_time["timestamp"] = json!({"seconds": 7});
    let text = [
        whole.to_string(),
        without_usage.to_string(),
        odd_time.to_string(),
        r#"{"neither":"type"}"#.to_owned(),
        "[1, 2]".to_owned(),
        "not JSON at all".to_owned(),
        r#"{"type":"assistant","message":{"id":"#.to_owned(),
        "\u{0}\u{1}\u{2}".to_owned(),
        String::new(),
        r#"{"type":"of-next-year","content":[1]}"#.to_owned(),
        // Half a one, at the end.
        r#"{"type":"assistant","uuid":"u"#.to_owned(),
    ]
    .join("\n");
    let path = world.write("s1.jsonl", &[])?;
    fs::write(path, text)?;
    let found = world.import(&[])?;
    ensure!(
        found["lines"]
            == json!({"lines": 9, "broken": 4, "half": 1, "too_long": 0, "foreign": 3, "synthetic": 0}),
        "{found}"
    );
    ensure!(found["added"]["requests"] == 1, "{found}");
    same_cost(&found["added"]["cost_usd"], cost_usd(10, 100))
}

#[test]
fn a_line_longer_than_any_is_passed_over_and_what_follows_counts() -> Result<()> {
    let world = World::new()?;
    let picture = "A".repeat(17 << 20);
    let lines = [answer("s1", "1", 0), prompt("s1", "2", 1, &picture), answer("s1", "3", 2)];
    world.write("s1.jsonl", &lines)?;
    let found = world.import(&[])?;
    ensure!(found["lines"]["too_long"] == 1 && found["added"]["requests"] == 2, "{found}");
    Ok(())
}

/// The same answer in a subagent's file and in its parent's, in a fork with and without the payer's name.
#[test]
fn copies_of_an_answer_count_once_for_the_session_that_paid() -> Result<()> {
    let world = World::new()?;
    let original = answer("s1", "1", 0);
    world.write("s1.jsonl", &[prompt("s1", "p", 0, "hello"), original.clone()])?;
    let mut fork = answer("s2", "1", 0);
    fork["requestSessionId"] = "s1".into();
    world.write("s2.jsonl", &[fork, answer("s2", "2", 60)])?;
    world.write("s1/subagents/agent-1.jsonl", std::slice::from_ref(&original))?;
    let progress = json!({"type": "progress", "sessionId": "s1", "timestamp": original["timestamp"],
        "uuid": "u", "data": {"message": original}});
    world.write("s3.jsonl", &[progress])?;
    let found = world.import(&[])?;
    ensure!(found["added"]["requests"] == 2, "{found}");
    let by_session = world.imported("session")?;
    let rows = by_session["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |session: &str| {
        rows.iter().find(|row| row["session"] == session).map(|row| row["requests"].clone())
    };
    ensure!(of("s1") == Some(json!(1)) && of("s2") == Some(json!(1)), "{by_session}");
    Ok(())
}

/// As Claude Code's events count them, in the lines of older and of newer versions.
#[test]
fn commands_are_prompts_and_what_they_print_is_not() -> Result<()> {
    let world = World::new()?;
    let command = "<command-name>/clear</command-name>\n<command-args></command-args>";
    let printed = "<local-command-stdout>much</local-command-stdout>";
    let of_today = |id: &str, content: &str| {
        let mut line = prompt("s1", id, 0, "");
        line["type"] = "system".into();
        line["subtype"] = "local_command".into();
        line["content"] = content.into();
        line
    };
    let mut notice = of_today("5", "<command-name>/x</command-name>");
    notice["subtype"] = "informational".into();
    let lines = [
        prompt("s1", "1", 0, command),
        prompt("s1", "2", 0, printed),
        of_today("3", command),
        of_today("4", printed),
        notice,
        prompt("s1", "6", 0, "hello"),
    ];
    world.write("s1.jsonl", &lines)?;
    let found = world.import(&[])?;
    ensure!(found["added"]["prompts"] == 3 && found["lines"]["foreign"] == 0, "{found}");
    Ok(())
}

#[test]
fn transcripts_are_never_written_to() -> Result<()> {
    let (world, _) = World::generated(SEED + 2, 1 << 20)?;
    let mut before = Vec::new();
    for entry in fs::read_dir(world.projects())? {
        before.extend(files(&entry?.path())?);
    }
    world.import(&[])?;
    for (path, bytes) in before {
        ensure!(fs::read(&path)? == bytes, "{} has changed", path.display());
    }
    Ok(())
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
