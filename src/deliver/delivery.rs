//! Delivery: one frozen batch on its way, in as many requests as the backend makes of it.
//!
//! ```text
//! batch ─▶ [part] ──accepted──▶ done
//!            │ too large: two halves, tried one after the other
//!            │ refused: two halves (old and young samples, series, time; for events: time)
//!            ▼
//!          [left, right, …] ──a single record, or the budget of 20 requests spent──▶ quarantined
//! ```
//!
//! Where a refused part's left half is accepted, the right half must hold what was refused, and is
//! halved without being sent: one bad record among 2,000 is found in 12 requests.
//!
//! A sample older than Prometheus' usual hour that is refused is not quarantined: values are
//! cumulative, and the next sample of its series carries it. It is counted as compacted.
//!
//! No I/O. The sum of the books is the batch's `records`, whatever the answers.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event_limits;
use super::otlp::traces;
use super::outcome::cut;
use crate::record::Event;
use crate::store::handle::{Content, FrozenBatch, Lane, Quarantined, SeriesSamples, Settled};

/// Requests after the first refused one until what is refused is given up unhalved. What has not
/// been sent by then is sent once.
const BISECT_REQUESTS_MAX: u32 = 20;
/// Of these, what is kept for samples that are not too old.
const BISECT_REQUESTS_FOR_YOUNG: u32 = 10;
/// Prometheus without an out-of-order window refuses samples an hour behind its newest.
const HORIZON_MS: i64 = 55 * 60 * 1000;

#[derive(Debug)]
pub struct Delivery {
    pub lane: Lane,
    /// When it was frozen, on the wall clock: the time against which the future is measured, the
    /// same for every attempt.
    frozen_ms: i64,
    records: u64,
    parts: VecDeque<Part>,
    bisect_requests_left: u32,
    bisecting: bool,
    expired: u64,
    compacted: u64,
    quarantined: Vec<Quarantined>,
    old_samples_accepted: bool,
    old_samples_refused: bool,
}

#[derive(Debug)]
struct Part {
    content: Content,
    /// If this part is accepted, the next one is known to be refused.
    decides_next: bool,
}

/// What became of a part that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its halves are tried.
    Halved,
    /// So many records were given up.
    GivenUp { quarantined: u64, compacted: u64 },
}

impl Delivery {
    pub fn new(batch: FrozenBatch, now_ms: i64) -> Self {
        Self {
            lane: batch.lane,
            frozen_ms: now_ms,
            records: batch.records,
            parts: VecDeque::from([Part { content: batch.content, decides_next: false }]),
            bisect_requests_left: BISECT_REQUESTS_MAX,
            bisecting: false,
            expired: 0,
            compacted: 0,
            quarantined: Vec::new(),
            old_samples_accepted: false,
            old_samples_refused: false,
        }
    }

    /// What to send next; none once everything has its fate.
    pub fn next_part(&mut self) -> Option<&Content> {
        while self.parts.front().is_some_and(|part| count(&part.content) == 0) {
            self.parts.pop_front();
        }
        self.parts.front().map(|part| &part.content)
    }

    /// Puts the next part's events right for Loki: old ones are left out and counted.
    pub fn keep_within_loki_limits(&mut self, now_ms: i64) {
        if let Some(Part { content: Content::Events(events), .. }) = self.parts.front_mut() {
            self.expired += event_limits::expire(events, now_ms);
            event_limits::clamp_future(events, self.frozen_ms);
        }
    }

    /// Leaves out samples that this backend is known to be too far ahead for.
    pub fn leave_out_old_samples(&mut self, now_ms: i64) {
        for part in &mut self.parts {
            if let Content::Samples(series) = &mut part.content {
                let (old, young) = split_by_age(std::mem::take(series), now_ms);
                self.compacted += samples(&old);
                *series = young;
            }
        }
    }

