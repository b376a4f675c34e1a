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
use std::ops::Range;

use super::event_limits;
use super::horizon::Horizon;
use super::outcome::cut;
use super::split::{count, halves, is_mixed, is_old, is_young, samples, split_by_age, split_off};
use super::wire::Encoded;
use crate::store::handle::{
    Content, Cursor, FrozenBatch, Lane, Quarantined, SeriesSamples, Settled,
};

/// Requests after the first refused one until what is refused is given up unhalved. What has not
/// been sent by then is sent once.
const BISECT_REQUESTS_MAX: u32 = 20;
/// Of these, what is kept for samples that are not too old.
const BISECT_REQUESTS_FOR_YOUNG: u32 = 10;

/// Samples a request, where the horizon has put some in.
const SAMPLES_WITH_STEPS_MAX: u64 = 4000;

#[derive(Debug)]
pub struct Delivery {
    pub lane: Lane,
    /// When it was frozen, on the wall clock: the time against which the future is measured, the
    /// same for every attempt.
    frozen_ms: i64,
    records: u64,
    /// Of the store; empty where the batch is not from there.
    range: Range<Cursor>,
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
            range: batch.start..batch.end,
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
    /// The steps it puts in may be more than a request bears, and then go in several.
    pub fn keep_within_horizon(&mut self, horizon: &mut Horizon, now_ms: i64) {
        // The newest alone are to be what was sent before.
        if let Some(Part { content: Content::Samples(series), whole: None, .. }) =
            self.parts.front_mut()
        {
            self.compacted += horizon.apply(series, now_ms);
        }
        // What may be refused for its age goes by itself: remote_write 2.0 takes the rest of a request,
        // and does not say which that was.
        if let Some(Part { content: Content::Samples(series), whole: None, .. }) =
            self.parts.front()
            && is_mixed(series, now_ms)
        {
            self.halve(0, now_ms);
        }
        while self.parts.front().is_some_and(|part| {
            part.whole.is_none() && count(&part.content) > SAMPLES_WITH_STEPS_MAX
        }) {
            self.halve(SAMPLES_WITH_STEPS_MAX, now_ms);
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

    /// The next part was taken, but for what is quarantined of it.
    pub fn accepted(&mut self, refused: Option<Quarantined>, now_ms: i64) {
        let all_old = self.is_old(now_ms);
        let Some(part) = self.parts.pop_front() else { return };
        self.count_request();
        let samples = matches!(part.content, Content::Samples(_));
        if let Content::Samples(series) = &part.content {
            self.old_samples_accepted |= series.iter().any(|series| is_old(series, now_ms));
        }
        match refused {
            // remote_write 2.0 counts what it has already as refused.
            Some(_) if samples && part.maybe_taken => {}
            // The next sample of its series carries what was too old.
            Some(refused) if all_old => self.compacted += refused.records,
            Some(quarantined) => self.quarantined.push(quarantined),
            None if part.decides_next => self.halve_known_refused(now_ms),
            None => {}
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

    /// The next part was refused with these words.
    pub fn refused(&mut self, status: u16, answer: &str, request: Encoded, now_ms: i64) -> Verdict {
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
                Err(leaf) => return self.give_up(leaf, status, answer, request, now_ms),
            }
        }
        self.give_up(part.content, status, answer, request, now_ms)
    }

    /// The next part is too large for one request. False if it is a single record, and given up.
    pub fn too_large(&mut self, answer: &str, request: Encoded, now_ms: i64) -> bool {
        let Some(part) = self.parts.pop_front() else { return true };
        match halves(part.content, now_ms) {
            Ok((left, right)) => {
                self.push_halves(left, right, false, part.maybe_taken);
                true
            }
            Err(leaf) => {
                self.give_up(leaf, 413, answer, request, now_ms);
                false
            }
        }
    }

    /// Every old sample of this batch was refused, none was taken: the backend has a horizon.
    pub fn met_horizon(&self) -> bool {
        self.old_samples_refused && !self.old_samples_accepted
    }

    /// Not so for what the horizon has left at the end of a backlog: the store knows no batch of it.
    pub fn is_of_the_store(&self) -> bool {
        // Not told by the records: a row that only keeps series alive has none.
        !self.range.is_empty()
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
            .collect();
        let expired = take(self.expired);
        let compacted = take(self.compacted);
        Settled { delivered: left, expired, compacted, quarantined, learned: None }
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
        request: Encoded,
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
                at_ms: now_ms,
                records: quarantined,
                status,
                answer: cut(answer),
                wire: request.wire.name().to_owned(),
                body: request.body,
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
        let border = series.samples.len().checked_sub(1)?;
        Some(split_off(&mut series.clone(), border))
    });
    Some(Content::Samples(newest.collect()))
}

#[cfg(test)]
mod tests;
