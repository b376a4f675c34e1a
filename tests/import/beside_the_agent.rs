//! What the agent has counted when it happened does not count again.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::harness::recorded::{self, Part, RICH};
use crate::lines::{answer, answer_of};
use crate::world::{World, files, text};

/// Far from everything that was recorded.
const DAYS_BEFORE: i64 = 2;

#[test]
fn a_session_that_came_by_otlp_adds_nothing_when_its_transcript_is_imported() -> Result<()> {
    let world = World::new()?;
    adds_nothing(&world, "standard")
}

/// Ids are hashed by the agent's key, and the import's are with the same one.
#[test]
fn hashed_ids_are_the_same_ones() -> Result<()> {
    let world = World::new()?;
    minimal(&world)?;
    adds_nothing(&world, "minimal")?;
    let ids = told()?;
    for (path, bytes) in files(&world.sandbox.data_dir())? {
        if path.extension().is_some_and(|extension| extension == "db") {
            for id in ids.iter().flat_map(|told| [&told.session, &told.request]) {
                ensure!(!holds(&bytes, id), "{} holds {id}", path.display());
            }
        }
    }
    Ok(())
}

/// Without an agent that could be asked, its key is read from its file.
#[test]
fn hashed_ids_are_the_same_ones_while_the_agent_is_stopped() -> Result<()> {
    let world = World::new()?;
    minimal(&world)?;
    world.sandbox.start_agent()?;
    recorded::send(&world.sandbox, RICH, Part::Whole)?;
    let before = total(&world)?;
    world.sandbox.run(&["agent", "stop", "--stay"])?;
    write_told(&world, jiff::Timestamp::now())?;
    let document = world.import(&[])?;
    ensure!(document["added"]["requests"] == 0, "{document}");
    ensure!(total(&world)? == before, "{before} before, {} after", total(&world)?);
    Ok(())
}

/// Without any agent there is a key of the import's own, which stays.
#[test]
fn hashed_ids_stay_the_same_from_import_to_import() -> Result<()> {
    let world = World::new()?;
    minimal(&world)?;
    let path = world.write("s1.jsonl", &[answer("a session", "1", 0)])?;
    world.import(&[])?;
    fs::write(&path, text(&[answer("a session", "1", 0), answer("a session", "2", 1)]))?;
    world.import(&[])?;
    let by_session = world.imported("session")?;
    let rows = by_session["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure!(rows.len() == 1 && rows[0]["requests"] == 2, "{by_session}");
    ensure!(rows[0]["session"].is_string() && rows[0]["session"] != "a session", "{by_session}");
    Ok(())
}

/// An event may have been lost while the counters have its cost: what is near an event of its session
/// is taken as counted, and what is far is not.
#[test]
fn a_request_far_from_any_event_of_its_session_is_imported() -> Result<()> {
    let world = World::new()?;
    world.sandbox.start_agent()?;
    recorded::send(&world.sandbox, RICH, Part::Whole)?;
    let before = total(&world)?;
    let session = told()?.first().context("a recording has requests")?.session.clone();
    let now = jiff::Timestamp::now();
    let far = now - jiff::SignedDuration::from_hours(24 * DAYS_BEFORE);
    let lines = [
        answer_of(&session, "lost", &now.to_string(), 10, 100),
        answer_of(&session, "far", &far.to_string(), 10, 100),
        answer_of("another session", "near", &now.to_string(), 10, 100),
    ];
    let path = world.write("s1.jsonl", &lines)?;
    make_old(&path)?;
    let document = world.import(&[])?;
    ensure!(document["added"]["requests"] == 2, "{document}");
    ensure!(document["skipped"]["counted_by_agent"] == 1, "{document}");
    let after = total(&world)?;
    let requests = |total: &Value| total["requests"].as_u64().unwrap_or_default();
    ensure!(requests(&after) == requests(&before) + 2, "{before} before, {after} after");
    // The same again, and what was left out stays out.
    let again = world.import(&[])?;
    ensure!(again["files"]["unchanged"] == 1, "{again}");
    ensure!(total(&world)? == after);
    Ok(())
}

fn adds_nothing(world: &World, level: &str) -> Result<()> {
    world.sandbox.start_agent()?;
    recorded::send(&world.sandbox, RICH, Part::Whole)?;
    let before = total(world)?;
    let requests = told()?.len();
    ensure!(before["requests"] == requests, "{before}");
    // By their ids, however far from the events: a day later.
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    write_told(world, later)?;
    let document = world.import(&[])?;
    ensure!(document["added"]["requests"] == 0, "{level}: {document}");
    ensure!(document["skipped"]["counted_by_agent"] == requests, "{level}: {document}");
    let after = total(world)?;
    ensure!(after == before, "{level}: {before} before, {after} after");
    Ok(())
}

/// What both say together.
fn total(world: &World) -> Result<Value> {
    let since = ["report", "--json", "--since", "7d"];
    let report: Value = serde_json::from_str(&world.sandbox.run(&since)?)?;
    Ok(report["total"].clone())
}

struct Told {
    session: String,
    request: String,
}

/// The requests that the recording's events tell of.
fn told() -> Result<Vec<Told>> {
    recorded::events(RICH, "api_request")?
        .into_iter()
        .map(|event| {
            let of = |name: &str| event.get(name).cloned().with_context(|| format!("no {name}"));
            Ok(Told { session: of("session.id")?, request: of("request_id")? })
        })
        .collect()
}

/// The transcript of the recorded session.
fn write_told(world: &World, time: jiff::Timestamp) -> Result<std::path::PathBuf> {
    let lines: Vec<Value> = told()?
        .iter()
        .enumerate()
        .map(|(number, told)| {
            let mut line =
                answer_of(&told.session, &number.to_string(), &time.to_string(), 10, 100);
            line["requestId"] = told.request.as_str().into();
            line
        })
        .collect();
    let path = world.write("s1.jsonl", &lines)?;
    make_old(&path)?;
    Ok(path)
}

/// Written to more than a moment ago.
fn make_old(path: &Path) -> Result<()> {
    let hour_ago = SystemTime::now() - Duration::from_hours(1);
    Ok(File::options().write(true).open(path)?.set_modified(hour_ago)?)
}

fn minimal(world: &World) -> Result<()> {
    let path = world.sandbox.config_dir().join("config.toml");
    let config = fs::read_to_string(&path)? + "\n[privacy]\nlevel = \"minimal\"\n";
    Ok(fs::write(path, config)?)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}
