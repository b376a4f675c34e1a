//! What a launch is given: arguments and variables. Nothing here can stop it.

use std::ffi::{OsStr, OsString};
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
use crate::config::{self, Loaded};
use crate::paths::Paths;
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
    noticed.extend(moved(&here.loaded, &endpoint));
    let (mut variables, said) = feed(&here, &endpoint, launch);
    noticed.extend(said);
    let arguments = match (plan, user) {
        (Plan::Settings { at }, Some(user)) => {
            with_settings(paths, launch, at, user, arguments, &variables, &mut noticed)
        }
        _ => arguments,
    };
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

/// A busy port was replaced by a free one: who expects the agent elsewhere should know.
fn moved(loaded: &Loaded, endpoint: &Endpoint) -> Option<Noticed> {
    let configured = loaded.config.agent.listen.first().filter(|address| address.port() != 0)?;
    if *configured == endpoint.address {
        return None;
    }
    let origin = loaded.origin("agent.listen");
    let what = format!(
        "{origin}: {configured} was taken by another program, so the agent listens on {}",
        endpoint.address
    );
    let remedy = "nothing is lost, and it stays there; write that address into `[agent] listen` \
                  to settle it";
    Some(Noticed::new(what, remedy).once())
}

/// The variables of this launch, and what there is to say of where they lead.
fn feed(here: &Here, endpoint: &Endpoint, launch: &str) -> (Variables, Option<Noticed>) {
    let Here { layers, attributes, resolved, loaded } = here;
    let (feed, said) = managed::feed(&layers.managed, endpoint);
    if feed == Feed::Managed {
        return (variables::for_managed_feed(resolved, attributes), said);
    }
    let taken = variables::other_collector(layers, endpoint).filter(|url| {
        let same = |known: &str| known.trim_end_matches('/') == url.trim_end_matches('/');
        !loaded.config.destinations.iter().any(|destination| same(&destination.url))
    });
    let taken = taken.map(|url| {
        let what = format!("telemetry that went to {url} now goes to ccotel");
        Noticed::new(what, format!("`ccotel connect otlp {url}` keeps sending it there")).once()
    });
    let variables = variables::for_agent(layers, endpoint, resolved, attributes, launch);
    (variables, said.or(taken))
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

/// The arguments with our file, or, where that cannot be, the arguments as they came.
fn with_settings(
    paths: &Paths,
    launch: &str,
    at: usize,
    user: UserSettings,
    arguments: Vec<OsString>,
    variables: &Variables,
    noticed: &mut Vec<Noticed>,
) -> Vec<OsString> {
    let settings = match user.0 {
        Ok(settings) => settings::merge(settings, variables),
        Err((what, remedy)) => {
            noticed.push(Noticed::new(what, remedy));
            return arguments;
        }
    };
    let file = match settings::write(paths, launch, &settings) {
        Ok(file) => file,
        Err(error) => {
            let directory = paths.launches_dir();
            let what = format!(
                "settings cannot be written to {}: {}",
                directory.display(),
                files::words(&error)
            );
            let remedy = "free some space or mend its permissions; meanwhile your own settings may \
                          send telemetry elsewhere";
            noticed.push(Noticed::new(what, remedy));
            return arguments;
        }
    };
    arguments::with_settings(&arguments, at, file.as_os_str())
}
