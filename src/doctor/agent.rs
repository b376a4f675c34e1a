//! The agent: whether it runs and answers, as which version, on which port, started by whom, and what
//! it has to say of itself.

use super::check::Check;
use super::listening;
use super::notices;
use super::port::{self, Held};
use super::remedy::ours;
use crate::agent::control::{self, Answer, Request};
use crate::agent::ensure::{self, EnsureError};
use crate::agent::identity::{self, Identity};
use crate::agent::status::Status;
use crate::agent::{VERSION, sockets};
use crate::config::Loaded;
use crate::paths::Paths;

/// The agent as far as it answers.
pub struct Agent {
    pub identity: Option<Identity>,
    pub status: Option<Status>,
    /// Of the token file.
    pub token: Option<String>,
    pub checks: Vec<Check>,
}

/// Asks it. What it says is used by the checks of destinations, too.
pub fn look(paths: &Paths, loaded: &Loaded) -> Agent {
    let running = ensure::running(paths);
    let token = identity::token(paths).ok().flatten();
    let (identity, status, first) = match running {
        Ok(Some(identity)) => {
            let (status, check) = answers(paths, &identity, token.is_some());
            (Some(identity), status, check)
        }
        Ok(None) => (None, None, not_running(paths, loaded)),
        Err(error) => (None, None, unusable(&error)),
    };
    let mut checks = vec![first];
    checks.push(match &identity {
        Some(identity) => version(identity),
        None => Check::not_checked("agent_version", "no agent runs"),
    });
    checks.push(listening::check(paths, loaded, identity.as_ref()));
    checks.extend(notices::history(paths));
    checks.push(listening::service(paths));
    checks.push(match &status {
        Some(status) => notices::check(paths, status),
        None => Check::not_checked("notices", "no agent answers"),
    });
    checks.push(notices::launches(paths));
    Agent { identity, status, token, checks }
}

fn not_running(paths: &Paths, loaded: &Loaded) -> Check {
    let name = "agent";
    if ensure::is_held(paths).unwrap_or(false) {
        return unknown(paths, loaded);
    }
    if paths.stay_file().exists() {
        let why = "it was stopped with `ccotel agent stop --stay`: no session is counted";
        return Check::failed(name, why).remedy(ours("agent start"));
    }
    Check::failed(
        name,
        "no agent runs; the next `claude` would start one, nothing is sent meanwhile",
    )
    .remedy(ours("agent start"))
}

/// It lives, and nobody can tell where: `agent.json` is gone. Its sockets give it away.
fn unknown(paths: &Paths, loaded: &Loaded) -> Check {
    let file = paths.agent_json();
    let why =
        format!("an agent holds {}, and {} is gone", paths.agent_lock().display(), file.display());
    let check = Check::failed("agent", why);
    let bound = sockets::bound_for(paths);
    let addresses = loaded.config.agent.listen.iter();
    let addresses = addresses.map(|address| bound.get(address).copied().unwrap_or(*address));
    let pids: Vec<String> = addresses
        .filter_map(|address| match port::holders(address) {
            Held::By(owners) => Some(owners),
            Held::Nobody | Held::Hidden => None,
        })
        .flatten()
        .filter(|owner| owner.name.starts_with("ccotel"))
        .map(|owner| owner.pid.to_string())
        .collect();
    if pids.is_empty() {
        return check
            .by_hand("end the process `ccotel agent run`; the next `claude` starts another");
    }
    check.remedy(format!("kill {} && {}", pids.join(" "), ours("agent start")))
}

fn unusable(error: &EnsureError) -> Check {
    Check::failed("agent", error.to_string()).by_hand(error.remedy())
}

fn answers(paths: &Paths, identity: &Identity, has_token: bool) -> (Option<Status>, Check) {
    let name = "agent";
    let unanswered = match control::ask(paths, Request::Status) {
        Ok(Answer::Status { status }) => match serde_json::from_value::<Status>(status) {
            Ok(status) => {
                let pid = status.pid.map_or(String::new(), |pid| format!(", pid {pid}"));
                let check = if has_token {
                    Check::ok(name, format!("runs and answers{pid}"))
                } else {
                    let file = paths.token_file();
                    let why = format!("the token in {} is gone or damaged", file.display());
                    Check::failed(name, why).remedy(ours("agent restart"))
                };
                return (Some(status), check);
            }
            Err(_) => "it answers in a way that this version does not understand".to_owned(),
        },
        Ok(_) => "it answers something else than it was asked".to_owned(),
        Err(_) if !identity.control.exists() => {
            format!("its control socket {} is gone", identity.control.display())
        }
        Err(error) => error.to_string(),
    };
    let death = identity.last_death.as_ref();
    let died = death.map_or(String::new(), |it| format!("; its worker ended: {}", it.reason));
    let check = Check::failed(name, format!("{unanswered}{died}")).remedy(ours("agent restart"));
    (None, check)
}

fn version(identity: &Identity) -> Check {
    let name = "agent_version";
    let what = if !identity.exe.exists() {
        format!("its program {} is gone", identity.exe.display())
    } else if identity.version != VERSION {
        format!("the agent is of version {}, this is {VERSION}", identity.version)
    } else {
        return Check::ok(name, format!("{VERSION}, as this one"));
    };
    Check::warning(name, what).remedy(ours("agent restart"))
}
