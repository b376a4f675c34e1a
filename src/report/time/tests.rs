use proptest::prelude::*;

use super::*;

/// A clock that stands still.
fn clock(now: &str) -> Clock {
    Clock { now: now.parse().unwrap() }
}

/// A Saturday in Paris.
fn paris() -> Clock {
    clock("2026-11-21T10:17:42+01:00[Europe/Paris]")
}

#[track_caller]
fn check(clock: &Clock, word: &str, expected: &str) {
    let moment = clock.moment(word).unwrap().to_zoned(clock.zone().clone());
    assert_eq!(moment.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(), expected, "{word}");
}

#[test]
fn words_mean_local_times() {
    let paris = paris();
    check(&paris, "2026-11-14", "2026-11-14T00:00:00+01:00");
    check(&paris, "2026-07-14", "2026-07-14T00:00:00+02:00");
    check(&paris, "2026-11-14T09:30:00Z", "2026-11-14T10:30:00+01:00");
    check(&paris, "2026-11-14T09:30:00.5-05:00", "2026-11-14T15:30:00+01:00");
    check(&paris, "30m", "2026-11-21T09:47:42+01:00");
    check(&paris, "12h", "2026-11-20T22:17:42+01:00");
    check(&paris, "1d", "2026-11-21T00:00:00+01:00");
    check(&paris, "7d", "2026-11-15T00:00:00+01:00");
    check(&paris, "4w", "2026-10-25T00:00:00+02:00");
    check(&paris, "today", "2026-11-21T00:00:00+01:00");
    check(&paris, "yesterday", "2026-11-20T00:00:00+01:00");
    check(&paris, "this-week", "2026-11-16T00:00:00+01:00");
    check(&paris, "this-month", "2026-11-01T00:00:00+01:00");
    check(
        &clock("2026-11-16T00:00:00+01:00[Europe/Paris]"),
        "this-week",
        "2026-11-16T00:00:00+01:00",
    );
}

#[test]
fn hours_are_hours_where_the_clock_was_changed() {
    // Put back at 3:00 on this day: 12 hours before noon it was 1:00 in summer time.
    check(&clock("2026-10-25T12:00:00+01:00[Europe/Paris]"), "12h", "2026-10-25T01:00:00+02:00");
}

/// In Beirut the clock is put forward at midnight: the day begins at 1:00.
#[test]
fn a_day_without_midnight_begins_when_it_begins() {
    check(&clock("2026-03-29T12:00:00+03:00[Asia/Beirut]"), "today", "2026-03-29T01:00:00+03:00");
}

#[test]
fn what_is_not_a_time_is_named_with_what_is() {
    for word in [
        "",
        "x",
        "7",
        "7x",
        "d",
        "-7d",
        "7 d",
        "2026-13-01",
        "2026-02-30",
        "2026-11-1",
        "14.11.2026",
        "99999999999999999999d",
        "999999d",
        "2026-11-14T09:30",
        "now",
        "été",
        "7é",
    ] {
        let error = paris().moment(word).unwrap_err();
        assert_eq!(error, TimeError::NotATime(word.to_owned()));
        let words = error.to_string();
        assert!(words.contains(&format!("`{word}`")) && words.contains("7d"), "{words}");
        assert!(!words.contains('\n'));
    }
}

#[test]
fn a_range_is_in_whole_minutes_and_holds_the_current_one() {
    let paris = paris();
    let range = paris.range("2026-11-21T09:00:59+01:00", None).unwrap();
    assert_eq!(paris.rfc3339(range.start), "2026-11-21T09:00:00+01:00");
    assert_eq!(paris.rfc3339(range.end), "2026-11-21T10:18:00+01:00");
    let range = paris.range("yesterday", Some("today")).unwrap();
    assert_eq!(range.end - range.start, 24 * 60);
}

#[test]
fn a_range_must_not_be_empty() {
    for (since, until) in [("today", "today"), ("today", "yesterday"), ("2027-01-01", "today")] {
        let words = paris().range(since, Some(until)).unwrap_err().to_string();
        assert!(words.starts_with("--since (20"), "{words}");
    }
    assert!(paris().range("2027-01-01", None).is_err());
}

