//! Transcripts, read side by side, and handed on in their order.
//!
//! Reading is most of the work, and writing is one thread's: as many readers as there are cores. Each
//! file has a channel of its own, and the channels stand in a queue, so what is read ahead is bounded.

use std::collections::HashMap;
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::find::Found;
use super::item::Key;
use super::ledger::{self, FileState, Plan};
use super::reader::{self, Chunk};

/// Files that may be read ahead, and chunks of each.
const FILES_AHEAD: usize = 16;
const CHUNKS_AHEAD: usize = 1;
/// Beyond that the writer cannot follow.
const READERS_MAX: usize = 4;

/// What happened to a file.
#[derive(Debug)]
pub enum Part {
    Unchanged,
    Busy,
    Unreadable(io::Error),
    Read {
        chunk: Chunk,
        /// What the ledger is to know of the file from now on.
        state: FileState,
        last: bool,
    },
}

/// How to read.
pub struct Order<'o> {
    pub found: &'o [Found],
    pub known: &'o HashMap<Key, FileState>,
    pub since_ms: i64,
    /// What was changed later is left alone.
    pub quiet_before_ms: i64,
    pub stop: &'o AtomicBool,
}

/// Calls `take` with each file's index and its parts, files in order, until it says no.
pub fn read(order: &Order<'_>, mut take: impl FnMut(usize, Part) -> bool) {
    let (queue, files) = sync_channel::<(usize, Receiver<Part>)>(FILES_AHEAD);
    let next = Mutex::new(0);
    let readers = thread::available_parallelism().map_or(1, NonZero::get).min(READERS_MAX);
    thread::scope(|scope| {
        for _ in 0..readers.min(order.found.len()) {
            let (next, queue) = (&next, queue.clone());
            scope.spawn(move || {
                while let Some((index, sender)) = claim(next, &queue, order) {
                    read_file(order, &order.found[index], &sender);
                }
            });
        }
        // Theirs are the only ones: once all have stopped there is nothing to wait for.
        drop(queue);
        let mut wanted = true;
        for _ in 0..order.found.len() {
            let Ok((index, parts)) = files.recv() else { break };
            for part in parts {
                wanted = wanted && take(index, part);
                if !wanted {
                    break;
                }
            }
            if !wanted || order.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        // Those who still want to hand something on see that nobody takes it.
        drop(files);
    });
}

/// The next file, with its place in the queue.
fn claim(
    next: &Mutex<usize>,
    queue: &SyncSender<(usize, Receiver<Part>)>,
    order: &Order<'_>,
) -> Option<(usize, SyncSender<Part>)> {
    if order.stop.load(Ordering::Relaxed) {
        return None;
    }
    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
    let index = *next;
    if index >= order.found.len() {
        return None;
    }
    *next += 1;
    let (sender, parts) = sync_channel(CHUNKS_AHEAD);
    queue.send((index, parts)).ok()?;
    Some((index, sender))
}

fn read_file(order: &Order<'_>, found: &Found, sender: &SyncSender<Part>) {
    if let Err(error) = try_read_file(order, found, sender) {
        let _ = sender.send(Part::Unreadable(error));
    }
}

fn try_read_file(order: &Order<'_>, found: &Found, sender: &SyncSender<Part>) -> io::Result<()> {
    let known = order.known.get(&ledger::path_key(&found.path));
    let from = match ledger::plan(found, known, order.since_ms)? {
        Plan::Unchanged => {
            let _ = sender.send(Part::Unchanged);
            return Ok(());
        }
        Plan::Read(_) if found.modified_ms >= order.quiet_before_ms => {
            let _ = sender.send(Part::Busy);
            return Ok(());
        }
        Plan::Read(from) => from,
    };
    let mut failed = None;
    reader::read(&found.path, from, |chunk, last| {
        let state = match state(order, found, chunk.offset, last) {
            Ok(state) => state,
            Err(error) => {
                failed = Some(error);
                return false;
            }
        };
        let sent = sender.send(Part::Read { chunk, state, last });
        sent.is_ok() && !order.stop.load(Ordering::Relaxed)
    })?;
    failed.map_or(Ok(()), Err)
}

fn state(order: &Order<'_>, found: &Found, offset: u64, last: bool) -> io::Result<FileState> {
    let (head, tail) = ledger::marks(&found.path, offset)?;
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    Ok(FileState {
        // A file that was read in part is no unchanged one.
        bytes: if last { number(found.bytes) } else { -1 },
        modified_ms: found.modified_ms,
        offset: number(offset),
        head,
        tail,
        since_ms: order.since_ms,
    })
}
