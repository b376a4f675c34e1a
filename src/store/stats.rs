//! What `status` wants to know of the store.

use super::core::Core;
use super::handle::StoreStats;
use super::row;
use super::series::{SENDER_SERIES_MAX, SERIES_MAX};

impl Core {
    /// Statistics for `status`.
    pub fn stats(&mut self, now_ms: i64) -> rusqlite::Result<StoreStats> {
        self.complete_sessions(now_ms)?;
        let mut warnings = self.troubles(now_ms);
        warnings.extend(self.unread_warning()?);
        warnings.extend(self.unreadable_warning()?);
        warnings.extend(self.cardinality.warnings());
        if self.fold.series.folded > 0 {
            warnings.push(format!("more than {SERIES_MAX} series on this machine, or {SENDER_SERIES_MAX} of one sender: {} points were counted under `other` labels, or without labels; use fewer tags and tag values", self.fold.series.folded));
        }
        Ok(StoreStats {
            sessions_active: self.sessions.active(now_ms),
            sessions_today: self.sessions.since(midnight_ms(now_ms)),
            disk_bytes: self.disk_bytes()?,
            warnings,
            ..self.counted()
        })
    }

    /// What can be said even if nothing can be read.
    pub fn stats_in_trouble(&self, now_ms: i64) -> StoreStats {
        StoreStats { warnings: self.troubles(now_ms), ..self.counted() }
    }

    /// The disk, and what happened to the database.
    fn troubles(&self, now_ms: i64) -> Vec<String> {
        let failing = self.health.warning(&self.options.queue_db, now_ms);
        failing.into_iter().chain(self.recent_note(now_ms).ok().flatten()).collect()
    }

    /// Sessions of today from before this start, read at the first question.
    fn complete_sessions(&mut self, now_ms: i64) -> rusqlite::Result<()> {
        if std::mem::replace(&mut self.sessions.complete, true) {
            return Ok(());
        }
        let mut query = self
            .connection
            .prepare("SELECT received_ms, body FROM events_inbox ORDER BY row DESC")?;
        let mut rows = query.query([])?;
        while let Some(found) = rows.next()? {
            let received_ms = found.get(0)?;
            if received_ms < midnight_ms(now_ms) {
                break;
            }
            self.sessions.saw(
                &row::read_events(found.get_ref(1)?.as_blob()?).unwrap_or_default(),
                received_ms,
            );
        }
        Ok(())
    }

    /// What memory knows.
    pub(super) fn counted(&self) -> StoreStats {
        let stored = self.ends.map(|end| end.records_total);
        let (duplicate, unchanged) = (self.counts.duplicate, self.counts.unchanged);
        StoreStats {
            install_id: self.install_id.clone(),
            received: stored.iter().sum::<u64>() + duplicate + unchanged,
            stored,
            duplicate,
            unchanged,
            turned_away: self.tally.counts(),
            series: self.fold.series.list().len() as u64,
            ..StoreStats::default()
        }
    }
}

/// The start of the local day.
fn midnight_ms(now_ms: i64) -> i64 {
    let now = jiff::Timestamp::from_millisecond(now_ms)
        .unwrap_or_default()
        .to_zoned(jiff::tz::TimeZone::system());
    now.start_of_day().map_or(now_ms, |start| start.timestamp().as_millisecond())
}
