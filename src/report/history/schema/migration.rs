//! From schema 1 to 2: columns and tables are added, and the sums that are new are made of the rows.
//!
//! It is one transaction of the agent's follower, some seconds for a year of heavy use; meanwhile the
//! store goes on receiving. A file that is half migrated does not exist.

use rusqlite::{Row, Transaction};

use super::tables::ADDED_IN_2;
use crate::report::history::durations::{Durations, Kind};
use crate::report::history::facts::Request;
use crate::report::history::prompt_usage::PromptUsages;

/// `request` is made anew, since a column cannot be allowed to be NULL later on.
const CHANGED: &str = "
ALTER TABLE session ADD COLUMN terminal_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN entrypoint_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN version_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN plan_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN signed_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE activity ADD COLUMN unpriced_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE activity ADD COLUMN tool_rejections INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_error ADD COLUMN class_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE prompt ADD COLUMN command_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tool_result ADD COLUMN accepted INTEGER;
ALTER TABLE tool_result ADD COLUMN source_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tool_result ADD COLUMN error_type_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tool_result ADD COLUMN tool_use_id TEXT;
CREATE TABLE request_2 (
  time_ms INTEGER NOT NULL, row INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  session_id INTEGER NOT NULL, facet_id INTEGER NOT NULL, prompt_id ANY,
  cost_usd REAL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL, cache_creation_tokens INTEGER NOT NULL,
  duration_ms INTEGER, ttft_ms INTEGER,
  effort_id INTEGER NOT NULL, speed_id INTEGER NOT NULL,
  request_id TEXT,
  PRIMARY KEY (time_ms, row, ordinal)
) STRICT, WITHOUT ROWID;
INSERT INTO request_2
  SELECT time_ms, row, ordinal, session_id, facet_id, prompt_id, cost_usd, input_tokens,
    output_tokens, cache_read_tokens, cache_creation_tokens, duration_ms, NULL, 0, 0, NULL
  FROM request ORDER BY time_ms, row, ordinal;
DROP TABLE request;
ALTER TABLE request_2 RENAME TO request;
";

pub fn from_1(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(CHANGED)?;
    transaction.execute_batch(ADDED_IN_2)?;
    let mut prompts = PromptUsages::default();
    let mut durations = Durations::default();
    each(
        transaction,
        "SELECT time_ms, session_id, facet_id, prompt_id, cost_usd, input_tokens, output_tokens,
           cache_read_tokens, cache_creation_tokens, duration_ms FROM request",
        |row| {
            let (time_ms, facet) = (row.get(0)?, row.get(2)?);
            let request = request(row)?;
            durations.add_request(time_ms, facet, &request);
            prompts.at(row.get(1)?, row.get(3)?, time_ms, facet).add_request(facet, &request);
            Ok(())
        },
    )?;
    each(
        transaction,
        "SELECT time_ms, session_id, facet_id, prompt_id, duration_ms FROM tool_result",
        |row| {
            let (time_ms, facet) = (row.get(0)?, row.get(2)?);
            durations.add(Kind::Tool, time_ms, facet, row.get(4)?, 0);
            prompts.at(row.get(1)?, row.get(3)?, time_ms, facet).tool_calls += 1;
            Ok(())
        },
    )?;
    each(transaction, "SELECT time_ms, session_id, facet_id, prompt_id FROM api_error", |row| {
        prompts.at(row.get(1)?, row.get(3)?, row.get(0)?, row.get(2)?).errors += 1;
        Ok(())
    })?;
    prompts.write(transaction)?;
    durations.write(transaction)
}

fn request(row: &Row<'_>) -> rusqlite::Result<Request> {
    Ok(Request {
        cost_usd: row.get(4)?,
        input_tokens: row.get(5)?,
        output_tokens: row.get(6)?,
        cache_read_tokens: row.get(7)?,
        cache_creation_tokens: row.get(8)?,
        duration_ms: row.get(9)?,
        ..Request::default()
    })
}

fn each(
    transaction: &Transaction<'_>,
    query: &str,
    mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(row)?;
    }
    Ok(())
}
