//! Values a label may take on one machine: the first 200 of each, then `other`.
//!
//! Applied before a request is stored, so that rows on disk already say `other` and taking them in again
//! needs no memory of this.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use rusqlite::Connection;

use super::series::OTHER;
use crate::record::{Batch, Labels};

/// Different values of one label.
pub const LABEL_VALUES_MAX: usize = 200;

/// Which values of which label are in use.
#[derive(Default)]
pub struct Cardinality {
    values: HashMap<Arc<str>, HashSet<Arc<str>>>,
    /// Values turned into `other` since the start, by label.
    folded: BTreeMap<Arc<str>, u64>,
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
        for (label, value) in labels {
            let values = match self.values.get_mut(label) {
                Some(values) => values,
                None => self.values.entry(label.clone()).or_default(),
            };
            if values.contains(value) {
                continue;
            }
            if values.len() < LABEL_VALUES_MAX {
                values.insert(value.clone());
                self.fresh.push((label.clone(), value.clone()));
            } else {
                *self.folded.entry(label.clone()).or_default() += 1;
                *value = Arc::from(OTHER);
            }
        }
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
        self.folded
            .iter()
            .map(|(label, count)| {
                format!("`{label}` has more than {LABEL_VALUES_MAX} different values on this machine: {count} records now say `{OTHER}`; give it fewer values")
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Point, Temporality};

    #[test]
    fn the_value_after_the_limit_is_other_and_said() {
        let mut cardinality = Cardinality::default();
        let mut last = Batch::Points(Vec::new());
        for number in 0..=LABEL_VALUES_MAX {
            let labels = vec![("ticket".into(), number.to_string().into())];
            let point = Point {
                metric: "m".into(),
                labels,
                stream: 0,
                start_ns: 0,
                time_ns: 0,
                value: 1.0,
                temporality: Temporality::Delta,
            };
            last = Batch::Points(vec![point]);
            cardinality.limit(&mut last);
        }
        let Batch::Points(points) = last else { panic!("points went in") };
        assert_eq!(&*points[0].labels[0].1, OTHER);
        assert_eq!(cardinality.warnings().len(), 1);
        assert!(cardinality.warnings()[0].contains("`ticket`"), "{:?}", cardinality.warnings());
    }
}
