//! What the history has not seen yet. It keeps its own cursors, and asks from them.

use std::sync::Arc;

use super::core::Core;
use super::handle::{HistoryEvents, HistoryPage, HistorySeries, HistoryTick};
use super::inbox::Inbox;
use super::row;
use crate::record::{Event, own};

const TICKS_PER_PAGE: u32 = 500;
/// Decoded events are several times larger than their rows: few rows a page keep memory flat.
const EVENT_ROWS_PER_PAGE: u32 = 50;
const EVENT_BYTES_PER_PAGE: usize = 1024 * 1024;

impl Core {
    /// Rows above the given ones, in order, in bounded portions.
    pub fn history(
        &mut self,
        after_tick: i64,
        after_row: i64,
        after_series: i64,
    ) -> rusqlite::Result<HistoryPage> {
        self.history_row = Some(after_tick);
        self.history_events_row = Some(after_row);
        let mut page =
            HistoryPage { series: self.history_series(after_series), ..HistoryPage::default() };
        for row in self.samples_rows(after_tick + 1, TICKS_PER_PAGE)? {
            let increments = row.entries.iter().filter(|entry| entry.after > entry.before);
            let increments = increments
                .filter(|entry| !self.is_marks(entry.series))
                .map(|entry| (i64::from(entry.series), entry.after - entry.before))
                .collect();
            page.ticks.push(HistoryTick { row: row.row, time_ms: row.tick_ms, increments });
        }
        self.history_events(after_row, &mut page)?;
        let last_tick = page.ticks.last().map_or(after_tick, |tick| tick.row);
        let last_row = page.events.last().map_or(after_row, |events| events.row);
        page.more =
            last_tick < self.samples_end.row || last_row < self.ends[Inbox::Events as usize].row;
        Ok(page)
    }

    /// What `ccotel doctor` sends is nobody's usage.
    fn is_marks(&self, series: u32) -> bool {
        let series = usize::try_from(series).ok().and_then(|id| self.fold.series.list().get(id));
        series.is_some_and(|series| own::is_marks(&series.labels))
    }

    fn history_series(&self, after: i64) -> Vec<HistorySeries> {
        let skip = usize::try_from(after + 1).unwrap_or(0);
        (0i64..)
            .zip(self.fold.series.list())
            .skip(skip)
            .filter(|(_, series)| !own::is_marks(&series.labels))
            .map(|(id, series)| HistorySeries { id, labels: Arc::clone(&series.labels) })
            .collect()
    }

    /// The last events that came, the newest first, of a bounded number of requests.
    pub fn newest_events(&mut self) -> rusqlite::Result<Vec<Event>> {
        let sql = "SELECT body FROM events_inbox ORDER BY row DESC LIMIT ?1";
        let mut query = self.connection.prepare_cached(sql)?;
        let mut rows = query.query([EVENT_ROWS_PER_PAGE])?;
        let mut newest = Vec::new();
        while let Some(found) = rows.next()? {
            // One that cannot be read is found, and told, by who reads them in order.
            let events = row::read_events(found.get_ref(0)?.as_blob()?).unwrap_or_default();
            newest.extend(events.into_iter().rev().filter(|event| *event.name != *own::MARK_EVENT));
        }
        Ok(newest)
    }

    fn history_events(&self, after: i64, page: &mut HistoryPage) -> rusqlite::Result<()> {
        let sql =
            "SELECT row, received_ms, body FROM events_inbox WHERE row > ?1 ORDER BY row LIMIT ?2";
        let mut query = self.connection.prepare_cached(sql)?;
        let mut rows = query.query([after, i64::from(EVENT_ROWS_PER_PAGE)])?;
        let mut bytes = 0;
        while let Some(found) = rows.next()? {
            let body = found.get_ref(2)?.as_blob()?;
            bytes += body.len();
            let number = found.get(0)?;
            // A row that cannot be read still moves the history on.
            let events = match row::read_events(body) {
                Ok(events) => events,
                Err(error) => {
                    self.unreadable(Inbox::Events.table(), number, &error.to_string())?;
                    Vec::new()
                }
            };
            page.events.push(HistoryEvents { row: number, received_ms: found.get(1)?, events });
            if bytes > EVENT_BYTES_PER_PAGE {
                break;
            }
        }
        Ok(())
    }
}
