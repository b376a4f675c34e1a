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
//! Samples whose last attempt has no known outcome (a crash, an answer that got lost) may be in
//! Prometheus already, and it then refuses all but the newest of each series as out of order. So
//! where such a part is refused, the newest samples are sent alone: if they are taken, as a repetition
//! of the latest sample is, everything in the part was, or is carried by them.
//!
//! A sample older than Prometheus' usual hour that is refused is not quarantined: values are
//! cumulative, and the next sample of its series carries it. It is counted as compacted.
//!
//! No I/O. The sum of the books is the batch's `records`, whatever the answers.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event_limits;
use super::horizon::{HORIZON_MS, Horizon};
use super::otlp::traces;
use super::outcome::cut;
use tokio::time::Instant;

use crate::record::Event;
use crate::store::handle::{Content, FrozenBatch, Lane, Quarantined, SeriesSamples, Settled};

/// Requests after the first refused one until what is refused is given up unhalved. What has not
/// been sent by then is sent once.
const BISECT_REQUESTS_MAX: u32 = 20;
/// Of these, what is kept for samples that are not too old.
const BISECT_REQUESTS_FOR_YOUNG: u32 = 10;

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
    /// An earlier attempt has no known outcome.
    maybe_taken: bool,
    /// `content` is the newest samples of this, sent alone to find out.
    whole: Option<Content>,
}

/// What became of a part that was refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is tried otherwise: in halves, or its newest samples alone.
    GoesOn,
    /// It was given up: so many records are quarantined, these samples are compacted.
    GivenUp { quarantined: u64, compacted: Vec<SeriesSamples> },
}

