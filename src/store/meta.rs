//! `meta`: the install's identity, and numbers that belong to no row.

use rusqlite::{Connection, OptionalExtension, params};

/// The install's id and key, made at the first start.
pub fn install(connection: &Connection) -> rusqlite::Result<(String, [u8; 32])> {
    let found = get(connection, "install_id")?.zip(get(connection, "install_key")?);
    if let Some(identity) = found {
        return Ok(identity);
    }
    let id = uuid::Uuid::new_v4().to_string();
    let mut key = [0; 32];
    getrandom::fill(&mut key)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.to_string().into()))?;
    connection.execute(
        "INSERT OR REPLACE INTO meta VALUES('install_id', ?1), ('install_key', ?2)",
        params![id, key],
    )?;
    Ok((id, key))
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

pub fn set(connection: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO meta VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value=?2")?
        .execute(params![key, value])?;
    Ok(())
}
