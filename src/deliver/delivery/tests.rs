use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::deliver::samples::{event, series};
use crate::deliver::wire::Wire;

const NOW_MS: i64 = 1_795_262_400_000;
const HOUR_MS: i64 = 3_600_000;

fn request() -> Encoded {
    Encoded { wire: Wire::RemoteWrite1, headers: Vec::new(), body: b"body".to_vec() }
}

fn batch(content: Content) -> FrozenBatch {
    FrozenBatch {
        lane: Lane::Samples,
        start: Cursor::default(),
        end: Cursor::default(),
        replay: false,
        records: count(&content),
        oldest_ms: NOW_MS,
        content,
    }
}

/// `series` series of `samples` samples each, the values numbered through; the last one is now.
fn numbered(series_count: usize, samples: usize) -> Vec<SeriesSamples> {
    (0..series_count)
        .map(|index| {
            let name = format!("series_{index}");
            let samples: Vec<_> = (0..samples)
                .map(|sample| {
                    let time_ms = NOW_MS - i64::try_from(samples - 1 - sample).unwrap() * 1000;
                    let number = u32::try_from(index * samples + sample).unwrap();
                    (time_ms, f64::from(number))
                })
                .collect();
            series(&[("__name__", &name)], 0, &samples)
        })
        .collect()
}

struct Ended {
    settled: Settled,
    requests: u32,
    accepted: Vec<f64>,
}

/// Plays a backend that refuses a request as a whole if `is_bad` says so of any sample.
fn play(mut delivery: Delivery, is_bad: impl Fn(i64, f64) -> bool) -> Ended {
    let mut requests = 0;
    let mut accepted = Vec::new();
    while let Some(Content::Samples(part)) = delivery.next_part() {
        requests += 1;
        assert!(requests < 100, "the bisecting does not end");
        let all: Vec<_> = part.iter().flat_map(|series| series.samples.clone()).collect();
        if all.iter().any(|(time_ms, value)| is_bad(*time_ms, *value)) {
            delivery.refused(400, "out of bounds", request(), NOW_MS);
        } else {
            accepted.extend(all.iter().map(|(_, value)| *value));
            delivery.accepted(None, NOW_MS);
        }
    }
    Ended { settled: delivery.settled(), requests, accepted }
}

fn is(value: f64, number: u32) -> bool {
    (value - f64::from(number)).abs() < 0.5
}

fn quarantined(settled: &Settled) -> u64 {
    settled.quarantined.iter().map(|one| one.records).sum()
}

#[test]
fn one_bad_record_among_two_thousand_is_found_within_the_budget() {
    for bad in [0, 1, 777, 1998, 1999] {
        let delivery = Delivery::new(batch(Content::Samples(numbered(100, 20))), NOW_MS);
        let ended = play(delivery, |_, value| is(value, bad));
        assert_eq!(ended.settled.delivered, 1999, "{bad}");
        assert_eq!(quarantined(&ended.settled), 1, "{bad}");
        assert_eq!(ended.settled.quarantined[0].status, 400);
        assert_eq!(ended.settled.quarantined[0].answer, "out of bounds");
        assert_eq!(ended.settled.quarantined[0].body, b"body");
        assert!(ended.requests <= 1 + BISECT_REQUESTS_MAX, "{} for {bad}", ended.requests);
    }
}

#[test]
fn a_batch_that_is_refused_altogether_ends_within_the_budget() {
    let delivery = Delivery::new(batch(Content::Samples(numbered(100, 20))), NOW_MS);
    let ended = play(delivery, |_, _| true);
    assert_eq!(quarantined(&ended.settled), 2000);
    // Besides the budget, one request each for the halves that had not been sent.
    assert!(ended.requests <= 1 + BISECT_REQUESTS_MAX + 12, "{}", ended.requests);
}

