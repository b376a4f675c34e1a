//! The parts, in the order in which they are set up: what a later one needs comes first.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};

use super::steps::{Asking, Setup};
use super::{Args, Part, status_line};
use crate::agent::{ensure, manage};
use crate::cli::{Cli, Command, connect, say, say_wrapped, service};
use crate::config;
use crate::config::edit::ConfigFile;
use crate::exit::Exit;
use crate::paths::Paths;
use crate::service::Manager;
use crate::setup::edit::{Edit, Wanted};
use crate::setup::files::{self, SetupError};
use crate::setup::journal::FileEntry;
use crate::setup::jsonc::{self, Key};
use crate::setup::shell::{SHELLS, Shell, ShellHome, Way};
use crate::setup::{claude, editors, links};

/// Sets up every part; what failed, in words. A part that fails keeps no other from being set up.
pub fn all(setup: &mut Setup<'_>, args: &Args) -> Vec<String> {
    let mut failures = Vec::new();
    let mut part = |result: anyhow::Result<()>| {
        if let Err(error) = result {
            failures.push(format!("{error:#}"));
        }
    };
    part(shims(setup));
    if is_on(args, Part::Shell, true)
        && let Some(way) = way(setup, args)
    {
        for (file, wanted) in startup_files(setup, args, way) {
            part(setup.file(&file, &wanted, why(way)).map(drop).map_err(Into::into));
        }
    }
    let config_home = service::config_home(setup.paths);
    let found = editors::found(&setup.paths.home, &config_home);
    if is_on(args, Part::Editors, true) {
        for editor in &found {
            part(editor_settings(setup, editor));
        }
    }
    let has_desktop = claude::has_desktop(&setup.paths.home, &config_home);
    if is_on(args, Part::Service, true) {
        part(agent_service(setup, args));
    }
    part(inherited(setup));
    for (kind, url) in asked_destinations(setup, args) {
        part(destination(setup, &kind, &url));
    }
    part(claude_settings(setup, args, has_desktop));
    part(status_line::set_up(setup, args));
    if is_on(args, Part::Import, true) {
        part(import(setup));
    }
    failures
}

pub fn is_on(args: &Args, part: Part, usual: bool) -> bool {
    !args.without.contains(&part) && (usual || args.with.contains(&part))
}

fn why(way: Way) -> &'static str {
    match way {
        Way::Hook => "what you type as `claude` is counted in new shells, those of editors too",
        Way::Shim => "scripts and editors find our `claude` first",
    }
}

/// The directory of our own, which settings and nested sessions use.
fn shims(setup: &mut Setup<'_>) -> anyhow::Result<()> {
    let why = "what a session, a script or a scheduled job starts as `claude` is counted, too";
    setup.link(&links::shim(setup.paths), why)?;
    let wrapper = links::wrapper(setup.paths);
    let script = links::wrapper_script(setup.program);
    setup.file(&wrapper, &script, "for settings that want the path of a wrapper")?;
    Ok(())
}

fn way(setup: &Setup<'_>, args: &Args) -> Option<Way> {
    if let Some(way) = args.way {
        return Some(way);
    }
    let question = "\nHow shall `claude` be counted: by a hook in your shell, for what you type; by a \
                    shim, a link that\ncomes first on PATH and that scripts find, too; or neither? [hook/shim/neither] ";
    match setup.ask(question).as_deref() {
        Some("shim" | "s") => Some(Way::Shim),
        Some("neither" | "n") => None,
        _ => Some(Way::Hook),
    }
}

fn startup_files(setup: &Setup<'_>, args: &Args, way: Way) -> Vec<(PathBuf, Wanted)> {
    let home = ShellHome {
        home: setup.paths.home.clone(),
        zsh_dir: std::env::var_os("ZDOTDIR").map(PathBuf::from).filter(|dir| dir.is_absolute()),
        config: service::config_home(setup.paths),
    };
    let shims = setup.paths.shims_dir();
    let login = login_shell();
    let mut shells = args.shell.clone();
    if shells.is_empty() {
        shells.extend(SHELLS.into_iter().filter(|it| Some(*it) == login || it.is_used(&home)));
    }
    if shells.is_empty() {
        say_wrapped(
            "\nYour shell is none of bash, zsh and fish: an alias `claude=ccotel claude` does the same.",
        );
    }
    let files = |shell: Shell| {
        let lines = shell.lines(way, setup.program, &shims);
        shell
            .startup_files(way, &home)
            .into_iter()
            .map(move |file| (file, Wanted::Block(lines.clone())))
    };
    shells.into_iter().flat_map(files).collect()
}

/// `$SHELL`, which is missing where a service or a container starts us; then as the system says.
fn login_shell() -> Option<Shell> {
    let named = std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).map(PathBuf::from);
    named.or_else(of_passwd).and_then(|path| Shell::of_path(&path))
}

fn of_passwd() -> Option<PathBuf> {
    let own = rustix::process::getuid().as_raw().to_string();
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = text.lines().find(|line| line.split(':').nth(2) == Some(&own))?;
    line.split(':').nth(6).map(PathBuf::from)
}

