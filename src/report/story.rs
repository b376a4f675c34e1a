//! The story of one session: everything that is known of it, in order of time.

pub mod json;
pub mod text;

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, params};

use super::facets::Facets;
use super::history::file::{HistoryFile, Lookup, Origin};
use super::history::prompt_usage::PromptId;
use super::history::reader::History;
use super::history::schema::HistoryError;
use super::sessions::{self, Session};

/// Most entries told. A session of many days may have more; the first are left out then, and counted.
pub const ENTRIES_MAX: usize = 20_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    pub session: Session,
    pub entries: Vec<Entry>,
    /// Entries before the first one told.
    pub left_out: usize,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub time_ms: i64,
    /// Which prompt it was done for.
    pub prompt_id: Option<String>,
    pub imported: bool,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Prompt {
        length: Option<i64>,
        command: Option<String>,
    },
    Request(Request),
    Error {
        model: Option<String>,
        query_source: Option<String>,
        class: Option<String>,
        status_code: Option<i64>,
        attempt: Option<i64>,
        duration_ms: Option<i64>,
    },
    Tool {
        tool: Option<String>,
        success: Option<bool>,
        duration_ms: Option<i64>,
        error_type: Option<String>,
        accepted: Option<bool>,
        /// Who accepted or refused it.
        source: Option<String>,
        tool_use_id: Option<String>,
    },
    Decision {
        tool: Option<String>,
        accepted: Option<bool>,
        source: Option<String>,
        tool_use_id: Option<String>,
    },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub model: Option<String>,
    pub query_source: Option<String>,
    /// `None`: the model has no price.
    pub cost_usd: Option<f64>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_creation_tokens: i64,
    pub duration_ms: Option<i64>,
    pub ttft_ms: Option<i64>,
    pub effort: Option<String>,
    pub speed: Option<String>,
    pub request_id: Option<String>,
}

/// `None` if there is no session with exactly this id.
pub fn story(history: &History, session_id: &str) -> Result<Option<Story>, HistoryError> {
    let Some(session) = sessions::one(history, session_id)? else { return Ok(None) };
    let mut entries = Vec::new();
    for file in history.files() {
        Teller::new(file)?.tell(session_id, &mut entries)?;
    }
    sort(&mut entries);
    let left_out = entries.len().saturating_sub(ENTRIES_MAX);
    entries.drain(..left_out);
    Ok(Some(Story { session, entries, left_out }))
}

/// What happened since a moment, by session: what a live view looks at again and again.
pub fn since(
    history: &History,
    first_ms: i64,
) -> Result<HashMap<String, Vec<Entry>>, HistoryError> {
    let mut by_session: HashMap<String, Vec<Entry>> = HashMap::new();
    for file in history.files() {
        let mut ids = file.sessions()?;
        let span = Span { session: None, first_ms, last_ms: i64::MAX };
        let (mut teller, mut rows) = (Teller::new(file)?, Vec::new());
        teller.told(span, &mut rows).map_err(|error| file.error(&error))?;
        for (session, entry) in rows {
            let id = ids.value(session).map_err(|error| file.error(&error))?;
            by_session.entry(id.unwrap_or_default()).or_default().push(entry);
        }
    }
    for entries in by_session.values_mut() {
        sort(entries);
    }
    Ok(by_session)
}

/// What happened in one millisecond is told in the order it is caused.
fn sort(entries: &mut [Entry]) {
    entries.sort_by_key(|entry| (entry.time_ms, entry.what.rank()));
}

impl What {
    fn rank(&self) -> u8 {
        match self {
            Self::Prompt { .. } => 0,
            Self::Request(_) => 1,
            Self::Error { .. } => 2,
            Self::Decision { .. } => 3,
            Self::Tool { .. } => 4,
        }
    }
}

/// Which rows: of one session, or of all.
#[derive(Clone, Copy)]
struct Span {
    session: Option<i64>,
    first_ms: i64,
    last_ms: i64,
}

/// Reads the rows of a session from one file.
struct Teller<'h> {
    file: &'h HistoryFile,
    facets: Facets<'h>,
    texts: Lookup<'h>,
}

impl<'h> Teller<'h> {
    fn new(file: &'h HistoryFile) -> Result<Self, HistoryError> {
        Ok(Self { file, facets: Facets::new(file)?, texts: file.texts()? })
    }

