//! A destination's view of the series: its labels, and which samples a row means for it.
//!
//! Where a privacy level takes labels away, several series become one, and its value is their sum. The
//! sum is always taken over the members in the order of their ids: each member only grows, so the
//! rounded sum only grows too, and a restart computes the same bits. A backend never sees a reset.
//!
//! For each row, in the order of the groups:
//!
//! | group | samples |
//! | --- | --- |
//! | changed | new value at the tick |
//! | unchanged | value at the tick, where the row is full |
//! | new, woken up, or changed after a gap | the value before, at the lead time, then as above |
//! | in the first row that a destination gets | the value before, at the lead time, whatever changed |

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::samples::SamplesRow;
use super::series::Series;
use crate::record::{Labels, PrivacyLevel, tighten_labels};

/// Series and their values at a place between two rows of `samples`.
#[derive(Clone, Debug, Default)]
pub struct State {
    values: Vec<f64>,
    live: Vec<bool>,
}

impl State {
    /// After the newest row.
    pub fn newest(series: &[Series]) -> Self {
        Self {
            values: series.iter().map(|series| series.sampled).collect(),
            live: series.iter().map(|series| series.live).collect(),
        }
    }

    /// Before `row`, where `self` is after it.
    pub fn undo(&mut self, row: &SamplesRow) {
        for entry in &row.entries {
            self.put(entry.series, entry.before, entry.was_live);
        }
    }

    fn put(&mut self, id: u32, value: f64, live: bool) {
        let id = id as usize;
        if self.values.len() <= id {
            self.values.resize(id + 1, 0.0);
            self.live.resize(id + 1, false);
        }
        self.values[id] = value;
        self.live[id] = live;
    }

    fn sum(&self, members: &[u32]) -> f64 {
        members.iter().filter_map(|id| self.values.get(*id as usize)).sum()
    }

    fn any_live(&self, members: &[u32]) -> bool {
        members.iter().any(|id| self.live.get(*id as usize).copied().unwrap_or(false))
    }
}

/// One label set of a destination.
#[derive(Debug)]
struct Group {
    labels: Arc<Labels>,
    /// When its first member was 0.
    start_ms: i64,
    members: Vec<u32>,
}

/// All label sets of a destination. Only grows, in the order of series ids.
#[derive(Debug)]
pub struct Groups {
    privacy: PrivacyLevel,
    instance: Arc<str>,
    list: Vec<Group>,
    of_series: Vec<u32>,
    by_labels: HashMap<Arc<Labels>, u32>,
}

/// What one group gets from one row: one or two samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub group: u32,
    /// Series of the group that changed, for the books.
    pub records: u64,
    /// The group's value before the row.
    pub before: f64,
    pub samples: Vec<(i64, f64)>,
}

impl Groups {
    pub fn new(privacy: PrivacyLevel, instance: Arc<str>) -> Self {
        Self {
            privacy,
            instance,
            list: Vec::new(),
            of_series: Vec::new(),
            by_labels: HashMap::new(),
        }
    }

    /// Takes in series made since the last call.
    pub fn extend(&mut self, series: &[Series]) {
        for (id, series) in (0u32..).zip(series).skip(self.of_series.len()) {
            let mut labels = tighten_labels(&series.labels, self.privacy);
            labels.push(("instance".into(), self.instance.clone()));
            labels.sort();
            let next = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
            let group = *self.by_labels.entry(Arc::new(labels.clone())).or_insert(next);
            if group == next {
                self.list.push(Group {
                    labels: Arc::new(labels),
                    start_ms: series.start_ms,
                    members: Vec::new(),
                });
            }
            self.list[group as usize].members.push(id);
            self.of_series.push(group);
        }
    }

    /// A group's labels, and when it was 0.
    pub fn labels(&self, group: u32) -> (Arc<Labels>, i64) {
        let group = &self.list[group as usize];
        (group.labels.clone(), group.start_ms)
    }

    /// What `row` means here; moves `state` past it. `first`: the destination begins with this row.
    pub fn items(&self, state: &mut State, row: &SamplesRow, first: bool) -> Vec<Item> {
        let before = state.clone();
        // Groups that changed, with how many of their series did.
        let mut changed = BTreeMap::<u32, u64>::new();
        for entry in &row.entries {
            state.put(entry.series, entry.after, entry.is_live);
            if let Some(group) = self.of_series.get(entry.series as usize) {
                *changed.entry(*group).or_default() += u64::from(entry.is_live);
            }
        }
        let after = &*state;
        let item =
            |group: u32| self.item(group, &before, after, row, first, changed.get(&group).copied());
        if first || row.full {
            (0..u32::try_from(self.list.len()).unwrap_or(u32::MAX)).filter_map(item).collect()
        } else {
            changed.keys().copied().filter_map(item).collect()
        }
    }

