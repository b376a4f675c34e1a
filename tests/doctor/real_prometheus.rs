//! A real Prometheus, as somebody has set it up.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::ensure;

use crate::backends::{WRITE, connected, destination};
use crate::harness::programs::Program;
use crate::harness::{http, poll};
use crate::place::Place;
use crate::table::{Act, Situation};

/// A loaded machine takes its time.
const START_DEADLINE: Duration = Duration::from_secs(30);

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

/// A real Prometheus at an address of its own, as somebody has set it up.
struct Prometheus {
    child: Child,
}

impl Prometheus {
    fn start(place: &Place, address: SocketAddr, config: &str, flags: &[&str]) -> Self {
        let file = place.house.write("prometheus/prometheus.yml", config);
        let child = Command::new(Program::Prometheus.find().unwrap())
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", place.house.path("prometheus/data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self { child };
        poll::until("Prometheus", START_DEADLINE, || {
            let (status, body) = http::get(&format!("http://{address}/-/ready"), &[])?;
            ensure!(status == 200, "{status}: {body}");
            Ok(())
        })
        .unwrap();
        started
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        http::end(&mut self.child);
    }
}

const RECEIVER: &str = "--web.enable-remote-write-receiver";

/// Started in one way, and by the person in another.
fn set_up_anew(
    before: (&'static str, &'static [&'static str]),
    after: (&'static str, &'static [&'static str]),
) -> (Place, Act) {
    let address = http::free_address().unwrap();
    let url = format!("http://{address}{WRITE}");
    let place = connected(&destination("prom", "prometheus", &url, ""));
    let running = Prometheus::start(&place, address, before.0, before.1);
    let act: Act = Box::new(move |place| {
        drop(running);
        let again = Prometheus::start(place, address, after.0, after.1);
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
