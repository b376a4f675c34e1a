//! When the disk fails: what is refused, when the database is opened again, and what `status` says.
//!
//! ```text
//!            error that is not BUSY or FULL, or memory may differ from the file   opened
//!   sound ──────────────────────────────────────────────────────────▶ closed ───────────▶ sound
//!     ▲ │ FULL: rolled back, refused, lanes read again                    │ ▲ │
//!     └─┘                                                                 └─┘ not yet: once a second, when asked
//! ```
//!
//! After [`FAILURES_MAX`] failures without a success in between, `status` says so in words. Before and after
//! each group's commit the file is looked at: where its path no longer leads to it (the data directory was
//! removed or exchanged under a running agent), it is written there again from the connection, which still
//! has all of it. What cannot be written again is refused, and the connection kept.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::Connection;

use super::core::{Core, refusal};
use super::handle::Refused;
use super::lanes::Lanes;
use super::salvage::{aside_path, with_suffix};
use super::schema::{self, OpenError};

/// Failures in a row from which on `status` speaks of them.
const FAILURES_MAX: u32 = 3;
/// A file system with less room than this, on which writing fails, is full.
const FULL_BELOW_BYTES: u64 = 1024 * 1024;
/// How often a database that cannot be opened is tried again.
const REOPEN_AFTER_MS: i64 = 1_000;

/// Which file is open, and how it fares.
#[derive(Debug, Default)]
pub struct Health {
    /// Device and inode of the file that was opened.
    file: Option<(u64, u64)>,
    failures: u32,
    /// Time and words of the first failure of this row, and of the last.
    since_ms: i64,
    why: String,
    must_reopen: bool,
    /// There is no connection to the file any more.
    closed: bool,
    tried_ms: i64,
}

impl Health {
    pub fn of(queue_db: &Path) -> Self {
        Self { file: place_of(queue_db), ..Self::default() }
    }

    /// The database was opened again: its failures are over when something was written.
    pub fn again(&self, queue_db: &Path) -> Self {
        Self {
            failures: self.failures,
            since_ms: self.since_ms,
            why: self.why.clone(),
            ..Self::of(queue_db)
        }
    }

    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    fn failed(&mut self, why: String, now_ms: i64) {
        if self.failures == 0 {
            self.since_ms = now_ms;
        }
        self.failures = self.failures.saturating_add(1);
        self.why = why;
    }

    /// In words, for `status`.
    pub fn warning(&self, queue_db: &Path, now_ms: i64) -> Option<String> {
        if self.failures < FAILURES_MAX && !self.closed {
            return None;
        }
        let minutes = (now_ms - self.since_ms).max(0) / 60_000;
        let since = if minutes == 0 { "just now".into() } else { format!("for {minutes} min") };
        Some(format!(
            "nothing can be written to {} ({since}): {}; Claude Code's telemetry is turned away, and lost \
             after some seconds, until the disk is well again",
            queue_db.display(),
            self.why
        ))
    }
}

/// SQLite calls a full disk an input or output error where it was about to grow a file of its own (the
/// log, its index); the file system knows better.
fn is_full(queue_db: &Path) -> bool {
    let folder = queue_db.parent().unwrap_or(queue_db);
    rustix::fs::statvfs(folder)
        .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < FULL_BELOW_BYTES)
}

