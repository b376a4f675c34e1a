//! An answer: rows, and a total that is the same however rows are grouped.
//!
//! Cost, tokens, lines, commits, pull requests and active time are what counters counted; prompts,
//! requests, errors and sessions are what events say. Where rows stand for something that only events
//! know (a repository, a session, …), events say how cost and tokens are shared out, and a row
//! `(unattributed)` holds the difference to the counters. It can be negative for a moment: events
//! arrive before the counters that hold the same usage.
//!
//! Imported usage has no counters: there events are what was used. So it is where a filter is one that
//! counters do not know.
//!
//! Sessions are distinct `session.id`s with a prompt or a request. One session can be in many rows, so
//! their sum is not the total.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::groups::{self, Groups, Key, OfEvents};
use super::history::file::{HistoryFile, Origin};
use super::history::reader::History;
use super::history::schema::HistoryError;
use super::ids::{IdMap, IdSet};
use super::question::{Dimension, Question};
use super::row::{Answer, Counted, Facts, Row, counted};
use super::time::{Bucket, MinuteRange, buckets};

/// Answers from what the history holds.
pub fn answer(history: &History, question: &Question) -> Result<Answer, HistoryError> {
    let Some(extent) = history.extent()? else { return Ok(Answer::default()) };
    let now = question.clock.minute();
    let recorded = extent.start..extent.end.max(now + 1);
    let Some(range) = overlap(question.range, &recorded) else { return Ok(Answer::default()) };
    let buckets = match question.by.unit() {
        Some(unit) => buckets(&question.clock, range, unit),
        None => vec![Bucket { minutes: range.start..range.end, key: String::new() }],
    };
    let ranges: Vec<Range<i64>> = buckets.iter().map(|bucket| bucket.minutes.clone()).collect();
    let mut sums = Sums::default();
    let of_events_only = question.filters.iter().any(|filter| filter.dimension.is_of_events());
    for file in history.files() {
        let counters = file.origin() == Origin::Recorded && !of_events_only;
        if counters {
            sums.add_counters(file, question, &ranges)?;
        }
        sums.add_activity(history, file, question, &ranges, counters)?;
    }
    let (total, imported) = sums.totals();
    let rows = sums.rows(question, &buckets);
    Ok(Answer { rows, total, imported, of_events_only })
}

/// The part of the range that can hold anything: nobody waits for a century of empty hours.
fn overlap(range: MinuteRange, recorded: &Range<i64>) -> Option<MinuteRange> {
    let (start, end) = (range.start.max(recorded.start), range.end.min(recorded.end));
    (start < end).then_some(MinuteRange { start, end })
}

/// Sums by (bucket, group) while the history is read.
#[derive(Default)]
struct Sums {
    groups: Groups,
    cells: IdMap<(usize, usize), Facts>,
    sessions: IdSet<(usize, usize, i64)>,
    sessions_total: IdSet<i64>,
    imported: Facts,
    sessions_imported: IdSet<i64>,
}

/// Increments of one bucket by series id: ids are dense, and a year has a million increments.
#[derive(Default)]
struct BucketSums {
    index: usize,
    sums: Vec<f64>,
}

impl BucketSums {
    fn add(&mut self, series: i64, value: f64) {
        let Ok(series) = usize::try_from(series) else { return };
        if series >= self.sums.len() {
            self.sums.resize(series + 1, 0.0);
        }
        self.sums[series] += value;
    }

    fn move_to(
        &mut self,
        places: &IdMap<i64, (Counted, usize)>,
        cells: &mut IdMap<(usize, usize), Facts>,
    ) {
        for (series, sum) in (0_i64..).zip(&mut self.sums) {
            let sum = std::mem::take(sum);
            if sum != 0.0
                && let Some((counted, group)) = places.get(&series)
            {
                *cells.entry((self.index, *group)).or_default().counter(*counted) += sum;
            }
        }
    }
}

/// Sessions of one file, by its own ids.
#[derive(Default)]
struct Seen {
    places: IdSet<(usize, usize, i64)>,
    total: IdSet<i64>,
}

