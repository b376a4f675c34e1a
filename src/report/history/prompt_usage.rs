//! What each prompt came to, so that the dearest of a year are found without reading its requests.

use std::collections::HashMap;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Transaction, params};

use super::facts::{Fact, Kind, Request};

/// A prompt's id as it is stored: 16 bytes if it is a UUID (it is, unless it was hashed), else text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PromptId {
    Uuid([u8; 16]),
    Text(String),
}

impl PromptId {
    pub fn new(id: &str) -> Self {
        match uuid::Uuid::try_parse(id) {
            Ok(uuid) => Self::Uuid(uuid.into_bytes()),
            Err(_) => Self::Text(id.to_owned()),
        }
    }
}

impl std::fmt::Display for PromptId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uuid(bytes) => uuid::Uuid::from_bytes(*bytes).fmt(formatter),
            Self::Text(text) => text.fmt(formatter),
        }
    }
}

impl ToSql for PromptId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Uuid(bytes) => bytes.as_slice().into(),
            Self::Text(text) => text.as_str().into(),
        })
    }
}

impl FromSql for PromptId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(match value.as_blob() {
            Ok(bytes) => match bytes.try_into() {
                Ok(bytes) => Self::Uuid(bytes),
                Err(_) => Self::Text(String::from_utf8_lossy(bytes).into_owned()),
            },
            Err(_) => Self::Text(value.as_str()?.to_owned()),
        })
    }
}

/// Sums of a page, by (session, prompt).
#[derive(Debug, Default)]
pub struct PromptUsages(HashMap<(i64, PromptId), PromptUsage>);

/// What was done for one prompt.
#[derive(Clone, Debug)]
pub struct PromptUsage {
    first_ms: i64,
    last_ms: i64,
    /// Of its dearest request, which says the most about it; until there is one, of its first event.
    facet: i64,
    dearest_usd: f64,
    requests: i64,
    pub errors: i64,
    pub tool_calls: i64,
    unpriced_requests: i64,
    cost_usd: f64,
    input_tokens: i64,
    output_tokens: i64,
    cache_read_tokens: i64,
    cache_creation_tokens: i64,
}

/// Below the cost of any request.
const NO_REQUEST: f64 = -1.0;

impl PromptUsages {
    /// Adds an event. What belongs to no prompt is left out.
    pub fn add(&mut self, session: i64, facet: i64, event: &Fact) {
        let prompt = event.prompt_id.as_deref().map(PromptId::new);
        let usage = match &event.kind {
            Kind::ToolDecision { .. } => return,
            _ => self.at(session, prompt, event.time_ms, facet),
        };
        match &event.kind {
            Kind::Request(request) => usage.add_request(facet, request),
            Kind::Error { .. } => usage.errors += 1,
            Kind::ToolResult { .. } => usage.tool_calls += 1,
            Kind::Prompt { .. } | Kind::ToolDecision { .. } => {}
        }
    }

    /// The prompt of an event. Those without share an entry that is not written.
    pub fn at(
        &mut self,
        session: i64,
        prompt: Option<PromptId>,
        time_ms: i64,
        facet: i64,
    ) -> &mut PromptUsage {
        let prompt = prompt.unwrap_or(PromptId::Text(String::new()));
        let usage = self.0.entry((session, prompt)).or_insert_with(|| PromptUsage {
            first_ms: time_ms,
            last_ms: time_ms,
            facet,
            dearest_usd: NO_REQUEST,
            requests: 0,
            errors: 0,
            tool_calls: 0,
            unpriced_requests: 0,
            cost_usd: 0.0,
            input_tokens: 0,
            output_tokens: 0,
            cache_read_tokens: 0,
            cache_creation_tokens: 0,
        });
        usage.first_ms = usage.first_ms.min(time_ms);
        usage.last_ms = usage.last_ms.max(time_ms);
        usage
    }

    /// Adds everything to what is there.
    pub fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut upsert = transaction.prepare_cached(
            "INSERT INTO prompt_usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET
               first_ms = min(first_ms, excluded.first_ms),
               last_ms = max(last_ms, excluded.last_ms),
               facet_id = iif(excluded.dearest_usd > dearest_usd, excluded.facet_id, facet_id),
               dearest_usd = max(dearest_usd, excluded.dearest_usd),
               requests = requests + excluded.requests,
               errors = errors + excluded.errors,
               tool_calls = tool_calls + excluded.tool_calls,
               unpriced_requests = unpriced_requests + excluded.unpriced_requests,
               cost_usd = cost_usd + excluded.cost_usd,
               input_tokens = input_tokens + excluded.input_tokens,
               output_tokens = output_tokens + excluded.output_tokens,
               cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
               cache_creation_tokens = cache_creation_tokens + excluded.cache_creation_tokens",
        )?;
        for ((session, prompt), usage) in self.0 {
            if prompt == PromptId::Text(String::new()) {
                continue;
            }
            upsert.execute(params![
                session,
                prompt,
                usage.first_ms,
                usage.last_ms,
                usage.facet,
                usage.dearest_usd,
                usage.requests,
                usage.errors,
                usage.tool_calls,
                usage.unpriced_requests,
                usage.cost_usd,
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_read_tokens,
                usage.cache_creation_tokens
            ])?;
        }
        Ok(())
    }
}

impl PromptUsage {
    pub fn add_request(&mut self, facet: i64, request: &Request) {
        let cost_usd = request.cost_usd.unwrap_or(0.0);
        self.requests += 1;
        self.unpriced_requests += i64::from(request.cost_usd.is_none());
        self.cost_usd += cost_usd;
        self.input_tokens += request.input_tokens;
        self.output_tokens += request.output_tokens;
        self.cache_read_tokens += request.cache_read_tokens;
        self.cache_creation_tokens += request.cache_creation_tokens;
        if cost_usd > self.dearest_usd {
            self.dearest_usd = cost_usd;
            self.facet = facet;
        }
    }
}
