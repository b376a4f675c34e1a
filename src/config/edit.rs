//! Edits of `config.toml` that leave everything else as the user wrote it, comments included.

use std::io::Write;
use std::path::{Path, PathBuf};

use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, value};

use super::destination::{Credentials, DestinationConfig, DestinationType, Protocol, Signals};
use crate::record::PrivacyLevel;
use crate::store::handle::Since;

#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("cannot {what} {} ({kind}); check its permissions", path.display())]
    Io { what: &'static str, path: PathBuf, kind: std::io::ErrorKind },
    #[error("{} is not valid TOML; correct it first: {message}", path.display())]
    NotToml { path: PathBuf, message: String },
    #[error("`destination` is not a list of [[destination]] tables in {}; correct it first", path.display())]
    NotTables { path: PathBuf },
}

/// How a value stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    /// What is no number is written as text, and then refused as any wrong value is.
    Number,
    List,
}

/// `config.toml` as a document to edit. A missing file is an empty one.
pub struct ConfigFile {
    path: PathBuf,
    document: DocumentMut,
}

impl ConfigFile {
    pub fn open(path: &Path) -> Result<Self, EditError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io_error("read", path)(error)),
        };
        Self::of_text(path, &text)
    }

    /// The file, if this were its text.
    pub fn of_text(path: &Path, text: &str) -> Result<Self, EditError> {
        let document = text.parse().map_err(|error: toml_edit::TomlError| EditError::NotToml {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        Ok(Self { path: path.to_owned(), document })
    }

    /// The names of the destinations, in the order of the file.
    pub fn destination_names(&self) -> Vec<String> {
        let tables = self.document.get("destination").and_then(Item::as_array_of_tables);
        let names = tables.into_iter().flatten().filter_map(|table| table.get("name")?.as_str());
        names.map(str::to_owned).collect()
    }

    /// Where the destination of this name is. `None` if there is none.
    pub fn destination_url(&self, name: &str) -> Option<&str> {
        let tables = self.document.get("destination").and_then(Item::as_array_of_tables)?;
        let is_it = |table: &&Table| table.get("name").and_then(Item::as_str) == Some(name);
        tables.iter().find(is_it)?.get("url")?.as_str()
    }

    /// Gives the destination of this name another address, and leaves all else of it. False if there
    /// is none.
    pub fn set_destination_url(&mut self, name: &str, url: &str) -> bool {
        let tables = self.document.get_mut("destination").and_then(Item::as_array_of_tables_mut);
        let is_it = |table: &&mut Table| table.get("name").and_then(Item::as_str) == Some(name);
        let Some(table) = tables.and_then(|tables| tables.iter_mut().find(is_it)) else {
            return false;
        };
        match table.get_mut("url") {
            // A comment behind it stays.
            Some(Item::Value(known)) => {
                let decor = known.decor().clone();
                *known = url.into();
                *known.decor_mut() = decor;
            }
            _ => _ = table.insert("url", value(url)),
        }
        true
    }

    /// `[privacy] level` as this file states it, or the default.
    pub fn privacy_level(&self) -> PrivacyLevel {
        let level = self.document.get("privacy").and_then(|privacy| privacy.get("level")?.as_str());
        match level {
            Some("minimal") => PrivacyLevel::Minimal,
            Some("full") => PrivacyLevel::Full,
            _ => PrivacyLevel::default(),
        }
    }

    /// Gives a key of a table (`agent.listen`) a value, or several. False if that cannot be.
    pub fn set(&mut self, table: &str, key: &str, values: &[String], form: Form) -> bool {
        let new = match (form, values) {
            (Form::List, values) => value(values.iter().collect::<toml_edit::Array>()),
            (Form::Number, [number]) => match (number.parse::<i64>(), number.parse::<f64>()) {
                (Ok(whole), _) => value(whole),
                (_, Ok(number)) if number.is_finite() => value(number),
                _ => value(number),
            },
            (Form::Text, [text]) => value(text),
            _ => return false,
        };
        let entry = self.document.entry(table).or_insert_with(|| Item::Table(Table::new()));
        let Some(table) = entry.as_table_like_mut() else { return false };
        match table.get_mut(key) {
            // A comment behind the value stays.
            Some(Item::Value(known)) => {
                let decor = known.decor().clone();
                let Item::Value(mut new) = new else { return false };
                *new.decor_mut() = decor;
                *known = new;
            }
            _ => _ = table.insert(key, new),
        }
        true
    }

    /// Adds a `[[destination]]` at the end of those there are.
    pub fn add_destination(&mut self, config: &DestinationConfig) -> Result<(), EditError> {
        let trailing = self.document.trailing().as_str().unwrap_or_default().to_owned();
        let tables = self
            .document
            .entry("destination")
            .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
            .as_array_of_tables_mut()
            .ok_or_else(|| EditError::NotTables { path: self.path.clone() })?;
        let mut table = destination_table(config);
        // Comments at the end of the file stay above what is added.
        let trailing = trailing.trim_end();
        if !trailing.is_empty() {
            table.decor_mut().set_prefix(format!("{trailing}\n\n"));
        }
        tables.push(table);
        self.document.set_trailing("");
        Ok(())
    }

    /// Removes the destination of this name. False if there is none.
    pub fn remove_destination(&mut self, name: &str) -> bool {
        let Some(tables) =
            self.document.get_mut("destination").and_then(Item::as_array_of_tables_mut)
        else {
            return false;
        };
        let index =
            tables.iter().position(|table| table.get("name").and_then(Item::as_str) == Some(name));
        let Some(index) = index else { return false };
        tables.remove(index);
        if tables.is_empty() {
            self.document.remove("destination");
        }
        true
    }

    /// Replaces the file in one step, so that no reader sees half of it; 0600, as it may name
    /// where secrets are. A link to the file stays a link.
    pub fn save(&self) -> Result<(), EditError> {
        let path = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let dir = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir).map_err(io_error("create", dir))?;
        let temporary = dir.join(format!(".config.toml.{}", std::process::id()));
        let written = write_private(&temporary, &self.document.to_string())
            .and_then(|()| std::fs::rename(&temporary, &path));
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        written.map_err(io_error("write", &path))
    }
}

