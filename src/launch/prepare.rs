//! What a launch is given: arguments and variables. Nothing here can stop it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::arguments::{self, Plan};
use super::layers::{self, Layers, Places, RESOURCE_ATTRIBUTES, SHELL_ATTRIBUTES_VARIABLE};
use super::managed::{self, Feed};
use super::problems::Noticed;
use super::settings;
use super::variables::{self, Variables};
use crate::agent::control;
use crate::agent::ensure::{self, Endpoint};
use crate::agent::files;
use crate::agent::notice::LaunchNotice;
use crate::agent::sockets;
use crate::config::shape::privacy_word;
use crate::config::{self, Loaded};
use crate::paths::Paths;
use crate::record::PrivacyLevel;
use crate::tags::{self, Inputs, Resolved, git};

/// A launch, ready to be executed.
#[derive(Debug)]
pub struct Prepared {
    pub arguments: Vec<OsString>,
    pub variables: Variables,
    pub noticed: Vec<Noticed>,
    /// The directory, if all that could be wrong in it was looked at.
    pub looked_at: Option<PathBuf>,
}

/// What a directory gives a launch, before the agent is asked: also what `ccotel tags` shows.
pub struct Here {
    pub loaded: Loaded,
    pub layers: Layers,
    pub attributes: Vec<tags::Attribute>,
    pub resolved: Resolved,
}

/// Prepares a launch from this process's directory and environment.
pub fn prepare(paths: &Paths, launch: &str, plan: Plan, arguments: Vec<OsString>) -> Prepared {
    let untouched = |arguments, noticed| Prepared {
        arguments,
        variables: Vec::new(),
        noticed,
        looked_at: None,
    };
    let directory = match std::env::current_dir() {
        Ok(directory) => directory,
        Err(error) => {
            let why = files::words(&error);
            let what =
                format!("this session is not counted: the working directory cannot be told: {why}");
            return untouched(arguments, vec![Noticed::new(what, "change to one that exists")]);
        }
    };
    let user = UserSettings::read(plan, &arguments, &directory);
    let here = here(paths, &directory, &arguments, user.as_ref());
    let mut noticed: Vec<Noticed> = here.loaded.problems.iter().map(Noticed::from).collect();
    noticed.extend(here.resolved.problems.iter().map(Noticed::from));
    let endpoint = match ensure::ensure(paths, &here.loaded.config) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            let what = format!("this session is not counted: {error}");
            noticed.insert(0, Noticed::new(what, error.remedy()));
            return untouched(arguments, noticed);
        }
    };
    noticed.extend(moved(&here.loaded, &endpoint, &sockets::bound_for(paths)));
    let (mut variables, said) = feed(&here, &endpoint, launch, here.resolved.level);
    noticed.extend(said);
    let with_settings = match (plan, user) {
        (Plan::Settings { at }, Some(user)) => {
            with_settings(paths, launch, at, user, &arguments, &variables)
                .map_err(|problem| noticed.push(problem))
                .ok()
        }
        _ => None,
    };
    if with_settings.is_none()
        && let Some((level, problem)) = opened(&here)
    {
        (variables, _) = feed(&here, &endpoint, launch, level);
        noticed.push(problem);
    }
    let arguments = with_settings.unwrap_or(arguments);
    if let Some(own) = here.layers.of_shell(RESOURCE_ATTRIBUTES) {
        variables.push((SHELL_ATTRIBUTES_VARIABLE.to_owned(), own.to_owned()));
    }
    control::send_notice(
        paths,
        &LaunchNotice { id: launch.to_owned(), pid: std::process::id(), directory },
    );
    Prepared { arguments, variables, noticed, looked_at: Some(here.resolved.directory) }
}

/// The tags of a directory, from this process's environment and Claude Code's settings files.
pub fn look_around(paths: &Paths, directory: &Path) -> Here {
    here(paths, directory, &[], None)
}

fn here(
    paths: &Paths,
    directory: &Path,
    arguments: &[OsString],
    user: Option<&UserSettings>,
) -> Here {
    let loaded = config::load(paths);
    let places = Places {
        home: &paths.home,
        directory,
        checkout: git::facts(directory).map(|facts| facts.main_root),
        config_dir: std::env::var_os("CLAUDE_CONFIG_DIR")
            .filter(|dir| !dir.is_empty())
            .map(PathBuf::from),
        sources: arguments::option(arguments, "--setting-sources")
            .map(|sources| sources.to_string_lossy().into_owned()),
    };
    let mut layers = layers::read(&places, layers::shell_env(std::env::vars_os()));
    if let Some(Ok(settings)) = user.map(|user| &user.0) {
        let settings = Value::Object(settings.clone());
        layers.layers.push(layers::flag_layer(&settings, "--settings"));
    }
    let attributes = variables::user_attributes(&layers);
    let variable = std::env::var_os(tags::TAGS_VARIABLE);
    let resolved = tags::resolve(&Inputs {
        directory,
        home: &paths.home,
        loaded: &loaded,
        attributes: &attributes,
        variable: variable.as_deref().map(OsStr::to_string_lossy).as_deref(),
    });
    Here { loaded, layers, attributes, resolved }
}

