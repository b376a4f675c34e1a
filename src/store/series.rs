//! Series: the counters. One label set, one value that only grows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::Connection;

use super::samples::Entry;
use crate::record::{Labels, SENDER_LABEL};

/// At most so many series of their own on one machine; beyond, new ones fold into others.
pub const SERIES_MAX: usize = 5_000;
/// At most so many more, one for each metric, job, type and decision, for what folds.
const REST_MAX: usize = 999;
/// The same where a gateway receives, for each sender: what one has too many of folds into its own.
pub const SENDER_SERIES_MAX: usize = 2_000;
const SENDER_REST_MAX: usize = 99;
/// Of all senders together: 125 of them could use up what is theirs.
pub const SENDERS_SERIES_MAX: usize = 250_000;
/// What a folded series keeps.
const REST_LABELS: &[&str] = &["__name__", "job", "type", "decision", SENDER_LABEL];
/// The last series of all: metrics that even those have no room for, in whatever units.
const REST_OF_ALL: &str = "ccotel_other_total";
/// What a folded label says.
pub const OTHER: &str = "other";
/// A series idle so long is no longer sent with heartbeats. Its value is kept for ever.
const RETIRE_AFTER_MS: i64 = 30 * 24 * 3_600_000;

/// One counter.
#[derive(Clone, Debug)]
pub struct Series {
    /// Sorted, with `__name__`.
    pub labels: Arc<Labels>,
    /// When it was 0: the lead time of its first tick; 0 until then.
    pub start_ms: i64,
    pub value: f64,
    /// Value at the last tick.
    pub sampled: f64,
    /// Tick of its last change.
    pub changed_ms: i64,
    pub live: bool,
}

/// All counters, by id (their place) and by label set.
#[derive(Default)]
pub struct SeriesTable {
    list: Vec<Series>,
    by_labels: HashMap<Arc<Labels>, u32>,
    /// Label values in use, for folding at the limit.
    known: HashSet<(Arc<str>, Arc<str>)>,
    touched: HashSet<u32>,
    /// Series of each sender; those without one are the others.
    of_senders: HashMap<Arc<str>, usize>,
    with_sender: usize,
    pub folded: u64,
}

impl SeriesTable {
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut table = Self::default();
        let mut query = connection
            .prepare("SELECT labels, start_ms, value, changed_ms, live FROM series ORDER BY id")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let labels = labels_from_json(&row.get::<_, String>(0)?);
            let value = row.get(2)?;
            table.push(Series {
                labels: Arc::new(labels),
                start_ms: row.get(1)?,
                value,
                sampled: value,
                changed_ms: row.get(3)?,
                live: row.get(4)?,
            });
        }
        Ok(table)
    }

    pub fn list(&self) -> &[Series] {
        &self.list
    }

    /// Adds to a counter.
    pub fn add(&mut self, id: u32, increment: f64) {
        if let Some(series) = self.list.get_mut(id as usize) {
            series.value += increment;
            self.touched.insert(id);
        }
    }

    /// The counter of `metric` with `labels`, which is made where there is none.
    pub fn id(&mut self, metric: &Arc<str>, labels: &Labels) -> u32 {
        let full = with_name(metric, labels);
        if let Some(id) = self.by_labels.get(&full) {
            return *id;
        }
        let room = self.room(&full);
        if room > 0 {
            return self.create(full);
        }
        self.folded += 1;
        let known = &self.known;
        let folded = fold(&full, |label| known.contains(label));
        if let Some(id) = self.by_labels.get(&folded) {
            return *id;
        }
        // Combinations of known values, and sets of label names, can be without number.
        let sender = sender_of(&full).cloned();
        let rest = full.into_iter().filter(|(name, _)| REST_LABELS.contains(&&**name)).collect();
        if let Some(id) = self.by_labels.get(&rest) {
            return *id;
        }
        let rest_max = if sender.is_some() { SENDER_REST_MAX } else { REST_MAX };
        if room + isize::try_from(rest_max).unwrap_or(0) > 0 {
            return self.create(rest);
        }
        let mut rest_of_all = vec![(Arc::from("__name__"), Arc::from(REST_OF_ALL))];
        rest_of_all.extend(sender.map(|sender| (Arc::from(SENDER_LABEL), sender)));
        self.by_labels.get(&rest_of_all).copied().unwrap_or_else(|| self.create(rest_of_all))
    }

    /// How many more series there may be beside these labels'; negative where the rest is in use.
    fn room(&self, labels: &Labels) -> isize {
        let left = |max: usize, used: usize| {
            isize::try_from(max).unwrap_or(isize::MAX) - isize::try_from(used).unwrap_or(isize::MAX)
        };
        match sender_of(labels) {
            None => left(SERIES_MAX, self.list.len() - self.with_sender),
            Some(sender) => {
                let own = self.of_senders.get(sender).copied().unwrap_or(0);
                left(SENDER_SERIES_MAX, own).min(left(SENDERS_SERIES_MAX, self.with_sender))
            }
        }
    }

    fn create(&mut self, labels: Labels) -> u32 {
        self.push(Series {
            labels: Arc::new(labels),
            start_ms: 0,
            value: 0.0,
            sampled: 0.0,
            changed_ms: 0,
            live: false,
        })
    }

    fn push(&mut self, series: Series) -> u32 {
        let id = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.known.extend(series.labels.iter().cloned());
        if let Some(sender) = sender_of(&series.labels) {
            *self.of_senders.entry(sender.clone()).or_default() += 1;
            self.with_sender += 1;
        }
        self.by_labels.insert(series.labels.clone(), id);
        self.list.push(series);
        id
    }

    /// Whether a tick would have something to write.
    pub fn changed(&self) -> bool {
        !self.touched.is_empty()
    }

    /// What a tick at `tick_ms` writes: every series that changed, and those that retire. Marks them
    /// as sampled.
    pub fn sample(&mut self, tick_ms: i64, lead_ms: i64) -> Vec<Entry> {
        let mut ids: Vec<u32> = self.touched.drain().collect();
        ids.extend(retiring(&self.list, tick_ms));
        ids.sort_unstable();
        ids.dedup();
        ids.iter()
            .filter_map(|id| sample_one(self.list.get_mut(*id as usize)?, *id, tick_ms, lead_ms))
            .collect()
    }

    /// The transaction of [`Self::sample`] failed: its series are due again.
    pub fn unsample(&mut self, entries: &[Entry]) {
        for entry in entries {
            if let Some(series) = self.list.get_mut(entry.series as usize) {
                series.sampled = entry.before;
                series.live = entry.was_live;
                if !entry.was_live && entry.before == 0.0 {
                    series.changed_ms = 0;
                }
                self.touched.insert(entry.series);
            }
        }
    }
}