impl std::fmt::Display for ConfigFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.document.fmt(formatter)
    }
}

fn io_error<'a>(what: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> EditError + 'a {
    move |error| EditError::Io { what, path: path.to_owned(), kind: error.kind() }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn destination_table(config: &DestinationConfig) -> Table {
    let mut table = Table::new();
    table.insert("name", value(&config.name));
    table.insert("type", value(type_name(config.kind)));
    table.insert("url", value(&config.url));
    match config.protocol {
        Protocol::Auto => {}
        Protocol::RemoteWrite1 => _ = table.insert("protocol", value("1.0")),
        Protocol::RemoteWrite2 => _ = table.insert("protocol", value("2.0")),
        Protocol::Otlp => _ = table.insert("protocol", value("otlp")),
    }
    match &config.credentials {
        Credentials::None => {}
        Credentials::BearerFile(path) => {
            table.insert("bearer_token_file", value(shown(path)));
        }
        Credentials::BearerCommand(command) => {
            table.insert("token_command", value(command));
        }
        Credentials::Basic { username, password_file } => {
            let pairs = [("username", username.clone()), ("password_file", shown(password_file))];
            table.insert("basic_auth", inline(pairs));
        }
    }
    if let Some(tenant) = &config.tenant {
        table.insert("tenant", value(tenant));
    }
    if !config.headers.is_empty() {
        table.insert("headers", inline(config.headers.iter().cloned()));
    }
    if config.signals != Signals::ALL {
        let names: toml_edit::Array = config.signals.names().into_iter().collect();
        table.insert("signals", value(names));
    }
    let files = [("ca", &config.tls.ca), ("cert", &config.tls.cert), ("key", &config.tls.key)];
    let files: Vec<_> =
        files.into_iter().filter_map(|(key, path)| Some((key, shown(path.as_ref()?)))).collect();
    if !files.is_empty() {
        table.insert("tls", inline(files));
    }
    let since = match config.since {
        Since::Now => "now".to_owned(),
        Since::All => "all".to_owned(),
        Since::Time(time_ms) => jiff::Timestamp::from_millisecond(time_ms)
            .map_or_else(|_| "all".to_owned(), |time| time.to_string()),
    };
    table.insert("since", value(since));
    table
}

/// Adds `privacy` to the destination added last: only what was asked for is written, so that a later
/// change of `[privacy]` is not held back by a copy of it.
pub fn set_privacy(file: &mut ConfigFile, level: PrivacyLevel) {
    let tables = file.document.get_mut("destination").and_then(Item::as_array_of_tables_mut);
    let last = tables.and_then(|tables| {
        let last = tables.len().checked_sub(1)?;
        tables.get_mut(last)
    });
    if let Some(table) = last {
        let name = match level {
            PrivacyLevel::Minimal => "minimal",
            PrivacyLevel::Standard => "standard",
            PrivacyLevel::Full => "full",
        };
        table.insert("privacy", value(name));
    }
}

pub fn type_name(kind: DestinationType) -> &'static str {
    match kind {
        DestinationType::Prometheus => "prometheus",
        DestinationType::Loki => "loki",
        DestinationType::VictoriaLogs => "victorialogs",
        DestinationType::Otlp => "otlp",
    }
}

fn inline<K: Into<String>>(pairs: impl IntoIterator<Item = (K, String)>) -> Item {
    let mut table = InlineTable::new();
    for (key, text) in pairs {
        table.insert(key.into(), text.into());
    }
    value(table)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Whether there is a file, and it sends anything anywhere.
pub fn names_destinations(file: &Path) -> bool {
    file.exists() && ConfigFile::open(file).is_ok_and(|file| !file.destination_names().is_empty())
}

#[cfg(test)]
mod tests;
