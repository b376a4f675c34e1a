//! What the history holds, in a few numbers: another stamp is something new to show.

use crate::report::history::reader::{History, HistoryFile};
use crate::report::history::schema::HistoryError;

/// Events move the cursor's row; counters move the sums of the newest day; imports add sessions.
const QUERY: &str = "
    SELECT (SELECT row FROM cursor),
      (SELECT max(id) FROM session),
      (SELECT total(value) FROM counter WHERE grain = 2
         AND start_minute = (SELECT max(start_minute) FROM counter WHERE grain = 2))";

pub(in crate::page) fn stamp(history: Option<&History>) -> Result<String, HistoryError> {
    let Some(history) = history else { return Ok("nothing".to_owned()) };
    let files: Vec<String> = history.files().iter().map(of_file).collect::<Result<_, _>>()?;
    Ok(files.join("."))
}

fn of_file(file: &HistoryFile) -> Result<String, HistoryError> {
    file.checked(|connection| {
        connection.query_row(QUERY, [], |row| {
            let (event, session): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
            let counted: f64 = row.get(2)?;
            let (event, session) = (event.unwrap_or(0), session.unwrap_or(0));
            Ok(format!("{event:x}-{session:x}-{:x}", counted.to_bits()))
        })
    })
}
