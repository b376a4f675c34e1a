//! `meta`: the install's identity, and numbers that belong to no row.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::schema::{self, OpenError};

/// The install's id and key, made at the first start.
pub fn install(connection: &Connection) -> rusqlite::Result<(String, [u8; 32])> {
    let found = get(connection, "install_id")?.zip(get(connection, "install_key")?);
    if let Some(identity) = found {
        return Ok(identity);
    }
    let identity = (new_id(), new_key()?);
    connection.execute_batch("BEGIN IMMEDIATE")?;
    set(connection, "install_id", &identity.0)?;
    set(connection, "install_key", identity.1)?;
    connection.execute_batch("COMMIT")?;
    Ok(identity)
}

/// Makes a database of this install, where there is none yet: `ccotel demo` gives the same one the same
/// series each time.
pub fn prepare(queue_db: &Path, install_id: &str, key: [u8; 32]) -> Result<(), OpenError> {
    let connection = schema::open(queue_db)?;
    let written = set(&connection, "install_id", install_id)
        .and_then(|()| set(&connection, "install_key", key));
    written.map_err(|error| OpenError::Failed {
        path: queue_db.display().to_string(),
        why: error.to_string(),
    })
}

pub fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

pub fn new_key() -> rusqlite::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.to_string().into()))?;
    Ok(key)
}

pub fn get<T: rusqlite::types::FromSql>(
    connection: &Connection,
    key: &str,
) -> rusqlite::Result<Option<T>> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE key=?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

pub fn set(
    connection: &Connection,
    key: &str,
    value: impl rusqlite::types::ToSql,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO meta VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value=?2")?
        .execute(params![key, value])?;
    Ok(())
}
