//! Inboxes: one row an accepted request, one table a kind, in the order of their commits.

use rusqlite::{Connection, OptionalExtension, params};

use crate::record::Batch;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbox {
    Points,
    Events,
    Spans,
}

pub const INBOXES: [Inbox; 3] = [Inbox::Points, Inbox::Events, Inbox::Spans];

impl Inbox {
    pub fn of(batch: &Batch) -> Self {
        match batch {
            Batch::Points(_) => Self::Points,
            Batch::Events(_) => Self::Events,
            Batch::Spans(_) => Self::Spans,
        }
    }

    pub fn table(self) -> &'static str {
        match self {
            Self::Points => "points_inbox",
            Self::Events => "events_inbox",
            Self::Spans => "spans_inbox",
        }
    }
}

/// The end of a table: its newest row and what all rows up to it hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    pub row: i64,
    pub records_total: u64,
    pub bytes_total: u64,
}

impl End {
    /// The end of `table` as it is on disk.
    pub fn load(connection: &Connection, table: &str) -> rusqlite::Result<Self> {
        let sql = format!(
            "SELECT row, records_total, bytes_total FROM {table} ORDER BY row DESC LIMIT 1"
        );
        let end = connection.query_row(&sql, [], |row| {
            Ok(Self { row: row.get(0)?, records_total: row.get(1)?, bytes_total: row.get(2)? })
        });
        Ok(end.optional()?.unwrap_or_default())
    }

    /// The end after one more row.
    pub fn after(self, records: u64, bytes: u64) -> Self {
        Self {
            row: self.row + 1,
            records_total: self.records_total + records,
            bytes_total: self.bytes_total + bytes,
        }
    }
}

/// Inserts a request inside the caller's transaction; returns the table's new end.
pub fn insert(
    connection: &Connection,
    inbox: Inbox,
    end: End,
    received_ms: i64,
    hash: u128,
    records: u64,
    body: &[u8],
) -> rusqlite::Result<End> {
    let end = end.after(records, body.len() as u64);
    let sql = match inbox {
        Inbox::Points => "INSERT INTO points_inbox VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        Inbox::Events => "INSERT INTO events_inbox VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        Inbox::Spans => "INSERT INTO spans_inbox VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    };
    connection.prepare_cached(sql)?.execute(params![
        end.row,
        received_ms,
        hash.to_le_bytes(),
        records,
        end.records_total,
        end.bytes_total,
        body
    ])?;
    Ok(end)
}

/// Hashes of the requests received at or after `since_ms`, for deduplication.
pub fn recent_hashes(
    connection: &Connection,
    inbox: Inbox,
    since_ms: i64,
) -> rusqlite::Result<Vec<(u128, i64)>> {
    let sql = format!("SELECT hash, received_ms FROM {} ORDER BY row DESC", inbox.table());
    let mut query = connection.prepare(&sql)?;
    let mut rows = query.query([])?;
    let mut hashes = Vec::new();
    while let Some(row) = rows.next()? {
        let received_ms: i64 = row.get(1)?;
        if received_ms < since_ms {
            break;
        }
        hashes.push((u128::from_le_bytes(row.get(0)?), received_ms));
    }
    Ok(hashes)
}
