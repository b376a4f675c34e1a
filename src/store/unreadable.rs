//! Rows that cannot be read: a disk that changes what was written, where SQLite's own checks do not see it.
//!
//! Such a row is noted once, by its table and number, and passed over by everybody; it stays where it is for
//! as long as its neighbours. Its records left the backlog of every destination that came past it: they count
//! as evicted, so that the books balance, and `status` says how many there are. Of samples and points no total
//! is lost where a later value of the series carries it.

use rusqlite::params;

use super::core::Core;
use super::handle::Lane;
use super::inbox::End;
use super::lanes::LaneState;

impl Core {
    /// Notes a row that was met; says so in the log the first time.
    pub(super) fn unreadable(&self, inbox: &str, row: i64, why: &str) -> rusqlite::Result<()> {
        let sql = format!(
            "INSERT OR IGNORE INTO unreadable SELECT ?1, row, records FROM {inbox} WHERE row=?2"
        );
        if self.connection.execute(&sql, params![inbox, row])? > 0 {
            tracing::error!(inbox, row, why, "a stored row cannot be read, and is passed over");
        }
        Ok(())
    }

    /// In words, for `status`.
    pub(super) fn unreadable_warning(&self) -> rusqlite::Result<Option<String>> {
        let sql = "SELECT count(*), ifnull(sum(records), 0) FROM unreadable";
        let (rows, records): (u64, u64) =
            self.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((rows > 0).then(|| {
            format!(
                "{records} records in {rows} stored requests cannot be read back, since the disk has changed \
                 them: destinations count them as evicted, and the report lacks them; look after the disk"
            )
        }))
    }

    /// What lies before a lane's cursor and is in no batch was passed over. `before` are the totals there.
    pub(super) fn pass_unreadable(
        &self,
        destination: &str,
        lane: Lane,
        state: &mut LaneState,
        before: End,
    ) {
        let has_all = state.cursor.row > self.lane_end(lane).row;
        // Totals inside samples are those of before thinning; at the end they are right.
        let known = state.cursor.offset == 0 && (has_all || lane != Lane::Samples);
        let passed = before.records_total.saturating_sub(state.done_records);
        if known && passed > 0 {
            tracing::error!(
                destination,
                lane = lane.name(),
                records = passed,
                "not in any readable row"
            );
            state.evicted += passed;
            state.done_records += passed;
        }
    }
}
