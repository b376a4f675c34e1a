use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::{say, working_directory};
use crate::config::edit::{ConfigFile, Form};
use crate::config::{self, Loaded, Origin, Problem, Severity, layers, limits, shape, show};
use crate::exit::Exit;
use crate::launch::prepare::{self, Here};
use crate::paths::Paths;

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = false)]
#[command(after_help = "\
Examples:
  ccotel config show                     every value, and where it came from
  ccotel config check                    whether all of it is valid
  ccotel config set tags.team platform   change one")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// The directories and files in use
    #[command(after_help = "\
Examples:
  ccotel config path
  ccotel config path --json")]
    Path(Format),
    /// Every value in effect, and which file it came from
    #[command(after_help = "\
Examples:
  ccotel config show
  ccotel config show --json")]
    Show(Format),
    /// Whether the files, and any .ccotel.toml that counts here, are valid; exit code 1 if not
    #[command(after_help = "\
Examples:
  ccotel config check
  ccotel config check --json   for programs; exit code 1 if something is wrong")]
    Check(Format),
    /// Change one value of the user's config.toml, and leave the rest as it is
    #[command(after_help = "\
Examples:
  ccotel config set agent.max_disk '1 GiB'
  ccotel config set agent.listen 127.0.0.1:14318 127.0.0.1:4318
  ccotel config set tags.team platform

A running agent takes it by itself; another address with `ccotel agent restart`.")]
    Set {
        /// agent.listen, agent.accept, agent.max_disk, agent.history_days, budget.daily_usd,
        /// budget.weekly_usd, budget.monthly_usd, privacy.level, privacy.email, or tags.NAME
        key: String,
        /// The value; of agent.listen there may be several
        #[arg(required = true)]
        value: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Format {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    match &args.command {
        Command::Path(format) => {
            path(&paths, *format);
            Ok(Exit::Done)
        }
        Command::Show(format) => {
            print_values(&config::load(&paths), *format);
            Ok(Exit::Done)
        }
        Command::Check(format) => {
            let directory = working_directory()?;
            Ok(check(&prepare::look_around(&paths, &directory), *format))
        }
        Command::Set { key, value } => set(&paths, key, value),
    }
}

/// Of a value that can be set; whether it is one is the file's own reader to say.
fn form(table: &str, key: &str) -> Option<Form> {
    match (table, key) {
        ("agent", "listen") => Some(Form::List),
        ("agent", "accept" | "max_disk") | ("privacy", "level" | "email") | ("tags", _) => {
            Some(Form::Text)
        }
        ("agent", "history_days") | ("budget", "daily_usd" | "weekly_usd" | "monthly_usd") => {
            Some(Form::Number)
        }
        _ => None,
    }
}

/// Writes a value that the agent takes, and no other.
fn set(paths: &Paths, key: &str, values: &[String]) -> anyhow::Result<Exit> {
    let file = paths.config_file();
    let mut edited = ConfigFile::open(&file)?;
    let parts = key.split_once('.');
    let form = parts.and_then(|(table, name)| form(table, name));
    let (Some((table, name)), Some(form)) = (parts, form) else {
        eprintln!("ccotel: there is no value named {key}; `ccotel config show` lists them");
        return Ok(Exit::Usage);
    };
    if !edited.set(table, name, values, form) {
        eprintln!("ccotel: {key} takes one value, and [{table}] has to be a table");
        return Ok(Exit::Usage);
    }
    let (_, problems) = shape::read(&file, &edited.to_string(), &paths.home);
    let of_key = |it: &&Problem| it.key.as_deref().is_some_and(|known| known == key);
    if let Some(problem) = problems.iter().find(of_key) {
        let words = format!("{}; {}", problem.what, problem.remedy);
        eprintln!("ccotel: nothing was changed: {}", words.trim_end_matches("; "));
        return Ok(Exit::Usage);
    }
    edited.save()?;
    say(&format!("{key} = {}: written to {}", values.join(", "), file.display()));
    let loaded = config::load(paths);
    if let Some(Origin::Environment(variable)) = loaded.origins.get(key) {
        say(&format!("but {variable} is set in this shell, and wins over it"));
    }
    Ok(Exit::Done)
}

fn path(paths: &Paths, format: Format) {
    let places = [
        ("config_file", paths.config_file()),
        ("organisation_file", layers::organisation_file()),
        ("config_dir", paths.config_dir.clone()),
        ("data_dir", paths.data_dir.clone()),
        ("runtime_dir", paths.runtime_dir.clone()),
    ];
    if format.json {
        let mut document = json!({"schema": 1});
        for (name, place) in places {
            document[name] = json!(place.display().to_string());
        }
        say(&document.to_string());
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, place) in places {
        let absent = if place.exists() { "" } else { "(not there)" };
        table.add_row([&name.replace('_', " "), &place.display().to_string(), absent]);
    }
    say(&table.trim_fmt());
}

fn print_values(loaded: &Loaded, format: Format) {
    let entries = show::entries(loaded);
    if format.json {
        let document = json!({
            "schema": 1,
            "values": entries,
            "limits": limits::LIMITS,
            "files": files(loaded),
            "problems": loaded.problems,
        });
        say(&document.to_string());
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["KEY", "VALUE", "FROM"]);
    for entry in &entries {
        let from = entry
            .line
            .map_or_else(|| entry.source.clone(), |line| format!("{}:{line}", entry.source));
        table.add_row([entry.key.clone(), plain(&entry.value), from]);
    }
    say(&table.trim_fmt());
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["LIMIT", "VALUE", ""]);
    for limit in limits::LIMITS {
        table.add_row([limit.name, &format!("{} {}", limit.value, limit.unit), limit.what]);
    }
    say(&format!("\n{}", table.trim_fmt()));
    for problem in &loaded.problems {
        eprintln!("ccotel: {problem}");
    }
}

fn check(here: &Here, format: Format) -> Exit {
    let problems: Vec<&Problem> =
        here.loaded.problems.iter().chain(&here.resolved.problems).collect();
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let mut files = files(&here.loaded);
    files.extend(here.resolved.files.iter().map(|file| file.display().to_string()));
    if format.json {
        let document = json!({
            "schema": 1,
            "valid": errors == 0,
            "files": files,
            "problems": problems,
        });
        say(&document.to_string());
    } else {
        for problem in &problems {
            let kind = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            say(&format!("{kind}: {problem}"));
        }
        match (files.as_slice(), errors) {
            ([], 0) => say("no configuration file; the built-in values hold"),
            (files, 0) => say(&format!("valid: {}", files.join(", "))),
            _ => {}
        }
    }
    if errors == 0 { Exit::Done } else { Exit::Failed }
}

fn files(loaded: &Loaded) -> Vec<String> {
    loaded.files.iter().map(|file| file.display().to_string()).collect()
}

/// As it would stand in the file.
fn plain(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let pairs: Vec<String> =
                map.iter().map(|(key, value)| format!("{key} = {}", plain(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}
