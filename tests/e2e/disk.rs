//! A disk that somebody else fills, for real: a small file system in a mount namespace of the test's own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use ccotel::record::{Batch, Event, PrivacyLevel, Value};
use ccotel::store::handle::{DestinationKey, Ingest, Ingested, Lane, Refused, Settled, Since};
use ccotel::store::{Clock, Options, Store};

use crate::Case;
use crate::harness::programs::Program;

/// Where the small disk is, for the run inside the namespace.
const INSIDE: &str = "CCOTEL_TEST_SMALL_DISK";
const DISK_BYTES: &str = "12m";
const EVENTS_PER_REQUEST: u64 = 10;

pub fn cases() -> Vec<Case> {
    vec![Case::new(
        "a_disk_filled_by_others_loses_nothing_that_was_answered",
        &[Program::MountNamespace],
        in_a_namespace,
    )]
}

/// The part that runs inside, if this is the process for it.
pub fn inside() -> Option<Result<()>> {
    std::env::var_os(INSIDE).map(|folder| fill_up(Path::new(&folder)))
}

fn in_a_namespace() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let unshare = Program::MountNamespace.find().context("found before")?;
    let mount = format!("mount -t tmpfs -o size={DISK_BYTES} none \"${INSIDE}\" && exec \"$0\"");
    let output = Command::new(unshare)
        .args(["-rm", "sh", "-c", &mount])
        .arg(std::env::current_exe()?)
        .env(INSIDE, folder.path())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn fill_up(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options =
        Options { queue_db: folder.join("queue.db"), disk_bytes_max: 1 << 30, history_days: 400 };
    let store = ccotel::store::open(options.clone(), Clock::System)?;
    let mut answered = runtime.block_on(send_on_a_full_disk(&store, folder))?;
    // What is there is sound, and there is room again.
    runtime.block_on(store.handle.stop())?;
    store.thread.join().ok().context("the store's thread")?;
    let store = ccotel::store::open(options, Clock::System)?;
    answered += runtime.block_on(send(&store, 1_000_000))?;
    let delivered = runtime.block_on(drain(&store))?;
    let books = runtime.block_on(store.handle.books("d".into()))?;
    ensure!(books.backlog_records == 0 && books.delivered == delivered, "{books:?}");
    ensure!(
        answered == delivered + books.evicted,
        "{answered} events were answered, {delivered} delivered: {books:?}"
    );
    let warnings = runtime.block_on(store.handle.stats())?.warnings;
    ensure!(warnings.is_empty(), "it is well again: {warnings:?}");
    Ok(())
}

async fn send_on_a_full_disk(store: &Store, folder: &Path) -> Result<u64> {
    let key = DestinationKey {
        name: "d".into(),
        privacy: PrivacyLevel::Full,
        lanes: vec![Lane::Events],
        since: Since::All,
    };
    store.handle.open_destination(key).await?;
    let mut answered = 0;
    for number in 0..40 {
        answered += send(store, number).await?;
    }
    // Somebody takes all that is left.
    let ballast = folder.join("somebody's");
    let full = fs::write(&ballast, vec![1; 16 << 20]);
    ensure!(full.is_err(), "the disk is not as small as it should be");
    let mut taken = 0;
    for number in 40..140 {
        taken += send(store, number).await?;
    }
    ensure!(taken > 0, "the oldest gave their room to the newest");
    fs::remove_file(ballast)?;
    ensure!(send(store, 500).await? == EVENTS_PER_REQUEST, "there is room again");
    Ok(answered + taken + EVENTS_PER_REQUEST)
}

/// How many events were answered with yes.
async fn send(store: &Store, number: u64) -> Result<u64> {
    let event = |part: u64| Event {
        time_ns: number * 100 + part,
        name: "api_request".into(),
        body: "claude_code.api_request".into(),
        service: "claude-code".into(),
        tags: Vec::new(),
        id: u128::from(number * 100 + part),
        attributes: vec![("noise".into(), Value::Text(noise(number, part).into()))],
    };
    let batch = Batch::Events((0..EVENTS_PER_REQUEST).map(event).collect());
    match store.handle.ingest(Ingest { body_hash: u128::from(number), batch }).await {
        Ok(Ingested::Stored) => Ok(EVENTS_PER_REQUEST),
        Ok(other) => anyhow::bail!("{other:?}"),
        Err(Refused::DiskFull(_)) => Ok(0),
        Err(refused) => Err(refused.into()),
    }
}

/// Text that hardly compresses.
fn noise(number: u64, part: u64) -> String {
    let block = |at: u64| blake3::hash(format!("{number}.{part}.{at}").as_bytes()).to_string();
    (0..100).map(block).collect()
}

async fn drain(store: &Store) -> Result<u64> {
    let name: Arc<str> = "d".into();
    let mut delivered = 0;
    while let Some(batch) = store.handle.freeze(name.clone(), Lane::Events, 1_000, 1 << 20).await? {
        delivered += batch.records;
        let settled = Settled { delivered: batch.records, ..Settled::default() };
        store.handle.settle(name.clone(), Lane::Events, settled).await?;
    }
    Ok(delivered)
}