/// Device and inode of what lies at `path`.
pub fn place_of(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Core {
    /// Why nothing can be stored, in the words that help.
    fn refused(&self, why: String) -> Refused {
        if is_full(&self.options.queue_db) { Refused::DiskFull(why) } else { Refused::Failed(why) }
    }

    fn refused_by(&self, error: &rusqlite::Error) -> Refused {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::SystemIoFailure | rusqlite::ErrorCode::CannotOpen) => {
                self.refused(error.to_string())
            }
            _ => refusal(error),
        }
    }

    /// A group's commit failed and was rolled back: memory is as it was.
    pub(super) fn failed_commit(&mut self, error: &rusqlite::Error, now_ms: i64) -> Refused {
        let harmless = schema::is_busy(error) || matches!(refusal(error), Refused::DiskFull(_));
        self.health.failed(error.to_string(), now_ms);
        self.health.must_reopen |= !harmless;
        self.refused_by(error)
    }

    /// Something else failed: memory may be ahead of the file, so it is read again. A full disk can still
    /// be read; closing the file there would give up its log, and with it the room to write anything.
    pub(super) fn failed(&mut self, error: &rusqlite::Error, now_ms: i64) -> Refused {
        if self.health.closed {
            return self.refused(self.health.why.clone());
        }
        self.health.failed(error.to_string(), now_ms);
        let refused = refusal(error);
        let again = matches!(refused, Refused::DiskFull(_)).then(|| Lanes::load(&self.connection));
        match again {
            Some(Ok(lanes)) => self.lanes = lanes,
            _ => self.health.must_reopen = true,
        }
        self.refused_by(error)
    }

    /// What is in memory cannot be trusted any more.
    pub(super) fn doubt(&mut self) {
        self.health.must_reopen = true;
    }

    /// Opens the database again, if that is due. `Err` while there is none to speak to.
    pub fn heal(&mut self, now_ms: i64) -> Result<(), Refused> {
        if !self.health.must_reopen {
            return Ok(());
        }
        if self.health.closed && (now_ms - self.health.tried_ms).abs() < REOPEN_AFTER_MS {
            return Err(self.refused(self.health.why.clone()));
        }
        self.reopen(now_ms).map_err(|error| {
            tracing::error!(%error, "the database cannot be opened again");
            self.health.why = error.to_string();
            self.refused(self.health.why.clone())
        })
    }

    fn reopen(&mut self, now_ms: i64) -> Result<(), OpenError> {
        self.health.tried_ms = now_ms;
        let failed = |error: rusqlite::Error| OpenError::Failed {
            path: self.options.queue_db.display().to_string(),
            why: error.to_string(),
        };
        // The file is locked to its connection, so that one goes first.
        self.connection = Connection::open_in_memory().map_err(failed)?;
        self.health.closed = true;
        let mut again = Self::open(self.options.clone(), now_ms)?;
        again.remember(self);
        *self = again;
        tracing::warn!("the database was opened again");
        Ok(())
    }

    /// Sees to it that the path still leads to the open file.
    pub(super) fn keep_file(&mut self, now_ms: i64) -> Result<(), Refused> {
        self.heal(now_ms)?;
        let place = place_of(&self.options.queue_db);
        if place.is_some() && place == self.health.file {
            return Ok(());
        }
        let restored = self.restore_file(place.is_some(), now_ms);
        restored.map_err(|why| {
            self.health.failed(why.clone(), now_ms);
            tracing::error!(%why, "the database's file is gone, and cannot be written again");
            Refused::Failed(why)
        })
    }

    fn restore_file(&mut self, exchanged: bool, now_ms: i64) -> Result<(), String> {
        let queue_db = self.options.queue_db.clone();
        let target =
            if exchanged { aside_path(&queue_db, "replaced", now_ms) } else { queue_db.clone() };
        let gone = format!("{} was removed under the running agent", queue_db.display());
        if let Some(folder) = queue_db.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("{gone}, and its folder cannot be made: {error}"))?;
        }
        if !exchanged {
            // A log without its database is of no use to the new one.
            let _ = std::fs::remove_file(with_suffix(&queue_db, "-wal"));
        }
        self.connection
            .execute("VACUUM INTO ?1", [target.to_string_lossy()])
            .map_err(|error| format!("{gone}, and cannot be written again: {error}"))?;
        self.health.must_reopen = true;
        self.heal(now_ms).map_err(|refused| refused.to_string())?;
        let what = if exchanged {
            format!(
                "{} was exchanged for another file while the agent ran; what the agent had is in {}",
                queue_db.display(),
                target.display()
            )
        } else {
            format!("{gone}; it was written again, and nothing stored was lost")
        };
        self.note(&what, now_ms).map_err(|error| error.to_string())
    }
}
