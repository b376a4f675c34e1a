//! Which program the real `claude` is: `CCOTEL_CLAUDE`, else the first `claude` on PATH that is not
//! ourselves, else the places where its installers put it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::exit::Exit;

/// Names the real program.
pub const CLAUDE_VARIABLE: &str = "CCOTEL_CLAUDE";

/// The real program, and what the search saw on its way.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub program: PathBuf,
    /// The first directory of PATH where `claude` is ourselves. Never a relative one: it would be
    /// another directory, with another `claude`, wherever Claude Code's shell goes.
    pub shim_directory: Option<PathBuf>,
}

/// There is no real `claude` to become.
#[derive(Debug)]
pub struct NotFound {
    looked_at: Vec<PathBuf>,
    /// One that is there, and cannot be executed.
    not_executable: Option<PathBuf>,
}

impl NotFound {
    pub fn exit(&self) -> Exit {
        if self.not_executable.is_some() { Exit::CannotExecute } else { Exit::NotFound }
    }

    /// The one that is there, and cannot be executed.
    pub fn not_executable(&self) -> Option<&Path> {
        self.not_executable.as_deref()
    }

    /// What was looked for, and what to do, in a few lines.
    pub fn message(&self) -> String {
        if let Some(program) = &self.not_executable {
            let program = program.display();
            return format!("ccotel: {program} cannot be executed; try `chmod +x {program}`");
        }
        let mut text = "ccotel: Claude Code was not found; looked for\n".to_owned();
        for place in &self.looked_at {
            writeln!(text, "  {}", place.display()).expect("a String takes every write");
        }
        text.push_str(
            "install it with `npm install -g @anthropic-ai/claude-code`, or name it in \
             CCOTEL_CLAUDE; `ccotel demo` shows ccotel without it",
        );
        text
    }
}

/// What the search depends on.
pub struct Search<'s> {
    /// `CCOTEL_CLAUDE`.
    pub named: Option<&'s OsStr>,
    pub path: Option<&'s OsStr>,
    pub home: &'s Path,
    /// Ourselves.
    pub own: Option<&'s Path>,
}

/// Finds the real `claude`.
pub fn find(search: &Search<'_>) -> Result<Found, NotFound> {
    let own = search.own.and_then(identity);
    let mut missing = NotFound { looked_at: Vec::new(), not_executable: None };
    let named = search.named.filter(|named| !named.is_empty()).map(PathBuf::from);
    if let Some(program) = named {
        // Who names a program wants that one: no other takes its place, unless it is ourselves.
        match look(&program, own) {
            Look::Program => return Ok(Found { program, shim_directory: None }),
            Look::Ourselves => {}
            Look::NotExecutable => {
                missing.not_executable = Some(program);
                return Err(missing);
            }
            Look::Nothing => {
                missing.looked_at.push(program);
                return Err(missing);
            }
        }
    }
    let mut shim_directory = None;
    let on_path = std::env::split_paths(search.path.unwrap_or_default())
        // An empty entry is the working directory.
        .map(|directory| if directory.as_os_str().is_empty() { ".".into() } else { directory })
        .map(|directory: PathBuf| directory.join("claude"));
    let usual = [".local/bin/claude", ".claude/local/claude"].map(|place| search.home.join(place));
    for program in on_path.chain(usual) {
        match look(&program, own) {
            Look::Program => return Ok(Found { program, shim_directory }),
            Look::Ourselves if shim_directory.is_none() && program.is_absolute() => {
                shim_directory = program.parent().map(Path::to_path_buf);
            }
            Look::NotExecutable if missing.not_executable.is_none() => {
                missing.not_executable = Some(program.clone());
            }
            Look::Ourselves | Look::NotExecutable | Look::Nothing => {}
        }
        if !missing.looked_at.contains(&program) {
            missing.looked_at.push(program);
        }
    }
    Err(missing)
}

enum Look {
    Program,
    Ourselves,
    NotExecutable,
    Nothing,
}

/// A file's device and number: one program has one identity, by whatever link it is called.
type Identity = (u64, u64);

fn look(program: &Path, own: Option<Identity>) -> Look {
    let Ok(metadata) = program.metadata() else { return Look::Nothing };
    if !metadata.is_file() {
        return Look::Nothing;
    }
    if own == Some((metadata.dev(), metadata.ino())) {
        return Look::Ourselves;
    }
    if metadata.permissions().mode() & 0o111 == 0 { Look::NotExecutable } else { Look::Program }
}

fn identity(program: &Path) -> Option<Identity> {
    let metadata = program.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}