/// What becomes of the cost and tokens of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Usage {
    /// Counters have them.
    Counted,
    /// They move from the row that counters know to the event's.
    Shared,
    /// They are added: no counter has them.
    Added,
}

impl Sums {
    fn add_counters(
        &mut self,
        history: &HistoryFile,
        question: &Question,
        ranges: &[Range<i64>],
    ) -> Result<(), HistoryError> {
        let series = history.series()?;
        let types = history.series_label("type")?;
        let groups =
            groups::of_series(history, &question.by, &question.filters, &mut self.groups, &series)?;
        let places: IdMap<i64, (Counted, usize)> = series
            .iter()
            .filter_map(|(id, metric)| {
                let counted = counted(metric, types.get(id).map_or("", String::as_str))?;
                Some((*id, (counted, *groups.get(id)?)))
            })
            .collect();
        let mut bucket = BucketSums::default();
        history.counters(ranges, |index, series, value| {
            if index != bucket.index {
                bucket.move_to(&places, &mut self.cells);
                bucket.index = index;
            }
            bucket.add(series, value);
        })?;
        bucket.move_to(&places, &mut self.cells);
        Ok(())
    }

    fn add_activity(
        &mut self,
        history: &History,
        file: &HistoryFile,
        question: &Question,
        ranges: &[Range<i64>],
        counters: bool,
    ) -> Result<(), HistoryError> {
        let mut known = OfEvents::new(file, &question.by, &question.filters)?;
        let have_tool = question.by.have_tool();
        let usage = match (counters, question.by.are_of_events()) {
            (true, false) => Usage::Counted,
            (true, true) => Usage::Shared,
            (false, _) => Usage::Added,
        };
        let imported = file.origin() == Origin::Imported;
        let mut seen = Seen::default();
        file.activity(ranges, |bucket, session, facet, activity| {
            let is_session = activity.prompts + activity.requests > 0;
            if !is_session && activity.errors == 0 && !have_tool {
                return Ok(());
            }
            let Some(placed) = known.place(&mut self.groups, session, facet)? else {
                return Ok(());
            };
            let cell = self.cells.entry((bucket, placed.group)).or_default();
            cell.add_events(activity);
            if usage != Usage::Counted {
                cell.add_usage(activity, 1.0);
            }
            if imported {
                cell.imported_cost_usd += activity.cost_usd;
                self.imported.add_events(activity);
                self.imported.add_usage(activity, 1.0);
            }
            if usage == Usage::Shared && activity.requests > 0 {
                self.cells.entry((bucket, placed.counted)).or_default().add_usage(activity, -1.0);
            }
            if session != 0 && is_session {
                seen.total.insert(session);
            }
            if session != 0 && (is_session || (have_tool && activity.tool_calls > 0)) {
                seen.places.insert((bucket, placed.group, session));
            }
            Ok(())
        })?;
        self.add_sessions(history, file, seen)
    }

    fn add_sessions(
        &mut self,
        history: &History,
        file: &HistoryFile,
        mut seen: Seen,
    ) -> Result<(), HistoryError> {
        if file.origin() == Origin::Imported {
            let mut numbers = IdMap::default();
            for session in seen.places.iter().map(|(_, _, session)| *session) {
                if let Entry::Vacant(vacant) = numbers.entry(session) {
                    vacant.insert(history.session_number(file, session)?);
                }
            }
            seen.total = seen.total.iter().map(|session| numbers[session]).collect();
            seen.places = seen
                .places
                .iter()
                .map(|(bucket, group, session)| (*bucket, *group, numbers[session]))
                .collect();
            self.sessions_imported.extend(&seen.total);
        }
        self.sessions_total.extend(seen.total);
        self.sessions.extend(seen.places);
        Ok(())
    }

