//! Delivery against scripted backends, and against a real Prometheus where there is one.

#![expect(clippy::unwrap_used, reason = "tests; clippy knows them by #[test] only")]

#[path = "../harness/addresses.rs"]
mod addresses;
mod balance;
mod connect;
mod connections;
mod faults;
mod formats;
mod machine;
mod matrix;
mod own;
mod prometheus;
mod quarantine;
mod server;
mod setup;
mod store;
mod tls;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        connections::trials(),
        faults::trials(),
        matrix::trials(),
        balance::trials(),
        quarantine::trials(),
        formats::trials(),
        connect::trials(),
        tls::trials(),
        own::trials(),
        prometheus::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&arguments, trials).exit();
}
