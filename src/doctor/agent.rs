//! The agent: whether it runs and answers, as which version, on which port, started by whom, and what
//! it has to say of itself.

use std::net::SocketAddr;

use jiff::Timestamp;

use super::check::Check;
use super::port::{self, Held};
use super::remedy::ours;
use crate::agent::control::{self, Answer, Request};
use crate::agent::ensure::{self, EnsureError};
use crate::agent::identity::{self, Identity};
use crate::agent::status::{Status, Warning};
use crate::agent::{VERSION, sockets};
use crate::config::Loaded;
use crate::launch::problems::{self, Scope};
use crate::paths::Paths;
use crate::report::history::reader::{History, HistoryFile, Imported};
use crate::service::registration;
use crate::store::AHEAD_MS_MAX;

/// What is recorded is stamped by the same clock.
const AHEAD_SECONDS_MAX: i64 = 60;

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
    checks.push(listening(paths, loaded, identity.as_ref()));
    checks.push(clock(paths));
    checks.push(service(paths));
    checks.push(match &status {
        Some(status) => notices(paths, status),
        None => Check::not_checked("notices", "no agent answers"),
    });
    checks.push(launches(paths));
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

/// Where it listens, and who is in the way.
fn listening(paths: &Paths, loaded: &Loaded, identity: Option<&Identity>) -> Check {
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

/// No time can be later than now, unless a clock was set back since.
fn clock(paths: &Paths) -> Check {
    let name = "clock";
    let newest_ms = match History::open(paths, Imported::Exclude) {
        Ok(Some(history)) => history.files().first().map_or(Ok(0), HistoryFile::newest_ms),
        Ok(None) => return Check::ok(name, "nothing is recorded yet that it could contradict"),
        Err(error) => Err(error),
    };
    let newest_ms = match newest_ms {
        Ok(newest_ms) => newest_ms,
        Err(error) => return Check::not_checked(name, error.to_string()),
    };
    let ahead_s = (newest_ms - Timestamp::now().as_millisecond()) / 1000;
    if ahead_s <= AHEAD_SECONDS_MAX {
        return Check::ok(name, "nothing recorded is later than now");
    }
    let why = format!(
        "what was recorded last lies {ahead_s} s ahead of this machine's clock: it was set back"
    );
    let check = if ahead_s * 1000 >= AHEAD_MS_MAX {
        Check::failed(name, why)
    } else {
        Check::warning(name, why)
    };
    check.by_hand(
        "see that the clock is right (`date`); if it is, new series begin by themselves, and this \
         passes with the time",
    )
}

fn service(paths: &Paths) -> Check {
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

/// A command of ours, by this binary's path where it has to be.
fn of_ours(command: &str) -> String {
    command.strip_prefix("ccotel ").map_or_else(|| command.to_owned(), ours)
}

/// What the agent says is wrong, but for what is looked at here by itself.
fn notices(paths: &Paths, status: &Status) -> Check {
    let name = "notices";
    let config_file = paths.config_file().display().to_string();
    let of_others = |warning: &&Warning| {
        warning.what.contains(&config_file) || warning.what.starts_with("`[agent] listen`")
    };
    let warnings: Vec<&Warning> = status.warnings.iter().filter(|it| !of_others(it)).collect();
    let Some(first) = warnings.first() else {
        return Check::ok(name, "the agent has nothing to complain of");
    };
    let line =
        |it: &&Warning| format!("{}; {}", it.what, it.remedy).trim_end_matches("; ").to_owned();
    let check = Check::warning(name, &first.what);
    // What died is past: with a new agent it is not spoken of any more.
    let died = first.what.starts_with("the worker ended").then(|| ours("agent restart"));
    let check = check.maybe_remedy(command_in(&first.remedy).or(died));
    let words = Some(first.remedy.as_str()).filter(|words| !words.is_empty());
    let check = check.by_hand(words.unwrap_or("nothing, if it is past: it is shown for a week"));
    check.all_of(warnings.iter().map(line))
}

/// The command of ours that a sentence names.
fn command_in(words: &str) -> Option<String> {
    let mut quoted = words.split('`').skip(1).step_by(2);
    let told = |it: &&str| it.starts_with("ccotel ") && it.chars().all(|c| !c.is_ascii_uppercase());
    let command = quoted.find(told)?;
    let acts = ["agent restart", "agent start"];
    acts.iter().any(|act| command.ends_with(act)).then(|| of_ours(command))
}

/// What went wrong at launches and stays happened; what can be looked at again is looked at.
fn launches(paths: &Paths) -> Check {
    let name = "launches";
    let recent = problems::recent(paths);
    let of_launches: Vec<_> = recent.iter().filter(|it| it.scope == Scope::Launch).collect();
    let Some(last) = of_launches.last() else {
        return Check::ok(name, "nothing went wrong at a launch within two weeks");
    };
    let at = last.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string();
    let why = format!("a launch at {at}: {}", last.what);
    Check::warning(name, why)
        .by_hand(format!("{}; then it is past, and this goes by itself", last.remedy))
        .remedy(format!("rm {}", super::remedy::quoted(&paths.problems_file())))
        .all_of(of_launches.iter().map(|it| format!("{}; {}", it.what, it.remedy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_names_a_command_gives_one() {
        let of = |words: &str| command_in(words).map(|it| it.ends_with("agent restart"));
        assert_eq!(of("nothing is lost; `ccotel agent restart` opens it again"), Some(true));
        assert_eq!(of("update Claude Code, with `ccotel tags`"), None);
        assert_eq!(of(""), None);
    }
}
