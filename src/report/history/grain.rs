//! Grains: how finely sums are kept, and how a range is covered by the fewest of them.

use std::ops::Range;

/// A length of time for which sums are kept, aligned to the epoch (so, to UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    Minute,
    Hour,
    Day,
}

impl Grain {
    /// From fine to coarse.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// The number in the column `grain`.
    pub fn column(self) -> i64 {
        match self {
            Self::Minute => 0,
            Self::Hour => 1,
            Self::Day => 2,
        }
    }

    pub fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 24 * 60,
        }
    }

    /// Start of the stretch of this grain that holds `minute`.
    pub fn floor(self, minute: i64) -> i64 {
        minute.div_euclid(self.minutes()) * self.minutes()
    }

    fn ceil(self, minute: i64) -> i64 {
        self.floor(minute + self.minutes() - 1)
    }
}

/// Covers a range of minutes exactly, with the coarsest grains that fit: minutes, hours, days, hours,
/// minutes, of which any may be missing.
pub fn pieces(minutes: Range<i64>) -> Vec<(Grain, Range<i64>)> {
    let mut pieces = Vec::with_capacity(5);
    cover(minutes, Grain::Day, &mut pieces);
    pieces
}

fn cover(minutes: Range<i64>, grain: Grain, pieces: &mut Vec<(Grain, Range<i64>)>) {
    if minutes.is_empty() {
        return;
    }
    let finer = match grain {
        Grain::Minute => {
            pieces.push((grain, minutes));
            return;
        }
        Grain::Hour => Grain::Minute,
        Grain::Day => Grain::Hour,
    };
    let (start, end) = (grain.ceil(minutes.start), grain.floor(minutes.end));
    if start >= end {
        cover(minutes, finer, pieces);
        return;
    }
    cover(minutes.start..start, finer, pieces);
    pieces.push((grain, start..end));
    cover(end..minutes.end, finer, pieces);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ragged_range_is_five_pieces() {
        assert_eq!(
            pieces(59..3 * 1440 + 61),
            [
                (Grain::Minute, 59..60),
                (Grain::Hour, 60..1440),
                (Grain::Day, 1440..3 * 1440),
                (Grain::Hour, 3 * 1440..3 * 1440 + 60),
                (Grain::Minute, 3 * 1440 + 60..3 * 1440 + 61),
            ]
        );
    }

    proptest! {
        #[test]
        fn pieces_join_up_and_are_aligned(start in -10_000_i64..10_000, length in 0_i64..20_000) {
            let mut at = start;
            for (grain, piece) in pieces(start..start + length) {
                prop_assert_eq!(piece.start, at);
                prop_assert!(piece.end > piece.start);
                prop_assert_eq!(grain.floor(piece.start), piece.start);
                prop_assert_eq!(grain.floor(piece.end), piece.end);
                at = piece.end;
            }
            prop_assert_eq!(at, start + length);
        }
    }
}
