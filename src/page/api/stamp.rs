//! What the history holds, in a few digits: another stamp is something new to show.

use rusqlite::OptionalExtension as _;

use crate::report::history::reader::{History, HistoryFile};
use crate::report::history::schema::HistoryError;

/// Events move the cursor's row, and imports add sessions.
const NUMBERS: &str = "SELECT (SELECT row FROM cursor), (SELECT max(id) FROM session)";
/// The sums of the newest day, which anything that is counted changes.
const SUMS: [&str; 2] = [
    "SELECT data FROM counter_pack ORDER BY place DESC LIMIT 1",
    "SELECT data FROM activity_pack ORDER BY place DESC LIMIT 1",
];
/// Enough to tell two moments of one history apart.
const DIGITS: usize = 16;

pub(in crate::page) fn stamp(history: Option<&History>) -> Result<String, HistoryError> {
    let Some(history) = history else { return Ok("nothing".to_owned()) };
    let mut hasher = blake3::Hasher::new();
    for file in history.files() {
        add(file, &mut hasher)?;
    }
    Ok(hasher.finalize().to_hex().as_str()[..DIGITS].to_owned())
}

fn add(file: &HistoryFile, hasher: &mut blake3::Hasher) -> Result<(), HistoryError> {
    file.checked(|connection| {
        let numbers: (Option<i64>, Option<i64>) =
            connection.query_row(NUMBERS, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        hasher.update(format!("{numbers:?}").as_bytes());
        for query in SUMS {
            let sums: Option<Vec<u8>> =
                connection.query_row(query, [], |row| row.get(0)).optional()?;
            hasher.update(&sums.unwrap_or_default());
        }
        Ok(())
    })
}
