//! Launch: from `ccotel claude ARGS` to the real `claude`, by `exec`.
//!
//! ```text
//! find the real claude ─▶ plan (by the first argument) ─▶ tags, layers ─▶ agent up? ─▶ variables
//!                                                                                         │
//!                exec ◀─ environment and --settings FILE ◀─ launches/ID.json ◀────────────┘
//! ```
//!
//! Fail open: whatever fails on the way, the real `claude` is started, and what failed is kept
//! (`problems`). Only when there is no `claude` to start is there an error of our own.

use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Write as _};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;

use crate::exit::Exit;
use crate::paths::Paths;

pub mod arguments;
pub mod depth;
pub mod feed;
pub mod find;
pub mod layers;
pub mod managed;
pub mod prepare;
pub mod problems;
pub mod settings;
pub mod variables;

use arguments::Plan;
use prepare::Prepared;
use problems::{Looked, Noticed};

/// `1` turns the wrapper into a plain exec.
pub const DISABLE_VARIABLE: &str = "CCOTEL_DISABLE";
/// The process that has been prepared already: `exec` keeps its number.
const LAUNCHED_VARIABLE: &str = "CCOTEL_LAUNCHED_PID";

/// Becomes the real `claude`, or `real` if one is given. Returns only if that is not possible.
pub fn main(real: Option<OsString>, arguments: Vec<OsString>) -> Exit {
    let wraps = real.is_some();
    let paths = Paths::from_env().ok();
    let home = paths.as_ref().map_or(Path::new("/"), |paths| paths.home.as_path());
    let found = match real {
        Some(program) => find::Found { program: program.into(), shim_directory: None },
        None => match find_claude(home) {
            Ok(found) => found,
            Err(missing) => {
                say(&missing.message());
                return missing.exit();
            }
        },
    };
    let depth = match depth::next(std::env::var_os(depth::VARIABLE).as_deref(), Timestamp::now()) {
        Ok(depth) => depth,
        Err(looped) => {
            let last = found.program.display();
            say(&format!("ccotel: {looped}, last {last}; set CCOTEL_CLAUDE to the real one"));
            return Exit::Failed;
        }
    };
    let mut command = Command::new(&found.program);
    command.env(depth::VARIABLE, depth);
    match paths.filter(|_| !is_disabled() && !is_prepared()) {
        Some(paths) => prepared(&mut command, &paths, &found, arguments, wraps),
        None => {
            command.args(arguments);
        }
    }
    let error = command.exec();
    not_started(&found.program, &error)
}

/// From this process's environment.
pub fn find_claude(home: &Path) -> Result<find::Found, find::NotFound> {
    let named = std::env::var_os(find::CLAUDE_VARIABLE);
    let path = std::env::var_os("PATH");
    let own = std::env::current_exe().ok();
    find::find(&find::Search {
        named: named.as_deref(),
        path: path.as_deref(),
        home,
        own: own.as_deref(),
    })
}

/// Gives the command its arguments and variables, and says what is wrong.
fn prepared(
    command: &mut Command,
    paths: &Paths,
    found: &find::Found,
    arguments: Vec<OsString>,
    wraps: bool,
) {
    let plan = arguments::plan(&arguments);
    if plan == Plan::Untouched {
        command.args(arguments);
        return;
    }
    let quiet = wraps || is_quiet(&arguments);
    let launch = uuid::Uuid::new_v4().to_string();
    let prepared = caught(paths, &launch, plan, &arguments);
    command.args(prepared.arguments);
    for (name, value) in prepared.variables {
        command.env(name, value);
    }
    command.env(LAUNCHED_VARIABLE, std::process::id().to_string());
    if let Some(path) = path_with_shim(paths, found.shim_directory.as_deref()) {
        command.env("PATH", path);
    }
    let looked = Looked {
        launch: &launch,
        directory: prepared.looked_at.as_deref(),
        quiet,
        now: Timestamp::now(),
    };
    let due = problems::keep(paths, looked, &prepared.noticed);
    if let Some(line) = line(&due) {
        say(&line);
    }
}

/// Even a fault of our own does not stop Claude Code.
fn caught(paths: &Paths, launch: &str, plan: Plan, arguments: &[OsString]) -> Prepared {
    std::panic::set_hook(Box::new(|_| ()));
    let prepared =
        std::panic::catch_unwind(|| prepare::prepare(paths, launch, plan, arguments.to_vec()));
    let _ = std::panic::take_hook();
    prepared.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<&str>().map(ToString::to_string);
        let words = words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let what = format!("this session is not counted: ccotel has a fault ({words})");
        let noticed = vec![Noticed::new(what, "please report it")];
        Prepared { arguments: arguments.to_vec(), variables: Vec::new(), noticed, looked_at: None }
    })
}

pub fn is_disabled() -> bool {
    std::env::var(DISABLE_VARIABLE).is_ok_and(|text| variables::is_true(&text))
}

/// An outer wrapper prepared this very process, and became us: its work is not to be done twice.
fn is_prepared() -> bool {
    std::env::var(LAUNCHED_VARIABLE).is_ok_and(|pid| pid == std::process::id().to_string())
}

fn is_quiet(arguments: &[OsString]) -> bool {
    arguments::is_for_a_machine(arguments)
        || !std::io::stdout().is_terminal()
        || !std::io::stderr().is_terminal()
}

/// One line, whatever happened.
fn line(due: &[&Noticed]) -> Option<String> {
    let first = due.first()?;
    let mut line = format!("ccotel: {}", first.what);
    if !first.remedy.is_empty() {
        line = format!("{line}; {}", first.remedy);
    }
    if due.len() > 1 {
        line = format!("{line} (and {} more: `ccotel tags`)", due.len() - 1);
    }
    Some(line.replace(char::is_control, " "))
}

/// A nested `claude` is a session of its own: where a shim is installed, it is found first.
fn path_with_shim(paths: &Paths, seen: Option<&Path>) -> Option<OsString> {
    let installed = paths.shims_dir();
    let directory = if installed.join("claude").symlink_metadata().is_ok() {
        installed.as_path()
    } else {
        seen?
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if directories.first().is_some_and(|first| first == directory) {
        return None;
    }
    directories.retain(|known| known != directory);
    directories.insert(0, directory.to_path_buf());
    std::env::join_paths(directories).ok()
}

fn not_started(program: &Path, error: &std::io::Error) -> Exit {
    let program = program.display();
    if error.kind() == std::io::ErrorKind::NotFound {
        say(&format!("ccotel: {program} was not found, or the interpreter that it names was not"));
        return Exit::NotFound;
    }
    say(&format!("ccotel: {program} cannot be executed: {error}; check it with `ls -l`"));
    Exit::CannotExecute
}

/// A standard error that nobody reads any more is no reason to fail.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// How the binary was called, if not as `ccotel`: `claude`, or `ccotel-wrap`.
pub fn called_as(name: Option<&OsStr>) -> Option<&'static str> {
    let name = Path::new(name?).file_name()?;
    ["claude", "ccotel-wrap"].into_iter().find(|known| name == *known)
}
