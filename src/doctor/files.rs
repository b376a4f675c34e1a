//! The files: configuration, tags, who may read what, and the room on the disk.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;

use super::check::Check;
use super::remedy::{comment_out, ours, quoted};
use crate::agent::files::words;
use crate::agent::status::disk_bytes;
use crate::config::destination::{Credentials, DestinationConfig};
use crate::config::edit::names_destinations;
use crate::config::{Config, Problem, shape};
use crate::launch::prepare::Here;
use crate::paths::Paths;
use crate::tags::file as project_file;

/// With less room than this nothing can be relied on: SQLite's log alone grows to some megabytes.
const FREE_BYTES_MIN: u64 = 32 * 1024 * 1024;
/// From so much of `[agent] max_disk` on, what is oldest will soon be dropped.
const NEARLY_FULL_PERCENT: u64 = 90;
/// The limit that is proposed is no smaller.
const LIMIT_BYTES_MIN: u64 = 64 * 1024 * 1024;

pub fn checks(paths: &Paths, here: &Here) -> Vec<Check> {
    let config = &here.loaded.config;
    vec![
        configuration(paths, here),
        tags(here),
        permissions(paths, &config.destinations),
        room(paths, config),
        limit(paths, config),
    ]
}

fn configuration(paths: &Paths, here: &Here) -> Check {
    let name = "config";
    let file = paths.config_file();
    let last_valid = paths.last_valid_file();
    if !file.exists() && names_destinations(&last_valid) {
        let why = format!("{} is gone; the agent goes by the last valid one", file.display());
        return Check::failed(name, why)
            .by_hand("an empty file instead gives its destinations up, with what waits for them")
            .remedy(format!(
                "mkdir -p {} && cp {} {}",
                quoted(&paths.config_dir),
                quoted(&last_valid),
                quoted(&file)
            ));
    }
    let Some(problem) = worst(&here.loaded.problems) else {
        let files: Vec<String> =
            here.loaded.files.iter().map(|file| file.display().to_string()).collect();
        let why = if files.is_empty() {
            "no config.toml: the built-in values hold".to_owned()
        } else {
            format!("valid: {}", files.join(", "))
        };
        return Check::ok(name, why);
    };
    let check = of_problem(name, problem);
    let check = match problem.line {
        Some(_) if problem.file == file => {
            check.maybe_remedy(comment_out(problem, |text| shape::read(&file, text, &paths.home).1))
        }
        None if problem.file == file && last_valid.exists() => check.remedy(format!(
            "cp {0} {0}.broken && cp {1} {0}",
            quoted(&file),
            quoted(&last_valid)
        )),
        _ => check,
    };
    check.all_of(here.loaded.problems.iter().map(ToString::to_string))
}

fn tags(here: &Here) -> Check {
    let resolved = &here.resolved;
    let Some(problem) = worst(&resolved.problems) else {
        let tags: Vec<String> =
            resolved.tags.iter().map(|(key, tag)| format!("{key}={}", tag.value)).collect();
        let why = if tags.is_empty() { "none here".to_owned() } else { tags.join(", ") };
        return Check::ok("tags", why);
    };
    let check = of_problem("tags", problem);
    let said = |text: &str| project_file::read(&problem.file, text).1;
    let check = check.maybe_remedy(comment_out(problem, said));
    check.all_of(resolved.problems.iter().map(ToString::to_string))
}

fn worst(problems: &[Problem]) -> Option<&Problem> {
    problems.iter().find(|problem| problem.is_error()).or(problems.first())
}

fn of_problem(name: &'static str, problem: &Problem) -> Check {
    let place = Problem { remedy: String::new(), ..problem.clone() }.to_string();
    let check =
        if problem.is_error() { Check::failed(name, place) } else { Check::warning(name, place) };
    if problem.remedy.is_empty() {
        let place = problem.line.map_or(String::new(), |line| format!("line {line} of "));
        check.by_hand(format!("correct {place}{}", problem.file.display()))
    } else {
        check.by_hand(&problem.remedy)
    }
}

/// A file or directory that others may use, or that we may not.
struct Loose {
    path: PathBuf,
    what: &'static str,
    mend: String,
}

