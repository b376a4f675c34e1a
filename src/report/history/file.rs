//! One file of the history, read: a consistent look at it, while the agent goes on writing it.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Statement};

use super::grain::{Grain, pieces};
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

/// What events of one session and facet add up to in some stretch of time.
#[derive(Clone, Copy, Debug)]
pub struct ActivityRow {
    pub session: i64,
    pub facet: i64,
    pub prompts: i64,
    pub requests: i64,
    pub errors: i64,
    pub unpriced_requests: i64,
    /// Of tools and cost, as far as it was asked for; else zeros.
    pub usage: Usage,
}

/// What only some reports want, and reading costs as much as the rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub tool_calls: i64,
    pub tool_failures: i64,
    pub tool_rejections: i64,
    pub cost_usd: f64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_creation_tokens: i64,
}

/// From an id to a text. A year has many facets and a week few: they are looked up one by one.
pub struct Lookup<'h>(Statement<'h>);

impl Lookup<'_> {
    pub fn value(&mut self, id: i64) -> rusqlite::Result<Option<String>> {
        self.0.raw_bind_parameter(1, id)?;
        let mut rows = self.0.raw_query();
        rows.next()?.map(|row| row.get(0)).transpose()
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
            for table in ["counter", "activity"] {
                for order in ["ASC", "DESC"] {
                    let mut query = connection.prepare(&format!(
                        "SELECT start_minute FROM {table} WHERE grain = {} ORDER BY start_minute {order} LIMIT 1",
                        Grain::Day.column()
                    ))?;
                    let mut rows = query.query([])?;
                    while let Some(row) = rows.next()? {
                        let start: i64 = row.get(0)?;
                        let day = start..start + Grain::Day.minutes();
                        extent = Some(match extent {
                            None => day,
                            Some(known) => known.start.min(day.start)..known.end.max(day.end),
                        });
                    }
                }
            }
            Ok(extent)
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

    /// Facet id to the value of a tag. The name as a label has it.
    pub fn facet_tag(&self, name: &str) -> Result<Lookup<'_>, HistoryError> {
        self.lookup(
            "SELECT tag.value FROM facet
             JOIN tag ON tag.name = ?2 AND tag.tag_set_id = facet.tag_set_id WHERE facet.id = ?1",
            Some(name),
        )
    }

    /// Facet id to a text of it.
    pub fn facet_text(&self, column: FacetColumn) -> Result<Lookup<'_>, HistoryError> {
        let column = column.name();
        self.lookup(
            &format!(
                "SELECT text.value FROM facet JOIN text ON text.id = facet.{column}
                 WHERE facet.id = ?1"
            ),
            None,
        )
    }

    /// Session id in here to Claude Code's `session.id`.
    pub fn sessions(&self) -> Result<Lookup<'_>, HistoryError> {
        self.lookup("SELECT session_id FROM session WHERE id = ?1", None)
    }

    /// Text id to the text.
    pub fn texts(&self) -> Result<Lookup<'_>, HistoryError> {
        self.lookup("SELECT value FROM text WHERE id = ?1", None)
    }

    fn lookup(&self, query: &str, name: Option<&str>) -> Result<Lookup<'_>, HistoryError> {
        self.checked(|connection| {
            let mut statement = connection.prepare(query)?;
            if let Some(name) = name {
                statement.raw_bind_parameter(2, name)?;
            }
            Ok(Lookup(statement))
        })
    }

    /// Calls `each(range, series id, increment)` for what was counted in each range of minutes; a
    /// series may come more than once.
    pub fn counters(
        &self,
        ranges: &[Range<i64>],
        mut each: impl FnMut(usize, i64, f64),
    ) -> Result<(), HistoryError> {
        self.checked(|connection| {
            let mut query = connection.prepare(
                "SELECT series_id, value FROM counter
                 WHERE grain = ? AND start_minute >= ? AND start_minute < ?",
            )?;
            for (index, range) in ranges.iter().enumerate() {
                for (grain, piece) in pieces(range.clone()) {
                    let mut rows = query.query([grain.column(), piece.start, piece.end])?;
                    while let Some(row) = rows.next()? {
                        each(index, row.get(0)?, row.get(1)?);
                    }
                }
            }
            Ok(())
        })
    }

    /// Calls `each(range, row)` for what events add up to in each range of minutes; a session and
    /// facet may come more than once. Without usage, rows that hold nothing else are left out.
    pub fn activity(
        &self,
        ranges: &[Range<i64>],
        with_usage: bool,
        mut each: impl FnMut(usize, &ActivityRow) -> rusqlite::Result<()>,
    ) -> Result<(), HistoryError> {
        let (columns, condition) = if with_usage { (USAGE, "") } else { ("", WITHOUT_USAGE) };
        self.checked(|connection| {
            let mut query = connection.prepare(&format!(
                "SELECT session_id, facet_id, prompts, requests, errors, unpriced_requests {columns}
                 FROM activity
                 WHERE grain = ? AND start_minute >= ? AND start_minute < ? {condition}"
            ))?;
            for (index, range) in ranges.iter().enumerate() {
                for (grain, piece) in pieces(range.clone()) {
                    let mut rows = query.query([grain.column(), piece.start, piece.end])?;
                    while let Some(row) = rows.next()? {
                        each(index, &activity_row(row, with_usage)?)?;
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

const USAGE: &str = ", tool_calls, tool_failures, tool_rejections, cost_usd, input_tokens, \
     output_tokens, cache_read_tokens, cache_creation_tokens";
const WITHOUT_USAGE: &str = "AND prompts + requests + errors > 0";

fn activity_row(row: &rusqlite::Row<'_>, with_usage: bool) -> rusqlite::Result<ActivityRow> {
    Ok(ActivityRow {
        session: row.get(0)?,
        facet: row.get(1)?,
        prompts: row.get(2)?,
        requests: row.get(3)?,
        errors: row.get(4)?,
        unpriced_requests: row.get(5)?,
        usage: if with_usage { usage(row)? } else { Usage::default() },
    })
}

fn usage(row: &rusqlite::Row<'_>) -> rusqlite::Result<Usage> {
    Ok(Usage {
        tool_calls: row.get(6)?,
        tool_failures: row.get(7)?,
        tool_rejections: row.get(8)?,
        cost_usd: row.get(9)?,
        input_tokens: row.get(10)?,
        output_tokens: row.get(11)?,
        cache_read_tokens: row.get(12)?,
        cache_creation_tokens: row.get(13)?,
    })
}
