//! One file of the history, read: a consistent look at it, while the agent goes on writing it.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Statement};

use super::grain::{Grain, pieces};
use super::packs::{self, Activity};
use super::schema::{self, BUSY_TIMEOUT, HistoryError, SCHEMA};

/// Who wrote a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The agent, from telemetry: counters are its truth, and events say how they are shared out.
    Recorded,
    /// `ccotel import`, from transcripts: events are its truth.
    Imported,
}

/// A read transaction: every question sees the same rows.
#[derive(Debug)]
pub struct HistoryFile {
    path: PathBuf,
    origin: Origin,
    connection: Connection,
}

/// From an id to a text. A year has many facets and a week few: the first are looked up one by one,
/// and when they turn out to be many, all are read at once.
pub struct Lookup<'h> {
    one: Statement<'h>,
    /// Reads all, `(id, text)`.
    all: Statement<'h>,
    asked: usize,
    known: Option<HashMap<i64, String>>,
}

/// Lookups one by one before all are read.
const ASKED_MAX: usize = 400;

impl Lookup<'_> {
    pub fn value(&mut self, id: i64) -> rusqlite::Result<Option<String>> {
        if let Some(known) = &self.known {
            return Ok(known.get(&id).cloned());
        }
        self.asked += 1;
        if self.asked > ASKED_MAX {
            let mut known = HashMap::new();
            let mut rows = self.all.raw_query();
            while let Some(row) = rows.next()? {
                known.insert(row.get(0)?, row.get(1)?);
            }
            let text = known.get(&id).cloned();
            self.known = Some(known);
            return Ok(text);
        }
        self.one.raw_bind_parameter(1, id)?;
        let mut rows = self.one.raw_query();
        rows.next()?.map(|row| row.get(1)).transpose()
    }
}

/// A facet's column that holds the id of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FacetColumn {
    User,
    Repository,
    Branch,
    Model,
    QuerySource,
    Tool,
}

impl FacetColumn {
    fn table(self) -> &'static str {
        match self {
            Self::User | Self::Repository | Self::Branch => "context",
            Self::Model | Self::QuerySource | Self::Tool => "action",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::User => "user_id",
            Self::Repository => "repository_id",
            Self::Branch => "branch_id",
            Self::Model => "model_id",
            Self::QuerySource => "query_source_id",
            Self::Tool => "tool_id",
        }
    }
}

