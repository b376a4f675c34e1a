//! Editors of VS Code's family: their settings name a wrapper around the Claude Code that the
//! extension brings with it, which neither a hook nor PATH can reach.

use std::path::{Path, PathBuf};

use super::jsonc::Key;

/// The extension's setting.
pub const KEY: &str = "claudeCode.claudeProcessWrapper";

/// What the setting does not reach, in a sentence.
pub const LIMITS: &str = "counts sessions of the extension's panel; with its setting `useTerminal`, \
    and in every other editor's terminal, it is the shell's `claude` that counts. Windows that are \
    open take it up when they are loaded again";

/// By the directory that each keeps under the user's configuration.
const FAMILY: [(&str, &str); 5] = [
    ("VS Code", "Code"),
    ("VS Code Insiders", "Code - Insiders"),
    ("VSCodium", "VSCodium"),
    ("Cursor", "Cursor"),
    ("Windsurf", "Windsurf"),
];

/// What runs on this machine for an editor on another one keeps its settings in the home directory.
const SERVERS: [(&str, &str); 5] = [
    ("VS Code's server", ".vscode-server"),
    ("VS Code Insiders' server", ".vscode-server-insiders"),
    ("VSCodium's server", ".vscodium-server"),
    ("Cursor's server", ".cursor-server"),
    ("Windsurf's server", ".windsurf-server"),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Editor {
    pub name: &'static str,
    pub settings: PathBuf,
}

/// The editors that this user has started once.
pub fn found(home: &Path, config: &Path) -> Vec<Editor> {
    let config = if cfg!(target_os = "macos") {
        home.join("Library/Application Support")
    } else {
        config.to_path_buf()
    };
    let local = FAMILY.map(|(name, directory)| (name, config.join(directory).join("User")));
    let remote = SERVERS.map(|(name, directory)| (name, home.join(directory).join("data/Machine")));
    local
        .into_iter()
        .chain(remote)
        .filter(|(_, directory)| directory.is_dir())
        .map(|(name, directory)| Editor { name, settings: directory.join("settings.json") })
        .collect()
}

pub fn key(wrapper: &Path) -> Key {
    Key::new(&[KEY], wrapper.to_string_lossy())
}
