//! Events as rows: one each, and their sums by session and facet.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};

use super::facts::{Fact, Kind};
use super::grain::Grain;

/// Sums of a page, by (grain, start, session, facet).
#[derive(Debug, Default)]
pub struct Activities(BTreeMap<(Grain, i64, i64, i64), Activity>);

impl Activities {
    pub fn add(&mut self, minute: i64, session: i64, facet: i64, kind: &Kind) {
        for grain in Grain::ALL {
            self.0.entry((grain, grain.floor(minute), session, facet)).or_default().add(kind);
        }
    }

    /// Adds everything to what is there.
    pub fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut upsert = transaction.prepare(
            "INSERT INTO activity VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
           prompts = prompts + excluded.prompts,
           requests = requests + excluded.requests,
           errors = errors + excluded.errors,
           tool_calls = tool_calls + excluded.tool_calls,
           tool_failures = tool_failures + excluded.tool_failures,
           cost_usd = cost_usd + excluded.cost_usd,
           input_tokens = input_tokens + excluded.input_tokens,
           output_tokens = output_tokens + excluded.output_tokens,
           cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
           cache_creation_tokens = cache_creation_tokens + excluded.cache_creation_tokens",
        )?;
        for ((grain, start, session, facet), sum) in self.0 {
            upsert.execute(params![
                grain.column(),
                start,
                session,
                facet,
                sum.prompts,
                sum.requests,
                sum.errors,
                sum.tool_calls,
                sum.tool_failures,
                sum.cost_usd,
                sum.input_tokens,
                sum.output_tokens,
                sum.cache_read_tokens,
                sum.cache_creation_tokens
            ])?;
        }
        Ok(())
    }
}

/// What is summed of events, in the order of the columns.
#[derive(Clone, Copy, Debug, Default)]
struct Activity {
    prompts: i64,
    requests: i64,
    errors: i64,
    tool_calls: i64,
    tool_failures: i64,
    cost_usd: f64,
    input_tokens: i64,
    output_tokens: i64,
    cache_read_tokens: i64,
    cache_creation_tokens: i64,
}

impl Activity {
    fn add(&mut self, kind: &Kind) {
        match kind {
            Kind::Request(request) => {
                self.requests += 1;
                self.cost_usd += request.cost_usd;
                self.input_tokens += request.input_tokens;
                self.output_tokens += request.output_tokens;
                self.cache_read_tokens += request.cache_read_tokens;
                self.cache_creation_tokens += request.cache_creation_tokens;
            }
            Kind::Error { .. } => self.errors += 1,
            Kind::Prompt { .. } => self.prompts += 1,
            Kind::ToolResult { success, .. } => {
                self.tool_calls += 1;
                self.tool_failures += i64::from(*success == Some(false));
            }
        }
    }
}

/// The tables with one row an event.
pub struct EventRows<'t> {
    request: rusqlite::Statement<'t>,
    error: rusqlite::Statement<'t>,
    prompt: rusqlite::Statement<'t>,
    tool_result: rusqlite::Statement<'t>,
}

impl<'t> EventRows<'t> {
    pub fn new(transaction: &'t Transaction<'_>) -> rusqlite::Result<Self> {
        let insert = |table: &str, values: &str| {
            transaction.prepare(&format!("INSERT OR REPLACE INTO {table} VALUES ({values})"))
        };
        Ok(Self {
            request: insert("request", "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?")?,
            error: insert("api_error", "?, ?, ?, ?, ?, ?, ?, ?, ?")?,
            prompt: insert("prompt", "?, ?, ?, ?, ?, ?, ?")?,
            tool_result: insert("tool_result", "?, ?, ?, ?, ?, ?, ?, ?")?,
        })
    }

    pub fn insert(
        &mut self,
        counted: &Fact,
        (row, ordinal): (i64, i64),
        session: i64,
        facet: i64,
    ) -> rusqlite::Result<()> {
        let time_ms = counted.time_ms;
        let prompt_id = counted.prompt_id.as_deref().map(PromptId);
        match &counted.kind {
            Kind::Request(request) => self.request.execute(params![
                time_ms,
                row,
                ordinal,
                session,
                facet,
                prompt_id,
                request.cost_usd,
                request.input_tokens,
                request.output_tokens,
                request.cache_read_tokens,
                request.cache_creation_tokens,
                request.duration_ms
            ]),
            Kind::Error { status_code, attempt, duration_ms } => self.error.execute(params![
                time_ms,
                row,
                ordinal,
                session,
                facet,
                prompt_id,
                status_code,
                attempt,
                duration_ms
            ]),
            Kind::Prompt { length } => self
                .prompt
                .execute(params![time_ms, row, ordinal, session, facet, prompt_id, length]),
            Kind::ToolResult { success, duration_ms } => self.tool_result.execute(params![
                time_ms,
                row,
                ordinal,
                session,
                facet,
                prompt_id,
                success,
                duration_ms
            ]),
        }?;
        Ok(())
    }
}

/// A prompt's id as it is stored: 16 bytes if it is a UUID (it is, unless it was hashed), else text.
struct PromptId<'a>(&'a str);

impl rusqlite::ToSql for PromptId<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(match uuid::Uuid::try_parse(self.0) {
            Ok(uuid) => uuid.into_bytes().to_vec().into(),
            Err(_) => self.0.into(),
        })
    }
}