impl HistoryFile {
    /// `None` where nothing has been written yet: no file, or one without tables.
    pub fn open(path: &Path, origin: Origin) -> Result<Option<Self>, HistoryError> {
        if !path.exists() {
            return Ok(None);
        }
        let map = |error: rusqlite::Error| error_of(path, origin, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(map)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(map)?;
        let found = schema::version(&connection).map_err(map)?;
        if found > SCHEMA {
            return Err(HistoryError::Newer { path: path.to_path_buf(), found });
        }
        if found == 0 {
            return Ok(None);
        }
        if found < SCHEMA {
            return Err(HistoryError::Older { path: path.to_path_buf(), found });
        }
        connection
            .execute_batch("PRAGMA cache_size = -16384; PRAGMA trusted_schema = OFF; BEGIN;")
            .map_err(map)?;
        Ok(Some(Self { path: path.to_path_buf(), origin, connection }))
    }

    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// For questions that a list of its own asks; [`Self::error`] says what their errors mean.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The minutes, in whole UTC days, from the oldest to the newest row; `None` if there is no row.
    pub fn extent(&self) -> Result<Option<Range<i64>>, HistoryError> {
        self.checked(|connection| {
            let mut extent: Option<Range<i64>> = None;
            for table in ["counter_pack", "activity_pack"] {
                let (first, last): (Option<i64>, Option<i64>) = connection.query_row(
                    &format!(
                        "SELECT (SELECT min(place) FROM {table} WHERE place >= ?1),
                           (SELECT max(place) FROM {table} WHERE place >= ?1)"
                    ),
                    [packs::place(Grain::Day, 0)],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?;
                let (Some(first), Some(last)) = (first, last) else { continue };
                let start = packs::start_minute(first);
                let end = packs::start_minute(last) + Grain::Day.minutes();
                extent = Some(match extent {
                    None => start..end,
                    Some(known) => known.start.min(start)..known.end.max(end),
                });
            }
            Ok(extent)
        })
    }

    /// The newest sample and the newest reception that the agent told of, in milliseconds.
    pub fn newest_ms(&self) -> Result<i64, HistoryError> {
        self.checked(|connection| {
            connection
                .query_row("SELECT max(tick_ms, received_ms) FROM cursor", [], |row| row.get(0))
        })
    }

    /// `(id, metric)` of every series.
    pub fn series(&self) -> Result<Vec<(i64, String)>, HistoryError> {
        self.checked(|connection| {
            connection
                .prepare("SELECT id, metric FROM series")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Series id to the value of a label, where it has one.
    pub fn series_label(&self, name: &str) -> Result<HashMap<i64, String>, HistoryError> {
        self.checked(|connection| {
            connection
                .prepare("SELECT series_id, value FROM series_label WHERE name = ?")?
                .query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Context id to the value of a tag. The name as a label has it.
    pub fn context_tag(&self, name: &str) -> Result<Lookup<'_>, HistoryError> {
        let query = "SELECT context.id, tag.value FROM context
             JOIN tag ON tag.name = ?2 AND tag.tag_set_id = context.tag_set_id";
        self.lookup(query, "context.id", Some(name))
    }

    /// Context or action id, by the column, to a text of it.
    pub fn facet_text(&self, column: FacetColumn) -> Result<Lookup<'_>, HistoryError> {
        let (table, column) = (column.table(), column.name());
        let query = format!(
            "SELECT {table}.id, text.value FROM {table} JOIN text ON text.id = {table}.{column}"
        );
        self.lookup(&query, &format!("{table}.id"), None)
    }

    /// Session id in here to Claude Code's `session.id`.
    pub fn sessions(&self) -> Result<Lookup<'_>, HistoryError> {
        self.lookup("SELECT id, session_id FROM session", "id", None)
    }

    /// Text id to the text.
    pub fn texts(&self) -> Result<Lookup<'_>, HistoryError> {
        self.lookup("SELECT id, value FROM text", "id", None)
    }

    fn lookup(&self, all: &str, id: &str, name: Option<&str>) -> Result<Lookup<'_>, HistoryError> {
        self.checked(|connection| {
            let mut one = connection.prepare(&format!("{all} WHERE {id} = ?1"))?;
            let mut all = connection.prepare(all)?;
            if let Some(name) = name {
                one.raw_bind_parameter(2, name)?;
                all.raw_bind_parameter(2, name)?;
            }
            Ok(Lookup { one, all, asked: 0, known: None })
        })
    }

    /// Calls `each(range, series id, increment)` for what was counted in each range of minutes; a
    /// series may come more than once.
    pub fn counters(
        &self,
        ranges: &[Range<i64>],
        mut each: impl FnMut(usize, i64, f64),
    ) -> Result<(), HistoryError> {
        self.packs("counter_pack", ranges, |range, data| {
            packs::read_counters(data, |series, value| each(range, series, value));
            Ok(())
        })
    }

    /// Calls `each(range, session id, facet id, sums)` for what events add up to in each range of
    /// minutes; a session and facet may come more than once.
    pub fn activity(
        &self,
        ranges: &[Range<i64>],
        mut each: impl FnMut(usize, i64, i64, &Activity) -> rusqlite::Result<()>,
    ) -> Result<(), HistoryError> {
        self.packs("activity_pack", ranges, |range, data| {
            packs::read_activities(data, |session, facet, sums| each(range, session, facet, sums))
        })
    }

    fn packs(
        &self,
        table: &str,
        ranges: &[Range<i64>],
        mut each: impl FnMut(usize, &[u8]) -> rusqlite::Result<()>,
    ) -> Result<(), HistoryError> {
        self.checked(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "SELECT data FROM {table} WHERE place >= ? AND place < ?"
            ))?;
            for (index, range) in ranges.iter().enumerate() {
                for (grain, piece) in pieces(range.clone()) {
                    let place = |minute| packs::place(grain, minute);
                    let mut rows = query.query([place(piece.start), place(piece.end)])?;
                    while let Some(row) = rows.next()? {
                        each(index, row.get_ref(0)?.as_blob()?)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Asks the connection itself.
    pub fn checked<'h, T>(
        &'h self,
        ask: impl FnOnce(&'h Connection) -> rusqlite::Result<T>,
    ) -> Result<T, HistoryError> {
        ask(&self.connection).map_err(|error| error_of(&self.path, self.origin, &error))
    }

    /// What an error on this file means.
    pub fn error(&self, error: &rusqlite::Error) -> HistoryError {
        error_of(&self.path, self.origin, error)
    }
}

fn error_of(path: &Path, origin: Origin, error: &rusqlite::Error) -> HistoryError {
    match (HistoryError::from_sqlite(path, error), origin) {
        (HistoryError::Damaged { path, cause }, Origin::Imported) => {
            HistoryError::ImportDamaged { path, cause }
        }
        (error, _) => error,
    }
}
