//! `ccotel privacy preview`: what each level keeps, of real records.

use comfy_table::{Table, presets};
use serde_json::json;

use super::connect::given;
use super::{say, say_wrapped};
use crate::agent::control::{self, Answer, Request};
use crate::agent::ensure;
use crate::config::shape::privacy_word;
use crate::config::{self, Accept};
use crate::exit::Exit;
use crate::paths::Paths;
use crate::record::preview::{self, LEVELS, Left, Outcome, Preview};
use crate::record::{PrivacyLevel, Settings};
use crate::report::table::shown;

/// Version of the document.
const SCHEMA: u32 = 1;
/// Letters of a value in the table.
const VALUE_CHARS_MAX: usize = 40;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel privacy preview   what each level keeps")]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// What of an event and of a metric is kept, hashed, masked or dropped at each level
    #[command(after_help = "\
Examples:
  ccotel privacy preview                   all three levels beside each other
  ccotel privacy preview --level minimal   what is left at one of them

Of the newest records that the agent has stored; where there are none, of a recorded session with \
made-up content. What is stored was reduced already: a wider level than its own shows as a dash. \
Levels are set under [privacy] in config.toml, for a destination, and in .ccotel.toml; only ever tighter.")]
    Preview(PreviewArgs),
}

#[derive(Debug, clap::Args)]
pub struct PreviewArgs {
    /// Only this level: minimal, standard or full
    #[arg(long, value_name = "LEVEL", value_parser = given::privacy)]
    pub level: Option<PrivacyLevel>,
    /// Show the recorded session, though there are records of your own
    #[arg(long)]
    pub sample: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let Action::Preview(args) = &args.action;
    let paths = Paths::from_env()?;
    let loaded = config::load(&paths);
    let stored = if args.sample { None } else { stored(&paths) };
    let source = if stored.is_some() { "stored" } else { "sample" };
    let records = stored.unwrap_or_else(|| {
        preview::sample(&Settings {
            level: loaded.config.privacy.level,
            email_hashed: loaded.config.privacy.email_hashed,
            accept: Accept::ClaudeCode,
            tags: Vec::new(),
            // Hashes of the sample are nobody's.
            install_key: [0; 32],
        })
    });
    let level = privacy_word(loaded.config.privacy.level);
    if args.json {
        say(&json!({
            "schema": SCHEMA,
            "level": level,
            "source": source,
            "records": records.iter().map(|it| record(it, args.level)).collect::<Vec<_>>(),
        })
        .to_string());
        return Ok(Exit::Done);
    }
    let origin = loaded.origin("privacy.level");
    let what = match source {
        "stored" => "The newest records that are stored",
        _ => "A recorded session with made-up content, since nothing is stored yet",
    };
    let what = if args.sample { "A recorded session with made-up content" } else { what };
    say_wrapped(&format!("{what}. The level here is {level} ({origin})."));
    for preview in &records {
        say(&format!("\n{} {}", preview.kind, shown(&preview.name)));
        say(&table(preview, args.level).trim_fmt());
    }
    Ok(Exit::Done)
}

/// From the agent; `None` where none runs, none answers, or it has nothing.
fn stored(paths: &Paths) -> Option<Vec<Preview>> {
    ensure::running(paths).ok()??;
    match control::ask(paths, Request::Newest) {
        Ok(Answer::Newest { records, .. }) if !records.is_empty() => Some(records),
        _ => None,
    }
}

fn record(preview: &Preview, level: Option<PrivacyLevel>) -> serde_json::Value {
    let mut document = json!(preview);
    let Some(level) = level else { return document };
    let attributes = document["attributes"].as_array_mut().into_iter().flatten();
    for attribute in attributes.filter_map(serde_json::Value::as_object_mut) {
        for other in LEVELS.into_iter().filter(|other| *other != level) {
            attribute.remove(privacy_word(other));
        }
    }
    document
}

fn table(preview: &Preview, level: Option<PrivacyLevel>) -> Table {
    let levels: Vec<_> =
        LEVELS.into_iter().filter(|it| level.is_none_or(|only| only == *it)).collect();
    let mut table = Table::new();
    let heads = levels.iter().map(|level| privacy_word(*level).to_uppercase());
    table.load_style(presets::NOTHING);
    table.set_header(["ATTRIBUTE".to_owned(), "VALUE".to_owned()].into_iter().chain(heads));
    for attribute in &preview.attributes {
        let left = levels.iter().map(|level| words(attribute.at(*level)));
        let first = [shown(&attribute.name), short(&attribute.value)];
        table.add_row(first.into_iter().chain(left));
    }
    table
}

fn words(left: Option<&Left>) -> String {
    let Some(left) = left else { return "–".to_owned() };
    let value = short(left.value.as_deref().unwrap_or_default());
    match left.outcome {
        Outcome::Kept => "kept".to_owned(),
        Outcome::Hashed => format!("hashed: {value}"),
        Outcome::Masked => format!("masked: {value}"),
        Outcome::Length => format!("length: {value}"),
        Outcome::Dropped => "dropped".to_owned(),
    }
}

fn short(text: &str) -> String {
    let text = shown(text);
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    let kept: String = text.chars().take(VALUE_CHARS_MAX - 1).collect();
    format!("{kept}…")
}
