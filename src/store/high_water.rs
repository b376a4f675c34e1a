//! The high-water mark: a small file beside `queue.db` that says how far the database had come.
//!
//! ```text
//! {"install_id": "…", "former": ["…"], "rows": [points, events, spans, samples],
//!  "cursors": {"destination": {"events": row, …}}}
//! ```
//!
//! Written at ticks, whole (a new file renamed over the old one), never synced: it may be behind the
//! database, never ahead of it. A database that is behind this mark was restored from an older copy; one
//! with a former id was restored from before it became a new install. The cursors then say what the
//! destinations have had of the rows that came back.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Former ids remembered, newest last.
const FORMER_MAX: usize = 32;
/// Longest file that is believed.
const BYTES_MAX: u64 = 1024 * 1024;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HighWater {
    pub install_id: String,
    #[serde(default)]
    pub former: Vec<String>,
    /// Newest rows of `points_inbox`, `events_inbox`, `spans_inbox`, `samples`.
    pub rows: [i64; 4],
    /// First row that a destination has not had, by its name and the lane's.
    #[serde(default)]
    pub cursors: BTreeMap<String, BTreeMap<String, i64>>,
}

impl HighWater {
    /// Where the mark of a database lies.
    pub fn path(queue_db: &Path) -> PathBuf {
        queue_db.with_extension("high-water.json")
    }

    /// `None` where there is none, or none that can be read: then nothing is concluded from it.
    pub fn read(path: &Path) -> Option<Self> {
        let length = std::fs::metadata(path).ok()?.len();
        if length > BYTES_MAX {
            return None;
        }
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    pub fn write(&self, path: &Path) -> io::Result<()> {
        let fresh = path.with_extension("json.new");
        std::fs::write(&fresh, serde_json::to_vec(self)?)?;
        std::fs::rename(fresh, path)
    }

    /// Whether a database with this id and these rows is an older copy of the one that made the mark.
    pub fn is_ahead_of(&self, install_id: &str, rows: [i64; 4]) -> bool {
        let behind = self.rows.iter().zip(rows).any(|(mark, row)| row < *mark);
        (self.install_id == install_id && behind) || self.former.iter().any(|id| id == install_id)
    }

    /// Both ids belong to the past from now on.
    #[must_use]
    pub fn followed_by(mut self, install_id: &str, before: &str) -> Self {
        for id in [std::mem::take(&mut self.install_id), before.to_owned()] {
            if !id.is_empty() && id != install_id && !self.former.contains(&id) {
                self.former.push(id);
            }
        }
        let surplus = self.former.len().saturating_sub(FORMER_MAX);
        self.former.drain(..surplus);
        install_id.clone_into(&mut self.install_id);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_copy_and_one_from_before_the_last_change_of_id_are_seen() {
        let mark = HighWater { install_id: "a".into(), rows: [5, 5, 0, 9], ..HighWater::default() };
        assert!(!mark.is_ahead_of("a", [5, 6, 0, 9]));
        assert!(mark.is_ahead_of("a", [5, 5, 0, 8]));
        assert!(!mark.is_ahead_of("b", [0, 0, 0, 0]), "another install's rows say nothing");
        assert!(mark.followed_by("b", "a").is_ahead_of("a", [99, 99, 99, 99]));
    }

    #[test]
    fn it_comes_back_as_it_was_written_and_damage_is_no_mark() {
        let directory = tempfile::tempdir().unwrap();
        let path = HighWater::path(&directory.path().join("queue.db"));
        assert_eq!(HighWater::read(&path), None);
        let mark = HighWater { install_id: "a".into(), rows: [1, 2, 3, 4], ..HighWater::default() };
        mark.write(&path).unwrap();
        assert_eq!(HighWater::read(&path), Some(mark));
        std::fs::write(&path, b"{").unwrap();
        assert_eq!(HighWater::read(&path), None);
    }
}
