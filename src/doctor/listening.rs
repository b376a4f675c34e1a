//! On which port the agent listens, who is in its way, and who starts it.

use std::net::SocketAddr;

use super::check::Check;
use super::port::{self, Held};
use super::remedy::{of_ours, ours};
use crate::agent::identity::Identity;
use crate::agent::sockets;
use crate::config::Loaded;
use crate::paths::Paths;
use crate::service::registration;

/// Where it listens, and who is in the way.
pub fn check(paths: &Paths, loaded: &Loaded, identity: Option<&Identity>) -> Check {
    let name = "port";
    let configured = loaded.config.agent.listen.iter().find(|address| address.port() != 0).copied();
    let bound = sockets::bound_for(paths);
    let Some(identity) = identity else {
        return free(configured, configured.and_then(|it| bound.get(&it).copied()));
    };
    let actual: Vec<String> = identity.addresses.iter().map(ToString::to_string).collect();
    let Some(configured) = configured else {
        return Check::ok(name, format!("it listens on {}", actual.join(", ")));
    };
    if identity.addresses.contains(&configured) {
        return Check::ok(name, format!("it listens on {}, as configured", actual.join(", ")));
    }
    let Some(moved) = bound.get(&configured).filter(|it| identity.addresses.contains(it)) else {
        let why = format!(
            "{configured} is configured and not bound yet: it listens on {}",
            actual.join(", ")
        );
        return Check::warning(name, why).remedy(ours("agent restart"));
    };
    let taken = match port::holders(configured) {
        Held::Nobody => "was taken when it started".to_owned(),
        held => format!("is taken by {}", names(&held)),
    };
    let why = format!(
        "{configured} {taken}, so the agent listens on {moved} for good; sessions through ccotel know that"
    );
    Check::warning(name, why)
        .by_hand("settings that name the first address (an organisation's, an editor's) are to be changed")
        .remedy(ours(&format!("config set agent.listen {moved}")))
}

/// Without an agent: whether the next one will get its port.
fn free(configured: Option<SocketAddr>, bound: Option<SocketAddr>) -> Check {
    let name = "port";
    let Some(address) = bound.or(configured) else {
        return Check::not_checked(name, "no agent runs, and any free port will do");
    };
    match port::holders(address) {
        Held::Nobody => Check::ok(name, format!("{address} is free for the agent")),
        held => {
            let why = format!(
                "{address} is taken by {}: the agent will choose another port",
                names(&held)
            );
            Check::warning(name, why).remedy(ours("agent start"))
        }
    }
}

fn names(held: &Held) -> String {
    match held {
        Held::By(owners) => owners.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Held::Nobody | Held::Hidden => "another user's program".to_owned(),
    }
}

/// Every registration that this machine has.
pub fn service(paths: &Paths) -> Check {
    let name = "service";
    let config_home = crate::service::config_home(paths);
    let found = registration::all(&paths.home, &config_home, std::path::Path::new("/"));
    let problems = registration::problems(&found);
    if let Some(problem) = problems.first() {
        return Check::warning(name, &problem.what)
            .remedy(of_ours(&problem.mends))
            .all_of(problems.iter().map(ToString::to_string));
    }
    match found.iter().find(|it| it.enabled) {
        Some(it) => {
            Check::ok(name, format!("{} starts the agent ({})", it.owner, it.file.display()))
        }
        None => Check::ok(name, "none, and none is needed: `claude` starts the agent"),
    }
}
