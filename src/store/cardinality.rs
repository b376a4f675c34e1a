//! Values a label may take on one machine: the first 200 of each, then `other`. Names that labels may
//! have: Claude Code's own, and tags up to 256 names in all; later ones are left off.
//!
//! Applied before a request is stored, so that rows on disk already say `other` and taking them in again
//! needs no memory of this.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use rusqlite::Connection;

use super::series::OTHER;
use crate::record::{Batch, Labels, attributes};

/// Different values of one label.
pub const LABEL_VALUES_MAX: usize = 200;
/// Different names of labels.
pub const LABEL_NAMES_MAX: usize = 256;

/// Which values of which label are in use.
#[derive(Default)]
pub struct Cardinality {
    values: HashMap<Arc<str>, HashSet<Arc<str>>>,
    /// Values turned into `other` since the start, by label.
    folded: BTreeMap<Arc<str>, u64>,
    /// Labels left off since the start, and the first one's name.
    left_off: Option<(Arc<str>, u64)>,
    /// Seen, not yet on disk.
    fresh: Vec<(Arc<str>, Arc<str>)>,
}

impl Cardinality {
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut cardinality = Self::default();
        let mut query = connection.prepare("SELECT label, value FROM tag_value")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (label, value): (String, String) = (row.get(0)?, row.get(1)?);
            cardinality.values.entry(label.into()).or_default().insert(value.into());
        }
        Ok(cardinality)
    }

    /// Folds what is too much, in place.
    pub fn limit(&mut self, batch: &mut Batch) {
        match batch {
            Batch::Points(points) => {
                for point in points {
                    self.limit_labels(&mut point.labels);
                }
            }
            Batch::Events(events) => {
                for event in events {
                    self.limit_labels(&mut event.tags);
                }
            }
            Batch::Spans(_) => {}
        }
    }

    fn limit_labels(&mut self, labels: &mut Labels) {
        labels.retain_mut(|(label, value)| {
            let names = self.values.len();
            let values = match self.values.get_mut(label) {
                Some(values) => values,
                None if names >= LABEL_NAMES_MAX && !is_own(label) => {
                    self.left_off.get_or_insert_with(|| (label.clone(), 0)).1 += 1;
                    return false;
                }
                None => self.values.entry(label.clone()).or_default(),
            };
            if values.contains(value) {
                return true;
            }
            if values.len() < LABEL_VALUES_MAX {
                values.insert(value.clone());
                self.fresh.push((label.clone(), value.clone()));
            } else {
                *self.folded.entry(label.clone()).or_default() += 1;
                *value = Arc::from(OTHER);
            }
            true
        });
    }

    /// Writes new values inside the caller's transaction. They are forgotten as new even where the
    /// transaction then fails: a value too few on disk only means a later limit.
    pub fn save(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let mut insert =
            connection.prepare_cached("INSERT OR IGNORE INTO tag_value VALUES(?1, ?2)")?;
        for (label, value) in self.fresh.drain(..) {
            insert.execute([&*label, &*value])?;
        }
        Ok(())
    }

    /// In words, for `status`.
    pub fn warnings(&self) -> Vec<String> {
        let folded = self.folded.iter().map(|(label, count)| {
            format!("`{label}` has more than {LABEL_VALUES_MAX} different values on this machine: {count} records now say `{OTHER}`; give it fewer values")
        });
        let left_off = self.left_off.iter().map(|(label, count)| {
            format!("tags have more than {LABEL_NAMES_MAX} different names on this machine: {count} tags were left off, `{label}` first; use fewer names")
        });
        folded.chain(left_off).collect()
    }
}

/// Labels that are no tags: there are few of them, and without them nothing can be told apart.
fn is_own(label: &str) -> bool {
    label == "job" || attributes::LABELS.iter().any(|(_, own)| *own == label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Point, Temporality};

    fn limited(cardinality: &mut Cardinality, labels: &[(&str, &str)]) -> Labels {
        let point = Point {
            metric: "m".into(),
            labels: labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            stream: 0,
            start_ns: 0,
            time_ns: 0,
            value: 1.0,
            temporality: Temporality::Delta,
        };
        let mut batch = Batch::Points(vec![point]);
        cardinality.limit(&mut batch);
        let Batch::Points(mut points) = batch else { panic!("points went in") };
        points.remove(0).labels
    }

    #[test]
    fn the_value_after_the_limit_is_other_and_said() {
        let mut cardinality = Cardinality::default();
        for number in 0..LABEL_VALUES_MAX {
            limited(&mut cardinality, &[("ticket", &number.to_string())]);
        }
        assert_eq!(cardinality.warnings(), [""; 0]);
        let last = limited(&mut cardinality, &[("ticket", "one more")]);
        assert_eq!(&*last[0].1, OTHER);
        assert_eq!(cardinality.warnings().len(), 1);
        assert!(cardinality.warnings()[0].contains("`ticket`"), "{:?}", cardinality.warnings());
    }

    #[test]
    fn a_tag_after_the_limit_is_left_off_and_said() {
        let mut cardinality = Cardinality::default();
        for number in 0..LABEL_NAMES_MAX {
            limited(&mut cardinality, &[(&format!("tag{number}"), "x")]);
        }
        assert_eq!(cardinality.warnings(), [""; 0]);
        let last = limited(&mut cardinality, &[("job", "j"), ("new", "x"), ("tag7", "y")]);
        assert_eq!(last, [("job".into(), "j".into()), ("tag7".into(), "y".into())]);
        assert_eq!(cardinality.values.len(), LABEL_NAMES_MAX + 1);
        assert_eq!(cardinality.warnings().len(), 1);
        assert!(cardinality.warnings()[0].contains("`new`"), "{:?}", cardinality.warnings());
    }
}