fn editor_settings(setup: &mut Setup<'_>, editor: &editors::Editor) -> anyhow::Result<()> {
    let key = editors::key(&links::wrapper(setup.paths));
    if let Some(theirs) = theirs(setup, &editor.settings, &key)? {
        say_wrapped(&format!(
            "\n{} is left as it is: {} is {theirs} there already",
            setup.named(&editor.settings),
            editors::KEY
        ));
        return Ok(());
    }
    let why = format!("{} {}", editor.name, editors::LIMITS);
    setup.file(&editor.settings, &Wanted::Keys(vec![key]), &why)?;
    Ok(())
}

/// What somebody else has set at this key, as JSON.
fn theirs(setup: &Setup<'_>, file: &Path, key: &Key) -> Result<Option<String>, SetupError> {
    let real = files::real(file);
    let Some(text) = files::read(&real)? else { return Ok(None) };
    let found = jsonc::get(&text, &key.path).map_err(|error| SetupError::jsonc(file, &error))?;
    let is = |value: &str| found.as_deref() == Some(&*jsonc::string(value));
    let known = setup.journal.file(&real).map(|entry| entry.edit.keys()).unwrap_or_default();
    let ours = known.iter().any(|it| it.path == key.path && is(&it.value));
    Ok(if ours || is(&key.value) { None } else { found })
}

fn agent_service(setup: &mut Setup<'_>, args: &Args) -> anyhow::Result<()> {
    let found = service::registrations(setup.paths);
    let problems = service::problems(&found);
    if found.iter().any(|it| it.enabled) && problems.is_empty() {
        return Ok(());
    }
    let manager = match Manager::of_this_user() {
        Ok(manager) => manager,
        Err(error) if args.with.contains(&Part::Service) => return Err(error.into()),
        Err(_) => return Ok(()),
    };
    let name = manager.name();
    let lines = problems.iter().map(|problem| format!("(now: {problem})"));
    let lines: Vec<_> = [format!("ccotel service install   ({name}, for your user)")]
        .into_iter()
        .chain(lines)
        .collect();
    let head =
        "The agent runs from login on, so that what waits for a backend is sent without a session:";
    setup.action(head, &lines, |setup| {
        let done = service::set_up(setup.paths, manager, false, setup.journal)?;
        say_wrapped(&done);
        Ok(())
    })
}

fn asked_destinations(setup: &Setup<'_>, args: &Args) -> Vec<(String, String)> {
    if !args.connect.is_empty() {
        return args.connect.clone();
    }
    let known = ConfigFile::open(&setup.paths.config_file()).map(|file| file.destination_names());
    if known.is_ok_and(|names| !names.is_empty()) {
        return Vec::new();
    }
    let question = "\nForward to a backend? Its type and address, for example `prometheus http://localhost:9090`\n\
                    (or loki, victorialogs, otlp); nothing for none: ";
    let answer = setup.ask(question).unwrap_or_default();
    let mut words = answer.split_whitespace();
    match (words.next(), words.next()) {
        (Some(kind), Some(url)) => vec![(kind.to_owned(), url.to_owned())],
        _ => Vec::new(),
    }
}

fn destination(setup: &mut Setup<'_>, kind: &str, url: &str) -> anyhow::Result<()> {
    let file = setup.paths.config_file();
    let loaded = config::load(setup.paths);
    if loaded.config.destinations.iter().any(|it| it.url.starts_with(url.trim_end_matches('/'))) {
        return Ok(());
    }
    let words = ["ccotel", "connect", kind, url, "--yes"];
    let parsed = Cli::try_parse_from(words).map_err(|_| {
        anyhow::anyhow!("{kind}={url} is no destination; see `ccotel connect --help`")
    })?;
    let Command::Connect(arguments) = parsed.command else { return Ok(()) };
    let head = format!("{} changes: what is counted is forwarded", setup.named(&file));
    let lines = [format!("[[destination]] type = \"{kind}\", url = \"{url}\"")];
    connected(setup, &head, &lines, &arguments)
}

/// The collector that the user exports to now: without this, what ccotel takes over ends there.
fn inherited(setup: &mut Setup<'_>) -> anyhow::Result<()> {
    let parsed = Cli::try_parse_from(["ccotel", "connect", "otlp", "--inherit", "--yes"])?;
    let Command::Connect(arguments) = parsed.command else { return Ok(()) };
    let file = setup.paths.config_file();
    let found = connect::inherit::look(setup.paths, &ConfigFile::open(&file)?, &arguments)?;
    if found.destinations.is_empty() {
        return Ok(());
    }
    let head = format!(
        "{} changes: the collector that you export to already gets its share from ccotel",
        setup.named(&file)
    );
    connected(setup, &head, &found.found, &arguments)
}

