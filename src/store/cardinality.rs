//! Values a label may take on one machine: the first 200 of each, then `other`. Names that labels may
//! have: Claude Code's own, and tags up to 256 names in all; later ones are left off.
//!
//! Where a gateway receives, each sender has these limits for itself, so none takes another's room. The
//! senders' names are limited by whom the gateway lets in.
//!
//! Applied before a request is stored, so that rows on disk already say `other` and taking them in again
//! needs no memory of this.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use rusqlite::Connection;

use super::series::OTHER;
use crate::record::{Batch, Labels, SENDER_LABEL, attributes};

/// Different values of one label.
pub const LABEL_VALUES_MAX: usize = 200;
/// Different names of labels.
pub const LABEL_NAMES_MAX: usize = 256;

/// Between a sender's name and a label in `tag_value`: neither can hold it.
const OF_SENDER: char = '/';

/// `service.name`, of points and of events.
static JOB: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("job"));

/// Which values of which label are in use.
#[derive(Default)]
pub struct Cardinality {
    own: Known,
    /// By sender.
    of_senders: HashMap<Arc<str>, Known>,
    /// Seen, not yet on disk.
    fresh: Vec<(Arc<str>, Arc<str>)>,
}

/// Of one machine, or of one sender.
#[derive(Default)]
struct Known {
    values: HashMap<Arc<str>, HashSet<Arc<str>>>,
    /// Values turned into `other` since the start, by label.
    folded: BTreeMap<Arc<str>, u64>,
    /// Labels left off since the start, and the first one's name.
    left_off: Option<(Arc<str>, u64)>,
}

impl Cardinality {
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut cardinality = Self::default();
        let mut query = connection.prepare("SELECT label, value FROM tag_value")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (label, value): (String, String) = (row.get(0)?, row.get(1)?);
            let (known, label) = match label.split_once(OF_SENDER) {
                Some((sender, label)) => {
                    (cardinality.of_senders.entry(sender.into()).or_default(), label)
                }
                None => (&mut cardinality.own, label.as_str()),
            };
            known.values.entry(label.into()).or_default().insert(value.into());
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
                    // A stream's label at Loki, as `job` is a series'.
                    event.tags.push((JOB.clone(), event.service.clone()));
                    self.limit_labels(&mut event.tags);
                    if let Some((_, service)) = event.tags.pop_if(|(label, _)| **label == **JOB) {
                        event.service = service;
                    }
                }
            }
            Batch::Spans(_) => {}
        }
    }

    fn limit_labels(&mut self, labels: &mut Labels) {
        let sender = labels.iter().find(|(label, _)| **label == *SENDER_LABEL);
        let sender = sender.map(|(_, sender)| sender.clone());
        let known = match &sender {
            None => &mut self.own,
            Some(sender) => self.of_senders.entry(sender.clone()).or_default(),
        };
        let fresh = &mut self.fresh;
        let mut note = |label: &Arc<str>, value: &Arc<str>| {
            let label = match &sender {
                None => label.clone(),
                Some(sender) => format!("{sender}{OF_SENDER}{label}").into(),
            };
            fresh.push((label, value.clone()));
        };
        labels.retain_mut(|(label, value)| {
            **label == *SENDER_LABEL || known.keeps(label, value, &mut note)
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
        let mut warnings = self.own.warnings("on this machine");
        let mut senders: Vec<_> = self.of_senders.iter().collect();
        senders.sort_unstable_by_key(|(sender, _)| *sender);
        for (sender, known) in senders {
            warnings.extend(known.warnings(&format!("of the sender {sender}")));
        }
        warnings
    }
}

impl Known {
    /// Whether a label stays, and with which value. `note` is told of a value that is new.
    fn keeps(
        &mut self,
        label: &Arc<str>,
        value: &mut Arc<str>,
        note: &mut impl FnMut(&Arc<str>, &Arc<str>),
    ) -> bool {
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
            note(label, value);
        } else {
            *self.folded.entry(label.clone()).or_default() += 1;
            *value = Arc::from(OTHER);
        }
        true
    }

    fn warnings(&self, whose: &str) -> Vec<String> {
        let folded = self.folded.iter().map(|(label, count)| {
            format!("`{label}` has more than {LABEL_VALUES_MAX} different values {whose}: {count} records now say `{OTHER}`; give it fewer values")
        });
        let left_off = self.left_off.iter().map(|(label, count)| {
            format!("tags have more than {LABEL_NAMES_MAX} different names {whose}: {count} tags were left off, `{label}` first; use fewer names")
        });
        folded.chain(left_off).collect()
    }
}

/// Labels that are no tags: there are few of them, and without them nothing can be told apart.
fn is_own(label: &str) -> bool {
    label == &**JOB || attributes::LABELS.iter().any(|(_, own)| *own == label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Event, Point, Temporality};

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
    fn services_of_events_are_limited_as_those_of_points() {
        let mut cardinality = Cardinality::default();
        let mut service = |service: String| {
            let event = Event {
                time_ns: 1,
                name: "n".into(),
                body: "b".into(),
                service: service.into(),
                tags: vec![("team".into(), "a".into())],
                id: 0,
                attributes: Vec::new(),
            };
            let mut batch = Batch::Events(vec![event]);
            cardinality.limit(&mut batch);
            let Batch::Events(mut events) = batch else { panic!("events went in") };
            let event = events.remove(0);
            assert_eq!(event.tags, [("team".into(), "a".into())]);
            event.service.to_string()
        };
        for number in 0..LABEL_VALUES_MAX {
            assert_eq!(service(format!("claude-code-{number}")), format!("claude-code-{number}"));
        }
        assert_eq!(service("one more".into()), OTHER);
        assert_eq!(service("claude-code-7".into()), "claude-code-7");
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
        assert_eq!(cardinality.own.values.len(), LABEL_NAMES_MAX + 1);
        assert_eq!(cardinality.warnings().len(), 1);
        assert!(cardinality.warnings()[0].contains("`new`"), "{:?}", cardinality.warnings());
    }

    #[test]
    fn a_sender_that_uses_its_values_up_leaves_the_others_theirs() {
        let mut cardinality = Cardinality::default();
        let of = |sender, value: &str| {
            [("sender", sender), ("ticket", value)].map(|(name, value)| (name, value.to_owned()))
        };
        let mut last = |sender, value: &str| {
            let labels = of(sender, value);
            let labels: Vec<_> =
                labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            limited(&mut cardinality, &labels)[1].1.to_string()
        };
        for number in 0..LABEL_VALUES_MAX {
            last("greedy", &number.to_string());
        }
        assert_eq!(last("greedy", "one more"), OTHER);
        assert_eq!(last("modest", "one more"), "one more");
        let warnings = cardinality.warnings();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("of the sender greedy"), "{warnings:?}");
    }
}
