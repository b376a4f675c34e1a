//! Which install a database is, and when it has to become another one.
//!
//! An install's series have one writer and never fall. Whatever could break that gives the database a new
//! id, and with it new series:
//!
//! | noticed | by | samples lanes | events and spans lanes |
//! | --- | --- | --- | --- |
//! | lost | no id in it, and a high-water mark beside it | – | – |
//! | copied | another machine's id; or another path and another inode | to the end | to the end: the original delivers them |
//! | rolled back | rows behind the high-water mark, or a former id | on from the cursor of the mark | the same |
//! | damaged | it had to be salvaged | on from the cursor | the same |
//! | clock set back | the newest samples lie more than five minutes ahead | on from the cursor, at times of now | the same |
//!
//! "To the end" counts what is passed over as evicted. "On" starts flat at the values of the cursor, so what
//! was not delivered still is, and what was delivered under the old id is not repeated. A mark is as old as
//! the last tick: a request that was answered after it may be sent once more.
//!
//! The id and a hash of the machine's, both keys of `meta`, never leave the machine together.

use std::collections::BTreeMap;

use rusqlite::params;

use super::core::Core;
use super::handle::{Cursor, Lane};
use super::health::place_of;
use super::high_water::HighWater;
use super::inbox::Inbox;
use super::lanes::{self, LaneState};
use super::meta;
use super::sampler::AHEAD_MS_MAX;

/// How long `status` speaks of it.
const NOTE_SHOWN_MS: i64 = 7 * 24 * 3_600_000;

/// Why a database is a new install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    Lost,
    Copied,
    RolledBack,
    /// Where the damaged file is, and what was wrong.
    Damaged(String),
    ClockSetBack,
}

impl Reason {
    fn words(&self) -> String {
        let what = match self {
            Self::Lost => "the database was gone, and a new one was begun: totals start at 0".into(),
            Self::Copied => "this database is a copy from another machine or directory; what the original \
                 had not delivered is left to it"
                .into(),
            Self::RolledBack => {
                "this database was restored from an older copy; what was received since then is not in it"
                    .into()
            }
            Self::Damaged(what) => format!("the database was damaged and set aside as {what}"),
            Self::ClockSetBack => {
                "the clock was far ahead and was set back; samples of that time carry the time of now".into()
            }
        };
        format!("{what}; this is a new install from here on (a new `instance`)")
    }
}

impl Core {
    /// Compares the database with its machine, its place and its high-water mark; called at open.
    pub(super) fn recognise(
        &mut self,
        fresh: bool,
        salvaged: Option<String>,
        machine: &dyn Fn(bool) -> Option<String>,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        let mark = HighWater::read(&HighWater::path(&self.options.queue_db));
        let surroundings = Surroundings::look(self, machine);
        let reason = if let Some(what) = salvaged {
            Some(Reason::Damaged(what))
        } else if fresh {
            mark.is_some().then_some(Reason::Lost)
        } else if surroundings.is_copy(self)? {
            Some(Reason::Copied)
        } else if mark.as_ref().is_some_and(|mark| mark.is_ahead_of(&self.install_id, self.rows()))
        {
            Some(Reason::RolledBack)
        } else {
            self.sampler.is_ahead(now_ms).then_some(Reason::ClockSetBack)
        };
        self.high_water = mark.unwrap_or_default();
        if let Some(reason) = reason {
            self.become_new_install(&reason, now_ms)?;
        } else {
            self.high_water =
                std::mem::take(&mut self.high_water).followed_by(&self.install_id, "");
        }
        surroundings.save(self)
    }

    /// A new id, new series, and lanes that neither repeat nor skip what they need not.
    pub(super) fn become_new_install(
        &mut self,
        reason: &Reason,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        let before = self.install_id.clone();
        let id = if *reason == Reason::Lost { before.clone() } else { meta::new_id() };
        let cursors = std::mem::take(&mut self.high_water.cursors);
        let mark = std::mem::take(&mut self.high_water);
        self.high_water = mark.followed_by(&id, if id == before { "" } else { &before });
        // First the mark: with the id of before as a former one, a crash in between only repeats this.
        self.write_high_water();
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let written = self.write_new_install(reason, &id, &cursors, now_ms);
        let written = written.and_then(|()| self.connection.execute_batch("COMMIT"));
        if written.is_err() && !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        if written.is_err() {
            self.doubt();
        }
        written?;
        self.install_id = id;
        tracing::error!(was = before, is = self.install_id, "{}", reason.words());
        Ok(())
    }

