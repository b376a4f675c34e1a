//! The settings that Claude Code itself will read, lowest to highest: the shell's environment,
//! `~/.claude.json`, the user's settings, the project's, the project's local ones, `--settings`;
//! and above them all the managed settings of an organisation.
//!
//! Claude Code lays the `env` of each over the process's environment, whole values at a time, so a
//! wrapper has to merge what must not be erased. Only variables of its telemetry are looked at.
//!
//! Measured on 2.1.329: the project's settings are those of the working directory alone; its local
//! ones are those of the main checkout's top, or, failing that, of the working directory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::config::file::read_text;

/// Claude Code reads no larger settings file either.
pub const SETTINGS_FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// `~/.claude.json` also holds a history.
const GLOBAL_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Files of `managed-settings.d` that are read.
const MANAGED_FILES_MAX: usize = 64;
/// Names another directory for the managed settings.
const MANAGED_DIRECTORY_VARIABLE: &str = "CCOTEL_MANAGED_SETTINGS_DIR";
/// Where the shell's own resource attributes are kept for a nested session: Claude Code hands no
/// `OTEL_*` to its children.
pub const SHELL_ATTRIBUTES_VARIABLE: &str = "CCOTEL_SHELL_RESOURCE_ATTRIBUTES";
/// In resource attributes that this wrapper wrote.
pub const LAUNCH_ATTRIBUTE: &str = "ccotel.launch.id";
pub const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
pub const ENABLE_TELEMETRY: &str = "CLAUDE_CODE_ENABLE_TELEMETRY";

pub type Env = BTreeMap<String, String>;

/// One source of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// A file, or words.
    pub source: String,
    /// Whoever can push to the repository can write it.
    pub repository: bool,
    pub env: Env,
}

/// What Claude Code would have without us, lowest first.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    pub layers: Vec<Layer>,
    /// By file; empty where there is none.
    pub managed: Vec<Layer>,
}

impl Layers {
    /// The files among the user's and the project's that are no JSON, with the line: to the layers
    /// they say nothing.
    pub fn broken(&self) -> Vec<String> {
        let silent =
            self.layers.iter().filter(|it| it.env.is_empty() && it.source.starts_with('/'));
        let why = |layer: &Layer| {
            let file = Path::new(&layer.source);
            let text = read_text(file, SETTINGS_FILE_BYTES_MAX).ok()??;
            let error = serde_json::from_str::<SettingsFile>(&text).err()?;
            let words = error.to_string();
            let words = words.split(" at line ").next().unwrap_or_default();
            Some(format!("{}:{}: no valid settings: {words}", layer.source, error.line()))
        };
        silent.filter_map(why).collect()
    }

    /// The value in effect, of the user's own layers only.
    pub fn of_user(&self, name: &str) -> Option<&str> {
        self.find(name, false)
    }

    /// The layer of the user's own that gives the value in effect.
    pub fn user_source(&self, name: &str) -> Option<&str> {
        let mut layers = self.layers.iter().rev().filter(|layer| !layer.repository);
        layers.find(|layer| layer.env.contains_key(name)).map(|layer| layer.source.as_str())
    }

    /// The value that a repository gives.
    pub fn of_repository(&self, name: &str) -> Option<&str> {
        self.find(name, true)
    }

    /// The value that the shell gives.
    pub fn of_shell(&self, name: &str) -> Option<&str> {
        self.layers.first()?.env.get(name).map(String::as_str)
    }

    fn find(&self, name: &str, repository: bool) -> Option<&str> {
        let mut layers = self.layers.iter().rev().filter(|layer| layer.repository == repository);
        layers.find_map(|layer| layer.env.get(name)).map(String::as_str)
    }
}

/// Where Claude Code looks.
pub struct Places<'p> {
    pub home: &'p Path,
    pub directory: &'p Path,
    /// The top of the main checkout around the directory.
    pub checkout: Option<PathBuf>,
    /// `CLAUDE_CONFIG_DIR`.
    pub config_dir: Option<PathBuf>,
    /// `--setting-sources`, if given: which of `user`, `project`, `local` count.
    pub sources: Option<String>,
}

/// Reads every layer but `--settings`. What cannot be read is as if it were not there: Claude Code
/// will complain about it itself.
pub fn read(places: &Places<'_>, shell: Env) -> Layers {
    let claude = places.config_dir.clone().unwrap_or_else(|| places.home.join(".claude"));
    let global = places
        .config_dir
        .as_ref()
        .map_or_else(|| places.home.join(".claude.json"), |dir| dir.join(".claude.json"));
    let user = claude.join("settings.json");
    let project = places.directory.join(".claude/settings.json");
    let local = |top: &Path| top.join(".claude/settings.local.json");
    let counts = |name: &str| {
        places.sources.as_ref().is_none_or(|list| list.split(',').any(|part| part.trim() == name))
    };
    let mut layers =
        vec![Layer { source: "the environment".into(), repository: false, env: shell }];
    layers.extend(global_layer(&global));
    if counts("user") {
        layers.extend(layer(&user, false));
    }
    if counts("project") && project != user {
        layers.extend(layer(&project, true));
    }
    if counts("local") {
        layers.extend(layer(&local(places.directory), true));
        let checkout = places.checkout.as_deref().filter(|top| *top != places.directory);
        layers.extend(checkout.and_then(|top| layer(&local(top), true)));
    }
    Layers { layers, managed: managed(&claude) }
}

