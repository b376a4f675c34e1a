//! Claude Code's own settings: what reaches sessions that no shell starts.
//!
//! | | setting | reaches |
//! | --- | --- | --- |
//! | background | `processWrapper` | background sessions and the agent view, with tags |
//! | everything else | `env` | the desktop app and whatever else starts Claude Code, without tags |
//! | status line | `statusLine` | what every session shows below its input |
//! | an organisation | `managed-settings.json` | everybody, and wins over all of it |

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::jsonc::{self, JsoncError, Key};
use super::shell::Shell;

pub const BACKGROUND_KEY: &str = "processWrapper";

pub const BACKGROUND_LIMITS: &str = "counts background sessions and those of `claude agents`; from \
    Claude Code 2.1.210 on, and not where a service of launchd's or systemd's started the first one";

pub const ENV_LIMITS: &str = "counts the desktop app and whatever else starts Claude Code by itself, \
    with the tags of this machine alone; only while the agent runs, so it wants the service. Settings \
    of an organisation win over it, and some versions of the desktop app read none of it";

/// `~/.claude`, or where `CLAUDE_CONFIG_DIR` says.
pub fn directory(home: &Path) -> PathBuf {
    let moved = std::env::var_os("CLAUDE_CONFIG_DIR").filter(|dir| !dir.is_empty());
    moved.map_or_else(|| home.join(".claude"), PathBuf::from)
}

pub fn settings_file(home: &Path) -> PathBuf {
    directory(home).join("settings.json")
}

/// Whether this user has the desktop app.
pub fn has_desktop(home: &Path, config: &Path) -> bool {
    let data = if cfg!(target_os = "macos") {
        home.join("Library/Application Support/Claude")
    } else {
        config.join("Claude")
    };
    data.is_dir()
}

pub fn background_key(wrapper: &Path) -> Key {
    Key::new(&[BACKGROUND_KEY], wrapper.to_string_lossy())
}

/// The variables for a session that no wrapper prepares. Without the token: this file is not as
/// private as ours, and the agent knows its user without it.
pub fn variables(agent: SocketAddr) -> Vec<(&'static str, String)> {
    vec![
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1".to_owned()),
        ("OTEL_METRICS_EXPORTER", "otlp".to_owned()),
        ("OTEL_LOGS_EXPORTER", "otlp".to_owned()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{agent}")),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative".to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10000".to_owned()),
        ("OTEL_LOGS_EXPORT_INTERVAL", "1000".to_owned()),
    ]
}

pub fn env_keys(agent: SocketAddr) -> Vec<Key> {
    variables(agent).into_iter().map(|(name, value)| Key::new(&["env", name], value)).collect()
}

/// For an organisation's `managed-settings.json`.
pub fn managed_settings(agent: SocketAddr) -> Value {
    let env: Map<String, Value> = variables(agent)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect();
    serde_json::json!({ "env": env })
}

pub const STATUS_LINE_LIMITS: &str = "shows cost, budget, context and limits below Claude Code's input; a status line that a project \
     sets wins over it";

/// What `statusLine` is now, and the keys that make it ours.
#[derive(Debug, PartialEq, Eq)]
pub enum StatusLine {
    None(Vec<Key>),
    /// Theirs, which ours runs.
    Theirs(Vec<Key>),
    Ours,
    /// Nothing that a command could be added to.
    Strange,
}

/// Of the text of a settings file, with what an earlier setup set there.
pub fn status_line(text: &str, earlier: &[Key], program: &Path) -> Result<StatusLine, JsoncError> {
    let at = |name: &str| vec!["statusLine".to_owned(), name.to_owned()];
    if jsonc::get(text, &["statusLine".to_owned()])?.is_none() {
        let command = Key::new(&["statusLine", "command"], own_status_line(program, None));
        return Ok(StatusLine::None(vec![Key::new(&["statusLine", "type"], "command"), command]));
    }
    let kind = match jsonc::get(text, &at("type")) {
        Err(JsoncError::NotAnObjectWithin(_)) => return Ok(StatusLine::Strange),
        kind => kind?,
    };
    let found = jsonc::get(text, &at("command"))?;
    let command: Option<String> = found.as_deref().and_then(|it| serde_json::from_str(it).ok());
    let (Some(found), Some(command)) = (found, command) else { return Ok(StatusLine::Strange) };
    if kind.is_some_and(|kind| kind != jsonc::string("command")) {
        return Ok(StatusLine::Strange);
    }
    let known = earlier.iter().find(|key| key.path == at("command") && key.value == command);
    let theirs = match known {
        Some(known) => known.instead_of.clone(),
        None if is_own_status_line(&command) => return Ok(StatusLine::Ours),
        None => Some(found),
    };
    let chained = theirs.as_deref().and_then(|it| serde_json::from_str::<String>(it).ok());
    let value = own_status_line(program, chained.as_deref());
    if value == command {
        return Ok(StatusLine::Ours);
    }
    let key = Key { instead_of: theirs, ..Key::new(&["statusLine", "command"], value) };
    // Made for us, and made again: with its type.
    let ours: Vec<Key> = earlier.iter().filter(|key| key.path == at("type")).cloned().collect();
    Ok(StatusLine::Theirs(ours.into_iter().chain([key]).collect()))
}

/// Claude Code has a shell run it.
fn own_status_line(program: &Path, chained: Option<&str>) -> String {
    let program = Shell::Bash.quote_path(program);
    match chained {
        Some(theirs) => format!("{program} statusline --chain {}", Shell::Bash.quote(theirs)),
        None => format!("{program} statusline"),
    }
}

/// One that somebody has put there by hand.
fn is_own_status_line(command: &str) -> bool {
    command.contains("ccotel") && command.contains(" statusline")
}