#[test]
fn samples_behind_the_horizon_are_compacted_and_the_young_ones_delivered() {
    let mut mixed = numbered(10, 20);
    for series in &mut mixed {
        series.samples.insert(0, (NOW_MS - 3 * HOUR_MS, 0.5));
        series.samples.insert(1, (NOW_MS - 2 * HOUR_MS, 0.75));
    }
    let mut delivery = Delivery::new(batch(Content::Samples(mixed.clone())), NOW_MS);
    let horizon = NOW_MS - HOUR_MS;
    let mut requests = 0;
    while let Some(Content::Samples(part)) = delivery.next_part() {
        requests += 1;
        if part.iter().any(|series| series.samples[0].0 < horizon) {
            delivery.refused(400, "out of bounds", request(), NOW_MS);
        } else {
            delivery.accepted(None, NOW_MS);
        }
    }
    assert!(delivery.met_horizon());
    let settled = delivery.settled();
    assert_eq!((settled.delivered, settled.compacted, quarantined(&settled)), (200, 20, 0));
    assert!(requests <= BISECT_REQUESTS_MAX + 12, "{requests}");

    // Knowing that, the next batch costs no refusal.
    let mut delivery = Delivery::new(batch(Content::Samples(mixed)), NOW_MS);
    let (mut known, now) = (Horizon::default(), NOW_MS);
    known.learn(now);
    delivery.keep_within_horizon(&mut known, NOW_MS);
    let ended = play(delivery, |time_ms, _| time_ms < horizon);
    assert_eq!((ended.requests, ended.settled.delivered, ended.settled.compacted), (1, 200, 20));
}

/// A crash after the backend took the batch: it takes repetitions of the latest sample only.
fn taken_before(time_ms: i64, newest_ms: i64) -> bool {
    time_ms < newest_ms
}

#[test]
fn a_replayed_batch_that_was_taken_is_told_by_its_newest_samples() {
    let mut frozen = batch(Content::Samples(numbered(10, 5)));
    frozen.replay = true;
    let ended = play(Delivery::new(frozen, NOW_MS), |time_ms, _| taken_before(time_ms, NOW_MS));
    assert_eq!((ended.requests, ended.settled.delivered), (2, 50));
    assert!(ended.settled.quarantined.is_empty());
}

#[test]
fn a_replayed_batch_with_something_bad_in_it_is_bisected_all_the_same() {
    let mut frozen = batch(Content::Samples(numbered(10, 5)));
    frozen.replay = true;
    let ended = play(Delivery::new(frozen, NOW_MS), |_, value| is(value, 24));
    assert_eq!((ended.settled.delivered, quarantined(&ended.settled)), (49, 1));
}

#[test]
fn a_part_of_unknown_fate_is_first_told_apart_by_age() {
    let mut mixed = numbered(4, 3);
    mixed[0].samples.insert(0, (NOW_MS - 2 * HOUR_MS, 0.5));
    let mut delivery = Delivery::new(batch(Content::Samples(mixed)), NOW_MS);
    assert!(delivery.next_part().is_some());
    delivery.outcome_unknown();
    let ended = play(delivery, |time_ms, _| taken_before(time_ms, NOW_MS));
    assert_eq!((ended.settled.delivered, ended.settled.compacted), (12, 1));
}

#[test]
fn too_large_is_halved_without_a_budget_down_to_one() {
    let mut delivery = Delivery::new(batch(Content::Samples(numbered(64, 1))), NOW_MS);
    let mut largest = 0;
    while let Some(part) = delivery.next_part() {
        let records = count(part);
        if records > 2 {
            assert!(delivery.too_large("too big", request(), NOW_MS));
        } else {
            largest = largest.max(records);
            delivery.accepted(None, NOW_MS);
        }
    }
    assert_eq!((largest, delivery.settled().delivered), (2, 64));

    let one = Content::Events(vec![event(1, &[])]);
    let mut delivery = Delivery::new(batch(one), NOW_MS);
    delivery.next_part();
    assert!(!delivery.too_large("too big", request(), NOW_MS));
    assert_eq!(delivery.settled().quarantined[0].status, 413);
}

