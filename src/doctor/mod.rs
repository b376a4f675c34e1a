//! Doctor: why no data arrives, end to end.
//!
//! ```text
//! claude, its settings, files ─▶ agent ─▶ a marked record ─▶ store ─▶ every destination ─▶ queried back
//! ```
//!
//! Each check has a verdict, one line of why, and one command that mends it, or what a person has to
//! do. Nothing is changed here, and nobody is waited for without a limit. The mark is in
//! [`crate::record::own`].

use std::path::Path;

use crate::agent::ensure::Endpoint;
use crate::agent::status::Status;
use crate::launch::prepare::{self, Here};
use crate::paths::Paths;

mod address;
mod agent;
mod arrival;
pub mod check;
mod destinations;
mod files;
mod listening;
mod mark;
mod marked;
mod notices;
mod own_settings;
mod port;
mod program;
mod query;
mod remedy;
mod settings;
pub mod shell;
mod state;

use check::Check;

/// What is to be told while it goes on.
pub enum Step<'s> {
    /// What is being looked at.
    Looking(&'s str),
    /// What was found.
    Found(&'s Check),
}

/// The checks, as they come.
struct Chart<'t> {
    checks: Vec<Check>,
    tell: &'t mut dyn FnMut(Step<'_>),
}

impl Chart<'_> {
    fn looking(&mut self, what: &str) {
        (self.tell)(Step::Looking(what));
    }

    fn add(&mut self, group: &'static str, checks: impl IntoIterator<Item = Check>) {
        for check in checks {
            let check = check.within(group);
            (self.tell)(Step::Found(&check));
            self.checks.push(check);
        }
    }
}

/// Looks at everything from a directory. `offline`: nothing is sent, and no backend is asked.
pub fn examine(
    paths: &Paths,
    directory: &Path,
    offline: bool,
    tell: &mut dyn FnMut(Step<'_>),
) -> std::io::Result<Vec<Check>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut chart = Chart { checks: Vec::new(), tell };
    chart.looking("Claude Code");
    chart.add("Claude Code", program::checks(paths));
    chart.looking("your shell");
    chart.add("Claude Code", [shell::check(paths)]);
    let here = prepare::look_around(paths, directory);
    chart.looking("the agent");
    let agent = agent::look(paths, &here.loaded);
    chart.add("Settings", settings::checks(&here, &endpoint(&here, &agent)));
    chart.add("Files", files::checks(paths, &here));
    let agent::Agent { identity, status, token, checks } = agent;
    chart.add("Agent", checks);
    let endpoint = identity.and_then(|identity| identity.addresses.first().copied()).zip(token);
    let endpoint = endpoint.map(|(address, token)| Endpoint { address, token });
    runtime.block_on(async {
        if offline {
            without_sending(&mut chart, &here, endpoint.as_ref(), status.as_ref());
        } else {
            with_a_mark(&mut chart, paths, &here, endpoint.as_ref(), status.as_ref()).await;
        }
    });
    Ok(chart.checks)
}

/// Where the agent is, or would be.
fn endpoint(here: &Here, agent: &agent::Agent) -> Endpoint {
    let running = agent.identity.as_ref().and_then(|it| it.addresses.first().copied());
    let configured = here.loaded.config.agent.listen.first().copied();
    let address = running.or(configured).unwrap_or(crate::config::layers::LISTEN_DEFAULT);
    Endpoint { address, token: agent.token.clone().unwrap_or_default() }
}

const RECORD: &str = "A marked record";
const DESTINATIONS: &str = "Destinations";

fn without_sending(
    chart: &mut Chart<'_>,
    here: &Here,
    endpoint: Option<&Endpoint>,
    status: Option<&Status>,
) {
    let nothing = "--offline: nothing was sent";
    let accepted =
        endpoint.map_or_else(|| Check::not_checked("record_accepted", nothing), mark::reachable);
    chart.add(RECORD, [accepted, Check::not_checked("record_stored", nothing)]);
    chart.add(DESTINATIONS, destinations::unasked(&here.loaded.config, status));
}

async fn with_a_mark(
    chart: &mut Chart<'_>,
    paths: &Paths,
    here: &Here,
    endpoint: Option<&Endpoint>,
    status: Option<&Status>,
) {
    let config = &here.loaded.config;
    if !config.destinations.is_empty() {
        chart.looking("what answers at the destinations");
    }
    let looked = destinations::look(paths, config, status).await;
    let mark = if let (Some(endpoint), Some(_)) = (endpoint, status) {
        chart.looking("a marked record on its way");
        let (mark, checks) = mark::send(paths, endpoint).await;
        chart.add(RECORD, checks);
        mark
    } else {
        let names = ["record_accepted", "record_stored"];
        chart.add(RECORD, names.map(|name| Check::not_checked(name, "no agent answers")));
        None
    };
    let arrived = match (&mark, status) {
        (Some(mark), Some(status)) => arrival::arrived(paths, &looked, status, mark).await,
        _ => Vec::new(),
    };
    let status = status.and_then(|_| destinations::status(paths));
    if looked.is_empty() {
        let why = "none: what is counted stays here; `ccotel connect` forwards it";
        chart.add(DESTINATIONS, [Check::ok("destinations", why)]);
    }
    for one in looked {
        let name = one.config.name.clone();
        let record = arrived.iter().find(|it| it.subject.as_deref() == Some(&*name)).cloned();
        let record = record.unwrap_or_else(|| {
            Check::not_checked("destination_record", "there is no mark to look for").of(&name)
        });
        let said = destinations::states(paths, &one, status.as_ref());
        chart.add(DESTINATIONS, one.checks.into_iter().chain([record]).chain(said));
    }
}