#[test]
fn zones_have_names() {
    assert_eq!(paris().zone_name(), "Europe/Paris");
    assert_eq!(clock("2026-11-21T10:17:42+00:00[UTC]").zone_name(), "UTC");
    assert_eq!(clock("2026-11-21T10:17:42+05:30[+05:30]").zone_name(), "+05:30");
    let words = Clock::system(Some("Mars/Olympus")).unwrap_err().to_string();
    assert!(words.contains("`Mars/Olympus`"), "{words}");
}

#[track_caller]
fn check_previous(clock: &Clock, since: &str, until: Option<&str>, expected: (&str, &str, &str)) {
    let previous = clock.previous(clock.range(since, until).unwrap()).unwrap();
    let (start, end) = (clock.rfc3339(previous.range.start), clock.rfc3339(previous.range.end));
    assert_eq!((&*start, &*end, &*previous.words), expected, "{since}");
}

#[test]
fn what_a_range_is_compared_with() {
    let paris = paris();
    for (since, until, expected) in [
        (
            "7d",
            None,
            (
                "2026-11-08T00:00:00+01:00",
                "2026-11-14T10:18:00+01:00",
                "the 7 days before up to the same time",
            ),
        ),
        (
            "today",
            None,
            (
                "2026-11-20T00:00:00+01:00",
                "2026-11-20T10:18:00+01:00",
                "the day before up to the same time",
            ),
        ),
        // With the change of clocks in it: days of the calendar all the same.
        (
            "30d",
            None,
            (
                "2026-09-23T00:00:00+02:00",
                "2026-10-22T10:18:00+02:00",
                "the 30 days before up to the same time",
            ),
        ),
        (
            "2026-11-02",
            Some("2026-11-09"),
            ("2026-10-26T00:00:00+01:00", "2026-11-02T00:00:00+01:00", "the 7 days before"),
        ),
        (
            "2h",
            None,
            ("2026-11-21T06:16:00+01:00", "2026-11-21T08:17:00+01:00", "the 121 minutes before"),
        ),
        (
            "yesterday",
            Some("today"),
            ("2026-11-19T00:00:00+01:00", "2026-11-20T00:00:00+01:00", "the day before"),
        ),
        (
            "2026-10-01",
            Some("2026-11-01"),
            ("2026-09-01T00:00:00+02:00", "2026-10-01T00:00:00+02:00", "the month before"),
        ),
        (
            "this-month",
            None,
            (
                "2026-10-01T00:00:00+02:00",
                "2026-10-21T10:18:00+02:00",
                "the month before up to the same time",
            ),
        ),
        // With a day of 25 hours on one side.
        (
            "2026-10-25",
            Some("2026-10-26"),
            ("2026-10-24T00:00:00+02:00", "2026-10-25T00:00:00+02:00", "the day before"),
        ),
        (
            "2026-11-20T09:00:00+01:00",
            Some("2026-11-20T21:00:00+01:00"),
            ("2026-11-19T21:00:00+01:00", "2026-11-20T09:00:00+01:00", "the 12 hours before"),
        ),
    ] {
        check_previous(&paris, since, until, expected);
    }
    // The 31st up to now, of a month before that has 28 days.
    let march = clock("2026-03-31T12:00:00+02:00[Europe/Paris]");
    check_previous(
        &march,
        "this-month",
        None,
        (
            "2026-02-01T00:00:00+01:00",
            "2026-02-28T12:01:00+01:00",
            "the month before up to the same time",
        ),
    );
}

#[track_caller]
fn check_buckets(clock: &Clock, since: &str, until: &str, unit: Unit, expected: &[(&str, i64)]) {
    let range = clock.range(since, Some(until)).unwrap();
    let found: Vec<(String, i64)> = buckets(clock, range, unit)
        .into_iter()
        .map(|bucket| (bucket.key, bucket.minutes.end - bucket.minutes.start))
        .collect();
    let expected: Vec<(String, i64)> =
        expected.iter().map(|(key, minutes)| ((*key).to_owned(), *minutes)).collect();
    assert_eq!(found, expected);
}

