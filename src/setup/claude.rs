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

use super::jsonc::Key;

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
