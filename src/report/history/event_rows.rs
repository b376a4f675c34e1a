//! Events as rows: one each, and their sums by session and facet.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};

use super::durations::Durations;
use super::facts::{Fact, Kind, Request};
use super::grain::Grain;
use super::intern::Interner;
use super::prompt_usage::{PromptId, PromptUsages};

const MINUTE_MS: i64 = 60_000;

/// Everything that an event leaves in the file: its row, and its part in the sums. For the agent's
/// history and for imports alike.
pub struct Events<'t> {
    transaction: &'t Transaction<'t>,
    interner: Interner<'t>,
    rows: EventRows<'t>,
    activities: Activities,
    prompts: PromptUsages,
    durations: Durations,
}

impl<'t> Events<'t> {
    pub fn new(transaction: &'t Transaction<'t>) -> rusqlite::Result<Self> {
        Ok(Self {
            transaction,
            interner: Interner::new(transaction)?,
            rows: EventRows::new(transaction)?,
            activities: Activities::default(),
            prompts: PromptUsages::default(),
            durations: Durations::default(),
        })
    }

    /// Adds an event. `place` tells apart what happened in the same millisecond; an event that is
    /// given twice counts twice.
    pub fn add(&mut self, fact: &Fact, place: (i64, i64)) -> rusqlite::Result<()> {
        let session =
            self.interner.session(fact.session.as_deref(), fact.time_ms, &fact.of_session)?;
        let facet = self.interner.facet(&fact.facet)?;
        self.rows.insert(fact, place, session, facet, &mut self.interner)?;
        self.activities.add(fact.time_ms.div_euclid(MINUTE_MS), session, facet, &fact.kind);
        self.prompts.add(session, facet, fact);
        self.durations.add_fact(facet, fact);
        Ok(())
    }

    /// Writes the sums.
    pub fn finish(self) -> rusqlite::Result<()> {
        self.interner.finish()?;
        self.activities.write(self.transaction)?;
        self.prompts.write(self.transaction)?;
        self.durations.write(self.transaction)
    }
}

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
            "INSERT INTO activity VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
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
           cache_creation_tokens = cache_creation_tokens + excluded.cache_creation_tokens,
           unpriced_requests = unpriced_requests + excluded.unpriced_requests,
           tool_rejections = tool_rejections + excluded.tool_rejections",
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
                sum.cache_creation_tokens,
                sum.unpriced_requests,
                sum.tool_rejections
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
    unpriced_requests: i64,
    tool_rejections: i64,
}

impl Activity {
    fn add(&mut self, kind: &Kind) {
        match kind {
            Kind::Request(request) => {
                self.requests += 1;
                self.cost_usd += request.cost_usd.unwrap_or(0.0);
                self.unpriced_requests += i64::from(request.cost_usd.is_none());
                self.input_tokens += request.input_tokens;
                self.output_tokens += request.output_tokens;
                self.cache_read_tokens += request.cache_read_tokens;
                self.cache_creation_tokens += request.cache_creation_tokens;
            }
            Kind::Error(_) => self.errors += 1,
            Kind::Prompt { .. } => self.prompts += 1,
            Kind::ToolResult(result) => {
                self.tool_calls += 1;
                self.tool_failures += i64::from(result.success == Some(false));
            }
            Kind::ToolDecision(decision) => {
                self.tool_rejections += i64::from(decision.accepted == Some(false));
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
    tool_decision: rusqlite::Statement<'t>,
}

impl<'t> EventRows<'t> {
    pub fn new(transaction: &'t Transaction<'_>) -> rusqlite::Result<Self> {
        let insert = |table: &str, columns: usize| {
            let values = vec!["?"; columns].join(", ");
            transaction.prepare(&format!("INSERT OR REPLACE INTO {table} VALUES ({values})"))
        };
        Ok(Self {
            request: insert("request", 16)?,
            error: insert("api_error", 10)?,
            prompt: insert("prompt", 8)?,
            tool_result: insert("tool_result", 12)?,
            tool_decision: insert("tool_decision", 9)?,
        })
    }

    pub fn insert(
        &mut self,
        fact: &Fact,
        (row, ordinal): (i64, i64),
        session: i64,
        facet: i64,
        texts: &mut Interner<'t>,
    ) -> rusqlite::Result<()> {
        let time_ms = fact.time_ms;
        let prompt = fact.prompt_id.as_deref().map(PromptId::new);
        match &fact.kind {
            Kind::Request(request) => {
                let common = (time_ms, row, ordinal, session, facet);
                self.request(common, prompt.as_ref(), request, texts)?
            }
            Kind::Error(error) => self.error.execute(params![
                time_ms,
                row,
                ordinal,
                session,
                facet,
                prompt,
                error.status_code,
                error.attempt,
                error.duration_ms,
                texts.text(error.class)?
            ])?,
            Kind::Prompt { length, command } => self.prompt.execute(params![
                time_ms,
                row,
                ordinal,
                session,
                facet,
                prompt,
                length,
                texts.text(command.as_deref())?
            ])?,
            Kind::ToolResult(result) => self.tool_result.execute(params![
                time_ms,
                row,
                ordinal,
                session,
                facet,
                prompt,
                result.success,
                result.duration_ms,
                result.accepted,
                texts.text(result.source.as_deref())?,
                texts.text(result.error_type.as_deref())?,
                result.tool_use_id
            ])?,
            Kind::ToolDecision(decision) => self.tool_decision.execute(params![
                time_ms,
                row,
                ordinal,
                session,
                facet,
                prompt,
                decision.accepted,
                texts.text(decision.source.as_deref())?,
                decision.tool_use_id
            ])?,
        };
        Ok(())
    }

    fn request(
        &mut self,
        (time_ms, row, ordinal, session, facet): (i64, i64, i64, i64, i64),
        prompt: Option<&PromptId>,
        request: &Request,
        texts: &mut Interner<'t>,
    ) -> rusqlite::Result<usize> {
        self.request.execute(params![
            time_ms,
            row,
            ordinal,
            session,
            facet,
            prompt,
            request.cost_usd,
            request.input_tokens,
            request.output_tokens,
            request.cache_read_tokens,
            request.cache_creation_tokens,
            request.duration_ms,
            request.ttft_ms,
            texts.text(request.effort.as_deref())?,
            texts.text(request.speed.as_deref())?,
            request.request_id
        ])
    }
}
