//! Times as people write them, and the stretches of local time that rows stand for.
//!
//! Everything is resolved to whole minutes since the epoch, which is how finely counters are kept:
//! `--since` and `--until` lose their seconds (both downwards, so that two ranges that meet share
//! nothing), and "now" is the end of the current minute.
//!
//! `7d` and `4w` are calendar days, today included: `--since 7d` begins at local midnight six days
//! ago, however it is grouped, so that no day is cut and totals do not depend on `--by`. `12h` and
//! `30m` are counted back from now.

use std::ops::Range;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

/// Farthest back or ahead that a relative time may point, in days: 100 years.
const RELATIVE_DAYS_MAX: i64 = 36_525;

/// What is accepted as a time, for messages.
const ACCEPTED: &str = "a day (2026-11-14), RFC 3339 (2026-11-14T09:30:00+01:00), an age (30m, 12h, 7d, 4w), today, yesterday, this-week or this-month";

/// A time that is not one, or a range that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("`{0}` is not a time: give {ACCEPTED}")]
    NotATime(String),
    #[error("--since ({since}) must be before --until ({until})")]
    Empty { since: String, until: String },
    #[error(
        "`{0}` is not a time zone: give a name of the IANA database, such as Europe/Paris or UTC"
    )]
    NotAZone(String),
}

/// A moment and a place to understand times in.
#[derive(Clone, Debug)]
pub struct Clock {
    pub now: Zoned,
}

impl Clock {
    /// This moment, in the zone named, or in the system's.
    pub fn system(zone: Option<&str>) -> Result<Self, TimeError> {
        let zone = match zone {
            None => TimeZone::system(),
            Some(name) => TimeZone::get(name).map_err(|_| TimeError::NotAZone(name.to_owned()))?,
        };
        Ok(Self { now: Timestamp::now().to_zoned(zone) })
    }

    /// The current minute since the epoch.
    pub fn minute(&self) -> i64 {
        floor_minute(self.now.timestamp())
    }

    pub fn zone(&self) -> &TimeZone {
        self.now.time_zone()
    }

    /// The zone's IANA name, else its offset (`+02:00`).
    pub fn zone_name(&self) -> String {
        match self.zone().iana_name() {
            Some(name) => name.to_owned(),
            None if self.zone().to_fixed_offset().is_ok_and(jiff::tz::Offset::is_zero) => {
                "UTC".to_owned()
            }
            None => self.now.strftime("%:z").to_string(),
        }
    }

    /// The moment that a word means.
    pub fn moment(&self, word: &str) -> Result<Timestamp, TimeError> {
        self.understand(word.trim()).ok_or_else(|| TimeError::NotATime(word.to_owned()))
    }

    /// The range `[since, until)`; without `until`, up to and with the current minute.
    pub fn range(&self, since: &str, until: Option<&str>) -> Result<MinuteRange, TimeError> {
        let start = floor_minute(self.moment(since)?);
        let end = match until {
            Some(word) => floor_minute(self.moment(word)?),
            None => self.minute() + 1,
        };
        if start >= end {
            return Err(TimeError::Empty { since: self.rfc3339(start), until: self.rfc3339(end) });
        }
        Ok(MinuteRange { start, end })
    }

    /// A minute since the epoch with the zone's offset: `2026-11-14T00:00:00+01:00`.
    pub fn rfc3339(&self, minute: i64) -> String {
        self.zoned(minute).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// A minute since the epoch as the clock on the wall shows it.
    pub fn zoned(&self, minute: i64) -> Zoned {
        let second = minute
            .saturating_mul(60)
            .clamp(Timestamp::MIN.as_second() + 1, Timestamp::MAX.as_second() - 1);
        Timestamp::from_second(second)
            .unwrap_or(Timestamp::UNIX_EPOCH)
            .to_zoned(self.zone().clone())
    }

    /// The range before this one, to compare with: as many days, up to the same time of day; of a
    /// month, the month before.
    pub fn previous(&self, range: MinuteRange) -> Option<Previous> {
        let (start, end) = (self.zoned(range.start), self.zoned(range.end));
        if start.start_of_day().ok()? != start {
            let length = range.end - range.start;
            let before = MinuteRange { start: range.start - length, end: range.start };
            return Some(Previous { range: before, words: format!("the {} before", span(length)) });
        }
        let last_day = self.zoned(range.end - 1).date();
        let whole = end.start_of_day().ok()? == end;
        let days = i64::from((last_day - start.date()).get_days()) + 1;
        let is_month = start.day() == 1 && last_day.first_of_month() == start.date();
        let (back, words) = match days {
            _ if is_month => (1.month(), "the month before".to_owned()),
            1 => (1.days(), "the day before".to_owned()),
            _ => (days.days(), format!("the {days} days before")),
        };
        let start = start.checked_sub(back).ok()?;
        let end =
            if whole && is_month { self.zoned(range.start) } else { end.checked_sub(back).ok()? };
        let before = MinuteRange {
            start: floor_minute(start.start_of_day().ok()?.timestamp()),
            // The 31st of a month that has none is its last day.
            end: floor_minute(end.timestamp()).min(range.start),
        };
        let words = if whole { words } else { format!("{words} up to the same time") };
        (before.start < before.end).then_some(Previous { range: before, words })
    }

    fn understand(&self, word: &str) -> Option<Timestamp> {
        let today = self.now.date();
        match word {
            "today" => return self.midnight(today),
            "yesterday" => return self.midnight(today.yesterday().ok()?),
            "this-week" => return self.midnight(monday(today)?),
            "this-month" => return self.midnight(today.first_of_month()),
            _ => {}
        }
        if let Some(age) = age(word) {
            return match age {
                Age::Minutes(minutes) => self.now.timestamp().checked_sub(minutes.minutes()).ok(),
                Age::Days(days) => self.midnight(today.checked_sub((days - 1).max(0).days()).ok()?),
            };
        }
        if is_bare_day(word) {
            return self.midnight(word.parse().ok()?);
        }
        word.parse().ok()
    }

    /// When a day begins here; where the clock skips midnight, when it skips it.
    fn midnight(&self, date: Date) -> Option<Timestamp> {
        let start = date.to_zoned(self.zone().clone()).ok()?.start_of_day().ok()?;
        Some(start.timestamp())
    }
}

/// `[start, end)` in minutes since the epoch; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteRange {
    pub start: i64,
    pub end: i64,
}

