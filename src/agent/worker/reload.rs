//! The configuration in force: read at the start, and again when a file has changed.
//!
//! An invalid one is reported and changes nothing. So that this also holds over a restart, the last
//! valid `config.toml` is kept as a copy in the data directory.

use std::rc::Rc;

use jiff::Timestamp;

use super::{Warning, Worker};
use crate::agent::files::{self, FileError};
use crate::agent::rooms;
use crate::config::{self, Config, PrivacyConfig};
use crate::paths::Paths;
use crate::record::PrivacyLevel;

/// The configuration to begin with, whether its destinations are to be believed, and what is wrong.
pub fn config_at_start(paths: &Paths) -> (Config, bool, Option<Warning>) {
    let error = match load(paths) {
        Ok(config) => {
            remember(paths);
            return (config, true, None);
        }
        Err(error) => error,
    };
    let before = Paths { config_dir: paths.last_valid_dir(), ..paths.clone() };
    if before.config_file().exists()
        && let Ok(config) = load(&before)
    {
        return (config, true, Some(invalid(&error, "the last valid one is in force")));
    }
    let instead = "sessions are counted at the level minimal, and nothing is forwarded";
    (tightest(), false, Some(invalid(&error, instead)))
}

impl Worker {
    /// Applies what has changed, if it is valid.
    pub(super) async fn reload_if_changed(self: &Rc<Self>) {
        let loaded = load(&self.paths);
        *self.config_warning.borrow_mut() = None;
        match loaded {
            Ok(config) if config == *self.config.borrow() => {}
            Ok(config) => {
                self.rooms.apply(&config).await;
                if rooms::needs_new_store(&self.config.borrow(), &config) {
                    self.renew.notify_one();
                }
                *self.config.borrow_mut() = config;
                remember(&self.paths);
                tracing::info!("a changed configuration is in force");
            }
            Err(error) => {
                tracing::warn!("the configuration is invalid: {error}");
                let warning = invalid(&error, "the last valid one stays in force");
                *self.config_warning.borrow_mut() = Some(warning);
            }
        }
    }
}

fn invalid(error: &str, instead: &str) -> Warning {
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
    let copies = paths.last_valid_dir();
    let copy = copies.join("config.toml");
    match std::fs::read(paths.config_file()) {
        Ok(content) => {
            files::private_dir(&copies)?;
            files::replace(&copy, &content)
        }
        Err(_) => files::remove(&copy),
    }
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