    fn tell(mut self, session_id: &str, entries: &mut Vec<Entry>) -> Result<(), HistoryError> {
        let file = self.file;
        let found = file.checked(|connection| {
            connection
                .prepare_cached("SELECT id, first_ms, last_ms FROM session WHERE session_id = ?")?
                .query_row([session_id], |row| {
                    let session = Some(row.get(0)?);
                    Ok(Span { session, first_ms: row.get(1)?, last_ms: row.get(2)? })
                })
                .optional()
        })?;
        let Some(span) = found else { return Ok(()) };
        let mut rows = Vec::new();
        self.told(span, &mut rows).map_err(|error| file.error(&error))?;
        entries.extend(rows.into_iter().map(|(_, entry)| entry));
        Ok(())
    }

    /// Each row with its session's number in this file.
    fn told(&mut self, span: Span, entries: &mut Vec<(i64, Entry)>) -> rusqlite::Result<()> {
        self.rows("prompt", "length, command_id", span, entries, Self::prompt)?;
        self.rows(
            "request",
            "cost_usd, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,
             duration_ms, ttft_ms, effort_id, speed_id, request_id",
            span,
            entries,
            Self::request,
        )?;
        let columns = "class_id, status_code, attempt, duration_ms";
        self.rows("api_error", columns, span, entries, Self::error)?;
        let columns = "success, duration_ms, error_type_id, accepted, source_id, tool_use_id";
        self.rows("tool_result", columns, span, entries, Self::tool)?;
        let columns = "accepted, source_id, tool_use_id";
        self.rows("tool_decision", columns, span, entries, Self::decision)
    }

    fn rows(
        &mut self,
        table: &str,
        columns: &str,
        span: Span,
        entries: &mut Vec<(i64, Entry)>,
        what: fn(&mut Self, i64, &Row<'_>) -> rusqlite::Result<What>,
    ) -> rusqlite::Result<()> {
        let mut query = self.file.connection().prepare(&format!(
            "SELECT time_ms, prompt_id, facet_id, {columns}, session_id FROM {table}
             WHERE time_ms BETWEEN ?1 AND ?2 AND (?3 IS NULL OR session_id = ?3)"
        ))?;
        let mut rows = query.query(params![span.first_ms, span.last_ms, span.session])?;
        while let Some(row) = rows.next()? {
            let prompt_id: Option<PromptId> = row.get(1)?;
            let entry = Entry {
                time_ms: row.get(0)?,
                prompt_id: prompt_id.map(|id| id.to_string()),
                imported: self.file.origin() == Origin::Imported,
                what: what(self, row.get(2)?, row)?,
            };
            entries.push((row.get("session_id")?, entry));
        }
        Ok(())
    }

    fn text(&mut self, row: &Row<'_>, index: usize) -> rusqlite::Result<Option<String>> {
        match row.get(index)? {
            0 => Ok(None),
            id => self.texts.value(id),
        }
    }

    fn prompt(&mut self, _: i64, row: &Row<'_>) -> rusqlite::Result<What> {
        Ok(What::Prompt { length: row.get(3)?, command: self.text(row, 4)? })
    }

    fn request(&mut self, facet: i64, row: &Row<'_>) -> rusqlite::Result<What> {
        let of_facet = self.facets.action(facet)?;
        let (model, query_source) = (of_facet.model.clone(), of_facet.query_source.clone());
        Ok(What::Request(Request {
            model,
            query_source,
            cost_usd: row.get(3)?,
            input_tokens: row.get(4)?,
            output_tokens: row.get(5)?,
            cache_read_tokens: row.get(6)?,
            cache_creation_tokens: row.get(7)?,
            duration_ms: row.get(8)?,
            ttft_ms: row.get(9)?,
            effort: self.text(row, 10)?,
            speed: self.text(row, 11)?,
            request_id: row.get(12)?,
        }))
    }

    fn error(&mut self, facet: i64, row: &Row<'_>) -> rusqlite::Result<What> {
        let of_facet = self.facets.action(facet)?;
        let (model, query_source) = (of_facet.model.clone(), of_facet.query_source.clone());
        Ok(What::Error {
            model,
            query_source,
            class: self.text(row, 3)?,
            status_code: row.get(4)?,
            attempt: row.get(5)?,
            duration_ms: row.get(6)?,
        })
    }

    fn tool(&mut self, facet: i64, row: &Row<'_>) -> rusqlite::Result<What> {
        Ok(What::Tool {
            tool: self.facets.action(facet)?.tool.clone(),
            success: row.get(3)?,
            duration_ms: row.get(4)?,
            error_type: self.text(row, 5)?,
            accepted: row.get(6)?,
            source: self.text(row, 7)?,
            tool_use_id: row.get(8)?,
        })
    }

    fn decision(&mut self, facet: i64, row: &Row<'_>) -> rusqlite::Result<What> {
        Ok(What::Decision {
            tool: self.facets.action(facet)?.tool.clone(),
            accepted: row.get(3)?,
            source: self.text(row, 4)?,
            tool_use_id: row.get(5)?,
        })
    }
}
