//! Transcripts that change between two imports.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::lines::{answer, answer_of, cost_usd, prompt, time};
use crate::world::{World, same_cost, text};

#[test]
fn a_file_that_was_appended_to_is_read_on_from_its_end() -> Result<()> {
    let world = World::new()?;
    let path = world.write("s1.jsonl", &[prompt("s1", "p", 0, "hello"), answer("s1", "1", 1)])?;
    world.import(&[])?;
    let more = text(&[answer("s1", "2", 2)]);
    append(&path, &more)?;
    let second = world.import(&[])?;
    ensure!(second["lines"]["lines"] == 1 && second["bytes"] == more.len(), "{second}");
    ensure!(second["added"]["requests"] == 1 && second["skipped"]["known"] == 0, "{second}");
    requests(&world, 2)
}

#[test]
fn a_half_line_is_read_when_it_is_whole() -> Result<()> {
    let world = World::new()?;
    let path = world.write("s1.jsonl", &[answer("s1", "1", 0)])?;
    let line = answer("s1", "2", 1).to_string();
    append(&path, &line[..40])?;
    let first = world.import(&[])?;
    ensure!(first["lines"]["half"] == 1 && first["added"]["requests"] == 1, "{first}");
    append(&path, &line[40..])?;
    // Whole, though its end of line is still to come.
    let second = world.import(&[])?;
    ensure!(second["lines"]["half"] == 0 && second["added"]["requests"] == 1, "{second}");
    append(&path, "\n")?;
    let third = world.import(&[])?;
    ensure!(third["lines"]["lines"] == 0 && third["added"]["requests"] == 0, "{third}");
    append(&path, &text(&[answer("s1", "3", 2)]))?;
    let fourth = world.import(&[])?;
    ensure!(fourth["lines"]["lines"] == 1 && fourth["added"]["requests"] == 1, "{fourth}");
    requests(&world, 3)
}

#[test]
fn a_file_that_was_rewritten_is_read_anew_and_counts_once() -> Result<()> {
    let world = World::new()?;
    let lines: Vec<Value> = (0..5).map(|n| answer("s1", &n.to_string(), n)).collect();
    world.write("s1.jsonl", &lines)?;
    world.import(&[])?;
    // Longer, with another beginning.
    let mut rewritten = vec![prompt("s1", "p", 0, "now with the prompt before it")];
    rewritten.extend(lines.iter().cloned());
    rewritten.push(answer("s1", "5", 5));
    world.write("s1.jsonl", &rewritten)?;
    let second = world.import(&[])?;
    ensure!(second["lines"]["lines"] == 7 && second["added"]["requests"] == 1, "{second}");
    ensure!(second["added"]["prompts"] == 1, "{second}");
    // Shorter: what is gone stays counted.
    world.write("s1.jsonl", &lines[..2])?;
    let third = world.import(&[])?;
    ensure!(third["lines"]["lines"] == 2 && third["added"]["requests"] == 0, "{third}");
    requests(&world, 6)
}

/// Read while it was being written, an answer's first line has only a beginning of its usage.
#[test]
fn an_answer_that_grew_counts_with_what_it_came_to() -> Result<()> {
    let world = World::new()?;
    let beginning = answer_of("s1", "1", &time(0), 10, 1);
    let path = world.write("s1.jsonl", &[prompt("s1", "p", 0, "hello"), beginning])?;
    world.import(&[])?;
    same_cost(&world.total()?["cost_usd"], cost_usd(10, 1))?;
    append(&path, &text(&[answer_of("s1", "1", &time(3), 10, 250)]))?;
    let second = world.import(&[])?;
    ensure!(second["grown"] == 1 && second["added"]["requests"] == 0, "{second}");
    let total = world.total()?;
    ensure!(total["requests"] == 1 && total["tokens"]["output"] == 250, "{total}");
    same_cost(&total["cost_usd"], cost_usd(10, 250))?;
    // By session, from the other tables, the same.
    let by_session = world.imported("session")?;
    same_cost(&by_session["rows"][0]["cost_usd"], cost_usd(10, 250))?;
    // A line that says less takes nothing back.
    append(&path, &text(&[answer_of("s1", "1", &time(4), 10, 2)]))?;
    let third = world.import(&[])?;
    ensure!(third["grown"] == 0, "{third}");
    same_cost(&world.total()?["cost_usd"], cost_usd(10, 250))
}

/// With an agent beside it, events of a session that goes on may still be on their way.
#[test]
fn a_file_written_to_just_now_is_left_to_the_next_import_only_beside_an_agent() -> Result<()> {
    let world = World::new()?;
    let path = world.write("s1.jsonl", &[answer("s1", "1", 0)])?;
    world.sandbox.start_agent()?;
    // The history is there once the agent was asked for it.
    world.sandbox.run(&["report", "--json"])?;
    let busy = world.import(&[])?;
    ensure!(busy["files"]["busy"] == 1 && busy["added"]["requests"] == 0, "{busy}");
    File::options()
        .write(true)
        .open(&path)?
        .set_modified(SystemTime::now() - Duration::from_mins(1))?;
    let quiet = world.import(&[])?;
    ensure!(
        quiet["files"]
            == json!({"found": 1, "read": 1, "unchanged": 0, "busy": 0, "unreadable": 0})
    );
    requests(&world, 1)
}

fn append(path: &std::path::Path, text: &str) -> Result<()> {
    Ok(OpenOptions::new().append(true).open(path)?.write_all(text.as_bytes())?)
}

fn requests(world: &World, expected: u64) -> Result<()> {
    let total = world.total()?;
    ensure!(total["requests"] == expected, "{expected} expected: {total}");
    Ok(())
}
