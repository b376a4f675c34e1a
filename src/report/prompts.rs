//! Prompts: which came to most.

use rusqlite::{OptionalExtension, Row, params};

use super::facets::Facets;
use super::groups::Matcher;
use super::history::file::{HistoryFile, Origin};
use super::history::prompt_usage::PromptId;
use super::history::reader::History;
use super::history::schema::HistoryError;
use super::question::Filter;
use super::row::Tokens;
use super::time::MinuteRange;

const MINUTE_MS: i64 = 60_000;

/// A prompt, with everything that was done for it. Its text is never kept here.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    pub session_id: Option<String>,
    pub prompt_id: String,
    /// Of the prompt itself, else of its first event.
    pub first_ms: i64,
    pub last_ms: i64,
    pub imported: bool,
    pub project: Option<String>,
    pub team: Option<String>,
    pub repository: Option<String>,
    pub branch: Option<String>,
    pub user: Option<String>,
    /// Of its dearest request.
    pub model: Option<String>,
    /// The slash command that it was, if it was one.
    pub command: Option<String>,
    /// In characters.
    pub length: Option<i64>,
    pub cost_usd: f64,
    pub tokens: Tokens,
    pub requests: i64,
    pub errors: i64,
    pub tool_calls: i64,
    pub unpriced_requests: i64,
}

/// The dearest prompts that began in the range, each whole. A filter holds where it holds for a
/// prompt's dearest request.
pub fn dearest(
    history: &History,
    range: MinuteRange,
    filters: &[Filter],
    limit: usize,
) -> Result<Vec<Prompt>, HistoryError> {
    let mut found = Vec::new();
    for file in history.files() {
        found.extend(of_file(file, range, filters, limit)?);
    }
    found.sort_by(|one: &Prompt, other| {
        other.cost_usd.total_cmp(&one.cost_usd).then_with(|| one.prompt_id.cmp(&other.prompt_id))
    });
    found.truncate(limit);
    Ok(found)
}

fn of_file(
    file: &HistoryFile,
    range: MinuteRange,
    filters: &[Filter],
    limit: usize,
) -> Result<Vec<Prompt>, HistoryError> {
    let mut matcher = Matcher::new(file, filters)?;
    // Only what is needed to choose; the words come for the few that are chosen.
    let mut chosen: Vec<(f64, i64, PromptId)> = file.checked(|connection| {
        let mut query = connection.prepare(
            "SELECT cost_usd, session_id, prompt_id, facet_id FROM prompt_usage
             WHERE first_ms >= ? AND first_ms < ? AND requests > 0",
        )?;
        let mut rows = query.query([range.start * MINUTE_MS, range.end * MINUTE_MS])?;
        let mut chosen = Vec::new();
        let mut least = f64::NEG_INFINITY;
        while let Some(row) = rows.next()? {
            let cost_usd: f64 = row.get(0)?;
            let session: i64 = row.get(1)?;
            if cost_usd < least || !matcher.passes(session, row.get(3)?)? {
                continue;
            }
            chosen.push((cost_usd, session, row.get(2)?));
            if chosen.len() >= limit.saturating_mul(2).max(64) {
                least = keep_dearest(&mut chosen, limit);
            }
        }
        Ok(chosen)
    })?;
    keep_dearest(&mut chosen, limit);
    let mut facets = Facets::new(file)?;
    file.checked(|_| {
        chosen
            .iter()
            .map(|(_, session, prompt)| read(file, &mut facets, *session, prompt))
            .collect()
    })
}

/// Sorts, cuts, and returns the cost that the next must have.
fn keep_dearest(chosen: &mut Vec<(f64, i64, PromptId)>, limit: usize) -> f64 {
    chosen.sort_by(|one, other| other.0.total_cmp(&one.0));
    chosen.truncate(limit);
    match chosen.last() {
        Some((cost_usd, ..)) if chosen.len() == limit => *cost_usd,
        _ => f64::NEG_INFINITY,
    }
}

fn read(
    file: &HistoryFile,
    facets: &mut Facets<'_>,
    session: i64,
    prompt: &PromptId,
) -> rusqlite::Result<Prompt> {
    let connection = file.connection();
    let (mut found, facet) = connection
        .prepare_cached(
            "SELECT facet_id, first_ms, last_ms, requests, errors, tool_calls, unpriced_requests,
               cost_usd, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,
               (SELECT session_id FROM session WHERE id = ?1) AS session_id
             FROM prompt_usage WHERE session_id = ?1 AND prompt_id = ?2",
        )?
        .query_row(params![session, prompt], |row| Ok((from_row(row, prompt)?, row.get(0)?)))?;
    found.imported = file.origin() == Origin::Imported;
    let context = facets.context(facet)?;
    found.project.clone_from(&context.project);
    found.team.clone_from(&context.team);
    found.repository.clone_from(&context.repository);
    found.branch.clone_from(&context.branch);
    found.user.clone_from(&context.user);
    found.model.clone_from(&facets.action(facet)?.model);
    let said = connection
        .prepare_cached(
            "SELECT length, text.value FROM prompt LEFT JOIN text ON text.id = command_id
             WHERE time_ms >= ? AND time_ms <= ? AND session_id = ? AND prompt_id = ? LIMIT 1",
        )?
        .query_row(params![found.first_ms, found.last_ms, session, prompt], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    if let Some((length, command)) = said {
        (found.length, found.command) = (length, command);
    }
    Ok(found)
}

fn from_row(row: &Row<'_>, prompt: &PromptId) -> rusqlite::Result<Prompt> {
    #[expect(clippy::cast_precision_loss, reason = "tokens of one prompt are far below 2^53")]
    let tokens = |index: usize| row.get::<_, i64>(index).map(|count| count as f64);
    Ok(Prompt {
        session_id: row.get("session_id")?,
        prompt_id: prompt.to_string(),
        first_ms: row.get("first_ms")?,
        last_ms: row.get("last_ms")?,
        imported: false,
        project: None,
        team: None,
        repository: None,
        branch: None,
        user: None,
        model: None,
        command: None,
        length: None,
        cost_usd: row.get("cost_usd")?,
        tokens: Tokens {
            input: tokens(8)?,
            output: tokens(9)?,
            cache_read: tokens(10)?,
            cache_creation: tokens(11)?,
        },
        requests: row.get("requests")?,
        errors: row.get("errors")?,
        tool_calls: row.get("tool_calls")?,
        unpriced_requests: row.get("unpriced_requests")?,
    })
}
