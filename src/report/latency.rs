//! Durations in a range, by facet: from the histograms of whole UTC days, and from the rows themselves
//! at both ends.

use std::collections::HashMap;
use std::ops::Range;

use super::groups::Matcher;
use super::history::durations::{Duration, Kind, from_row};
use super::history::file::HistoryFile;
use super::history::grain::Grain;
use super::history::intern::NONE;
use super::history::schema::HistoryError;
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

/// Facet to the durations of a kind, of what passes the filters.
pub fn by_facet(
    file: &HistoryFile,
    range: MinuteRange,
    filters: &[Filter],
    kind: Kind,
) -> Result<HashMap<i64, Duration>, HistoryError> {
    let mut sums = Sums { matcher: Matcher::new(file, filters)?, sums: HashMap::new() };
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
    Ok(sums.sums)
}

struct Sums<'h> {
    matcher: Matcher<'h>,
    sums: HashMap<i64, Duration>,
}

impl Sums<'_> {
    fn add_days(
        &mut self,
        file: &HistoryFile,
        minutes: Range<i64>,
        kind: Kind,
    ) -> Result<(), HistoryError> {
        file.checked(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT facet_id, total_ms, output_tokens, histogram FROM duration
                 WHERE start_minute >= ? AND start_minute < ? AND kind = ?",
            )?;
            let mut rows = query.query([minutes.start, minutes.end, kind.column()])?;
            while let Some(row) = rows.next()? {
                let facet = row.get(0)?;
                if self.matcher.passes(NONE, facet)? {
                    self.sums.entry(facet).or_default().merge(&from_row(row, 1)?);
                }
            }
            Ok(())
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
                    self.sums.entry(facet).or_default().add(duration_ms, row.get(3)?);
                }
            }
            Ok(())
        })
    }
}