/// The shell's telemetry variables. What an outer launch of ours put there is not the user's.
pub fn shell_env(variables: impl Iterator<Item = (OsString, OsString)>) -> Env {
    let mut kept = None;
    let mut env = Env::new();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        if name == SHELL_ATTRIBUTES_VARIABLE {
            kept = Some(value.to_string_lossy().into_owned());
        } else if is_telemetry(name) {
            env.insert(name.to_owned(), value.to_string_lossy().into_owned());
        }
    }
    if env.get(RESOURCE_ATTRIBUTES).is_some_and(|text| text.contains(LAUNCH_ATTRIBUTE)) {
        env.clear();
    }
    if let Some(kept) = kept.filter(|kept| !kept.is_empty()) {
        env.entry(RESOURCE_ATTRIBUTES.to_owned()).or_insert(kept);
    }
    env
}

/// The variables of `--settings`.
pub fn flag_layer(settings: &Value, source: &str) -> Layer {
    let env = settings.get("env").and_then(Value::as_object);
    let env = env.into_iter().flatten().filter_map(|(name, value)| {
        Some((name.clone(), scalar(value).filter(|_| is_telemetry(name))?))
    });
    Layer { source: source.to_owned(), repository: false, env: env.collect() }
}

fn layer(file: &Path, repository: bool) -> Option<Layer> {
    let text = read_text(file, SETTINGS_FILE_BYTES_MAX).ok()??;
    Some(Layer { source: file.display().to_string(), repository, env: env_of(&text).env })
}

/// Mostly it holds no such variable, and is large: then it is not parsed.
fn global_layer(file: &Path) -> Option<Layer> {
    let text = read_text(file, GLOBAL_FILE_BYTES_MAX).ok()??;
    if !text.contains("\"OTEL_") && !text.contains(ENABLE_TELEMETRY) {
        return None;
    }
    Some(Layer { source: file.display().to_string(), repository: false, env: env_of(&text).env })
}

fn managed(claude: &Path) -> Vec<Layer> {
    let directory = managed_directory();
    let mut files = vec![directory.join("managed-settings.json")];
    let more = std::fs::read_dir(directory.join("managed-settings.d"));
    let mut more: Vec<PathBuf> = more
        .into_iter()
        .flatten()
        .take(MANAGED_FILES_MAX)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|extension| extension == "json"))
        .collect();
    more.sort();
    files.extend(more);
    // What an organisation's server said last.
    files.push(claude.join("remote-settings.json"));
    files
        .iter()
        .filter_map(|file| {
            let text = read_text(file, SETTINGS_FILE_BYTES_MAX).ok()??;
            let read = env_of(&text);
            let mut env = read.env;
            if read.headers_helper {
                env.insert(HEADERS_HELPER.to_owned(), String::new());
            }
            let source = file.display().to_string();
            (!env.is_empty()).then_some(Layer { source, repository: false, env })
        })
        .collect()
}

/// Stands for a setting that is no variable but belongs to the feed.
pub const HEADERS_HELPER: &str = "otelHeadersHelper";

fn managed_directory() -> PathBuf {
    if let Some(directory) = std::env::var_os(MANAGED_DIRECTORY_VARIABLE) {
        return directory.into();
    }
    if cfg!(target_os = "macos") {
        "/Library/Application Support/ClaudeCode".into()
    } else {
        "/etc/claude-code".into()
    }
}

#[derive(Default, Deserialize)]
struct SettingsFile {
    #[serde(default)]
    env: Value,
    #[serde(default, rename = "otelHeadersHelper")]
    headers_helper: Option<serde::de::IgnoredAny>,
}

struct ReadEnv {
    env: Env,
    headers_helper: bool,
}

fn env_of(text: &str) -> ReadEnv {
    let file: SettingsFile = serde_json::from_str(text).unwrap_or_default();
    let pairs = file.env.as_object().into_iter().flatten();
    let env = pairs
        .filter(|(name, _)| is_telemetry(name))
        .filter_map(|(name, value)| Some((name.clone(), scalar(value)?)))
        .collect();
    ReadEnv { env, headers_helper: file.headers_helper.is_some() }
}

fn is_telemetry(name: &str) -> bool {
    name.starts_with("OTEL_") || name == ENABLE_TELEMETRY
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
