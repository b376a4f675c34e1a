//! Clocks that jump, forwards and back.

use super::*;

const MINUTE_MS: i64 = 60_000;

/// Grows the counter and ticks; returns what destination `d` is sent.
fn spend(core: &mut Core, value: u32, now_ms: i64) -> Vec<(i64, f64)> {
    ingest(core, points(f64::from(value), u64::from(value) + 10), now_ms).unwrap();
    core.tick(now_ms).unwrap();
    drain(core, "d", Lane::Samples).0
}

fn connected(directory: &tempfile::TempDir) -> Core {
    let mut core = open(directory);
    core.open_destination(&key("d", Since::All), NOW_MS).unwrap();
    core
}

#[test]
fn a_clock_set_back_by_minutes_goes_on_after_the_last_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = connected(&directory);
    let id = core.install_id().to_owned();
    let first = spend(&mut core, 1, NOW_MS);
    let second = spend(&mut core, 2, NOW_MS - 4 * MINUTE_MS);
    assert_eq!(second, [(first[1].0 + 1, 2.0)]);
    assert_eq!(core.install_id(), id);
}

#[test]
fn a_clock_set_back_by_days_begins_new_series_at_its_own_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = connected(&directory);
    let id = core.install_id().to_owned();
    spend(&mut core, 1, NOW_MS);
    spend(&mut core, 2, NOW_MS + 5 * DAY_MS);
    let back = spend(&mut core, 5, NOW_MS + MINUTE_MS);
    assert_ne!(core.install_id(), id, "backends hold the old series for days to come");
    assert_eq!(back.iter().map(|sample| sample.1).collect::<Vec<_>>(), [2.0, 5.0]);
    assert!(back.iter().all(|(at, _)| *at <= NOW_MS + MINUTE_MS), "{back:?}");
    assert!(core.stats(NOW_MS).unwrap().warnings.join("").contains("clock"), "it is said");
    let due = core.next_tick_ms(NOW_MS + MINUTE_MS).unwrap();
    assert!(due <= NOW_MS + 2 * MINUTE_MS, "the next tick is not days away");
}

#[test]
fn samples_of_the_future_that_wait_go_out_at_the_time_of_now_with_their_totals() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = connected(&directory);
    spend(&mut core, 1, NOW_MS);
    for step in 0..20u32 {
        let at = NOW_MS + 5 * DAY_MS + i64::from(step) * MINUTE_MS;
        ingest(&mut core, points(f64::from(step + 2), 100 + u64::from(step)), at).unwrap();
        core.tick(at).unwrap();
    }
    drop(core);
    // Noticed at the next start as well.
    let mut core = Core::open(options(&directory), NOW_MS + MINUTE_MS).unwrap();
    let sent = drain(&mut core, "d", Lane::Samples).0;
    assert!(sent.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1), "{sent:?}");
    assert_eq!((sent[0].1, sent.last().unwrap().1), (1.0, 21.0));
    assert!(sent.last().unwrap().0 <= NOW_MS + MINUTE_MS);
}

#[test]
fn suspend_and_resume_repeat_the_old_value_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut core = connected(&directory);
    spend(&mut core, 1, NOW_MS);
    let resumed = NOW_MS + 9 * 3_600_000;
    assert_eq!(spend(&mut core, 3, resumed), [(resumed - 15_000, 1.0), (resumed, 3.0)]);
}

/// Two machines, one behind the other by hours: each has series of its own, so neither disturbs the other.
#[test]
fn two_machines_with_different_clocks_share_no_series() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let series = |directory: &tempfile::TempDir, now_ms: i64| {
        let mut core = Core::open(options(directory), now_ms).unwrap();
        core.open_destination(&key("d", Since::All), now_ms).unwrap();
        ingest(&mut core, points(1.0, 10), now_ms).unwrap();
        core.tick(now_ms).unwrap();
        let batch = core.freeze(&"d".into(), Lane::Samples, 10, 1 << 20).unwrap().unwrap();
        let Content::Samples(series) = batch.content else { panic!("samples") };
        series[0].labels.clone()
    };
    assert_ne!(series(&one, NOW_MS), series(&two, NOW_MS - 3 * 3_600_000));
}