#[test]
fn expired_events_are_in_the_books() {
    let now_ns = u64::try_from(NOW_MS).unwrap() * 1_000_000;
    let content = Content::Events(vec![event(1, &[]), event(now_ns, &[])]);
    let mut delivery = Delivery::new(batch(content), NOW_MS);
    delivery.keep_within_loki_limits(NOW_MS);
    assert!(delivery.next_part().is_some());
    delivery.accepted(None, NOW_MS);
    let settled = delivery.settled();
    assert_eq!((settled.delivered, settled.expired), (1, 1));

    let mut delivery = Delivery::new(batch(Content::Events(vec![event(1, &[])])), NOW_MS);
    delivery.keep_within_loki_limits(NOW_MS);
    assert!(delivery.next_part().is_none(), "nothing is sent for a batch of old events");
    assert_eq!(delivery.settled().expired, 1);
}

#[test]
fn what_keeps_a_series_alive_is_not_in_the_books() {
    let mut frozen = batch(Content::Samples(numbered(4, 4)));
    frozen.records = 3;
    let ended = play(Delivery::new(frozen, NOW_MS), |_, _| true);
    assert_eq!((ended.settled.delivered, quarantined(&ended.settled)), (0, 3));
}

#[test]
fn a_batch_without_records_is_the_stores_if_it_moves_the_cursor() {
    let mut frozen = batch(Content::Samples(numbered(4, 1)));
    frozen.records = 0;
    frozen.end = Cursor { row: frozen.start.row + 1, ..frozen.start };
    assert!(Delivery::new(frozen.clone(), NOW_MS).is_of_the_store());
    frozen.end = frozen.start;
    assert!(!Delivery::new(frozen, NOW_MS).is_of_the_store());
}

proptest! {
    #[test]
    fn the_books_add_up_and_good_samples_arrive_once(
        shape in (1_usize..12, 1_usize..12),
        bad in prop::collection::btree_set(0_u32..144, 0..4),
    ) {
        let content = Content::Samples(numbered(shape.0, shape.1));
        let total = count(&content);
        let bad: BTreeSet<u32> = bad.into_iter().filter(|bad| u64::from(*bad) < total).collect();
        let ended = play(Delivery::new(batch(content), NOW_MS), |_, value| {
            bad.iter().any(|bad| is(value, *bad))
        });
        let settled = &ended.settled;
        prop_assert_eq!(settled.delivered + quarantined(settled), total);
        let mut unique = ended.accepted.clone();
        unique.sort_by(f64::total_cmp);
        unique.dedup();
        prop_assert_eq!(unique.len() as u64, settled.delivered);
        prop_assert_eq!(ended.accepted.len() as u64, settled.delivered);
        if bad.len() <= 1 {
            prop_assert_eq!(quarantined(settled), bad.len() as u64);
        }
    }
}

#[test]
fn what_may_be_too_old_for_remote_write_2_goes_first_and_what_is_left_out_is_compacted() {
    let old = NOW_MS - 3 * HOUR_MS;
    let one = series(&[("__name__", "a_total")], 0, &[(old, 1.0), (old + 1, 2.0), (NOW_MS, 3.0)]);
    let mut delivery = Delivery::new(batch(Content::Samples(vec![one])), NOW_MS);
    delivery.keep_within_horizon(&mut Horizon::default(), NOW_MS);
    assert_eq!(delivery.next_part().map(count), Some(2));
    assert!(delivery.is_old(NOW_MS) && delivery.newest_ms() == Some(old + 1));
    let refused = Quarantined {
        at_ms: NOW_MS,
        records: 1,
        status: 400,
        answer: String::new(),
        wire: "prometheus".to_owned(),
        body: Vec::new(),
    };
    delivery.accepted(Some(refused), NOW_MS);
    delivery.keep_within_horizon(&mut Horizon::default(), NOW_MS);
    assert!(!delivery.is_old(NOW_MS));
    delivery.accepted(None, NOW_MS);
    let settled = delivery.settled();
    assert_eq!((settled.delivered, settled.compacted, quarantined(&settled)), (2, 1, 0));
}