    fn item(
        &self,
        group: u32,
        before: &State,
        after: &State,
        row: &SamplesRow,
        first: bool,
        changed: Option<u64>,
    ) -> Option<Item> {
        let members = &self.list[group as usize].members;
        if !after.any_live(members) {
            return None;
        }
        let leads = first || !before.any_live(members) || (row.gap && changed.is_some());
        let mut samples = Vec::with_capacity(2);
        let value_before = before.sum(members);
        if leads {
            samples.push((row.lead_ms, value_before));
        }
        samples.push((row.tick_ms, after.sum(members)));
        let records = changed.unwrap_or(0);
        Some(Item { group, records, before: value_before, samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples::Entry;

    fn series(pairs: &[(&str, &str)]) -> Series {
        let labels =
            pairs.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect();
        Series {
            labels: Arc::new(labels),
            start_ms: 5,
            value: 0.0,
            sampled: 0.0,
            changed_ms: 0,
            live: false,
        }
    }

    fn row(row: i64, full: bool, gap: bool, entries: &[(u32, bool, f64, f64)]) -> SamplesRow {
        let entries = entries.iter().map(|&(series, was_live, before, after)| Entry {
            series,
            was_live,
            is_live: true,
            before,
            after,
        });
        SamplesRow {
            row,
            tick_ms: row * 100,
            lead_ms: row * 100 - 10,
            full,
            gap,
            entries: entries.collect(),
        }
    }

    #[test]
    fn series_that_lose_a_label_are_summed_under_one() {
        let list = [
            series(&[("__name__", "m"), ("user_email", "a@x")]),
            series(&[("__name__", "m"), ("user_email", "b@x")]),
        ];
        let mut groups = Groups::new(PrivacyLevel::Minimal, "i".into());
        groups.extend(&list);
        let mut state = State::default();
        let items = groups.items(
            &mut state,
            &row(1, true, false, &[(0, false, 0.0, 2.0), (1, false, 0.0, 3.0)]),
            false,
        );
        assert_eq!(
            items,
            [Item { group: 0, records: 2, before: 0.0, samples: vec![(90, 0.0), (100, 5.0)] }]
        );
        let items = groups.items(&mut state, &row(2, false, false, &[(1, true, 3.0, 4.0)]), false);
        assert_eq!(items, [Item { group: 0, records: 1, before: 5.0, samples: vec![(200, 6.0)] }]);
    }

    #[test]
    fn a_gap_leads_what_changed_and_the_first_row_leads_everything() {
        let list = [series(&[("__name__", "a")]), series(&[("__name__", "b")])];
        let mut groups = Groups::new(PrivacyLevel::Full, "i".into());
        groups.extend(&list);
        let mut state = State::default();
        groups.items(
            &mut state,
            &row(1, true, false, &[(0, false, 0.0, 1.0), (1, false, 0.0, 1.0)]),
            false,
        );
        let after_gap =
            groups.items(&mut state.clone(), &row(9, true, true, &[(0, true, 1.0, 4.0)]), false);
        assert_eq!(after_gap[0].samples, [(890, 1.0), (900, 4.0)]);
        assert_eq!(after_gap[1].samples, [(900, 1.0)]);
        let first = groups.items(&mut state, &row(9, false, false, &[(0, true, 1.0, 4.0)]), true);
        assert_eq!(first[1].samples, [(890, 1.0), (900, 1.0)]);
    }

    #[test]
    fn walking_back_gives_the_state_before() {
        let rows = [
            row(1, true, false, &[(0, false, 0.0, 1.0)]),
            row(2, false, false, &[(0, true, 1.0, 3.0), (1, false, 0.0, 7.0)]),
        ];
        let mut list = vec![series(&[("__name__", "a")]), series(&[("__name__", "b")])];
        (list[0].sampled, list[0].live, list[1].sampled, list[1].live) = (3.0, true, 7.0, true);
        let mut state = State::newest(&list);
        state.undo(&rows[1]);
        assert_eq!((state.values.clone(), state.live.clone()), (vec![1.0, 0.0], vec![true, false]));
        state.undo(&rows[0]);
        assert_eq!((state.values, state.live), (vec![0.0, 0.0], vec![false, false]));
    }
}
