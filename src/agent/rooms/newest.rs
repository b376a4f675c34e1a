//! The newest records that are stored, for `ccotel privacy preview`.

use std::collections::HashSet;

use super::Rooms;
use crate::agent::control::Answer;
use crate::record::{PrivacyLevel, own, preview};

/// Kinds of events that are shown, the newest first.
const EVENTS_MAX: usize = 6;

impl Rooms {
    /// One event of each kind, and one series; none where nothing is stored.
    pub async fn newest(&self, stored: PrivacyLevel) -> Result<Answer, String> {
        let events = self.store.newest_events().await.map_err(|error| error.to_string())?;
        let mut seen = HashSet::new();
        let mut records: Vec<_> = events
            .iter()
            .filter(|event| seen.insert(event.name.clone()))
            .take(EVENTS_MAX)
            .map(|event| preview::of_event(event, stored, &self.install_key))
            .collect();
        if !records.is_empty() {
            let values = self.store.values().await.map_err(|error| error.to_string())?;
            let of_claude = values.iter().filter(|series| !own::is_marks(&series.labels));
            // That with the most to show.
            let fullest = of_claude.max_by_key(|series| series.labels.len());
            records.extend(fullest.map(|series| preview::of_series(&series.labels, stored)));
        }
        Ok(Answer::Newest { stored, records })
    }
}