    /// The next part was taken, but for `refused` records of it.
    pub fn accepted(&mut self, refused: Option<Quarantined>, now_ms: i64) {
        let Some(part) = self.parts.pop_front() else { return };
        self.count_request();
        if let Content::Samples(series) = &part.content {
            self.old_samples_accepted |= series.iter().any(|series| is_old(series, now_ms));
        }
        match refused {
            Some(quarantined) => self.quarantined.push(quarantined),
            None if part.decides_next => self.halve_known_refused(now_ms),
            None => {}
        }
    }

    /// The next part was refused with these words; `body` is the request.
    pub fn refused(&mut self, status: u16, answer: &str, body: Vec<u8>, now_ms: i64) -> Verdict {
        let Some(part) = self.parts.pop_front() else { return Verdict::Halved };
        self.count_request();
        self.bisecting = true;
        let all_old = match &part.content {
            Content::Samples(series) => !series.iter().any(|series| is_young(series, now_ms)),
            Content::Events(_) | Content::Spans(_) => false,
        };
        self.old_samples_refused |= all_old;
        let keep_back = if all_old { BISECT_REQUESTS_FOR_YOUNG } else { 0 };
        if self.bisect_requests_left > keep_back {
            match halves(part.content, now_ms) {
                Ok((left, right)) => {
                    self.push_halves(left, right, true);
                    return Verdict::Halved;
                }
                Err(leaf) => return self.give_up(leaf, status, answer, body, now_ms),
            }
        }
        self.give_up(part.content, status, answer, body, now_ms)
    }

    /// The next part is too large for one request. False if it is a single record, and given up.
    pub fn too_large(&mut self, answer: &str, body: Vec<u8>, now_ms: i64) -> bool {
        let Some(part) = self.parts.pop_front() else { return true };
        match halves(part.content, now_ms) {
            Ok((left, right)) => {
                self.push_halves(left, right, false);
                true
            }
            Err(leaf) => {
                self.give_up(leaf, 413, answer, body, now_ms);
                false
            }
        }
    }

    /// Every old sample of this batch was refused, none was taken: the backend has a horizon.
    pub fn met_horizon(&self) -> bool {
        self.old_samples_refused && !self.old_samples_accepted && self.compacted > 0
    }

    /// The books, which add up to the batch's records.
    pub fn settled(&self) -> Settled {
        let mut left = self.records;
        let mut take = |wanted: u64| {
            let taken = wanted.min(left);
            left -= taken;
            taken
        };
        // Samples that keep a series alive are sent, and are no records: what was lost of a batch is
        // at most what it counted.
        let quarantined = self
            .quarantined
            .iter()
            .map(|one| Quarantined { records: take(one.records), ..one.clone() })
            .filter(|one| one.records > 0)
            .collect();
        let expired = take(self.expired);
        let compacted = take(self.compacted);
        Settled { delivered: left, expired, compacted, quarantined }
    }

    fn count_request(&mut self) {
        if self.bisecting {
            self.bisect_requests_left = self.bisect_requests_left.saturating_sub(1);
        }
    }

    fn push_halves(&mut self, left: Content, right: Content, decides_next: bool) {
        self.parts.push_front(Part { content: right, decides_next: false });
        self.parts.push_front(Part { content: left, decides_next });
    }

    fn halve_known_refused(&mut self, now_ms: i64) {
        if self.bisect_requests_left == 0 {
            return;
        }
        if let Some(part) = self.parts.pop_front() {
            match halves(part.content, now_ms) {
                Ok((left, right)) => {
                    self.push_halves(left, right, true);
                }
                // A single record is sent, to have the backend's words about it.
                Err(leaf) => self.parts.push_front(Part { content: leaf, decides_next: false }),
            }
        }
    }

