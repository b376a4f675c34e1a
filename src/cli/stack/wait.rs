//! Waiting until every server answers, and saying which does not.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::stack::engine::Engine;
use crate::stack::health::Service;

const READY_POLL: Duration = Duration::from_millis(500);

pub fn say_logs(engine: &Engine, directory: &Path) {
    eprintln!("ccotel: `{} logs` in {} says more", engine.name(), directory.display());
}

/// Servers that do not answer, and why.
pub fn late(services: &[Service]) -> Vec<(&Service, String)> {
    let states = services.iter().map(|service| (service, service.ready()));
    states.filter_map(|(service, state)| Some((service, state.err()?))).collect()
}

/// One line a server that does not come; on a terminal, what is waited for.
pub fn until_ready(services: &[Service], wait: Duration) -> bool {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(services.len() as u64), target);
    bar.set_style(
        ProgressStyle::with_template("{pos}/{len} ready, waiting for {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let end = Instant::now() + wait;
    loop {
        let late = late(services);
        if late.is_empty() {
            bar.finish_and_clear();
            return true;
        }
        if Instant::now() >= end {
            bar.finish_and_clear();
            for (service, why) in late {
                eprintln!(
                    "ccotel: {} is not ready after {} s: {why}",
                    service.name,
                    wait.as_secs()
                );
            }
            return false;
        }
        bar.set_position((services.len() - late.len()) as u64);
        bar.set_message(
            late.iter().map(|(service, _)| service.name).collect::<Vec<_>>().join(", "),
        );
        std::thread::sleep(READY_POLL);
    }
}