/// A range to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    pub range: MinuteRange,
    /// `the 7 days before up to the same time`
    pub words: String,
}

/// `90 minutes`, `12 hours`, `3 days`.
fn span(minutes: i64) -> String {
    let (count, unit) = match minutes {
        _ if minutes % (24 * 60) == 0 => (minutes / (24 * 60), "day"),
        _ if minutes % 60 == 0 => (minutes / 60, "hour"),
        _ => (minutes, "minute"),
    };
    if count == 1 { unit.to_owned() } else { format!("{count} {unit}s") }
}

impl MinuteRange {
    pub fn minutes(self) -> Range<i64> {
        self.start..self.end
    }
}

/// What a row by time stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Hour,
    Day,
    Week,
    Month,
}

/// One row's stretch of time: the part of the unit that lies in the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub minutes: Range<i64>,
    /// `2026-11-14T13:00:00+01:00`, `2026-11-14`, `2026-W46` (ISO 8601) or `2026-11`.
    pub key: String,
}

/// Cuts a range at the borders of local hours, days, weeks (from Monday) or months.
pub fn buckets(clock: &Clock, range: MinuteRange, unit: Unit) -> Vec<Bucket> {
    let mut buckets = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let at = clock.zoned(start);
        // A unit at the edge of time has no next one: then the rest of the range is one bucket.
        let next = next_unit(&at, unit).map_or(range.end, |next| floor_minute(next.timestamp()));
        let end = if next > start { next.min(range.end) } else { range.end };
        buckets.push(Bucket { minutes: start..end, key: key(clock, &at, unit) });
        start = end;
    }
    buckets
}

fn key(clock: &Clock, at: &Zoned, unit: Unit) -> String {
    match unit {
        Unit::Hour => {
            let hour = hour_start(at).unwrap_or_else(|| at.clone());
            clock.rfc3339(floor_minute(hour.timestamp()))
        }
        Unit::Day => at.strftime("%Y-%m-%d").to_string(),
        Unit::Week => {
            let week = at.date().iso_week_date();
            format!("{:04}-W{:02}", week.year(), week.week())
        }
        Unit::Month => at.strftime("%Y-%m").to_string(),
    }
}

fn next_unit(at: &Zoned, unit: Unit) -> Option<Zoned> {
    let date = at.date();
    let next_day = match unit {
        Unit::Hour => return next_hour(at),
        Unit::Day => date.tomorrow().ok()?,
        Unit::Week => monday(date)?.checked_add(1.week()).ok()?,
        Unit::Month => date.first_of_month().checked_add(1.month()).ok()?,
    };
    next_day.to_zoned(at.time_zone().clone()).ok()?.start_of_day().ok()
}

/// The next full hour on the wall, or, if it is sooner, the moment when the clock is changed: some
/// places do so by half an hour.
fn next_hour(at: &Zoned) -> Option<Zoned> {
    let next = at.checked_add((3600 - seconds_into_hour(at)).seconds()).ok()?;
    if next.offset() == at.offset() {
        return Some(next);
    }
    let changed = at.time_zone().following(at.timestamp()).next()?;
    Some(changed.timestamp().to_zoned(at.time_zone().clone()))
}

/// The full hour on the wall that began last, or, if it is later, when the clock was changed.
fn hour_start(at: &Zoned) -> Option<Zoned> {
    let start = at.checked_sub(seconds_into_hour(at).seconds()).ok()?;
    if start.offset() == at.offset() {
        return Some(start);
    }
    let soon = at.timestamp().checked_add(1.second()).ok()?;
    let changed = at.time_zone().preceding(soon).next()?;
    Some(changed.timestamp().to_zoned(at.time_zone().clone()))
}

fn seconds_into_hour(at: &Zoned) -> i64 {
    i64::from(at.minute()) * 60 + i64::from(at.second())
}

fn monday(date: Date) -> Option<Date> {
    match date.weekday() {
        Weekday::Monday => Some(date),
        _ => date.nth_weekday(-1, Weekday::Monday).ok(),
    }
}

fn floor_minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

enum Age {
    Minutes(i64),
    Days(i64),
}

/// `30m`, `12h`, `7d`, `4w`.
fn age(word: &str) -> Option<Age> {
    let unit = word.chars().last()?;
    let number = word.strip_suffix(unit)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = number.parse().ok()?;
    let age = match unit {
        'm' => Age::Minutes(number),
        'h' => Age::Minutes(number.checked_mul(60)?),
        'd' => Age::Days(number),
        'w' => Age::Days(number.checked_mul(7)?),
        _ => return None,
    };
    let days = match age {
        Age::Minutes(minutes) => minutes / (24 * 60),
        Age::Days(days) => days,
    };
    (days <= RELATIVE_DAYS_MAX).then_some(age)
}

fn is_bare_day(word: &str) -> bool {
    word.len() == 10
        && word.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests;
