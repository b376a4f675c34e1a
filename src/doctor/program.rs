//! Which `claude` runs, of which version, and whether anything keeps ccotel out of it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::check::Check;
use super::remedy::{ours, quoted, unset};
use crate::launch::find::{self, CLAUDE_VARIABLE, Found, Search};
use crate::launch::{self, DISABLE_VARIABLE};
use crate::paths::Paths;
use crate::setup::links;
use crate::subprocess;
use crate::verify::known::{self, Effect, Fault};

/// `claude --version` takes half a second; on a busy machine some more.
const VERSION_WAIT: Duration = Duration::from_secs(10);

/// What a kernel reads of a script's first line is less.
const FIRST_LINE_BYTES_MAX: u64 = 1024;
/// What a launch that calls itself says, until it is ended.
const LOOPED: &str = "launches within each other";

/// The program, its version, the switch, and the shim.
pub fn checks(paths: &Paths) -> Vec<Check> {
    let found = launch::find_claude(&paths.home);
    let mut checks = vec![switch()];
    match &found {
        Ok(found) => {
            checks.push(Check::ok("program", format!("{} {}", shown(found), why(found))));
            checks.push(version(&found.program));
        }
        Err(missing) => {
            checks.push(not_found(missing, &paths.home));
            checks.push(Check::not_checked("version", "there is no Claude Code to ask"));
        }
    }
    checks.push(shim(paths));
    checks
}

fn switch() -> Check {
    if !launch::is_disabled() {
        return Check::ok("switch", format!("{DISABLE_VARIABLE} is not set"));
    }
    Check::failed("switch", format!("{DISABLE_VARIABLE} is set here: sessions are not counted"))
        .by_hand("if it comes back, take it out of your shell's startup files")
        .remedy(unset(DISABLE_VARIABLE))
}

fn shown(found: &Found) -> String {
    found.program.display().to_string()
}

fn why(found: &Found) -> String {
    let named = std::env::var_os(CLAUDE_VARIABLE);
    if named.is_some_and(|named| Path::new(&named) == found.program) {
        return format!("runs: {CLAUDE_VARIABLE} names it");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directory = found.program.parent().unwrap_or(Path::new("/"));
    if std::env::split_paths(&path).any(|known| known == directory) {
        "runs: the first on PATH that is not ccotel".to_owned()
    } else {
        "runs: it is where its installer puts it, and not on PATH".to_owned()
    }
}

fn not_found(missing: &find::NotFound, home: &Path) -> Check {
    if let Some(program) = missing.not_executable() {
        let why = format!("{} cannot be executed", program.display());
        return Check::failed("program", why).remedy(format!("chmod +x {}", quoted(program)));
    }
    let path = std::env::var_os("PATH");
    let own = std::env::current_exe().ok();
    let search = Search { named: None, path: path.as_deref(), home, own: own.as_deref() };
    let named = std::env::var_os(CLAUDE_VARIABLE).filter(|named| !named.is_empty());
    match (named, find::find(&search)) {
        (Some(named), Ok(other)) => {
            let (named, other) = (named.display().to_string(), other.program.display().to_string());
            Check::failed("program", format!("{CLAUDE_VARIABLE} names {named}, which is not there"))
                .by_hand(format!("without it, {other} runs"))
                .remedy(unset(CLAUDE_VARIABLE))
        }
        _ => {
            Check::failed("program", "Claude Code is not on PATH, nor where its installer puts it")
                .remedy("npm install -g @anthropic-ai/claude-code")
        }
    }
}

fn version(program: &Path) -> Check {
    let mut command = Command::new(program);
    command.arg("--version").env(DISABLE_VARIABLE, "1").process_group(0);
    let said = match subprocess::output(&mut command, VERSION_WAIT) {
        Ok(said) => said,
        Err(error) => {
            return unanswered(program, &error);
        }
    };
    let version = said.split_whitespace().next().unwrap_or_default();
    let Some(faults) = known::faults(version) else {
        let why = format!("`{} --version` says nothing that is a version", program.display());
        return Check::not_checked("version", why);
    };
    judge(version, &faults).map_or_else(
        || {
            let noted = known::NOTED;
            Check::ok("version", format!("{version} has no fault that was known on {noted}"))
        },
        |check| check.remedy(update(program)),
    )
}

/// What cannot start cannot update itself, either.
fn unanswered(program: &Path, error: &subprocess::Unanswered) -> Check {
    let shown = program.display();
    if let Some(interpreter) = missing_interpreter(program) {
        let why =
            format!("{shown} cannot start: {interpreter}, which its first line names, is gone");
        return Check::failed("version", why).by_hand(format!(
            "install {interpreter} again or have it on PATH, or install Claude Code anew"
        ));
    }
    let why = format!("`{shown} --version` gave no answer: {error}");
    if why.contains(LOOPED) {
        return Check::failed("version", format!("{shown} calls ccotel again: {LOOPED}"))
            .by_hand(format!("set {CLAUDE_VARIABLE} to the real Claude Code, or remove {shown}"));
    }
    Check::failed("version", why).remedy(update(program))
}

/// Of a script, what has to run it (`#!/usr/bin/env node`: `node`), if that is not there.
fn missing_interpreter(program: &Path) -> Option<String> {
    let mut line = Vec::new();
    let file = std::fs::File::open(program).ok()?;
    BufReader::new(file.take(FIRST_LINE_BYTES_MAX)).read_until(b'\n', &mut line).ok()?;
    let line = String::from_utf8_lossy(&line);
    let mut words = line.strip_prefix("#!")?.split_whitespace();
    let first = words.next()?;
    if !first.ends_with("/env") {
        return (!Path::new(first).exists()).then(|| first.to_owned());
    }
    let name = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|directory| directory.join(name).is_file());
    (!is_there).then(|| name.to_owned())
}