fn sample_one(series: &mut Series, id: u32, tick_ms: i64, lead_ms: i64) -> Option<Entry> {
    let grew = series.value > series.sampled;
    let new = series.changed_ms == 0;
    let retires = !grew && series.live && tick_ms - series.changed_ms > RETIRE_AFTER_MS;
    if !grew && !new && !retires {
        return None;
    }
    let entry = Entry {
        series: id,
        was_live: series.live,
        is_live: !retires,
        before: series.sampled,
        after: series.value,
    };
    if new {
        series.start_ms = lead_ms;
    }
    if !retires {
        series.changed_ms = tick_ms;
    }
    series.sampled = series.value;
    series.live = !retires;
    Some(entry)
}

fn retiring(list: &[Series], tick_ms: i64) -> impl Iterator<Item = u32> {
    list.iter()
        .zip(0u32..)
        .filter(move |(series, _)| series.live && tick_ms - series.changed_ms > RETIRE_AFTER_MS)
        .map(|(_, id)| id)
}

fn sender_of(labels: &Labels) -> Option<&Arc<str>> {
    labels.iter().find(|(name, _)| **name == *SENDER_LABEL).map(|(_, sender)| sender)
}

/// Labels with `__name__`, sorted by name.
fn with_name(metric: &Arc<str>, labels: &Labels) -> Labels {
    let mut full = Vec::with_capacity(labels.len() + 1);
    full.push((Arc::from("__name__"), metric.clone()));
    full.extend(labels.iter().cloned());
    full.sort();
    full
}

/// The same labels, with `other` where `keeps` says no. Name, job and sender always stay.
fn fold(labels: &Labels, keeps: impl Fn(&(Arc<str>, Arc<str>)) -> bool) -> Labels {
    let stays = |label: &(Arc<str>, Arc<str>)| {
        matches!(&*label.0, "__name__" | "job" | SENDER_LABEL) || keeps(label)
    };
    labels
        .iter()
        .map(|label| if stays(label) { label.clone() } else { (label.0.clone(), Arc::from(OTHER)) })
        .collect()
}

pub fn labels_to_json(labels: &Labels) -> String {
    let object =
        labels.iter().map(|(name, value)| (name.to_string(), serde_json::Value::from(&**value)));
    serde_json::Value::Object(object.collect()).to_string()
}

