//! Killed, stopped and run again: in the end it is the truth.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::poll;
use crate::harness::transcripts::Truth;
use crate::lines::{answer, cost_usd, prompt};
use crate::world::World;

/// The decisions of a run are those of its seed.
const SEED: u64 = 20_261_124;
/// As many small files, since what is written at once are 512 of them.
const FILES: usize = 2600;
const KILLS: usize = 10;
const DEADLINE: Duration = Duration::from_mins(1);

#[test]
fn killed_at_any_moment_and_run_again_it_comes_to_the_truth() -> Result<()> {
    let (world, truth) = many()?;
    let mut random = Rng::with_seed(SEED);
    let mut killed_within = 0;
    for _ in 0..KILLS {
        let before = files_done(&world);
        let wanted = before + random.usize(0..FILES / 3);
        let mut import = start(&world)?;
        let done = until_done(&world, &mut import, wanted)?;
        import.kill()?;
        let status = import.wait()?;
        killed_within += usize::from(!status.success() && done > 0 && done < FILES);
        if status.success() {
            // Anew: the next ones have something to do.
            fs::remove_file(world.sandbox.paths().imported_db())?;
            for suffix in ["-wal", "-shm"] {
                let _ =
                    fs::remove_file(world.sandbox.data_dir().join(format!("imported.db{suffix}")));
            }
        }
    }
    ensure!(killed_within > 0, "no import was killed between two writes (seed {SEED})");
    world.import(&[])?;
    world.check(&truth).with_context(|| format!("seed {SEED}"))?;
    let again = world.import(&[])?;
    ensure!(
        again["added"]["requests"] == 0 && again["files"]["unchanged"] == truth.files,
        "{again}"
    );
    Ok(())
}

#[test]
fn ctrl_c_ends_it_with_what_was_done_and_the_next_one_goes_on() -> Result<()> {
    let (world, truth) = many()?;
    let mut import = start(&world)?;
    until_done(&world, &mut import, 1)?;
    ensure!(import.try_wait()?.is_none(), "it ended before it could be interrupted");
    interrupt(&import)?;
    let output = import.wait_with_output()?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(output.status.code() == Some(1) && document["interrupted"] == true, "{document}");
    let done = files_done(&world);
    ensure!(done > 0 && done < FILES, "{done} of {FILES} files");
    let next = world.import(&[])?;
    ensure!(next["interrupted"] == false && next["files"]["unchanged"] == done, "{done}: {next}");
    world.check(&truth)
}

/// A session of one prompt and two answers in each file, of which one stands in two of them.
fn many() -> Result<(World, Truth)> {
    let world = World::new()?;
    let mut truth = Truth { files: FILES as u64, sessions: FILES as u64, ..Truth::default() };
    for number in 0..FILES {
        let session = format!("s{number}");
        let own = format!("{number}a");
        let shared = format!("{}b", number / 2);
        let payer = format!("s{}", number / 2 * 2);
        let lines = [
            prompt(&session, &own, 0, "hello"),
            answer(&session, &own, 1),
            answer(&payer, &shared, 2),
        ];
        world.write(&format!("{session}.jsonl"), &lines)?;
        truth.prompts += 1;
        truth.requests += 1 + u64::from(number % 2 == 0);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let requests = truth.requests as f64;
    truth.cost_usd = requests * cost_usd(10, 100);
    truth.input = i64::try_from(truth.requests)? * 10;
    truth.output = i64::try_from(truth.requests)? * 100;
    Ok((world, truth))
}

fn start(world: &World) -> Result<Child> {
    let mut command = world.sandbox.ccotel(&["import", "--json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    Ok(command.spawn()?)
}

/// Waits until the ledger has so many files, or the import has ended. How many it has.
fn until_done(world: &World, import: &mut Child, wanted: usize) -> Result<usize> {
    poll::until("progress of an import", DEADLINE, || {
        let done = files_done(world);
        ensure!(done >= wanted || import.try_wait()?.is_some(), "{done} files instead of {wanted}");
        Ok(done)
    })
}

/// What the ledger has; nothing, where there is none yet.
fn files_done(world: &World) -> usize {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let path = world.sandbox.paths().imported_db();
    Connection::open_with_flags(path, flags)
        .and_then(|ledger| {
            ledger.query_row("SELECT count(*) FROM import_file", [], |row| row.get(0))
        })
        .unwrap_or(0)
}

fn interrupt(import: &Child) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(import.id())?).context("a pid")?;
    Ok(kill_process(pid, Signal::INT)?)
}