/// The agent listens elsewhere than is configured: who expects it there should know. `bound` is what
/// the agent took for each configured address: without it, the agent was not asked to yet.
fn moved(
    loaded: &Loaded,
    endpoint: &Endpoint,
    bound: &BTreeMap<SocketAddr, SocketAddr>,
) -> Option<Noticed> {
    let configured = loaded.config.agent.listen.first().filter(|address| address.port() != 0)?;
    if *configured == endpoint.address {
        return None;
    }
    let origin = loaded.origin("agent.listen");
    if bound.get(configured) != Some(&endpoint.address) {
        let what = format!(
            "{origin}: {configured} is not bound yet: the agent still listens on {}",
            endpoint.address
        );
        return Some(Noticed::new(what, "`ccotel agent restart`").once());
    }
    let what = format!(
        "{origin}: {configured} was taken by another program, so the agent listens on {}",
        endpoint.address
    );
    let remedy = "nothing is lost, and it stays there; write that address into `[agent] listen` \
                  to settle it";
    Some(Noticed::new(what, remedy).once())
}

/// The variables of this launch, and what there is to say of where they lead.
fn feed(
    here: &Here,
    endpoint: &Endpoint,
    launch: &str,
    level: PrivacyLevel,
) -> (Variables, Option<Noticed>) {
    let Here { layers, attributes, resolved, loaded } = here;
    let (feed, said) = managed::feed(&layers.managed, endpoint);
    if feed == Feed::Managed {
        return (variables::for_managed_feed(resolved, attributes), said);
    }
    let known = |url: &str| {
        let same = |it: &str| super::feed::bare(it).trim_end_matches('/') == url;
        loaded.config.destinations.iter().any(|destination| same(&destination.url))
    };
    let exports = super::feed::exports(layers, endpoint.address).into_iter();
    let taken = exports.map(|it| super::feed::bare(&it.url)).find(|url| !known(url));
    let taken = taken.map(|url| {
        let what = format!("telemetry that went to {url} now goes to ccotel");
        Noticed::new(what, "`ccotel connect otlp --inherit` keeps sending it there").once()
    });
    let variables = variables::for_agent(layers, endpoint, resolved, attributes, launch, level);
    (variables, said.or(taken))
}

/// The level for a launch that gets no `--settings` of ours where a repository turns content on.
fn opened(here: &Here) -> Option<(PrivacyLevel, Noticed)> {
    let name = variables::content_opened(&here.layers)?;
    let level = here.resolved.level.min(PrivacyLevel::Standard);
    let what = format!(
        "{name} of this repository's settings cannot be undone without --settings: this session \
         is kept at `{}`",
        privacy_word(level)
    );
    let remedy = format!("remove {name} from .claude/settings.json");
    Some((level, Noticed::new(what, remedy)))
}

/// The user's own `--settings`, read; nothing is in it where there is none.
struct UserSettings(Result<Map<String, Value>, (String, String)>);

impl UserSettings {
    /// `None` where we give none, so that the user's stays as it is.
    fn read(plan: Plan, arguments: &[OsString], directory: &Path) -> Option<Self> {
        let Plan::Settings { .. } = plan else { return None };
        let value = arguments::user_settings(arguments);
        Some(Self(value.map_or_else(|| Ok(Map::new()), |it| settings::read_user(it, directory))))
    }
}

/// The arguments with our file, or why that cannot be.
fn with_settings(
    paths: &Paths,
    launch: &str,
    at: usize,
    user: UserSettings,
    arguments: &[OsString],
    variables: &Variables,
) -> Result<Vec<OsString>, Noticed> {
    let settings = user.0.map_err(|(what, remedy)| Noticed::new(what, remedy))?;
    let settings = settings::merge(settings, variables);
    let file = settings::write(paths, launch, &settings).map_err(|error| {
        let directory = paths.launches_dir();
        let directory = directory.display();
        let what = format!("settings cannot be written to {directory}: {}", files::words(&error));
        let remedy = "free some space or mend its permissions; meanwhile your own settings may \
                      send telemetry elsewhere";
        Noticed::new(what, remedy)
    })?;
    Ok(arguments::with_settings(arguments, at, file.as_os_str()))
}