fn judge(version: &str, faults: &[&Fault]) -> Option<Check> {
    let worst = faults.iter().find(|fault| fault.effect == Effect::Silent).or(faults.first())?;
    let why = format!("{version}: {} ({})", worst.what, worst.source);
    let check = match worst.effect {
        Effect::Silent => Check::failed("version", why),
        Effect::WrongPrice | Effect::CountedTwice => Check::warning("version", why),
    };
    Some(check.all_of(faults.iter().map(|fault| format!("{} ({})", fault.what, fault.source))))
}

fn update(program: &Path) -> String {
    format!("{} update", quoted(program))
}

/// A link that leads nowhere is passed over by every search, so nothing breaks, and nothing counts.
fn shim(paths: &Paths) -> Check {
    let link = links::shim(paths);
    let Ok(target) = std::fs::read_link(&link) else {
        return Check::ok("shim", "none is installed, so a shell's hook is what counts");
    };
    let shown = link.display();
    if !link.exists() {
        let why = format!("{shown} leads to {}, which is gone", target.display());
        return Check::failed("shim", why).remedy(renew());
    }
    let wrapper = links::wrapper(paths);
    if let Some(program) = wrapped(&wrapper).filter(|program| !program.exists()) {
        let why = format!("{} runs {}, which is gone", wrapper.display(), program.display());
        return Check::failed("shim", why).remedy(renew());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<_> = std::env::split_paths(&path).collect();
    let Some(at) = directories.iter().position(|it| *it == paths.shims_dir()) else {
        return Check::ok(
            "shim",
            format!("{shown}; not on PATH here, so what Claude Code starts uses it"),
        );
    };
    let before = directories[..at].iter().map(|dir| dir.join("claude")).find(|it| it.is_file());
    match before {
        Some(before) => {
            let why =
                format!("{} comes before {shown} on PATH, and is not counted", before.display());
            Check::warning("shim", why)
                .by_hand("the line in your startup file that sets PATH last decides")
                .remedy(format!("export PATH={}:\"$PATH\"", quoted(&paths.shims_dir())))
        }
        None => Check::ok("shim", format!("{shown} is the first claude on PATH")),
    }
}

/// What editors and background sessions start, as `ccotel-wrap` names it: `[ -x PROGRAM ] && …`.
fn wrapped(script: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(script).ok()?;
    let (_, rest) = text.split_once("\n[ -x ")?;
    let (word, _) = rest.split_once(" ] && ")?;
    let inside = word.strip_prefix('\'').and_then(|word| word.strip_suffix('\''));
    Some(inside.map_or_else(|| word.to_owned(), |inside| inside.replace("'\\''", "'")).into())
}

/// `setup` again, for the shim and nothing else.
fn renew() -> String {
    let without = ["shell", "editors", "background", "env", "service", "import"];
    let without: Vec<String> = without.iter().map(|part| format!("--without {part}")).collect();
    ours(&format!("setup --yes {}", without.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapper_tells_what_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ccotel-wrap");
        for program in ["/usr/bin/ccotel", "/opt/it's here/ccotel"] {
            let crate::setup::edit::Wanted::Whole { text, .. } =
                links::wrapper_script(Path::new(program))
            else {
                panic!("a wrapper is a whole file")
            };
            std::fs::write(&file, text).unwrap();
            assert_eq!(wrapped(&file).unwrap(), Path::new(program));
        }
        assert_eq!(wrapped(&dir.path().join("absent")), None);
    }

    #[test]
    fn a_version_that_sends_nothing_is_worse_than_one_that_counts_twice() {
        let of = |version: &str| judge(version, &known::faults(version).unwrap());
        assert!(of("2.1.100").unwrap().is_failed());
        assert!(!of("2.1.197").unwrap().is_failed());
        assert!(of("2.1.329").is_none());
    }
}