/// Runs `connect`, and notes what it has put where.
fn connected(
    setup: &mut Setup<'_>,
    head: &str,
    lines: &[String],
    arguments: &connect::Args,
) -> anyhow::Result<()> {
    let file = setup.paths.config_file();
    setup.action(head, lines, |setup| {
        let before = files::read(&files::real(&file))?;
        setup.journal.note_directory(&setup.paths.config_dir);
        setup.journal.save()?;
        let names = |file: &Path| ConfigFile::open(file).map(|file| file.destination_names());
        let (known, beside) = (names(&file)?, secrets(setup.paths));
        let done = connect::run(arguments).context("the collector was not connected")?;
        anyhow::ensure!(done == Exit::Done, "the collector was not connected, see above why");
        let added = names(&file)?.into_iter().filter(|name| !known.contains(name)).collect();
        for path in secrets(setup.paths).into_iter().filter(|path| !beside.contains(path)) {
            let text = files::read(&path)?.unwrap_or_default();
            setup.journal.put_file(FileEntry::new(path, Edit::Whole, None, &text));
        }
        note_destinations(setup, &file, before.as_deref(), added)
    })
}

/// Files beside `config.toml` that `connect` may have made.
fn secrets(paths: &Paths) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(&paths.config_dir).into_iter().flatten().flatten();
    let is_secret =
        |path: &PathBuf| path.extension().is_some_and(|it| it == "token" || it == "password");
    entries.map(|entry| entry.path()).filter(is_secret).collect()
}

/// In the journal: together with those that an earlier setup has added.
fn note_destinations(
    setup: &mut Setup<'_>,
    file: &Path,
    before: Option<&str>,
    mut names: Vec<String>,
) -> anyhow::Result<()> {
    let real = files::real(file);
    let Some(after) = files::read(&real)? else { return Ok(()) };
    let mut base = before.map(str::to_owned);
    if let Some(entry) = setup.journal.file(&real) {
        base = entry.without(before)?;
        if let Edit::Destinations { names: earlier } = &entry.edit {
            names.extend(earlier.iter().cloned());
        }
    }
    let edit = Edit::Destinations { names };
    setup.journal.put_file(FileEntry::new(real, edit, base, &after));
    Ok(setup.journal.save()?)
}

/// `~/.claude/settings.json`: both parts in one change.
fn claude_settings(setup: &mut Setup<'_>, args: &Args, has_desktop: bool) -> anyhow::Result<()> {
    let file = claude::settings_file(&setup.paths.home);
    let uses_claude = claude::directory(&setup.paths.home).is_dir();
    let mut why = Vec::new();
    let mut keys = Vec::new();
    if is_on(args, Part::Background, uses_claude) {
        let key = claude::background_key(&links::wrapper(setup.paths));
        if let Some(theirs) = theirs(setup, &file, &key)? {
            left(setup, &file, &key, &theirs);
        } else {
            keys.push(key);
            why.push(claude::BACKGROUND_LIMITS);
        }
    }
    if is_on(args, Part::Env, has_desktop) {
        let env = claude::env_keys(agent_address(setup)?);
        let mut taken = None;
        for key in &env {
            taken = taken.or(theirs(setup, &file, key)?.map(|theirs| (key.clone(), theirs)));
        }
        if let Some((key, theirs)) = taken {
            let file = setup.named(&file);
            say_wrapped(&format!(
                "\n{file}: {} is {theirs} already, and is left so: what starts without ccotel is not \
                 counted here",
                key.name()
            ));
        } else {
            keys.extend(env);
            why.push(claude::ENV_LIMITS);
        }
    }
    if keys.is_empty() {
        return Ok(());
    }
    // What an earlier setup has set there stays, asked for again or not.
    if let Some(entry) = setup.journal.file(&files::real(&file)) {
        let earlier = entry.edit.keys().iter();
        let earlier: Vec<_> =
            earlier.filter(|it| !keys.iter().any(|key| key.path == it.path)).cloned().collect();
        keys.extend(earlier);
    }
    setup.file(&file, &Wanted::Keys(keys), &why.join("; it "))?;
    Ok(())
}

fn left(setup: &Setup<'_>, file: &Path, key: &Key, theirs: &str) {
    let (file, name) = (setup.named(file), key.name());
    say_wrapped(&format!("\n{file}: {name} is {theirs} already, and is left so"));
}

/// The address that settings can name for good: the agent's own, once it has come up there.
fn agent_address(setup: &mut Setup<'_>) -> anyhow::Result<std::net::SocketAddr> {
    if setup.asking != Asking::Never && ensure::running(setup.paths).is_ok_and(|it| it.is_none()) {
        setup.journal.save()?;
        manage::start(setup.paths, &config::load(setup.paths).config)?;
    }
    Ok(service::address(setup.paths))
}

/// Offers what was used before ccotel came.
fn import(setup: &mut Setup<'_>) -> anyhow::Result<()> {
    let transcripts = claude::directory(&setup.paths.home).join("projects");
    let can = Cli::command().find_subcommand("import").is_some();
    if !can || !transcripts.is_dir() || setup.paths.data_dir.join("imported.db").exists() {
        return Ok(());
    }
    let head = "What Claude Code was used for before is counted, from its transcripts, on this machine only:";
    let program = setup.program.to_path_buf();
    setup.action(head, &["ccotel import".to_owned()], |_| {
        let status = std::process::Command::new(program).arg("import").status()?;
        anyhow::ensure!(
            status.success(),
            "`ccotel import` ended with {status}; try it again by itself"
        );
        say("");
        Ok(())
    })
}
