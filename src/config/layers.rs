//! The layers of the configuration, lowest to highest: built-in, the organisation's file, the
//! user's file, `CCOTEL_*` of this process.
//!
//! A file that cannot be read or parsed is a problem, and the other layers hold; a wrong value costs
//! that value alone (of a destination: the destination). Only privacy fails closed: where a file
//! exists and its `[privacy] level` cannot be told, the level is `minimal` until it can.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Config;
use super::budget::Budget;
use super::destination::DestinationConfig;
use super::gateway::GatewayShape;
use super::limits::{BUDGETS_MAX, CONFIG_FILE_BYTES_MAX, DESTINATIONS_MAX, SENDERS_MAX};
use super::problem::Problem;
use super::shape::{self, Shape};
use super::table::At;
use crate::paths::Paths;
use crate::record::PrivacyLevel;

/// Where the agent listens if nothing says otherwise.
pub const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 14318);
/// Disk that both databases may take together.
pub const DISK_BYTES_DEFAULT: u64 = 512 * 1024 * 1024;
/// Days that the history keeps.
pub const HISTORY_DAYS_DEFAULT: u32 = 400;

/// Names another file than `/etc/ccotel/config.toml` as the organisation's.
const ORGANISATION_FILE_VARIABLE: &str = "CCOTEL_ORGANISATION_FILE";

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    #[default]
    BuiltIn,
    File {
        path: PathBuf,
        line: u32,
    },
    /// A variable of this process's environment.
    Environment(&'static str),
}

impl Origin {
    pub fn line(&self) -> Option<u32> {
        match self {
            Self::File { line, .. } => Some(*line),
            Self::BuiltIn | Self::Environment(_) => None,
        }
    }

    /// Without the line.
    pub fn source(&self) -> String {
        match self {
            Self::BuiltIn => "built-in".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
            Self::Environment(name) => (*name).to_owned(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.source())?;
        self.line().map_or(Ok(()), |line| write!(out, ":{line}"))
    }
}

/// What holds, where each value came from, and what was wrong on the way.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub problems: Vec<Problem>,
    /// By dotted key (`agent.max_disk`, `tags.team`, `destination.team-prom.url`); a key that is
    /// not here is built-in.
    pub origins: BTreeMap<String, Origin>,
    /// The files that exist and were read, lowest first.
    pub files: Vec<PathBuf>,
}

impl Loaded {
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or_default()
    }
}

/// The effective configuration. Never fails: what is wrong is in `problems`.
pub fn load(paths: &Paths) -> Loaded {
    load_from(paths, &organisation_file(), &|name| std::env::var_os(name))
}

/// For a running agent: an error anywhere leaves the last valid configuration in place.
pub fn read(paths: &Paths) -> Result<Config, Vec<Problem>> {
    valid(load(paths))
}

/// The same with the copy of the last valid `config.toml`, which means what it meant in its place: a
/// relative path in it is beside the original.
pub fn read_last_valid(paths: &Paths) -> Result<Config, Vec<Problem>> {
    let environment = |name: &str| std::env::var_os(name);
    valid(load_user_text(paths, &paths.last_valid_file(), &organisation_file(), &environment))
}

fn valid(loaded: Loaded) -> Result<Config, Vec<Problem>> {
    let errors: Vec<Problem> = loaded.problems.into_iter().filter(Problem::is_error).collect();
    if errors.is_empty() { Ok(loaded.config) } else { Err(errors) }
}

/// The organisation's file: `/etc/ccotel/config.toml`, or what `CCOTEL_ORGANISATION_FILE` names.
pub fn organisation_file() -> PathBuf {
    std::env::var_os(ORGANISATION_FILE_VARIABLE)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .unwrap_or_else(|| Paths::organisation_file().to_path_buf())
}

