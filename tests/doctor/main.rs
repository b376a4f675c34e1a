//! `ccotel doctor`: a table of broken situations. Each is broken for real, diagnosed, mended by the
//! command that doctor printed, and diagnosed again.
//!
//! Where only a person can mend it (a token, a backend's configuration, an organisation's settings),
//! the table has what that person does, and doctor has to say so in words.

#![expect(clippy::unwrap_used, reason = "tests; clippy knows them by #[test] only")]

mod agent;
mod backends;
mod claude;
mod credentials;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../boards/dashboards.rs"]
mod dashboards;
mod disks;
mod files;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../boards/grafana.rs"]
mod grafana;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod healthy;
#[path = "../house/mod.rs"]
mod house;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../bad_days/otlp.rs"]
mod otlp;
mod place;
mod real_prometheus;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../deliver/server.rs"]
mod server;
mod settings;
mod shells;
mod table;
mod totals;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        claude::situations(),
        shells::situations(),
        settings::situations(),
        files::situations(),
        agent::situations(),
        backends::situations(),
        credentials::situations(),
        real_prometheus::situations(),
    ]
    .into_iter()
    .flatten()
    .map(table::Situation::into_trial)
    .chain(disks::trials())
    .chain(healthy::trials())
    .chain(totals::trials())
    .collect();
    libtest_mimic::run(&arguments, trials).exit();
}