fn labels_from_json(json: &str) -> Labels {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).unwrap_or_default();
    object
        .iter()
        .map(|(name, value)| {
            (Arc::from(name.as_str()), Arc::from(value.as_str().unwrap_or_default()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(table: &mut SeriesTable, metric: &Arc<str>, labels: &Labels, increment: f64) {
        let id = table.id(metric, labels);
        table.add(id, increment);
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect()
    }

    #[test]
    fn a_series_is_sampled_when_it_changed_and_retires_after_a_month() {
        let mut table = SeriesTable::default();
        let metric: Arc<str> = "m_total".into();
        add(&mut table, &metric, &labels(&[("job", "claude-code")]), 2.0);
        let first = table.sample(60_000, 45_000);
        assert_eq!(
            first,
            [Entry { series: 0, was_live: false, is_live: true, before: 0.0, after: 2.0 }]
        );
        assert_eq!(table.list()[0].start_ms, 45_000);
        assert!(table.sample(75_000, 60_000).is_empty());
        let later = 60_000 + RETIRE_AFTER_MS + 1;
        assert!(!table.sample(later, later - 1)[0].is_live);
        assert!(table.sample(later + 1, later).is_empty(), "it retires once");
        add(&mut table, &metric, &labels(&[("job", "claude-code")]), 1.0);
        let woke = table.sample(later + 60_000, later + 45_000);
        assert_eq!(
            woke,
            [Entry { series: 0, was_live: false, is_live: true, before: 2.0, after: 3.0 }]
        );
    }

    #[test]
    fn a_new_series_of_value_zero_is_sampled_too() {
        let mut table = SeriesTable::default();
        add(&mut table, &"m_total".into(), &labels(&[("type", "removed")]), 0.0);
        assert_eq!(table.sample(1_000, 900).len(), 1);
        assert!(table.sample(2_000, 1_900).is_empty());
    }

    #[test]
    fn beyond_the_limit_values_fold_and_no_increment_is_lost() {
        let mut table = SeriesTable::default();
        let metric: Arc<str> = "m_total".into();
        let many = SERIES_MAX + 500;
        for number in 0..many {
            add(
                &mut table,
                &metric,
                &labels(&[("agent_name", &number.to_string()), ("job", "j"), ("type", "input")]),
                1.0,
            );
        }
        assert_eq!(table.list().len(), SERIES_MAX + 1);
        assert_eq!(table.folded, 500);
        let sum: f64 = table.list().iter().map(|series| series.value).sum();
        assert_eq!(sum, f64::from(u32::try_from(many).unwrap()));
        let last = &table.list()[SERIES_MAX];
        assert_eq!(
            *last.labels,
            labels(&[("__name__", "m_total"), ("job", "j"), ("type", "input")])
        );
    }

    #[test]
    fn beyond_the_limit_neither_label_names_nor_metrics_make_series_without_end() {
        let mut table = SeriesTable::default();
        let metric: Arc<str> = "m_total".into();
        let many = SERIES_MAX + 500;
        for number in 0..many {
            add(&mut table, &metric, &labels(&[("job", "j"), (&format!("l{number}"), "x")]), 1.0);
        }
        assert_eq!(table.list().len(), SERIES_MAX + 1);
        for number in 0..many {
            add(&mut table, &format!("m{number}_total").into(), &labels(&[("job", "j")]), 1.0);
        }
        assert_eq!(table.list().len(), SERIES_MAX + REST_MAX + 1);
        let sum: f64 = table.list().iter().map(|series| series.value).sum();
        assert_eq!(sum, f64::from(u32::try_from(2 * many).unwrap()));
        let last = &table.list()[SERIES_MAX + REST_MAX];
        assert_eq!(*last.labels, labels(&[("__name__", REST_OF_ALL)]));
    }

    #[test]
    fn a_sender_beyond_its_limit_folds_into_its_own_and_leaves_the_others_theirs() {
        let mut table = SeriesTable::default();
        let metric: Arc<str> = "m_total".into();
        let mut count = |sender: &str, number: usize| {
            let number = number.to_string();
            let pairs = labels(&[("agent_name", &number), ("job", "j"), ("sender", sender)]);
            let id = table.id(&metric, &pairs);
            table.add(id, 1.0);
            table.list()[id as usize].labels.clone()
        };
        for number in 0..SENDER_SERIES_MAX + 10 {
            count("greedy", number);
        }
        let rest = count("greedy", SENDER_SERIES_MAX + 10);
        assert_eq!(*rest, labels(&[("__name__", "m_total"), ("job", "j"), ("sender", "greedy")]));
        let other = count("modest", SENDER_SERIES_MAX + 11);
        assert!(other.iter().any(|(name, _)| &**name == "agent_name"), "{other:?}");
        let of = |sender: &str| -> f64 {
            let own = table
                .list()
                .iter()
                .filter(|one| sender_of(&one.labels).unwrap().as_ref() == sender);
            own.map(|series| series.value).sum()
        };
        assert_eq!((of("greedy"), of("modest")), (2_011.0, 1.0));
    }

    #[test]
    fn labels_come_back_from_json() {
        let all = labels(&[("__name__", "m"), ("project", "a \"b\"\n")]);
        assert_eq!(labels_from_json(&labels_to_json(&all)), all);
    }
}
