//! Sums of one stretch of time, packed into one value: a year is then read in milliseconds, where a
//! row for each sum would take as many seconds.
//!
//! A pack lies at its *place*, `grain << 40 | start_minute`, and is a list of sums in order of their
//! keys. Numbers are LEB128, keys as the difference to the one before.
//!
//! ```text
//! counter     (series difference << 1 | whole) (value: LEB128 if it is whole, else 8 bytes)
//! activity    (session difference) (facet, or its difference if the session is the same)
//!             (which of the sums are not 0, a bit each) (those sums; the cost, the last one, is 8 bytes)
//! ```

use std::collections::BTreeMap;

use super::grain::Grain;

/// Bits of a place that hold the minute.
pub const MINUTE_BITS: u32 = 40;
/// Largest whole number that is written as one.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Where the pack of a stretch of time is.
pub fn place(grain: Grain, start_minute: i64) -> i64 {
    (grain.column() << MINUTE_BITS) + start_minute
}

/// The minute that a place stands for.
pub fn start_minute(place: i64) -> i64 {
    place & ((1 << MINUTE_BITS) - 1)
}

/// Increments by series.
pub type Counters = BTreeMap<i64, f64>;

/// Adds what a pack holds. What cannot be read is left out: the file's own checks find damage.
pub fn read_counters(mut bytes: &[u8], mut each: impl FnMut(i64, f64)) {
    let mut series = 0;
    while let Some(head) = take(&mut bytes) {
        series += signed(head >> 1);
        let value =
            if head & 1 == 1 { take(&mut bytes).map(from_whole) } else { double(&mut bytes) };
        let Some(value) = value else { return };
        each(series, value);
    }
}

pub fn write_counters(counters: &Counters) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(counters.len() * 6);
    let mut before = 0;
    for (series, value) in counters {
        let whole = whole(*value);
        put(&mut bytes, unsigned(series - before) << 1 | u64::from(whole.is_some()));
        match whole {
            Some(whole) => put(&mut bytes, whole),
            None => bytes.extend_from_slice(&value.to_le_bytes()),
        }
        before = *series;
    }
    bytes
}

/// What is summed of the events of a session and facet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activity {
    pub prompts: i64,
    pub requests: i64,
    pub errors: i64,
    pub tool_calls: i64,
    pub tool_failures: i64,
    pub tool_rejections: i64,
    /// Requests of models without a price.
    pub unpriced_requests: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_creation_tokens: i64,
    pub cost_usd: f64,
}

const COST_BIT: u64 = 1 << 11;

impl Activity {
    fn counts(&self) -> [i64; 11] {
        [
            self.prompts,
            self.requests,
            self.errors,
            self.tool_calls,
            self.tool_failures,
            self.tool_rejections,
            self.unpriced_requests,
            self.input_tokens,
            self.output_tokens,
            self.cache_read_tokens,
            self.cache_creation_tokens,
        ]
    }

    fn from_counts(counts: [i64; 11], cost_usd: f64) -> Self {
        let [
            prompts,
            requests,
            errors,
            tool_calls,
            tool_failures,
            tool_rejections,
            unpriced_requests,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_creation_tokens,
        ] = counts;
        Self {
            prompts,
            requests,
            errors,
            tool_calls,
            tool_failures,
            tool_rejections,
            unpriced_requests,
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_creation_tokens,
            cost_usd,
        }
    }

    pub fn merge(&mut self, other: &Self) {
        let mut counts = self.counts();
        for (mine, others) in counts.iter_mut().zip(other.counts()) {
            *mine = mine.saturating_add(others);
        }
        *self = Self::from_counts(counts, self.cost_usd + other.cost_usd);
    }
}

/// Sums by session and facet.
pub type Activities = BTreeMap<(i64, i64), Activity>;

/// Calls `each(session, facet, sums)`, as far as the pack can be read.
pub fn read_activities<E>(
    mut bytes: &[u8],
    mut each: impl FnMut(i64, i64, &Activity) -> Result<(), E>,
) -> Result<(), E> {
    let (mut session, mut facet) = (0, 0);
    while let (Some(step), Some(head)) = (take(&mut bytes), take(&mut bytes)) {
        session += signed(step);
        facet = if step == 0 { facet + signed(head) } else { signed(head) };
        let Some(activity) = read_activity(&mut bytes) else { return Ok(()) };
        each(session, facet, &activity)?;
    }
    Ok(())
}