    fn write_new_install(
        &mut self,
        reason: &Reason,
        id: &str,
        cursors: &BTreeMap<String, BTreeMap<String, i64>>,
        now_ms: i64,
    ) -> rusqlite::Result<()> {
        meta::set(&self.connection, "install_id", id)?;
        if *reason == Reason::Copied {
            self.install_key = meta::new_key()?;
            meta::set(&self.connection, "install_key", self.install_key)?;
        }
        self.note(&reason.words(), now_ms)?;
        if *reason == Reason::ClockSetBack {
            self.restamp(now_ms)?;
        }
        let mut states = std::mem::take(&mut self.lanes.states);
        let moved = states.iter_mut().try_for_each(|((name, lane), state)| {
            let end = self.lane_end(*lane).row + 1;
            let had = cursors.get(&**name).and_then(|lanes| lanes.get(lanes::lane_text(*lane)));
            let target = match reason {
                Reason::Copied => end,
                Reason::RolledBack | Reason::Damaged(_) => had.copied().unwrap_or(0),
                Reason::Lost | Reason::ClockSetBack => 0,
            };
            self.move_lane(*lane, state, target.min(end), *reason == Reason::Copied)?;
            state.begin_books();
            lanes::save(&self.connection, name, *lane, state)
        });
        self.lanes.states = states;
        moved
    }

    /// Forwards to `row`, and to a place that exists; samples begin a new series there.
    fn move_lane(
        &self,
        lane: Lane,
        state: &mut LaneState,
        row: i64,
        evicts: bool,
    ) -> rusqlite::Result<()> {
        let end = self.lane_end(lane);
        if row > state.cursor.row || state.cursor.row > end.row + 1 {
            let row = row.max(state.cursor.row).min(end.row + 1);
            let before = self.done_before(lane, row)?;
            let passed = before.records_total.saturating_sub(state.done_records);
            if evicts {
                state.evicted += passed;
            } else {
                state.delivered += passed;
            }
            state.cursor = Cursor { row, offset: 0 };
            (state.done_records, state.done_bytes) = (before.records_total, before.bytes_total);
            state.frozen = None;
        }
        if lane == Lane::Samples {
            self.begin_anew(state)?;
        }
        state.view = None;
        Ok(())
    }

    /// A samples lane goes on with new series, flat at the values of its cursor. Of a row that was half
    /// delivered the other half is passed over: delivered again, the first half would count twice. A batch
    /// without an answer is sent again under the new labels; if it had arrived, it counts in both.
    pub(super) fn begin_anew(&self, state: &mut LaneState) -> rusqlite::Result<()> {
        if state.cursor.offset > 0 {
            let row = state.cursor.row + 1;
            let before = self.done_before(Lane::Samples, row)?;
            state.evicted += before.records_total.saturating_sub(state.done_records);
            (state.done_records, state.done_bytes) = (before.records_total, before.bytes_total);
            state.cursor = Cursor { row, offset: 0 };
        }
        (state.start_row, state.frozen, state.view) = (None, None, None);
        Ok(())
    }

    /// Rows of samples from the time that the clock was ahead move to just before now, in their order.
    fn restamp(&mut self, now_ms: i64) -> rusqlite::Result<()> {
        let limit = now_ms + AHEAD_MS_MAX;
        let number =
            |sql: &str| self.connection.query_row(sql, [limit], |row| row.get::<_, i64>(0));
        let ahead = number("SELECT count(*) FROM samples WHERE tick_ms > ?1")?;
        let last = number("SELECT ifnull(max(tick_ms), 0) FROM samples WHERE tick_ms <= ?1")?;
        let first = (now_ms - 2 * ahead).max(last + 2);
        self.connection.execute(
            "UPDATE samples SET tick_ms = ?2 + 2 * place, lead_ms = ?2 + 2 * place - 1
             FROM (SELECT row AS number, row_number() OVER (ORDER BY row) - 1 AS place FROM samples WHERE tick_ms > ?1)
             WHERE row = number",
            params![limit, first],
        )?;
        let newest = if ahead > 0 { first + 2 * (ahead - 1) } else { last };
        self.sampler.set_back(newest, now_ms);
        Ok(())
    }

