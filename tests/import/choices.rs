//! `--since`, `--dry-run`, a PATH, and what goes wrong.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::lines::{answer, answer_of, cost_usd, prompt};
use crate::world::{World, files, same_cost};

#[test]
fn since_leaves_out_what_is_older_until_it_is_asked_for() -> Result<()> {
    let world = World::new()?;
    let old = answer_of("s1", "1", "2026-10-05T10:00:00Z", 10, 100);
    world.write("s1.jsonl", &[old, answer("s1", "2", 0)])?;
    let recent = world.import(&["--since", "2026-11-01"])?;
    ensure!(recent["added"]["requests"] == 1 && recent["skipped"]["too_old"] == 1, "{recent}");
    let again = world.import(&["--since", "2026-11-01"])?;
    ensure!(again["files"]["unchanged"] == 1, "{again}");
    let all = world.import(&[])?;
    ensure!(all["added"]["requests"] == 1 && all["skipped"]["known"] == 1, "{all}");
    let total = world.total()?;
    ensure!(total["requests"] == 2, "{total}");
    same_cost(&total["cost_usd"], 2.0 * cost_usd(10, 100))
}

#[test]
fn a_dry_run_says_what_would_be_and_leaves_nothing() -> Result<()> {
    let (world, truth) = World::generated(11, 256 << 10)?;
    let dry = world.import(&["--dry-run"])?;
    ensure!(dry["dry_run"] == true && dry["added"]["requests"] == truth.requests, "{dry}");
    ensure!(!world.sandbox.paths().imported_db().exists());
    ensure!(world.total()?["requests"] == 0);

    world.import(&[])?;
    world.write("late.jsonl", &[answer("late", "1", 0)])?;
    let before = files(&world.sandbox.data_dir())?;
    let dry = world.import(&["--dry-run"])?;
    ensure!(dry["added"]["requests"] == 1, "{dry}");
    ensure!(dry["files"]["unchanged"] == truth.files, "{dry}");
    let names = |files: Vec<(std::path::PathBuf, Vec<u8>)>| -> Vec<_> {
        files.into_iter().map(|(path, _)| path).collect()
    };
    ensure!(names(files(&world.sandbox.data_dir())?) == names(before));
    world.check(&truth)
}

#[test]
fn a_path_is_a_file_or_a_folder_and_stands_instead_of_claude_codes_own() -> Result<()> {
    let world = World::new()?;
    world.write("own.jsonl", &[answer("own", "own", 0)])?;
    let elsewhere = world.sandbox.home().join("backup");
    fs::create_dir_all(&elsewhere)?;
    let file = elsewhere.join("one.jsonl");
    fs::write(&file, format!("{}\n", answer("s1", "1", 0)))?;
    fs::write(elsewhere.join("two.jsonl"), format!("{}\n", answer("s2", "2", 0)))?;
    fs::write(elsewhere.join("notes.txt"), "no transcript")?;
    let of_file = world.import(&[&file.to_string_lossy()])?;
    ensure!(of_file["files"]["found"] == 1 && of_file["added"]["requests"] == 1, "{of_file}");
    let of_folder = world.import(&[&elsewhere.to_string_lossy()])?;
    ensure!(
        of_folder["files"]["found"] == 2 && of_folder["files"]["unchanged"] == 1,
        "{of_folder}"
    );
    // By another way to the same place.
    let relative = world.sandbox.ccotel(&["import", "--json", "../backup"]).output()?;
    let relative: Value = serde_json::from_slice(&relative.stdout)?;
    ensure!(relative["files"]["unchanged"] == 2, "{relative}");
    ensure!(world.total()?["requests"] == 2);
    Ok(())
}

#[test]
fn claude_config_dir_says_where_transcripts_are() -> Result<()> {
    let world = World::new()?;
    let elsewhere = world.sandbox.home().join("claude/projects/-x");
    fs::create_dir_all(&elsewhere)?;
    fs::write(elsewhere.join("s1.jsonl"), format!("{}\n", answer("s1", "1", 0)))?;
    let mut command = world.sandbox.ccotel(&["import", "--json"]);
    let output = command.env("CLAUDE_CONFIG_DIR", world.sandbox.home().join("claude")).output()?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(document["added"]["requests"] == 1, "{document}");
    Ok(())
}

#[test]
fn no_transcripts_are_no_failure() -> Result<()> {
    let world = World::new()?;
    let (said, _, code) = world.output(&["import"])?;
    ensure!(code == 0 && said.contains("There are no transcripts in"), "{code} {said}");
    fs::remove_dir_all(world.sandbox.home().join(".claude"))?;
    let (said, _, code) = world.output(&["import"])?;
    ensure!(code == 0 && said.contains("there is no ~/.claude/projects"), "{code} {said}");
    Ok(())
}

#[test]
fn wrong_use_and_what_cannot_be_read_is_said() -> Result<()> {
    let world = World::new()?;
    let (said, error, code) = world.output(&["import", "--json", "/nowhere/at/all"])?;
    let document: Value = serde_json::from_str(&said)?;
    ensure!(code == 1 && document["schema"] == 1, "{code} {said}");
    ensure!(error.contains("/nowhere/at/all does not exist"), "{error}");
    let (_, error, code) = world.output(&["import", "--since", "when it was"])?;
    ensure!(code == 2 && error.contains("when it was"), "{code} {error}");

    fs::create_dir_all(world.sandbox.data_dir())?;
    fs::write(world.sandbox.paths().imported_db(), "no database".repeat(500))?;
    world.write("s1.jsonl", &[answer("s1", "1", 0)])?;
    let (said, error, code) = world.output(&["import", "--json"])?;
    let document: Value = serde_json::from_str(&said)?;
    ensure!(code == 1 && document["error"].is_string(), "{code} {said}");
    ensure!(error.contains("imported.db"), "{error}");
    Ok(())
}

#[test]
fn tags_are_those_of_the_folder_and_a_folder_that_is_gone_has_its_name() -> Result<()> {
    let world = World::new()?;
    let mut here = answer("s1", "1", 0);
    here["cwd"] = world.sandbox.repository().to_string_lossy().into();
    world.write("s1.jsonl", &[here, answer("s2", "2", 0)])?;
    world.import(&[])?;
    let by_project = world.imported("project,team")?;
    let rows = by_project["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has = |project: &str, team: Value| {
        rows.iter().any(|row| row["project"] == project && row["team"] == team)
    };
    ensure!(has("checkout", json!("payments")) && has("shop", Value::Null), "{by_project}");
    Ok(())
}

#[test]
fn for_people_there_are_words() -> Result<()> {
    let world = World::new()?;
    let mut unpriced = answer("s1", "2", 1);
    unpriced["message"]["model"] = "a-gateways-own".into();
    world.write("s1.jsonl", &[prompt("s1", "p", 0, "hello"), answer("s1", "1", 0), unpriced])?;
    let (said, error, code) = world.output(&["import"])?;
    ensure!(code == 0 && error.is_empty(), "{code} {error}");
    for words in ["2 requests", "1 prompt,", "1 request without a price", "a-gateways-own"] {
        ensure!(said.contains(words), "{words:?} is not in {said:?}");
    }
    Ok(())
}