    /// The total, and the part of it that was imported.
    fn totals(&mut self) -> (Facts, Facts) {
        for (bucket, group, _) in &self.sessions {
            self.cells.entry((*bucket, *group)).or_default().sessions += 1;
        }
        let mut total = Facts::default();
        // In a fixed order, so that two runs print the same last digit.
        let mut cells: Vec<_> = self.cells.iter().collect();
        cells.sort_unstable_by_key(|(place, _)| **place);
        for (_, facts) in cells {
            total.add(facts);
        }
        total.sessions = i64::try_from(self.sessions_total.len()).unwrap_or(i64::MAX);
        total.denoise();
        // Only now: a total is that of the amounts, not of what the rows round them to.
        for facts in self.cells.values_mut() {
            facts.denoise();
        }
        self.imported.sessions = i64::try_from(self.sessions_imported.len()).unwrap_or(i64::MAX);
        self.imported.imported_cost_usd = self.imported.cost_usd;
        self.imported.denoise();
        (total, self.imported)
    }

    fn rows(self, question: &Question, buckets: &[Bucket]) -> Vec<Row> {
        let by = question.by.as_slice();
        let mut rows: Vec<Row> = self
            .cells
            .iter()
            .filter(|(_, facts)| !facts.is_nothing())
            .map(|((bucket, group), facts)| Row {
                keys: by
                    .iter()
                    .zip(self.groups.keys(*group))
                    .map(|(dimension, key)| match dimension {
                        Dimension::Time(_) => Key::Value(buckets[*bucket].key.clone()),
                        _ => key.clone(),
                    })
                    .collect(),
                facts: *facts,
            })
            .collect();
        if let [Dimension::Time(_)] = by {
            fill(&mut rows, buckets, question.clock.minute());
        }
        sort(&mut rows, by, buckets);
        rows
    }
}

/// Days without anything are rows of zeros, from the first day with something to today.
fn fill(rows: &mut Vec<Row>, buckets: &[Bucket], now: i64) {
    let known: HashSet<Vec<Key>> = rows.iter().map(|row| row.keys.clone()).collect();
    let empty = buckets
        .iter()
        .take_while(|bucket| bucket.minutes.start <= now)
        .map(|bucket| vec![Key::Value(bucket.key.clone())])
        .skip_while(|keys| !known.contains(keys))
        .filter(|keys| !known.contains(keys))
        .map(|keys| Row { keys, facts: Facts::default() });
    rows.extend(empty);
}

/// Time goes forward; all else begins with what cost most, and ends with what has no name.
fn sort(rows: &mut [Row], by: &[Dimension], buckets: &[Bucket]) {
    // By place and not by key: of an hour that comes twice, the later one has the smaller offset.
    let places: HashMap<&str, usize> =
        buckets.iter().enumerate().map(|(place, bucket)| (&*bucket.key, place)).collect();
    let place = |key: &Key| match key {
        Key::Value(value) => places.get(&**value).copied(),
        _ => None,
    };
    let mut cost_of_first: HashMap<Key, f64> = HashMap::new();
    for row in rows.iter() {
        if let Some(first) = row.keys.first() {
            *cost_of_first.entry(first.clone()).or_default() += row.facts.cost_usd;
        }
    }
    rows.sort_by(|one, other| {
        let mut order = Ordering::Equal;
        for (index, dimension) in by.iter().enumerate() {
            let (mine, theirs) = (&one.keys[index], &other.keys[index]);
            let by_amount = match dimension {
                Dimension::Time(_) => place(mine).cmp(&place(theirs)),
                _ if mine == theirs => Ordering::Equal,
                _ if index == 0 => cost_of_first[theirs].total_cmp(&cost_of_first[mine]),
                _ => other.facts.cost_usd.total_cmp(&one.facts.cost_usd),
            };
            order =
                order.then(rank(mine).cmp(&rank(theirs))).then(by_amount).then(mine.cmp(theirs));
        }
        order
    });
}

fn rank(key: &Key) -> u8 {
    match key {
        Key::Value(_) => 0,
        Key::Unset => 1,
        Key::Unattributed => 2,
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "amounts are rounded, or halves and quarters")]
mod tests;