    fn rows(&self) -> [i64; 4] {
        let [points, events, spans] =
            [Inbox::Points, Inbox::Events, Inbox::Spans].map(|inbox| self.ends[inbox as usize].row);
        [points, events, spans, self.samples_end.row]
    }

    /// Writes the mark as things stand; best effort, an old mark only knows less.
    pub(super) fn mark_high_water(&mut self) {
        let mut cursors = BTreeMap::<String, BTreeMap<String, i64>>::new();
        for ((name, lane), state) in &self.lanes.states {
            let of_name = cursors.entry(name.to_string()).or_default();
            of_name.insert(lanes::lane_text(*lane).to_owned(), state.cursor.row);
        }
        let rows = self.rows();
        if (self.high_water.rows, &self.high_water.cursors) != (rows, &cursors) {
            (self.high_water.rows, self.high_water.cursors) = (rows, cursors);
            self.write_high_water();
        }
    }

    fn write_high_water(&self) {
        if let Err(error) = self.high_water.write(&HighWater::path(&self.options.queue_db)) {
            tracing::warn!(%error, "the high-water mark cannot be written; an older copy of the database would not be noticed");
        }
    }

    /// Keeps a sentence for `status`.
    pub(super) fn note(&self, what: &str, now_ms: i64) -> rusqlite::Result<()> {
        meta::set(&self.connection, "note", what)?;
        meta::set(&self.connection, "note_ms", now_ms)
    }

    /// What happened to the database lately.
    pub(super) fn recent_note(&self, now_ms: i64) -> rusqlite::Result<Option<String>> {
        let at_ms: i64 = meta::get(&self.connection, "note_ms")?.unwrap_or(0);
        if at_ms == 0 || now_ms - at_ms > NOTE_SHOWN_MS {
            return Ok(None);
        }
        let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default();
        let note: Option<String> = meta::get(&self.connection, "note")?;
        Ok(note.map(|note| format!("{}: {note}", at.strftime("%Y-%m-%d %H:%M UTC"))))
    }
}

/// Where a database finds itself, as hashes that only it can compare.
struct Surroundings {
    machine: Option<String>,
    place: String,
    inode: Option<i64>,
}

impl Surroundings {
    fn look(core: &Core, machine: &dyn Fn(bool) -> Option<String>) -> Self {
        let path = &core.options.queue_db;
        let inode = place_of(path).map(|(_, inode)| inode.cast_signed());
        let known: Option<i64> = meta::get(&core.connection, "inode").ok().flatten();
        let place = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        Self { machine: machine(known != inode), place: place.display().to_string(), inode }
    }

    fn is_copy(&self, core: &Core) -> rusqlite::Result<bool> {
        let known = |key: &str| meta::get::<[u8; 32]>(&core.connection, key);
        let differs = |known: Option<[u8; 32]>, text: Option<&String>| {
            known.zip(text).is_some_and(|(known, text)| known != hash(core, text))
        };
        let inode: Option<i64> = meta::get(&core.connection, "inode")?;
        let moved = inode.zip(self.inode).is_some_and(|(known, inode)| known != inode);
        Ok(differs(known("machine")?, self.machine.as_ref())
            || (moved && differs(known("place")?, Some(&self.place))))
    }

    /// Written only where it changed: an ordinary start writes nothing.
    fn save(&self, core: &Core) -> rusqlite::Result<()> {
        let texts = [("machine", self.machine.as_ref()), ("place", Some(&self.place))];
        let mut fresh = Vec::new();
        for (key, text) in texts {
            let Some(hash) = text.map(|text| hash(core, text)) else { continue };
            if meta::get::<[u8; 32]>(&core.connection, key)? != Some(hash) {
                fresh.push((key, hash));
            }
        }
        let inode: Option<i64> = meta::get(&core.connection, "inode")?;
        if fresh.is_empty() && inode == self.inode {
            return Ok(());
        }
        core.connection.execute_batch("BEGIN IMMEDIATE")?;
        for (key, hash) in fresh {
            meta::set(&core.connection, key, hash)?;
        }
        meta::set(&core.connection, "inode", self.inode)?;
        core.connection.execute_batch("COMMIT")
    }
}

fn hash(core: &Core, text: &str) -> [u8; 32] {
    *blake3::keyed_hash(&core.install_key, text.as_bytes()).as_bytes()
}
