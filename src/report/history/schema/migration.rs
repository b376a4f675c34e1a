//! From schema 1 to 2: columns and tables are added, and the sums that are new are made of the rows.
//!
//! It is one transaction of the agent's follower, some seconds for a year of heavy use; meanwhile the
//! store goes on receiving. A file that is half migrated does not exist.

use rusqlite::{Row, Transaction};

use super::tables::ADDED_IN_2;
use crate::report::history::durations::{Durations, Kind};
use crate::report::history::facts::Request;
use crate::report::history::packs::Activity;
use crate::report::history::prompt_usage::PromptUsages;
use crate::report::history::sums::{ActivityPacks, CounterPacks};

/// `request` is made anew, since a column cannot be allowed to be NULL later on.
const CHANGED: &str = "
ALTER TABLE session ADD COLUMN terminal_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN entrypoint_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN version_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN plan_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN signed_in INTEGER NOT NULL DEFAULT 0;
INSERT INTO context (tag_set_id, user_id, repository_id, branch_id)
  SELECT DISTINCT tag_set_id, user_id, repository_id, branch_id FROM facet;
INSERT INTO action (model_id, query_source_id, tool_id)
  SELECT DISTINCT model_id, query_source_id, tool_id FROM facet;
CREATE TEMP TABLE facet_2 AS
  SELECT facet.id AS id, context.id << 20 | action.id AS facet_id FROM facet
  JOIN context USING (tag_set_id, user_id, repository_id, branch_id)
  JOIN action USING (model_id, query_source_id, tool_id);
CREATE UNIQUE INDEX temp.facet_2_id ON facet_2 (id);
UPDATE api_error SET facet_id = (SELECT facet_2.facet_id FROM facet_2 WHERE id = api_error.facet_id);
UPDATE prompt SET facet_id = (SELECT facet_2.facet_id FROM facet_2 WHERE id = prompt.facet_id);
UPDATE tool_result
  SET facet_id = (SELECT facet_2.facet_id FROM facet_2 WHERE id = tool_result.facet_id);
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
  SELECT time_ms, row, ordinal, session_id, facet_2.facet_id, prompt_id, cost_usd, input_tokens,
    output_tokens, cache_read_tokens, cache_creation_tokens, duration_ms, NULL, 0, 0, NULL
  FROM request JOIN facet_2 ON facet_2.id = request.facet_id ORDER BY time_ms, row, ordinal;
DROP TABLE request;
ALTER TABLE request_2 RENAME TO request;
";

pub fn from_1(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(ADDED_IN_2)?;
    transaction.execute_batch(CHANGED)?;
    pack_counters(transaction)?;
    pack_activities(transaction)?;
    transaction.execute_batch(
        "DROP TABLE counter; DROP TABLE activity; DROP TABLE facet; DROP TABLE facet_2;",
    )?;
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

fn pack_counters(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut packs = CounterPacks::default();
    each(transaction, "SELECT grain << 40 | start_minute, series_id, value FROM counter", |row| {
        packs.add_at(row.get(0)?, row.get(1)?, row.get(2)?);
        packs.write_if_many(transaction)
    })?;
    packs.write(transaction)
}

fn pack_activities(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut packs = ActivityPacks::default();
    each(
        transaction,
        "SELECT grain << 40 | start_minute, session_id, facet_2.facet_id, prompts, requests, errors, tool_calls,
           tool_failures, cost_usd, input_tokens, output_tokens, cache_read_tokens,
           cache_creation_tokens FROM activity
         JOIN facet_2 ON facet_2.id = activity.facet_id",
        |row| {
            let activity = Activity {
                prompts: row.get(3)?,
                requests: row.get(4)?,
                errors: row.get(5)?,
                tool_calls: row.get(6)?,
                tool_failures: row.get(7)?,
                cost_usd: row.get(8)?,
                input_tokens: row.get(9)?,
                output_tokens: row.get(10)?,
                cache_read_tokens: row.get(11)?,
                cache_creation_tokens: row.get(12)?,
                ..Activity::default()
            };
            packs.add_at(row.get(0)?, (row.get(1)?, row.get(2)?), &activity);
            packs.write_if_many(transaction)
        },
    )?;
    packs.write(transaction)
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