#[test]
fn days_of_23_and_25_hours() {
    let paris = paris();
    check_buckets(
        &paris,
        "2026-03-28",
        "2026-03-31",
        Unit::Day,
        &[("2026-03-28", 1440), ("2026-03-29", 1380), ("2026-03-30", 1440)],
    );
    check_buckets(
        &paris,
        "2026-10-24",
        "2026-10-27",
        Unit::Day,
        &[("2026-10-24", 1440), ("2026-10-25", 1500), ("2026-10-26", 1440)],
    );
    check_buckets(
        &clock("2026-11-21T10:17:42+02:00[Asia/Beirut]"),
        "2026-03-28",
        "2026-03-30",
        Unit::Day,
        &[("2026-03-28", 1440), ("2026-03-29", 1380)],
    );
}

#[test]
fn an_hour_that_comes_twice_is_two_rows() {
    check_buckets(
        &paris(),
        "2026-10-25T01:30:00+02:00",
        "2026-10-25T03:30:00+01:00",
        Unit::Hour,
        &[
            ("2026-10-25T01:00:00+02:00", 30),
            ("2026-10-25T02:00:00+02:00", 60),
            ("2026-10-25T02:00:00+01:00", 60),
            ("2026-10-25T03:00:00+01:00", 30),
        ],
    );
}

#[test]
fn hours_of_a_zone_with_half_an_hour() {
    check_buckets(
        &clock("2026-11-21T10:17:42+05:30[Asia/Kolkata]"),
        "2026-11-20T23:15:00+05:30",
        "2026-11-21T01:00:00+05:30",
        Unit::Hour,
        &[("2026-11-20T23:00:00+05:30", 45), ("2026-11-21T00:00:00+05:30", 60)],
    );
}

/// On Lord Howe Island the clock is changed by half an hour.
#[test]
fn hours_that_are_cut_by_a_change_of_half_an_hour() {
    let lord_howe = clock("2026-11-21T10:17:42+11:00[Australia/Lord_Howe]");
    check_buckets(
        &lord_howe,
        "2026-04-05T01:00:00+11:00",
        "2026-04-05T03:00:00+10:30",
        Unit::Hour,
        &[
            ("2026-04-05T01:00:00+11:00", 60),
            ("2026-04-05T01:30:00+10:30", 30),
            ("2026-04-05T02:00:00+10:30", 60),
        ],
    );
    check_buckets(
        &lord_howe,
        "2026-10-04T01:45:00+10:30",
        "2026-10-04T03:15:00+11:00",
        Unit::Hour,
        &[
            ("2026-10-04T01:00:00+10:30", 15),
            ("2026-10-04T02:30:00+11:00", 30),
            ("2026-10-04T03:00:00+11:00", 15),
        ],
    );
}

#[test]
fn weeks_begin_on_monday_and_years_on_their_first_thursday() {
    check_buckets(
        &paris(),
        "2025-12-26",
        "2026-01-06",
        Unit::Week,
        &[("2025-W52", 3 * 1440), ("2026-W01", 7 * 1440), ("2026-W02", 1440)],
    );
}

#[test]
fn months_are_cut_at_the_ends_of_the_range() {
    check_buckets(
        &paris(),
        "2026-01-31",
        "2026-03-02",
        Unit::Month,
        &[("2026-01", 1440), ("2026-02", 28 * 1440), ("2026-03", 1440)],
    );
}

proptest! {
    /// Whatever the zone does, the rows join up and none has another's key.
    #[test]
    fn buckets_cover_the_range_once(
        zone in prop::sample::select(vec![
            "UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Asia/Beirut",
            "Australia/Lord_Howe", "Pacific/Chatham", "Africa/Casablanca", "America/St_Johns",
        ]),
        start in 25_000_000_i64..30_000_000,
        length in 1_i64..20_000,
        unit in prop::sample::select(vec![Unit::Hour, Unit::Day, Unit::Week, Unit::Month]),
    ) {
        let clock = Clock {
            now: Timestamp::UNIX_EPOCH.to_zoned(TimeZone::get(zone).unwrap()),
        };
        let mut at = start;
        let mut keys = std::collections::HashSet::new();
        for bucket in buckets(&clock, MinuteRange { start, end: start + length }, unit) {
            prop_assert_eq!(bucket.minutes.start, at);
            prop_assert!(bucket.minutes.end > at);
            prop_assert!(keys.insert(bucket.key.clone()), "{} twice", bucket.key);
            at = bucket.minutes.end;
        }
        prop_assert_eq!(at, start + length);
    }
}
