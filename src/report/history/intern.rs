//! Ids of what events have in common: each text, tag set, session and facet is stored once.

use std::collections::HashMap;

use rusqlite::{Statement, Transaction, params};

use super::facts::Facet;
use crate::record::Labels;

/// The id of what is absent. No row has it.
pub const NONE: i64 = 0;

/// Looks up and adds within one transaction; forgotten with it, so that a rollback cannot leave an id
/// that does not exist.
pub struct Interner<'t> {
    text: Statement<'t>,
    tag_set: Statement<'t>,
    tag: Statement<'t>,
    session: Statement<'t>,
    facet: Statement<'t>,
    texts: HashMap<String, i64>,
    tag_sets: HashMap<Labels, i64>,
    facets: HashMap<Facet, i64>,
    sessions: HashMap<String, SessionSeen>,
    update_session: Statement<'t>,
}

struct SessionSeen {
    id: i64,
    first_ms: i64,
    last_ms: i64,
}

impl<'t> Interner<'t> {
    pub fn new(transaction: &'t Transaction<'_>) -> rusqlite::Result<Self> {
        // An update that changes nothing makes RETURNING answer for a row that was there before.
        Ok(Self {
            text: transaction.prepare(
                "INSERT INTO text (value) VALUES (?)
                 ON CONFLICT DO UPDATE SET value = excluded.value RETURNING id",
            )?,
            tag_set: transaction.prepare(
                "INSERT INTO tag_set (canonical) VALUES (?)
                 ON CONFLICT DO UPDATE SET canonical = excluded.canonical RETURNING id",
            )?,
            tag: transaction
                .prepare("INSERT OR IGNORE INTO tag (name, tag_set_id, value) VALUES (?, ?, ?)")?,
            session: transaction.prepare(
                "INSERT INTO session (session_id, first_ms, last_ms) VALUES (?1, ?2, ?2)
                 ON CONFLICT DO UPDATE SET session_id = excluded.session_id RETURNING id",
            )?,
            facet: transaction.prepare(
                "INSERT INTO facet (tag_set_id, user_id, repository_id, branch_id, model_id,
                   query_source_id, tool_id) VALUES (?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET tag_set_id = excluded.tag_set_id RETURNING id",
            )?,
            update_session: transaction.prepare(
                "UPDATE session SET first_ms = min(first_ms, ?2), last_ms = max(last_ms, ?3)
                 WHERE id = ?1",
            )?,
            texts: HashMap::new(),
            tag_sets: HashMap::new(),
            facets: HashMap::new(),
            sessions: HashMap::new(),
        })
    }

    pub fn facet(&mut self, facet: &Facet) -> rusqlite::Result<i64> {
        if let Some(id) = self.facets.get(facet) {
            return Ok(*id);
        }
        let columns = params![
            self.tag_set(&facet.tags)?,
            self.text(facet.user.as_deref())?,
            self.text(facet.repository.as_deref())?,
            self.text(facet.branch.as_deref())?,
            self.text(facet.model.as_deref())?,
            self.text(facet.query_source.as_deref())?,
            self.text(facet.tool.as_deref())?,
        ];
        let id = self.facet.query_row(columns, |row| row.get(0))?;
        self.facets.insert(facet.clone(), id);
        Ok(id)
    }

    /// A session, seen at a time.
    pub fn session(&mut self, session: Option<&str>, time_ms: i64) -> rusqlite::Result<i64> {
        let Some(session) = session else { return Ok(NONE) };
        if let Some(seen) = self.sessions.get_mut(session) {
            seen.first_ms = seen.first_ms.min(time_ms);
            seen.last_ms = seen.last_ms.max(time_ms);
            return Ok(seen.id);
        }
        let id = self.session.query_row(params![session, time_ms], |row| row.get(0))?;
        let seen = SessionSeen { id, first_ms: time_ms, last_ms: time_ms };
        self.sessions.insert(session.to_owned(), seen);
        Ok(id)
    }

    /// Writes when the sessions were seen.
    pub fn finish(mut self) -> rusqlite::Result<()> {
        for seen in self.sessions.values() {
            self.update_session.execute([seen.id, seen.first_ms, seen.last_ms])?;
        }
        Ok(())
    }

    fn text(&mut self, text: Option<&str>) -> rusqlite::Result<i64> {
        let Some(text) = text else { return Ok(NONE) };
        if let Some(id) = self.texts.get(text) {
            return Ok(*id);
        }
        let id = self.text.query_row([text], |row| row.get(0))?;
        self.texts.insert(text.to_owned(), id);
        Ok(id)
    }

    fn tag_set(&mut self, tags: &Labels) -> rusqlite::Result<i64> {
        if tags.is_empty() {
            return Ok(NONE);
        }
        if let Some(id) = self.tag_sets.get(tags) {
            return Ok(*id);
        }
        let canonical = canonical(tags);
        let id = self.tag_set.query_row([canonical], |row| row.get(0))?;
        for (name, value) in tags {
            self.tag.execute(params![label_name(name), id, value])?;
        }
        self.tag_sets.insert(tags.clone(), id);
        Ok(id)
    }
}

/// A tag's name as a label has it: `.` and `_` are the same letter.
pub fn label_name(tag: &str) -> String {
    tag.replace('.', "_")
}

/// One text for a set of tags, whatever characters are in it.
fn canonical(tags: &Labels) -> String {
    let pairs: Vec<(&str, &str)> = tags.iter().map(|(name, value)| (&**name, &**value)).collect();
    serde_json::to_string(&pairs).expect("pairs of strings are JSON")
}
