//! Events as rows: one each, and their sums by session and facet.

use rusqlite::{Transaction, params};

use super::durations::Durations;
use super::facts::{Fact, Kind, Request};
use super::grain::Grain;
use super::intern::Interner;
use super::packs::{self, Activity};
use super::prompt_usage::{PromptId, PromptUsages};
use super::sums::ActivityPacks;

const MINUTE_MS: i64 = 60_000;

/// Everything that an event leaves in the file: its row, and its part in the sums. For the agent's
/// history and for imports alike.
pub struct Events<'t> {
    transaction: &'t Transaction<'t>,
    interner: Interner<'t>,
    rows: EventRows<'t>,
    activities: ActivityPacks,
    prompts: PromptUsages,
    durations: Durations,
}

impl<'t> Events<'t> {
    pub fn new(transaction: &'t Transaction<'t>) -> rusqlite::Result<Self> {
        Ok(Self {
            transaction,
            interner: Interner::new(transaction)?,
            rows: EventRows::new(transaction)?,
            activities: ActivityPacks::default(),
            prompts: PromptUsages::default(),
            durations: Durations::default(),
        })
    }

    /// Adds an event. `place` tells apart what happened in the same millisecond; an event that is
    /// given twice counts twice.
    pub fn add(&mut self, event: &Fact, place: (i64, i64)) -> rusqlite::Result<()> {
        let session =
            self.interner.session(event.session.as_deref(), event.time_ms, &event.of_session)?;
        let facet = self.interner.facet(&event.facet)?;
        self.rows.insert(event, place, session, facet, &mut self.interner)?;
        self.activities.add(event.time_ms.div_euclid(MINUTE_MS), session, facet, &event.kind);
        self.prompts.add(session, facet, event);
        self.durations.add_fact(facet, event);
        Ok(())
    }

    /// Adds to the sums of a request that is there: it was counted while it was still being answered.
    pub fn add_more(&mut self, time_ms: i64, key: (i64, i64), more: &Activity) {
        let minute = time_ms.div_euclid(MINUTE_MS);
        for grain in Grain::ALL {
            self.activities.add_at(packs::place(grain, grain.floor(minute)), key, more);
        }
    }

    /// Writes the sums.
    pub fn finish(self) -> rusqlite::Result<()> {
        self.interner.finish()?;
        self.activities.write(self.transaction)?;
        self.prompts.write(self.transaction)?;
        self.durations.write(self.transaction)
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
        event: &Fact,
        (row, ordinal): (i64, i64),
        session: i64,
        facet: i64,
        texts: &mut Interner<'t>,
    ) -> rusqlite::Result<()> {
        let time_ms = event.time_ms;
        let prompt = event.prompt_id.as_deref().map(PromptId::new);
        match &event.kind {
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