    fn give_up(
        &mut self,
        content: Content,
        status: u16,
        answer: &str,
        body: Vec<u8>,
        now_ms: i64,
    ) -> Verdict {
        let (quarantined, compacted) = match content {
            Content::Samples(series) => {
                let (old, young) = split_by_age(series, now_ms);
                (samples(&young), samples(&old))
            }
            other => (count(&other), 0),
        };
        self.compacted += compacted;
        if quarantined > 0 {
            self.quarantined.push(Quarantined {
                records: quarantined,
                status,
                answer: cut(answer),
                body,
            });
        }
        Verdict::GivenUp { quarantined, compacted }
    }
}

/// Records in a part: samples, events, spans.
pub fn count(content: &Content) -> u64 {
    match content {
        Content::Samples(series) => samples(series),
        Content::Events(events) => events.len() as u64,
        // One that cannot be read counts as one, so that no part is taken for empty.
        Content::Spans(spans) => spans.iter().map(|bytes| traces::count(bytes).max(1)).sum(),
    }
}

fn samples(series: &[SeriesSamples]) -> u64 {
    series.iter().map(|series| series.samples.len() as u64).sum()
}

fn is_old(series: &SeriesSamples, now_ms: i64) -> bool {
    series.samples.first().is_some_and(|(time_ms, _)| *time_ms < now_ms - HORIZON_MS)
}

fn is_young(series: &SeriesSamples, now_ms: i64) -> bool {
    series.samples.last().is_some_and(|(time_ms, _)| *time_ms >= now_ms - HORIZON_MS)
}

/// Two halves, the older first within a series or stream; or the single record itself.
fn halves(content: Content, now_ms: i64) -> Result<(Content, Content), Content> {
    match content {
        Content::Samples(series) => halve_series(series, now_ms)
            .map(|(left, right)| (Content::Samples(left), Content::Samples(right)))
            .map_err(Content::Samples),
        Content::Events(events) => halve(events)
            .map(|(left, right)| (Content::Events(left), Content::Events(right)))
            .map_err(|events: Vec<Event>| Content::Events(events)),
        Content::Spans(spans) => halve(spans)
            .map(|(left, right)| (Content::Spans(left), Content::Spans(right)))
            .map_err(Content::Spans),
    }
}

type SeriesHalves = (Vec<SeriesSamples>, Vec<SeriesSamples>);

fn halve_series(
    series: Vec<SeriesSamples>,
    now_ms: i64,
) -> Result<SeriesHalves, Vec<SeriesSamples>> {
    let mixed = series.iter().any(|series| is_old(series, now_ms))
        && series.iter().any(|series| is_young(series, now_ms));
    if mixed {
        return Ok(split_by_age(series, now_ms));
    }
    match halve(series) {
        Ok(halves) => Ok(halves),
        Err(mut one) => match one.pop() {
            Some(mut early) if early.samples.len() > 1 => {
                let samples = early.samples.split_off(early.samples.len() / 2);
                let late = with_samples(&early, samples);
                Ok((vec![early], vec![late]))
            }
            leaf => Err(leaf.into_iter().collect()),
        },
    }
}

fn split_by_age(series: Vec<SeriesSamples>, now_ms: i64) -> SeriesHalves {
    let (mut old, mut young) = (Vec::new(), Vec::new());
    for mut series in series {
        let border = series.samples.partition_point(|(time_ms, _)| *time_ms < now_ms - HORIZON_MS);
        let late = series.samples.split_off(border);
        if !late.is_empty() {
            young.push(with_samples(&series, late));
        }
        if !series.samples.is_empty() {
            old.push(series);
        }
    }
    (old, young)
}

fn with_samples(series: &SeriesSamples, samples: Vec<(i64, f64)>) -> SeriesSamples {
    SeriesSamples { labels: Arc::clone(&series.labels), start_ms: series.start_ms, samples }
}

fn halve<T>(mut list: Vec<T>) -> Result<(Vec<T>, Vec<T>), Vec<T>> {
    if list.len() < 2 {
        return Err(list);
    }
    let right = list.split_off(list.len() / 2);
    Ok((list, right))
}

#[cfg(test)]
mod tests;
