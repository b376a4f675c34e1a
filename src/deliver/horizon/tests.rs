use proptest::prelude::*;

use super::*;
use crate::deliver::samples::series;

const NOW_MS: i64 = 1_795_262_400_000;
const MINUTE_MS: i64 = 60_000;

/// Times in minutes from now.
fn cost(before: f64, samples: &[(i64, f64)]) -> SeriesSamples {
    let samples: Vec<_> =
        samples.iter().map(|(minute, value)| (NOW_MS + minute * MINUTE_MS, *value)).collect();
    SeriesSamples { before, ..series(&[("__name__", "cost_total")], 0, &samples) }
}

fn known() -> Horizon {
    let mut horizon = Horizon::default();
    horizon.learn(NOW_MS);
    horizon
}

/// `increase` over the whole, as Prometheus extrapolates it: half a spacing at either end.
fn increase(samples: &[(i64, f64)]) -> f64 {
    let count = f64::from(u32::try_from(samples.len()).unwrap());
    (samples[samples.len() - 1].1 - samples[0].1) * count / (count - 1.0)
}

#[test]
fn an_outage_becomes_a_step_at_the_horizon() {
    let mut horizon = known();
    // One batch that is behind the horizon altogether, one across it.
    let mut batch = vec![cost(40.0, &[(-4000, 41.0), (-3000, 50.0)])];
    assert_eq!(horizon.apply(&mut batch, NOW_MS), 2);
    assert!(batch.is_empty());
    let mut batch = vec![cost(50.0, &[(-2000, 60.0), (-42, 70.0), (-1, 100.0)])];
    assert_eq!(horizon.apply(&mut batch, NOW_MS), 2);
    let sent = &batch[0].samples;
    let at = |minute: i64| {
        sent.iter().find(|(time_ms, _)| *time_ms == NOW_MS + minute * MINUTE_MS).unwrap().1
    };
    assert_eq!((at(-43), at(-39), at(-38), at(-2), at(-1)), (40.0, 40.0, 70.0, 70.0, 100.0));
    assert!((increase(sent) / 60.0 - 1.0).abs() < 0.01, "{}", increase(sent));
    // Done once: sending it again adds nothing.
    let before = batch.clone();
    assert_eq!(horizon.apply(&mut batch, NOW_MS), 0);
    assert_eq!(batch, before);
    // So late that the step itself is behind the horizon: it starts from where the backend is.
    assert_eq!(horizon.apply(&mut batch, NOW_MS + 600 * MINUTE_MS), before[0].samples.len() as u64);
    assert_eq!(horizon.rest(NOW_MS)[0].before.to_bits(), 40.0_f64.to_bits());
}

#[test]
fn a_series_without_later_samples_gets_its_last_value_at_the_end() {
    let mut horizon = known();
    let mut batch = vec![cost(40.0, &[(-4000, 41.0), (-3000, 50.0)])];
    horizon.apply(&mut batch, NOW_MS);
    assert!(horizon.has_rest());
    let mut rest = horizon.rest(NOW_MS);
    assert_eq!(horizon.apply(&mut rest, NOW_MS), 0);
    let sent = &rest[0].samples;
    assert_eq!((sent[0].1, sent[sent.len() - 1].1), (40.0, 50.0));
    assert!((increase(sent) / 10.0 - 1.0).abs() < 0.01, "{}", increase(sent));
    assert!(!horizon.has_rest());
}

#[test]
fn a_total_that_ends_in_the_flat_stretch_still_arrives() {
    let mut horizon = Horizon::default();
    horizon.left_out(&[cost(6.0, &[(-500, 7.0)])]);
    let mut batch = vec![cost(7.0, &[(-42, 8.0), (-40, 9.0)])];
    assert_eq!(horizon.apply(&mut batch, NOW_MS), 1);
    let sent = &batch[0].samples;
    assert_eq!(sent.len(), 10);
    assert!(sent[..9].iter().all(|(_, value)| (value - 6.0).abs() < 1e-9));
    assert_eq!(sent[9], (NOW_MS - 40 * MINUTE_MS, 9.0));
}

#[test]
fn without_a_horizon_everything_is_sent() {
    let mut horizon = Horizon::default();
    let mut batch = vec![cost(0.0, &[(-5000, 1.0), (-1, 2.0)])];
    let before = batch.clone();
    assert_eq!(horizon.apply(&mut batch, NOW_MS), 0);
    assert_eq!(batch, before);
    horizon.learn(NOW_MS);
    assert!(horizon.is_known(NOW_MS) && !horizon.is_known(NOW_MS + KNOWN_FOR_MS));
    assert!(!horizon.is_known(NOW_MS - 1), "a clock that was set back tries again");
}

#[test]
fn what_was_left_out_survives_a_restart() {
    let mut horizon = known();
    horizon.apply(&mut vec![cost(40.0, &[(-4000, 41.1), (-3000, 50.3)])], NOW_MS);
    let text = serde_json::to_string(&horizon).unwrap();
    assert_eq!(serde_json::from_str::<Horizon>(&text).unwrap(), horizon);
}

proptest! {
    /// However a backlog is cut into batches and whenever the agent restarts.
    #[test]
    fn the_growth_is_exact_and_times_ascend(
        steps in prop::collection::btree_map(-5000_i64..-2, 0_u32..100, 1..40),
        taken in 0_u32..100,
        batch_samples in 1_usize..10,
    ) {
        let mut total = f64::from(taken);
        let samples: Vec<_> = steps
            .into_iter()
            .map(|(minute, growth)| {
                total += f64::from(growth);
                (minute, total)
            })
            .collect();
        let mut horizon = known();
        let (mut before, mut left_out, mut sent) = (f64::from(taken), 0, Vec::new());
        for part in samples.chunks(batch_samples) {
            let mut batch = vec![cost(before, part)];
            left_out += horizon.apply(&mut batch, NOW_MS);
            sent.extend(batch.pop().map(|series| series.samples).unwrap_or_default());
            before = part[part.len() - 1].1;
            let text = serde_json::to_string(&horizon).unwrap();
            horizon = serde_json::from_str(&text).unwrap();
        }
        let mut rest = horizon.rest(NOW_MS);
        horizon.apply(&mut rest, NOW_MS);
        sent.extend(rest.pop().map(|series| series.samples).unwrap_or_default());
        prop_assert!(sent.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{sent:?}");
        prop_assert_eq!(sent.last().map(|last| last.1), Some(total));
        if left_out > 0 {
            prop_assert_eq!(sent.first().map(|first| first.1), Some(f64::from(taken)));
        }
    }
}
