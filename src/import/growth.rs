//! An answer that was counted while it was still being written: what it came to since is added where
//! it was counted.

use rusqlite::{Transaction, params};

use super::item::Answer;
use crate::report::history::event_rows::Events;
use crate::report::history::packs::Activity;

/// A counted request.
struct Counted {
    session: i64,
    facet: i64,
    cost_usd: Option<f64>,
    tokens: [i64; 4],
}

/// Brings the request at `place` (its time and row) up to date. False where it had as much before.
pub fn grow(
    transaction: &Transaction<'_>,
    events: &mut Events<'_>,
    place: (i64, i64),
    answer: &Answer,
    cost_usd: Option<f64>,
) -> rusqlite::Result<bool> {
    let usage = answer.usage.total;
    let tokens = [usage.input, usage.output, usage.cache_read, usage.cache_creation];
    let counted = counted(transaction, place)?;
    let before: i64 = counted.tokens.iter().sum();
    if usage.all() <= before {
        return Ok(false);
    }
    let [input, output, read, creation] = tokens;
    transaction
        .prepare_cached(
            "UPDATE request SET cost_usd = ?3, input_tokens = ?4, output_tokens = ?5,
               cache_read_tokens = ?6, cache_creation_tokens = ?7
             WHERE time_ms = ?1 AND row = ?2 AND ordinal = 0",
        )?
        .execute(params![place.0, place.1, cost_usd, input, output, read, creation])?;
    let more = |index: usize| tokens[index] - counted.tokens[index];
    let dearer = cost_usd.unwrap_or(0.0) - counted.cost_usd.unwrap_or(0.0);
    let sums = Activity {
        cost_usd: dearer,
        input_tokens: more(0),
        output_tokens: more(1),
        cache_read_tokens: more(2),
        cache_creation_tokens: more(3),
        ..Activity::default()
    };
    events.add_more(place.0, (counted.session, counted.facet), &sums);
    transaction
        .prepare_cached(
            "UPDATE prompt_usage SET cost_usd = cost_usd + ?3, input_tokens = input_tokens + ?4,
               output_tokens = output_tokens + ?5, cache_read_tokens = cache_read_tokens + ?6,
               cache_creation_tokens = cache_creation_tokens + ?7, dearest_usd = max(dearest_usd, ?8)
             WHERE session_id = (SELECT session_id FROM request
                                 WHERE time_ms = ?1 AND row = ?2 AND ordinal = 0)
               AND prompt_id = (SELECT prompt_id FROM request
                                WHERE time_ms = ?1 AND row = ?2 AND ordinal = 0)",
        )?
        .execute(params![
            place.0,
            place.1,
            dearer,
            more(0),
            more(1),
            more(2),
            more(3),
            cost_usd.unwrap_or(0.0)
        ])?;
    Ok(true)
}

fn counted(transaction: &Transaction<'_>, place: (i64, i64)) -> rusqlite::Result<Counted> {
    transaction
        .prepare_cached(
            "SELECT session_id, facet_id, cost_usd, input_tokens, output_tokens, cache_read_tokens,
               cache_creation_tokens
             FROM request WHERE time_ms = ? AND row = ? AND ordinal = 0",
        )?
        .query_row([place.0, place.1], |row| {
            Ok(Counted {
                session: row.get(0)?,
                facet: row.get(1)?,
                cost_usd: row.get(2)?,
                tokens: [row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?],
            })
        })
}
