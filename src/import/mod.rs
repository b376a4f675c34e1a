//! Import: past usage from the transcripts that Claude Code keeps, into `imported.db`.
//!
//! ```text
//! find ──▶ pool ─▶ reader ─▶ transcript ──▶ writer ─▶ facts ─▶ rows, sums    one transaction
//! files    as many as cores:                 │        tags, prices, privacy
//!          lines → items                     └─▶ ledger: which file, how far, which items
//! ```
//!
//! An answer of the Messages API stands in a transcript several times: in a line for each part of it,
//! in copies that forks, resumed sessions and side questions make, in a subagent's file and its
//! parent's. It counts once, by the API's own id of the message, with the most that any line says of
//! it. What the agent counted when it happened does not count again ([`covered`]).
//!
//! Nothing that was said is kept, whatever the level of privacy is: numbers, names, ids. What is
//! imported stays on this machine; no destination is given any of it.

pub mod counts;
pub mod covered;
pub mod facts;
pub mod find;
mod growth;
pub mod install_key;
pub mod item;
mod ledger;
mod lenient;
mod line;
mod memory;
mod pool;
pub mod prices;
pub mod reader;
pub mod summary;
mod transcript;
pub mod usage;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config;
use crate::paths::Paths;
use crate::report::history::schema::HistoryError;
use covered::Covered;
use facts::Facts;
use item::{Answer, Item, ItemKind};
use pool::{Order, Part};
use summary::Summary;
use writer::{Context, Writer};

/// A file that was written to so recently may belong to a session whose events are still on their way
/// to the agent: Claude Code tries for ten seconds, and hands over every five.
const QUIET_MS: i64 = 30_000;
/// Problems that are told one by one.
const PROBLEMS_MAX: usize = 20;

/// What to import.
pub struct Options {
    /// Files and folders.
    pub roots: Vec<PathBuf>,
    /// What is older is left out.
    pub since_ms: i64,
    pub now_ms: i64,
    /// Only find out what would be.
    pub dry_run: bool,
}

/// Imports. Calls `progress` with the bytes done and all bytes. Ends early, with what was done by
/// then, when `stop` becomes true.
pub fn run(
    paths: &Paths,
    options: &Options,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Summary, HistoryError> {
    let mut summary = Summary::default();
    let found = find::transcripts(&options.roots, |path, error| {
        let what = format!("{}: {}", path.display(), crate::agent::files::words(error));
        note(&mut summary, what);
    });
    summary.files.found = found.len() as u64;
    let covered = Covered::read(&paths.history_db())?;
    let open = if options.dry_run { Writer::dry } else { Writer::open };
    let mut writer = open(&paths.imported_db())?;
    let key = install_key::find(paths).map_or_else(|| writer.own_key(), Ok)?;
    let mut facts = Facts::new(&paths.home, config::load(paths), key);
    let known = writer.files()?;
    let order = Order {
        found: &found,
        known: &known,
        since_ms: options.since_ms,
        quiet_before_ms: if covered.has_history() { options.now_ms - QUIET_MS } else { i64::MAX },
        stop,
    };
    let all: u64 = found.iter().map(|file| file.bytes).sum();
    let mut done = 0;
    let mut failed = None;
    pool::read(&order, |index, part| {
        let file = &found[index];
        let (chunk, state, last) = match part {
            Part::Read { chunk, state, last } => (chunk, state, last),
            other => {
                done += file.bytes;
                progress(done, all);
                count(&mut summary, &file.path, other);
                return true;
            }
        };
        summary.lines.add(&chunk.counts);
        summary.bytes += chunk.bytes;
        summary.files.read += u64::from(last);
        done += chunk.bytes;
        progress(done.min(all), all);
        let mut context = Context {
            facts: &mut facts,
            covered: &covered,
            since_ms: options.since_ms,
            summary: &mut summary,
        };
        let key = ledger::path_key(&file.path);
        let taken = writer.take(key, state, chunk.items, &mut context);
        failed = taken.err();
        failed.is_none()
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let mut context = Context {
        facts: &mut facts,
        covered: &covered,
        since_ms: options.since_ms,
        summary: &mut summary,
    };
    writer.flush(&mut context)?;
    summary.interrupted = stop.load(Ordering::Relaxed);
    Ok(summary)
}

fn count(summary: &mut Summary, path: &std::path::Path, part: Part) {
    match part {
        Part::Unchanged => summary.files.unchanged += 1,
        Part::Busy => summary.files.busy += 1,
        Part::Unreadable(error) => {
            summary.files.unreadable += 1;
            note(summary, format!("{}: {}", path.display(), crate::agent::files::words(&error)));
        }
        Part::Read { .. } => {}
    }
}

fn note(summary: &mut Summary, problem: String) {
    if summary.problems.len() < PROBLEMS_MAX {
        summary.problems.push(problem);
    }
}

/// An answer of a transcript, and what the history would have of it.
pub struct Told<'t> {
    pub item: &'t Item,
    pub answer: &'t Answer,
    /// As they are stored: at the level `minimal`, hashes.
    pub session: &'t str,
    pub request_id: Option<&'t str>,
    pub cost_usd: Option<f64>,
}

/// Reads transcripts without importing them, and hands on each answer of the API once. Returns what
/// became of the lines.
pub fn answers(
    paths: &Paths,
    roots: &[PathBuf],
    mut each: impl FnMut(&Told<'_>),
) -> counts::Counts {
    let found = find::transcripts(roots, |_, _| {});
    let key = install_key::find(paths).unwrap_or_default();
    let mut facts = Facts::new(&paths.home, config::load(paths), key);
    let order = Order {
        found: &found,
        known: &std::collections::HashMap::new(),
        since_ms: 0,
        quiet_before_ms: i64::MAX,
        stop: &AtomicBool::new(false),
    };
    let mut answers: std::collections::HashMap<item::Key, Item> = std::collections::HashMap::new();
    let mut counts = counts::Counts::default();
    pool::read(&order, |_, part| {
        let Part::Read { chunk, .. } = part else { return true };
        counts.add(&chunk.counts);
        for item in chunk.items {
            if let Some(known) = answers.get_mut(&item.key) {
                known.merge(item);
            } else if matches!(item.kind, ItemKind::Answer(_)) {
                answers.insert(item.key, item);
            }
        }
        true
    });
    for item in answers.values() {
        if let ItemKind::Answer(answer) = &item.kind {
            each(&Told {
                item,
                answer,
                session: &facts.session(&item.place),
                request_id: facts.request_id(&item.place, answer).as_deref(),
                cost_usd: facts.cost_usd(answer, item.time_ms),
            });
        }
    }
    counts
}
