//! A real Prometheus, as somebody has set it up.

use std::net::SocketAddr;
use std::process::Command;

use crate::backends::{WRITE, connected, destination};
use crate::harness::addresses;
use crate::harness::programs::Program;
use crate::harness::server_process::ServerProcess;
use crate::place::Place;
use crate::table::{Act, Situation};

pub fn situations() -> Vec<Situation> {
    vec![
        Situation::by_hand("prometheus_without_its_receiver", without_receiver)
            .needs(Program::Prometheus)
            .of("prom")
            .fails("destination_address", &["--web.enable-remote-write-receiver"]),
        Situation::by_hand("prometheus_without_an_out_of_order_window", without_window)
            .needs(Program::Prometheus)
            .of("prom")
            .warns("destination_window", &["no late samples", "out_of_order_time_window: 7d"]),
    ]
}

/// At an address of its own, as somebody has set it up.
fn start(place: &Place, address: SocketAddr, config: &str, flags: &[&str]) -> ServerProcess {
    let file = place.house.write("prometheus/prometheus.yml", config);
    let directory = place.house.path("prometheus");
    let mut command = Command::new(Program::Prometheus.find().unwrap());
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--log.level=error")
        .args(flags);
    ServerProcess::start(&mut command, &directory, &format!("http://{address}/-/ready")).unwrap()
}

const RECEIVER: &str = "--web.enable-remote-write-receiver";

/// Started in one way, and by the person in another.
fn set_up_anew(
    before: (&'static str, &'static [&'static str]),
    after: (&'static str, &'static [&'static str]),
) -> (Place, Act) {
    let address = addresses::free_address().unwrap();
    let url = format!("http://{address}{WRITE}");
    let place = connected(&destination("prom", "prometheus", &url, ""));
    let running = start(&place, address, before.0, before.1);
    let act: Act = Box::new(move |place| {
        drop(running);
        let again = start(place, address, after.0, after.1);
        place.keep(again);
    });
    (place, act)
}

fn without_receiver() -> (Place, Act) {
    set_up_anew(("global: {}\n", &[]), ("global: {}\n", &[RECEIVER]))
}

fn without_window() -> (Place, Act) {
    let window = "storage: { tsdb: { out_of_order_time_window: 7d } }\n";
    set_up_anew(("global: {}\n", &[RECEIVER]), (window, &[RECEIVER]))
}