fn permissions(paths: &Paths, destinations: &[DestinationConfig]) -> Check {
    let name = "permissions";
    let directories = [&paths.data_dir, &paths.runtime_dir, &paths.config_dir];
    let mut loose: Vec<Loose> = Vec::new();
    for directory in directories {
        let own_alone = directory != &paths.config_dir;
        match looked_at(directory, 0o700, if own_alone { 0o077 } else { 0o022 }, "700") {
            Ok(found) => loose.extend(found),
            Err(why) => return Check::failed(name, why),
        }
    }
    let secrets = destinations.iter().filter_map(|it| match &it.credentials {
        Credentials::BearerFile(file) => Some(file.clone()),
        Credentials::Basic { password_file, .. } => Some(password_file.clone()),
        Credentials::None | Credentials::BearerCommand(_) => None,
    });
    let keys = destinations.iter().filter_map(|it| it.tls.key.clone());
    for file in [paths.token_file()].into_iter().chain(secrets).chain(keys) {
        match looked_at(&file, 0o400, 0o077, "600") {
            Ok(found) => loose.extend(found),
            Err(why) => return Check::failed(name, why),
        }
    }
    let Some(first) = loose.first() else {
        return Check::ok(name, "directories, token and credentials are yours alone");
    };
    let why = format!("{} {}", first.path.display(), first.what);
    let mends: Vec<&str> = loose.iter().map(|it| it.mend.as_str()).collect();
    Check::failed(name, why)
        .remedy(mends.join(" && "))
        .all_of(loose.iter().map(|it| format!("{} {}", it.path.display(), it.what)))
}

/// `Err` where only its owner, or root, could put it right.
fn looked_at(path: &Path, needed: u32, shut: u32, mode: &str) -> Result<Option<Loose>, String> {
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(format!("{} cannot be looked at: {}", path.display(), words(&error)));
        }
    };
    let own = rustix::process::getuid().as_raw();
    if metadata.uid() != own {
        return Err(format!("{} belongs to another user (uid {})", path.display(), metadata.uid()));
    }
    let what = if metadata.mode() & needed != needed {
        "is not yours to use, by its permissions"
    } else if metadata.mode() & shut != 0 {
        "is open to other users"
    } else {
        return Ok(None);
    };
    let mend = format!("chmod {mode} {}", quoted(path));
    Ok(Some(Loose { path: path.to_path_buf(), what, mend }))
}

fn room(paths: &Paths, config: &Config) -> Check {
    let name = "disk";
    let directory = existing(&paths.data_dir);
    let Ok(stat) = rustix::fs::statvfs(&directory) else {
        return Check::not_checked(
            name,
            format!("{} tells nothing of itself", directory.display()),
        );
    };
    if stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Check::failed(
            name,
            format!("the file system of {} is read-only", directory.display()),
        )
        .by_hand("mount it writable, or set CCOTEL_DATA_DIR to a directory on another one");
    }
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let used = disk_bytes(paths);
    let needed = config.agent.max_disk_bytes.saturating_sub(used);
    let free_words = format!("{} free at {}", ByteSize(free), directory.display());
    if free < FREE_BYTES_MIN {
        return Check::failed(
            name,
            format!("{free_words}: telemetry is turned away when it is full"),
        )
        .by_hand(format!(
            "free {} there (`du -xh -d 2 {} | sort -h | tail` shows what is large), or set \
                 CCOTEL_DATA_DIR to a directory on another disk",
            ByteSize(FREE_BYTES_MIN),
            quoted(&mount_of(&directory))
        ));
    }
    if free < needed {
        let why = format!("{free_words}, and ccotel may take {} more", ByteSize(needed));
        let proposed = (used + free / 2).max(LIMIT_BYTES_MIN);
        return Check::warning(name, why).remedy(limit_command(proposed));
    }
    Check::ok(
        name,
        format!(
            "{free_words}; ccotel has {} and may take {} more",
            ByteSize(used),
            ByteSize(needed)
        ),
    )
}

fn limit(paths: &Paths, config: &Config) -> Check {
    let name = "disk_limit";
    let (used, limit) = (disk_bytes(paths), config.agent.max_disk_bytes);
    let words = format!("{} of {} (`[agent] max_disk`) are used", ByteSize(used), ByteSize(limit));
    if used >= limit / 100 * NEARLY_FULL_PERCENT {
        return Check::warning(
            name,
            format!("{words}: the oldest records are dropped to stay below"),
        )
        .remedy(limit_command((limit * 2).max(LIMIT_BYTES_MIN)));
    }
    Check::ok(name, words)
}

fn limit_command(bytes: u64) -> String {
    ours(&format!("config set agent.max_disk '{} MiB'", bytes.div_ceil(1024 * 1024)))
}

/// The nearest directory above that is there.
fn existing(directory: &Path) -> PathBuf {
    let found = directory.ancestors().find(|it| it.is_dir());
    found.unwrap_or(Path::new("/")).to_path_buf()
}

/// The topmost directory of the same file system.
fn mount_of(directory: &Path) -> PathBuf {
    let device = |path: &Path| path.metadata().ok().map(|it| it.dev());
    let own = device(directory);
    let same = directory.ancestors().take_while(|it| device(it) == own);
    same.last().unwrap_or(directory).to_path_buf()
}
