//! The history as a whole: what the agent recorded, and beside it what was imported.

use std::ops::Range;
use std::path::Path;

use rusqlite::OptionalExtension;

pub use super::file::{HistoryFile, Origin};
use super::schema::HistoryError;
use crate::paths::Paths;

/// Whether imported usage counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Imported {
    #[default]
    Include,
    Exclude,
    Only,
}

/// Both files, each seen at one moment.
#[derive(Debug)]
pub struct History {
    files: Vec<HistoryFile>,
}

impl History {
    /// `None` where there is nothing to read yet.
    pub fn open(paths: &Paths, imported: Imported) -> Result<Option<Self>, HistoryError> {
        let (history_db, imported_db) = (paths.history_db(), paths.imported_db());
        let recorded = (imported != Imported::Only).then_some(&*history_db);
        let imported = (imported != Imported::Exclude).then_some(&*imported_db);
        Self::open_files(recorded, imported)
    }

    /// The files at these places, as far as they are there.
    pub fn open_files(
        recorded: Option<&Path>,
        imported: Option<&Path>,
    ) -> Result<Option<Self>, HistoryError> {
        let mut files = Vec::new();
        for (path, origin) in [(recorded, Origin::Recorded), (imported, Origin::Imported)] {
            if let Some(path) = path {
                files.extend(HistoryFile::open(path, origin)?);
            }
        }
        Ok((!files.is_empty()).then_some(Self { files }))
    }

    /// The recorded one first.
    pub fn files(&self) -> &[HistoryFile] {
        &self.files
    }

    /// The minutes, in whole UTC days, from the oldest to the newest row; `None` if there is no row.
    pub fn extent(&self) -> Result<Option<Range<i64>>, HistoryError> {
        let mut extent: Option<Range<i64>> = None;
        for file in &self.files {
            let Some(of_file) = file.extent()? else { continue };
            extent = Some(match extent {
                None => of_file,
                Some(known) => known.start.min(of_file.start)..known.end.max(of_file.end),
            });
        }
        Ok(extent)
    }

    /// One number for a session, whichever file it is in: a session may have begun before telemetry
    /// was on, and been imported up to there. 0 is no session, as in the files.
    pub fn session_number(&self, file: &HistoryFile, session: i64) -> Result<i64, HistoryError> {
        if file.origin() == Origin::Recorded || session == 0 {
            return Ok(session);
        }
        let Some(recorded) = self.files.first().filter(|one| one.origin() == Origin::Recorded)
        else {
            return Ok(-session);
        };
        let id = file.sessions()?.value(session).map_err(|error| file.error(&error))?;
        let known = recorded.checked(|connection| {
            connection
                .prepare_cached("SELECT id FROM session WHERE session_id = ?")?
                .query_row([id], |row| row.get(0))
                .optional()
        })?;
        Ok(known.unwrap_or(-session))
    }
}
