//! Durations in a range, by model or tool: from the histograms of whole UTC days, and from the rows themselves
//! at both ends.

use std::collections::HashMap;
use std::ops::Range;

use super::groups::Matcher;
use super::history::durations::{self, Duration, Kind};
use super::history::file::{FacetColumn, HistoryFile, Lookup};
use super::history::grain::Grain;
use super::history::intern::{NONE, action_of};
use super::history::schema::HistoryError;
use super::ids::IdMap;
use super::question::{Dimension, Filter};
use super::time::MinuteRange;

const MINUTE_MS: i64 = 60_000;

/// What most things took, and what the slow ones took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentiles {
    pub p50_ms: f64,
    pub p95_ms: f64,
}

impl Percentiles {
    /// `None` where no duration is known.
    pub fn of(duration: &Duration) -> Option<Self> {
        Some(Self {
            p50_ms: duration.histogram.quantile_ms(0.5)?,
            p95_ms: duration.histogram.quantile_ms(0.95)?,
        })
    }
}

/// The durations of a kind, of what passes the filters, by model or by tool.
pub fn by(
    file: &HistoryFile,
    range: MinuteRange,
    filters: &[Filter],
    (kind, column): (Kind, FacetColumn),
) -> Result<HashMap<Option<String>, Duration>, HistoryError> {
    let mut sums = Sums {
        matcher: Matcher::new(file, filters)?,
        texts: file.facet_text(column)?,
        groups: IdMap::default(),
        names: HashMap::new(),
        sums: vec![Duration::default()],
        error: None,
    };
    let day = Grain::Day.minutes();
    let (start, end) = (Grain::Day.floor(range.start + day - 1), Grain::Day.floor(range.end));
    // A day's histogram does not know sessions.
    let by_session = filters.iter().any(|filter| filter.dimension == Dimension::Session);
    if start >= end || by_session {
        sums.add_rows(file, range.start..range.end, kind)?;
    } else {
        sums.add_days(file, start..end, kind)?;
        sums.add_rows(file, range.start..start, kind)?;
        sums.add_rows(file, end..range.end, kind)?;
    }
    let Sums { names, mut sums, .. } = sums;
    Ok(names.into_iter().map(|(name, group)| (name, std::mem::take(&mut sums[group]))).collect())
}

/// The group of what does not pass.
const UNWANTED: usize = 0;

struct Sums<'h> {
    matcher: Matcher<'h>,
    texts: Lookup<'h>,
    groups: IdMap<i64, usize>,
    names: HashMap<Option<String>, usize>,
    sums: Vec<Duration>,
    error: Option<rusqlite::Error>,
}

impl durations::Place for Sums<'_> {
    fn place(&mut self, facet: i64) -> &mut Duration {
        let group = self.group(facet).unwrap_or_else(|error| {
            self.error = Some(error);
            UNWANTED
        });
        &mut self.sums[group]
    }
}

impl Sums<'_> {
    fn group(&mut self, facet: i64) -> rusqlite::Result<usize> {
        if let Some(group) = self.groups.get(&facet) {
            return Ok(*group);
        }
        let group = if self.matcher.passes(NONE, facet)? {
            let name = self.texts.value(action_of(facet))?;
            self.group_of(name)
        } else {
            UNWANTED
        };
        self.groups.insert(facet, group);
        Ok(group)
    }

    fn group_of(&mut self, name: Option<String>) -> usize {
        let next = self.sums.len();
        let group = *self.names.entry(name).or_insert(next);
        if group == next {
            self.sums.push(Duration::default());
        }
        group
    }

    fn add_days(
        &mut self,
        file: &HistoryFile,
        minutes: Range<i64>,
        kind: Kind,
    ) -> Result<(), HistoryError> {
        file.checked(|connection| {
            let mut query = connection
                .prepare_cached("SELECT data FROM duration_pack WHERE place >= ? AND place < ?")?;
            let place = |minute| durations::place(kind, minute);
            let mut rows = query.query([place(minutes.start), place(minutes.end)])?;
            while let Some(row) = rows.next()? {
                durations::read(row.get_ref(0)?.as_blob()?, self);
            }
            self.error.take().map_or(Ok(()), Err)
        })
    }

    fn add_rows(
        &mut self,
        file: &HistoryFile,
        minutes: Range<i64>,
        kind: Kind,
    ) -> Result<(), HistoryError> {
        if minutes.is_empty() {
            return Ok(());
        }
        let (columns, table) = match kind {
            Kind::Request => ("duration_ms, output_tokens", "request"),
            Kind::FirstToken => ("ttft_ms, 0", "request"),
            Kind::Tool => ("duration_ms, 0", "tool_result"),
        };
        file.checked(|connection| {
            let mut query = connection.prepare_cached(&format!(
                "SELECT session_id, facet_id, {columns} FROM {table}
                 WHERE time_ms >= ? AND time_ms < ?"
            ))?;
            let mut rows = query.query([minutes.start * MINUTE_MS, minutes.end * MINUTE_MS])?;
            while let Some(row) = rows.next()? {
                let (session, facet) = (row.get(0)?, row.get(1)?);
                let Some(duration_ms) = row.get::<_, Option<i64>>(2)? else { continue };
                if self.matcher.passes(session, facet)? {
                    let name = self.texts.value(action_of(facet))?;
                    let group = self.group_of(name);
                    self.sums[group].add(duration_ms, row.get(3)?);
                }
            }
            Ok(())
        })
    }
}
