//! The shim directory: `claude`, a link to this binary, and `ccotel-wrap`, for programs that start
//! Claude Code by a path of their own.
//!
//! Never beside the real `claude`, which replaces itself when it updates. A link whose `ccotel` is gone
//! is passed over by every search along PATH. Settings name `ccotel-wrap` by its path, so that one
//! must work without ccotel, too: it is two lines of shell rather than a link, since VS Code and Claude
//! Code's background service start nothing at all when their wrapper is missing.

use std::fs;
use std::path::{Path, PathBuf};

use super::edit::Wanted;
use super::files::SetupError;
use super::journal::{Journal, LinkEntry};
use super::shell::Shell;
use crate::agent::files::at;
use crate::paths::Paths;

/// Where `claude` is a link to us.
pub fn shim(paths: &Paths) -> PathBuf {
    paths.shims_dir().join("claude")
}

/// What settings name as their process wrapper.
pub fn wrapper(paths: &Paths) -> PathBuf {
    paths.shims_dir().join("ccotel-wrap")
}

/// The wrapper's text: without ccotel, the program itself.
pub fn wrapper_script(program: &Path) -> Wanted {
    let program = Shell::Bash.quote_path(program);
    let text = format!(
        "#!/bin/sh\n# Written by `ccotel setup`; `ccotel uninstall` removes it.\n\
         [ -x {program} ] && exec {program} wrap \"$@\"\nexec \"$@\"\n"
    );
    Wanted::Whole { text, mode: 0o755 }
}

/// Whether the link is to be made, or made anew.
pub fn is_due(path: &Path, target: &Path) -> bool {
    fs::read_link(path).map_or(true, |known| known != target)
}

/// Makes the link, in one step if there is one already.
pub fn make(journal: &mut Journal, path: &Path, target: &Path) -> Result<(), SetupError> {
    if let Some(directory) = path.parent() {
        journal.make_directory(directory)?;
    }
    journal.put_link(LinkEntry { path: path.to_path_buf(), target: target.to_path_buf() });
    journal.save()?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    std::os::unix::fs::symlink(target, &temporary)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|cause| {
            let _ = fs::remove_file(&temporary);
            at("make the link", path)(cause).into()
        })
}

/// Removes a link of ours; what somebody put in its place stays.
pub fn remove(entry: &LinkEntry) -> Result<(), SetupError> {
    match fs::read_link(&entry.path) {
        Ok(target) if target == entry.target => {
            Ok(fs::remove_file(&entry.path).map_err(at("remove", &entry.path))?)
        }
        _ => Ok(()),
    }
}
