//! The configuration in force: read at the start, and again when a file has changed.
//!
//! An invalid one is reported and changes nothing. So that this also holds over a restart, the last
//! valid `config.toml` is kept as a copy in the data directory.

use std::rc::Rc;

use jiff::Timestamp;

use super::{Warning, Worker};
use crate::agent::files::{self, FileError};
use crate::agent::rooms;
use crate::config::edit::names_destinations;
use crate::config::{self, Config, PrivacyConfig};
use crate::paths::Paths;
use crate::record::PrivacyLevel;

/// The configuration to begin with, whether its destinations are to be believed, and what is wrong.
pub fn config_at_start(paths: &Paths) -> (Config, bool, Option<Warning>) {
    let error = match load_present(paths) {
        Ok(config) => {
            remember(paths);
            return (config, true, None);
        }
        Err(error) => error,
    };
    if paths.last_valid_file().exists()
        && let Ok(config) = config::read_last_valid(paths)
    {
        return (config, true, Some(warning(&error, "the last valid one is in force")));
    }
    let instead = "sessions are counted at the level minimal, and nothing is forwarded";
    (tightest(), false, Some(warning(&error, instead)))
}

impl Worker {
    /// Applies what has changed, if it is valid.
    pub(super) async fn reload_if_changed(self: &Rc<Self>) {
        let loaded = load_present(&self.paths);
        *self.config_warning.borrow_mut() = None;
        match loaded {
            Ok(config) if config == *self.config.borrow() => {}
            Ok(config) => {
                self.rooms.apply(&config).await;
                if let Some(gateway) = &self.gateway {
                    gateway.apply(&config.gateway, &self.paths);
                }
                if rooms::needs_new_store(&self.config.borrow(), &config) {
                    self.renew.notify_one();
                }
                *self.config.borrow_mut() = config;
                remember(&self.paths);
                tracing::info!("a changed configuration is in force");
            }
            Err(error) => {
                let warning = warning(&error, "the last valid one stays in force");
                tracing::warn!("{}", warning.what);
                *self.config_warning.borrow_mut() = Some(warning);
            }
        }
    }
}

/// Why a configuration is not in force.
enum Unusable {
    Invalid(String),
    /// There is no file, and the last one named destinations.
    Gone(String),
}

fn warning(why: &Unusable, instead: &str) -> Warning {
    let error = match why {
        Unusable::Invalid(error) => error,
        Unusable::Gone(path) => {
            return Warning {
                at: Timestamp::now(),
                what: format!("{path} is gone; {instead}"),
                remedy:
                    "put it back; an empty file gives its destinations up, with what waits for \
                         them"
                        .into(),
            };
        }
    };
    Warning {
        at: Timestamp::now(),
        what: format!("the configuration is invalid, {instead}: {error}"),
        remedy: "correct it; `ccotel config check` says whether it is valid".into(),
    }
}

/// Keeps a copy of a `config.toml` that is valid, or that there is none.
fn remember(paths: &Paths) {
    if let Err(error) = try_remember(paths) {
        tracing::warn!("{error}");
    }
}

fn try_remember(paths: &Paths) -> Result<(), FileError> {
    let copy = paths.last_valid_file();
    match std::fs::read(paths.config_file()) {
        Ok(content) => {
            files::private_dir(&paths.last_valid_dir())?;
            files::replace(&copy, &content)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => files::remove(&copy),
        // What cannot be read now says nothing about the copy.
        Err(_) => Ok(()),
    }
}

/// The same, but an absent file is not one without destinations: it may be on a disk that is not
/// mounted, or be about to be replaced, and their backlogs would be gone.
fn load_present(paths: &Paths) -> Result<Config, Unusable> {
    let config = load(paths).map_err(Unusable::Invalid)?;
    let file = paths.config_file();
    let is_gone = std::fs::symlink_metadata(&file)
        .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    if is_gone && names_destinations(&paths.last_valid_file()) {
        return Err(Unusable::Gone(file.display().to_string()));
    }
    Ok(config)
}

/// The effective configuration; the error is for the user.
fn load(paths: &Paths) -> Result<Config, String> {
    config::read(paths).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("; ")
    })
}

/// What holds while no valid configuration was ever seen: no level that the user might have
/// tightened is widened.
fn tightest() -> Config {
    let built_in = Config::default();
    Config {
        privacy: PrivacyConfig { level: PrivacyLevel::Minimal, email_hashed: true },
        ..built_in
    }
}