impl Delivery {
    pub fn new(batch: FrozenBatch, now_ms: i64) -> Self {
        Self {
            lane: batch.lane,
            frozen_ms: now_ms,
            records: batch.records,
            parts: VecDeque::from([Part {
                content: batch.content,
                decides_next: false,
                maybe_taken: batch.replay,
                whole: None,
            }]),
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

    /// Makes of the next part's samples what this backend's horizon leaves of them.
    pub fn keep_within_horizon(&mut self, horizon: &mut Horizon, now_ms: i64, now: Instant) {
        // The newest alone are to be what was sent before.
        if let Some(Part { content: Content::Samples(series), whole: None, .. }) =
            self.parts.front_mut()
        {
            self.compacted += horizon.apply(series, now_ms, now);
        }
    }

    /// remote_write 2.0 takes what it can of a request. What may be too old goes by itself, and first,
    /// so that what follows can still be put right.
    pub fn send_old_alone(&mut self, now_ms: i64) {
        let Some(Part { content: Content::Samples(series), whole: None, .. }) = self.parts.front()
        else {
            return;
        };
        let mixed = series.iter().any(|series| is_old(series, now_ms))
            && series.iter().any(|series| is_young(series, now_ms));
        if mixed {
            self.halve(0, now_ms);
        }
    }

    /// The next part holds nothing but samples that may be too old.
    pub fn is_old(&self, now_ms: i64) -> bool {
        match self.parts.front().map(|part| &part.content) {
            Some(Content::Samples(series)) => !series.iter().any(|series| is_young(series, now_ms)),
            _ => false,
        }
    }

    /// The newest time in the next part.
    pub fn newest_ms(&self) -> Option<i64> {
        match &self.parts.front()?.content {
            Content::Samples(series) => {
                series.iter().filter_map(|one| Some(one.samples.last()?.0)).max()
            }
            Content::Events(events) => events
                .iter()
                .map(|event| event.time_ns / 1_000_000)
                .max()
                .and_then(|time_ms| i64::try_from(time_ms).ok()),
            Content::Spans(_) => None,
        }
    }

    /// The next part was taken, but for `refused` records of it.
    /// Gives back the samples in it.
    pub fn accepted(&mut self, refused: Option<Quarantined>, now_ms: i64) -> Vec<SeriesSamples> {
        let is_old_alone = self.is_old(now_ms);
        let Some(part) = self.parts.pop_front() else { return Vec::new() };
        self.count_request();
        if let Content::Samples(series) = &part.content {
            self.old_samples_accepted |= series.iter().any(|series| is_old(series, now_ms));
        }
        let samples = matches!(part.content, Content::Samples(_));
        match refused {
            // remote_write 2.0 counts what it has already as refused.
            Some(_) if samples && part.maybe_taken => {}
            Some(refused) if is_old_alone => self.compacted += refused.records,
            Some(quarantined) => self.quarantined.push(quarantined),
            None if part.decides_next => self.halve_known_refused(now_ms),
            None => {}
        }
        match part.content {
            Content::Samples(series) => series,
            Content::Events(_) | Content::Spans(_) => Vec::new(),
        }
    }

    /// The last attempt of the next part ended without an answer of the backend itself.
    pub fn outcome_unknown(&mut self) {
        if let Some(part) = self.parts.front_mut() {
            part.maybe_taken = true;
        }
    }

    /// The next part goes in two requests, where it has more than so many records.
    pub fn halve(&mut self, records_min: u64, now_ms: i64) {
        if let Some(part) = self.parts.pop_front() {
            if part.whole.is_some() || count(&part.content) <= records_min {
                self.parts.push_front(part);
                return;
            }
            match halves(part.content, now_ms) {
                Ok((left, right)) => self.push_halves(left, right, false, part.maybe_taken),
                Err(content) => self.parts.push_front(Part { content, ..part }),
            }
        }
    }

    /// The next part was refused with these words; `body` is the request.
    pub fn refused(&mut self, status: u16, answer: &str, body: Vec<u8>, now_ms: i64) -> Verdict {
        let Some(mut part) = self.parts.pop_front() else { return Verdict::GoesOn };
        self.count_request();
        self.bisecting = true;
        if let Some(whole) = part.whole.take() {
            part.content = whole;
            part.maybe_taken = false;
        } else if let Some(newest) = newest_alone(&part, now_ms) {
            let whole = Some(std::mem::replace(&mut part.content, newest));
            self.parts.push_front(Part { whole, ..part });
            return Verdict::GoesOn;
        }
        let all_old = match &part.content {
            Content::Samples(series) => !series.iter().any(|series| is_young(series, now_ms)),
            Content::Events(_) | Content::Spans(_) => false,
        };
        self.old_samples_refused |= all_old;
        let keep_back = if all_old { BISECT_REQUESTS_FOR_YOUNG } else { 0 };
        if self.bisect_requests_left > keep_back {
            match halves(part.content, now_ms) {
                Ok((left, right)) => {
                    self.push_halves(left, right, true, part.maybe_taken);
                    return Verdict::GoesOn;
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
                self.push_halves(left, right, false, part.maybe_taken);
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
        self.old_samples_refused && !self.old_samples_accepted
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

    fn push_halves(
        &mut self,
        left: Content,
        right: Content,
        decides_next: bool,
        maybe_taken: bool,
    ) {
        let part = |content, decides_next| Part { content, decides_next, maybe_taken, whole: None };
        self.parts.push_front(part(right, false));
        self.parts.push_front(part(left, decides_next));
    }

    fn halve_known_refused(&mut self, now_ms: i64) {
        if self.bisect_requests_left == 0 {
            return;
        }
        if let Some(part) = self.parts.pop_front() {
            match halves(part.content, now_ms) {
                Ok((left, right)) => self.push_halves(left, right, true, part.maybe_taken),
                // A single record is sent, to have the backend's words about it.
                Err(content) => self.parts.push_front(Part { content, ..part }),
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
                (samples(&young), old)
            }
            other => (count(&other), Vec::new()),
        };
        self.compacted += samples(&compacted);
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

/// The newest sample of each series, if that is less than the part, and may tell what became of it.
fn newest_alone(part: &Part, now_ms: i64) -> Option<Content> {
    let Content::Samples(series) = &part.content else { return None };
    // What may be refused for its age is told apart first.
    let old = series.iter().any(|series| is_old(series, now_ms));
    if old || !part.maybe_taken || series.iter().all(|series| series.samples.len() < 2) {
        return None;
    }
    let newest = series.iter().filter_map(|series| {
        let last = *series.samples.last()?;
        Some(with_samples(series, vec![last]))
    });
    Some(Content::Samples(newest.collect()))
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
