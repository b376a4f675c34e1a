//! What the agents say of themselves, made up: one that is well, one that stopped, one whose Loki is down
//! and whose Prometheus refuses something. The board ccotel Health has all of it to show.

use std::sync::Arc;

use anyhow::Result;
use ccotel::record::Labels;
use ccotel::store::handle::SeriesSamples;

use crate::harness::remote_write;
use crate::servers::Server;

const STEP_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * STEP_MS;
/// As far back as the board looks at first.
const SHOWN_MS: i64 = 24 * HOUR_MS;
const STOPPED_AGO_MS: i64 = 6 * HOUR_MS;
const DOWN_AGO_MS: i64 = 2 * HOUR_MS;

pub const WELL: &str = "install-that-is-well";
pub const STOPPED: &str = "install-that-stopped";
pub const FAILING: &str = "install-whose-loki-is-down";
/// What waits for the Loki that is down: a record a minute since.
pub const BACKLOG: f64 = 120.0;
/// Of the failing one, quarantined at once.
pub const LOST: f64 = 7.0;

/// What a panel has to show, by its title.
pub fn truth(title: &str) -> Option<f64> {
    Some(match title {
        // All three; and two sessions of the one that is well, one of the failing one.
        "Installs reporting" | "Sessions at work" => 3.0,
        "Backlog" => BACKLOG,
        "Drops" => LOST,
        "Oldest waiting" => seconds(DOWN_AGO_MS),
        _ => return None,
    })
}

pub fn write(server: &Server, now_ms: i64) -> Result<()> {
    let mut series = Vec::new();
    for install in [WELL, STOPPED, FAILING] {
        let until_ms = if install == STOPPED { now_ms - STOPPED_AGO_MS } else { now_ms };
        let mut push = |name: &str, more: &[(&str, &str)], value: &dyn Fn(i64) -> f64| {
            let times =
                (now_ms - SHOWN_MS..=until_ms).step_by(usize::try_from(STEP_MS).unwrap_or(1));
            series.push(one(name, install, more, times.map(|at| (at, value(at))).collect()));
        };
        of_the_agent(install, now_ms, &mut push);
        for destination in ["stack-prometheus", "stack-loki"] {
            of_a_destination(install == FAILING, destination, now_ms, &mut push);
        }
    }
    remote_write::send_to(&server.url("/api/v1/write"), &series)
}

type Push<'a> = dyn FnMut(&str, &[(&str, &str)], &dyn Fn(i64) -> f64) + 'a;

fn of_the_agent(install: &str, now_ms: i64, push: &mut Push) {
    let sessions = match install {
        WELL => 2.0,
        FAILING => 1.0,
        _ => 0.0,
    };
    let since = |at: i64| minutes(at - (now_ms - SHOWN_MS));
    push("ccotel_build_info", &[("version", "0.1.0")], &|_| 1.0);
    push("ccotel_sessions_active", &[], &|_| sessions);
    push("ccotel_store_bytes", &[], &|at| 1e6 + since(at));
    push("ccotel_store_series", &[], &|_| 40.0);
    for outcome in ["received", "rejected", "foreign"] {
        push("ccotel_receive_records_total", &[("outcome", outcome)], &since);
    }
    for outcome in ["refused", "malformed", "denied"] {
        push("ccotel_receive_failed_requests_total", &[("outcome", outcome)], &|_| 0.0);
    }
}

/// The failing one's Loki took nothing for two hours; its Prometheus refused a few records for good.
fn of_a_destination(fails: bool, name: &str, now_ms: i64, push: &mut Push) {
    let of = [("destination", name)];
    let since_ms = now_ms - DOWN_AGO_MS;
    let is_down = fails && name == "stack-loki";
    let has_refused = fails && name == "stack-prometheus";
    let late_ms = |at: i64| if is_down { (at - since_ms).max(0) } else { 0 };
    push("ccotel_destination_backlog_records", &of, &|at| minutes(late_ms(at)));
    push("ccotel_destination_backlog_bytes", &of, &|at| 100.0 * minutes(late_ms(at)));
    push("ccotel_destination_backlog_oldest_seconds", &of, &|at| seconds(late_ms(at)));
    push("ccotel_destination_delivered_records_total", &of, &|at| {
        minutes(at - late_ms(at) - (now_ms - SHOWN_MS))
    });
    push("ccotel_destination_last_success_seconds", &of, &|at| seconds(at - late_ms(at)));
    let refused = |at: i64| if has_refused && at >= since_ms { LOST } else { 0.0 };
    push("ccotel_destination_quarantined_records_total", &of, &refused);
    push("ccotel_destination_quarantine_kept_records", &of, &refused);
    for what in ["expired", "evicted", "compacted"] {
        push(&format!("ccotel_destination_{what}_records_total"), &of, &|_| 0.0);
    }
}

fn one(
    name: &str,
    install: &str,
    more: &[(&str, &str)],
    samples: Vec<(i64, f64)>,
) -> SeriesSamples {
    let fixed = [("__name__", name), ("instance", install), ("job", "ccotel")];
    let mut labels: Labels =
        fixed.iter().chain(more).map(|(name, value)| ((*name).into(), (*value).into())).collect();
    labels.sort();
    let start_ms = samples.first().map_or(0, |first| first.0);
    SeriesSamples { labels: Arc::new(labels), start_ms, before: 0.0, samples }
}

#[expect(clippy::cast_precision_loss, reason = "times of a day")]
fn seconds(time_ms: i64) -> f64 {
    (time_ms / 1000) as f64
}

fn minutes(time_ms: i64) -> f64 {
    seconds(time_ms) / 60.0
}