fn read_activity(bytes: &mut &[u8]) -> Option<Activity> {
    let mask = take(bytes)?;
    let mut counts = [0; 11];
    for (bit, count) in counts.iter_mut().enumerate() {
        if mask >> bit & 1 == 1 {
            *count = zigzag(take(bytes)?);
        }
    }
    let cost_usd = if mask & COST_BIT == 0 { 0.0 } else { double(bytes)? };
    Some(Activity::from_counts(counts, cost_usd))
}

pub fn write_activities(activities: &Activities) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(activities.len() * 16);
    let (mut session_before, mut facet_before) = (0, 0);
    for ((session, facet), activity) in activities {
        put(&mut bytes, unsigned(session - session_before));
        let same = *session == session_before;
        put(&mut bytes, unsigned(if same { facet - facet_before } else { *facet }));
        (session_before, facet_before) = (*session, *facet);
        let counts = activity.counts();
        let mut mask = if activity.cost_usd == 0.0 { 0 } else { COST_BIT };
        for (bit, count) in counts.iter().enumerate() {
            mask |= u64::from(*count != 0) << bit;
        }
        put(&mut bytes, mask);
        for count in counts.iter().filter(|count| **count != 0) {
            put(&mut bytes, unzigzag(*count));
        }
        if mask & COST_BIT != 0 {
            bytes.extend_from_slice(&activity.cost_usd.to_le_bytes());
        }
    }
    bytes
}

/// Ids are not negative, and in order.
fn unsigned(id: i64) -> u64 {
    u64::try_from(id).unwrap_or(0)
}

fn signed(id: u64) -> i64 {
    i64::try_from(id & (i64::MAX.cast_unsigned() >> 1)).unwrap_or(0)
}

fn zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn unzigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn whole(value: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number between 0 and 2^53"
    )]
    let whole = value as u64;
    ((0.0..=WHOLE_MAX).contains(&value) && value.fract() == 0.0 && !value.is_sign_negative())
        .then_some(whole)
}

#[expect(clippy::cast_precision_loss, reason = "written from a number up to 2^53")]
fn from_whole(whole: u64) -> f64 {
    whole as f64
}

fn double(bytes: &mut &[u8]) -> Option<f64> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    Some(f64::from_le_bytes(*head))
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
pub fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn activities(bytes: &[u8]) -> Activities {
        let mut read = Activities::new();
        let done = read_activities(bytes, |session, facet, activity| {
            read.insert((session, facet), *activity);
            Ok::<_, Infallible>(())
        });
        assert_eq!(done, Ok(()));
        read
    }

    fn counters(bytes: &[u8]) -> Counters {
        let mut read = Counters::new();
        read_counters(bytes, |series, value| {
            read.insert(series, value);
        });
        read
    }

    #[test]
    fn whole_numbers_are_short() {
        let tokens = Counters::from([(3, 1_200.0), (4, 0.25)]);
        assert_eq!(write_counters(&tokens).len(), 1 + 2 + 1 + 8);
    }

    proptest! {
        #[test]
        fn counters_are_read_as_written(
            written in prop::collection::btree_map(
                0_i64..1 << 40,
                prop_oneof![(0_u32..5_000).prop_map(f64::from), -1e12_f64..1e12],
                0..40,
            ),
        ) {
            prop_assert_eq!(counters(&write_counters(&written)), written);
        }

        #[test]
        fn activities_are_read_as_written(
            written in prop::collection::btree_map(
                (0_i64..9, 0_i64..1 << 40),
                (prop::array::uniform11(prop_oneof![Just(0), any::<i64>()]), -1e12_f64..1e12),
                0..40,
            ),
        ) {
            let written: Activities = written
                .into_iter()
                .map(|(key, (counts, cost_usd))| (key, Activity::from_counts(counts, cost_usd)))
                .collect();
            prop_assert_eq!(activities(&write_activities(&written)), written);
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            counters(&bytes);
            activities(&bytes);
        }

        #[test]
        fn places_are_in_order(minute in 0_i64..1 << 40) {
            for grain in Grain::ALL {
                prop_assert_eq!(start_minute(place(grain, minute)), minute);
            }
            prop_assert!(place(Grain::Minute, minute) < place(Grain::Hour, 0));
        }
    }
}