/// `load`, with what it asks of the process given: tests need no environment of their own.
pub fn load_from(
    paths: &Paths,
    organisation: &Path,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Loaded {
    load_user_text(paths, &paths.config_file(), organisation, variable)
}

/// With the text of the user's `config.toml` in `user_text`.
fn load_user_text(
    paths: &Paths,
    user_text: &Path,
    organisation: &Path,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Loaded {
    let mut draft = Draft::built_in();
    draft.file(organisation, organisation, &paths.home);
    draft.file(&paths.config_file(), user_text, &paths.home);
    draft.environment(variable);
    draft.settle()
}

struct Draft {
    loaded: Loaded,
    /// Each destination's own `privacy`, still to be held against `[privacy] level`.
    asked: BTreeMap<String, (PathBuf, At<PrivacyLevel>)>,
}

impl Draft {
    fn built_in() -> Self {
        let config = Config::default();
        let loaded =
            Loaded { config, problems: Vec::new(), origins: BTreeMap::new(), files: Vec::new() };
        Self { loaded, asked: BTreeMap::new() }
    }

    fn file(&mut self, file: &Path, text: &Path, home: &Path) {
        let text = match super::file::read_text(text, CONFIG_FILE_BYTES_MAX) {
            Ok(None) => return,
            Ok(Some(text)) => text,
            Err(problem) => {
                self.loaded.problems.push(problem);
                return self.fail_closed(file, 1);
            }
        };
        self.loaded.files.push(file.to_path_buf());
        let (shape, problems) = shape::read(file, &text, home);
        self.loaded.problems.extend(problems);
        match shape {
            Some(shape) => self.shape(file, shape),
            None => self.fail_closed(file, 1),
        }
    }

    /// The level cannot be told, and might have been the tightest.
    fn fail_closed(&mut self, file: &Path, line: u32) {
        self.loaded.config.privacy.level = PrivacyLevel::Minimal;
        self.set("privacy.level", file, line);
        let what = "`privacy.level` cannot be told, so it is minimal until this file is mended";
        let problem = Problem::warning(file, what, "run `ccotel config check`");
        self.loaded.problems.push(problem.at(line, "privacy.level"));
    }

    fn shape(&mut self, file: &Path, shape: Shape) {
        let Shape {
            listen,
            accept,
            allowed_hosts,
            max_disk_bytes,
            history_days,
            tags,
            level,
            email_hashed,
            budgets,
            ..
        } = shape;
        let origins = &mut self.loaded.origins;
        let config = &mut self.loaded.config;
        let agent = &mut config.agent;
        take(origins, file, "agent.listen", listen, &mut agent.listen);
        take(origins, file, "agent.accept", accept, &mut agent.accept);
        take(origins, file, "agent.allowed_hosts", allowed_hosts, &mut agent.allowed_hosts);
        take(origins, file, "agent.max_disk", max_disk_bytes, &mut agent.max_disk_bytes);
        take(origins, file, "agent.history_days", history_days, &mut agent.history_days);
        take(origins, file, "privacy.level", level, &mut config.privacy.level);
        take(origins, file, "privacy.email", email_hashed, &mut config.privacy.email_hashed);
        take(origins, file, "budget.notify", budgets.notify, &mut config.budgets.notify);
        for At { value, line } in budgets.all {
            self.budget(file, value, line);
        }
        for (name, At { value, line }) in tags {
            // `a.b` in one file and `a_b` in the next are the same tag.
            let tags = &mut self.loaded.config.tags;
            tags.retain(|known, _| !crate::tags::rules::same_key(known, &name));
            tags.insert(name.clone(), value);
            self.set(&format!("tags.{name}"), file, line);
        }
        if let Some(line) = shape.level_unclear {
            self.fail_closed(file, line);
        }
        for read in shape.destinations {
            self.destination(file, read);
        }
        self.gateway(file, shape.gateway);
    }

    fn gateway(&mut self, file: &Path, shape: GatewayShape) {
        let mut lines = Vec::new();
        let too_many = shape.apply(&mut self.loaded.config.gateway, &mut lines);
        for (key, line) in lines {
            self.set(&format!("gateway.{key}"), file, line);
        }
        if let Some(line) = too_many {
            let what = format!("more than {SENDERS_MAX} senders; the rest is left out");
            let problem = Problem::error(file, what, "use a second gateway for some");
            self.loaded.problems.push(problem.at(line, "gateway.sender"));
        }
    }

    /// A user's budget takes the place of the organisation's of the same scope and period.
    fn budget(&mut self, file: &Path, budget: Budget, line: u32) {
        let key = budget.key();
        let all = &mut self.loaded.config.budgets.all;
        all.retain(|known| (&known.scope, known.period) != (&budget.scope, budget.period));
        if all.len() >= BUDGETS_MAX {
            let what = format!("more than {BUDGETS_MAX} budgets in all; `{key}` is left out");
            let problem = Problem::error(file, what, "keep those that somebody looks at");
            self.loaded.problems.push(problem.at(line, key));
            return;
        }
        let place = all
            .partition_point(|known| (&known.scope, known.period) < (&budget.scope, budget.period));
        all.insert(place, budget);
        self.set(&key, file, line);
    }

    /// A user's destination takes the place of the organisation's of the same name.
    fn destination(&mut self, file: &Path, read: shape::ReadDestination) {
        let name = read.destination.name.clone();
        let destinations = &mut self.loaded.config.destinations;
        destinations.retain(|known: &DestinationConfig| known.name != name);
        if destinations.len() >= DESTINATIONS_MAX {
            let what = format!("more than {DESTINATIONS_MAX} destinations; `{name}` is left out");
            let problem = Problem::error(file, what, "run `ccotel disconnect` for some");
            self.loaded.problems.push(problem.at(read.line, "destination"));
            return;
        }
        destinations.push(read.destination);
        let prefix = format!("destination.{name}.");
        self.loaded.origins.retain(|key, _| !key.starts_with(&prefix));
        self.asked.remove(&name);
        for (key, line) in read.lines {
            self.set(&format!("{prefix}{key}"), file, line);
        }
        if let Some(level) = read.privacy {
            self.asked.insert(name, (file.to_path_buf(), level));
        }
    }

    fn environment(&mut self, variable: &dyn Fn(&str) -> Option<OsString>) {
        for scalar in shape::SCALARS {
            let Some(text) = variable(scalar.variable).filter(|text| !text.is_empty()) else {
                continue;
            };
            let applied = text
                .to_str()
                .ok_or_else(|| "it is not UTF-8".to_owned())
                .and_then(|text| (scalar.apply)(&mut self.loaded.config, text));
            match applied {
                Ok(()) => {
                    let origin = Origin::Environment(scalar.variable);
                    self.loaded.origins.insert(scalar.key.to_owned(), origin);
                }
                Err(why) => {
                    let file = Path::new(scalar.variable);
                    let mut problem = Problem::error(file, why, "correct or unset it");
                    problem.key = Some(scalar.key.to_owned());
                    self.loaded.problems.push(problem);
                }
            }
        }
    }

    /// Holds what depends on several layers: a destination's level is at most `[privacy]`'s.
    fn settle(mut self) -> Loaded {
        let level = self.loaded.config.privacy.level;
        for destination in &mut self.loaded.config.destinations {
            destination.privacy = level;
            let Some((file, asked)) = self.asked.get(&destination.name) else { continue };
            destination.privacy = asked.value.min(level);
            if asked.value > level {
                let key = format!("destination.{}.privacy", destination.name);
                let what = format!("`{key}` is wider than `privacy.level`, which holds");
                let remedy = "a destination's level can only be tighter";
                let problem = Problem::warning(file, what, remedy).at(asked.line, key);
                self.loaded.problems.push(problem);
            }
        }
        self.loaded
    }

    fn set(&mut self, key: &str, file: &Path, line: u32) {
        let origin = Origin::File { path: file.to_path_buf(), line };
        self.loaded.origins.insert(key.to_owned(), origin);
    }
}

fn take<T>(
    origins: &mut BTreeMap<String, Origin>,
    file: &Path,
    key: &str,
    found: Option<At<T>>,
    target: &mut T,
) {
    if let Some(At { value, line }) = found {
        *target = value;
        origins.insert(key.to_owned(), Origin::File { path: file.to_path_buf(), line });
    }
}
