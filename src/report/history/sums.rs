//! Sums of a page, added to the packs that are there.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Transaction};

use super::facts::Kind;
use super::grain::Grain;
use super::packs::{self, Activities, Activity, Counters};

/// Places held in memory at once.
const PLACES_MAX: usize = 2_000;

/// Increments of a page, by place.
#[derive(Debug, Default)]
pub struct CounterPacks(BTreeMap<i64, Counters>);

impl CounterPacks {
    /// Keeps memory small while a whole file is packed.
    pub fn write_if_many(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if self.0.len() < PLACES_MAX {
            return Ok(());
        }
        std::mem::take(self).write(transaction)
    }

    pub fn add(&mut self, minute: i64, series: i64, increment: f64) {
        for grain in Grain::ALL {
            let place = packs::place(grain, grain.floor(minute));
            *self.0.entry(place).or_default().entry(series).or_default() += increment;
        }
    }

    /// One sum, by the column of its grain and where it starts.
    pub fn add_at(&mut self, place: i64, series: i64, increment: f64) {
        *self.0.entry(place).or_default().entry(series).or_default() += increment;
    }

    /// Adds everything to what is there.
    pub fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        merge(transaction, "counter_pack", self.0, |sums, known| {
            packs::read_counters(known, |series, value| {
                *sums.entry(series).or_default() += value;
            });
            packs::write_counters(sums)
        })
    }
}

/// Events of a page, by place.
#[derive(Debug, Default)]
pub struct ActivityPacks(BTreeMap<i64, Activities>);

impl ActivityPacks {
    /// Keeps memory small while a whole file is packed.
    pub fn write_if_many(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if self.0.len() < PLACES_MAX {
            return Ok(());
        }
        std::mem::take(self).write(transaction)
    }

    pub fn add(&mut self, minute: i64, session: i64, facet: i64, kind: &Kind) {
        let activity = Activity::of(kind);
        for grain in Grain::ALL {
            let place = packs::place(grain, grain.floor(minute));
            self.add_at(place, (session, facet), &activity);
        }
    }

    /// One sum, at its place.
    pub fn add_at(&mut self, place: i64, key: (i64, i64), activity: &Activity) {
        self.0.entry(place).or_default().entry(key).or_default().merge(activity);
    }

    /// Adds everything to what is there.
    pub fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        merge(transaction, "activity_pack", self.0, |sums, known| {
            let read = packs::read_activities(known, |session, facet, activity| {
                sums.entry((session, facet)).or_default().merge(activity);
                Ok::<_, std::convert::Infallible>(())
            });
            let Ok(()) = read;
            packs::write_activities(sums)
        })
    }
}

/// Writes each sum at its place, `merged` with what was there.
pub fn merge<S>(
    transaction: &Transaction<'_>,
    table: &str,
    sums: BTreeMap<i64, S>,
    merged: impl Fn(&mut S, &[u8]) -> Vec<u8>,
) -> rusqlite::Result<()> {
    let mut known =
        transaction.prepare_cached(&format!("SELECT data FROM {table} WHERE place = ?"))?;
    let mut replace = transaction
        .prepare_cached(&format!("INSERT OR REPLACE INTO {table} (place, data) VALUES (?, ?)"))?;
    for (place, mut sums) in sums {
        let data = known
            .query_row([place], |row| Ok(merged(&mut sums, row.get_ref(0)?.as_blob()?)))
            .optional()?;
        let data = data.unwrap_or_else(|| merged(&mut sums, &[]));
        replace.execute((place, data))?;
    }
    Ok(())
}

impl Activity {
    fn of(kind: &Kind) -> Self {
        let mut activity = Self::default();
        match kind {
            Kind::Request(request) => {
                activity.requests = 1;
                activity.cost_usd = request.cost_usd.unwrap_or(0.0);
                activity.unpriced_requests = i64::from(request.cost_usd.is_none());
                activity.input_tokens = request.input_tokens;
                activity.output_tokens = request.output_tokens;
                activity.cache_read_tokens = request.cache_read_tokens;
                activity.cache_creation_tokens = request.cache_creation_tokens;
            }
            Kind::Error(_) => activity.errors = 1,
            Kind::Prompt { .. } => activity.prompts = 1,
            Kind::ToolResult(result) => {
                activity.tool_calls = 1;
                activity.tool_failures = i64::from(result.success == Some(false));
            }
            Kind::ToolDecision(decision) => {
                activity.tool_rejections = i64::from(decision.accepted == Some(false));
            }
        }
        activity
    }
}
