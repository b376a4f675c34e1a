//! Ids of what events have in common: each text, tag set, session and facet is stored once.

use std::collections::HashMap;

use rusqlite::{Statement, Transaction, params};

use super::facts::{Facet, OfSession};
use crate::record::Labels;

/// The id of what is absent. No row has it.
pub const NONE: i64 = 0;

/// Bits of a facet's id that hold the action's.
const ACTION_BITS: u32 = 20;
const ACTION_MAX: i64 = (1 << ACTION_BITS) - 1;

/// The part of a facet's id that is the context's.
pub fn context_of(facet: i64) -> i64 {
    facet >> ACTION_BITS
}

/// The part of a facet's id that is the action's.
pub fn action_of(facet: i64) -> i64 {
    facet & ACTION_MAX
}

/// Looks up and adds within one transaction; forgotten with it, so that a rollback cannot leave an id
/// that does not exist.
pub struct Interner<'t> {
    text: Statement<'t>,
    tag_set: Statement<'t>,
    tag: Statement<'t>,
    session: Statement<'t>,
    context: Statement<'t>,
    action: Statement<'t>,
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
    /// The last that was said of each.
    of_session: OfSession,
}

impl SessionSeen {
    fn note(&mut self, time_ms: i64, of_session: &OfSession) {
        self.first_ms = self.first_ms.min(time_ms);
        self.last_ms = self.last_ms.max(time_ms);
        if self.of_session == *of_session {
            return;
        }
        let known = &mut self.of_session;
        for (known, said) in [
            (&mut known.terminal, &of_session.terminal),
            (&mut known.entrypoint, &of_session.entrypoint),
            (&mut known.version, &of_session.version),
            (&mut known.plan, &of_session.plan),
        ] {
            if said.is_some() {
                known.clone_from(said);
            }
        }
        known.signed_in |= of_session.signed_in;
    }
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
            context: transaction.prepare(
                "INSERT INTO context (tag_set_id, user_id, repository_id, branch_id)
                 VALUES (?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET tag_set_id = excluded.tag_set_id RETURNING id",
            )?,
            action: transaction.prepare(
                "INSERT INTO action (model_id, query_source_id, tool_id) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET model_id = excluded.model_id RETURNING id",
            )?,
            update_session: transaction.prepare(
                "UPDATE session SET first_ms = min(first_ms, ?2), last_ms = max(last_ms, ?3),
                   terminal_id = iif(?4 = 0, terminal_id, ?4),
                   entrypoint_id = iif(?5 = 0, entrypoint_id, ?5),
                   version_id = iif(?6 = 0, version_id, ?6),
                   plan_id = iif(?7 = 0, plan_id, ?7),
                   signed_in = max(signed_in, ?8)
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
        let context = params![
            self.tag_set(&facet.tags)?,
            self.text(facet.user.as_deref())?,
            self.text(facet.repository.as_deref())?,
            self.text(facet.branch.as_deref())?,
        ];
        let context: i64 = self.context.query_row(context, |row| row.get(0))?;
        let action = params![
            self.text(facet.model.as_deref())?,
            self.text(facet.query_source.as_deref())?,
            self.text(facet.tool.as_deref())?,
        ];
        let action: i64 = self.action.query_row(action, |row| row.get(0))?;
        // Beyond a million, what was done is not told apart any more.
        let action = if action > ACTION_MAX { NONE } else { action };
        let id = context << ACTION_BITS | action;
        self.facets.insert(facet.clone(), id);
        Ok(id)
    }

    /// A session, seen at a time.
    pub fn session(
        &mut self,
        session: Option<&str>,
        time_ms: i64,
        of_session: &OfSession,
    ) -> rusqlite::Result<i64> {
        let Some(session) = session else { return Ok(NONE) };
        if let Some(seen) = self.sessions.get_mut(session) {
            seen.note(time_ms, of_session);
            return Ok(seen.id);
        }
        let id = self.session.query_row(params![session, time_ms], |row| row.get(0))?;
        let of_session = of_session.clone();
        let seen = SessionSeen { id, first_ms: time_ms, last_ms: time_ms, of_session };
        self.sessions.insert(session.to_owned(), seen);
        Ok(id)
    }

    /// Writes what was seen of the sessions.
    pub fn finish(mut self) -> rusqlite::Result<()> {
        for seen in std::mem::take(&mut self.sessions).into_values() {
            let of_session = &seen.of_session;
            let texts = [
                self.text(of_session.terminal.as_deref())?,
                self.text(of_session.entrypoint.as_deref())?,
                self.text(of_session.version.as_deref())?,
                self.text(of_session.plan.as_deref())?,
            ];
            let [terminal, entrypoint, version, plan] = texts;
            self.update_session.execute(params![
                seen.id,
                seen.first_ms,
                seen.last_ms,
                terminal,
                entrypoint,
                version,
                plan,
                of_session.signed_in
            ])?;
        }
        Ok(())
    }

    /// The id of a text, [`NONE`] for none.
    pub fn text(&mut self, text: Option<&str>) -> rusqlite::Result<i64> {
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
