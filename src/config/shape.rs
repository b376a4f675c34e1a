//! What one `config.toml` holds, each value proven; and the same values as environment variables.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use super::budget::{self, ReadBudgets};
use super::destination::{self, DestinationConfig};
use super::gateway::{self, GatewayShape};
use super::limits::{
    ALLOWED_HOSTS_MAX, DISK_BYTES_MAX, DISK_BYTES_MIN, HISTORY_DAYS_MAX, HOST_BYTES_MAX, LISTEN_MAX,
};
use super::problem::Problem;
use super::table::{At, Source, Table};
use super::{Accept, Config};
use crate::record::PrivacyLevel;
use crate::tags::rules;

/// One file's worth; `None` leaves the lower layer's value.
#[derive(Debug, Default)]
pub struct Shape {
    pub listen: Option<At<Vec<SocketAddr>>>,
    pub accept: Option<At<Accept>>,
    pub allowed_hosts: Option<At<Vec<String>>>,
    pub max_disk_bytes: Option<At<u64>>,
    pub history_days: Option<At<u32>>,
    pub tags: BTreeMap<String, At<String>>,
    pub level: Option<At<PrivacyLevel>>,
    pub email_hashed: Option<At<bool>>,
    /// The line of a `[privacy] level` that cannot be understood.
    pub level_unclear: Option<u32>,
    pub budgets: ReadBudgets,
    pub destinations: Vec<ReadDestination>,
    pub gateway: GatewayShape,
}

/// A `[[destination]]`, before its level is held against `[privacy]`.
#[derive(Debug)]
pub struct ReadDestination {
    pub destination: DestinationConfig,
    pub privacy: Option<At<PrivacyLevel>>,
    pub line: u32,
    /// Where each of its keys stands.
    pub lines: BTreeMap<&'static str, u32>,
}

/// Reads a file. `None` if it is no TOML at all.
pub fn read(file: &Path, text: &str, home: &Path) -> (Option<Shape>, Vec<Problem>) {
    let source = Source::new(file, text);
    let Some(document) = source.parse() else { return (None, source.into_problems()) };
    let mut top = Table::top(&source, document.get_ref());
    let mut shape = Shape { tags: tags(&mut top), ..Shape::default() };
    if let Some(table) = top.table("agent") {
        agent(table, &mut shape);
    }
    privacy(&mut top, &mut shape);
    shape.budgets = top.table("budget").map(budget::read).unwrap_or_default();
    shape.destinations = destinations(&mut top, file, home);
    if let Some(table) = top.table("gateway") {
        shape.gateway = gateway::read(table, home, file.parent().unwrap_or(Path::new("/")));
    }
    top.finish();
    (Some(shape), source.into_problems())
}

fn agent(mut table: Table<'_>, shape: &mut Shape) {
    let listen = table.strings("listen");
    shape.listen = proven(&table, "listen", listen, |addresses| listen_addresses(&addresses));
    let accept = table.string("accept");
    shape.accept = proven(&table, "accept", accept, |text| accept_word(&text));
    let hosts = table.strings("allowed_hosts");
    shape.allowed_hosts = proven(&table, "allowed_hosts", hosts, host_names);
    let max_disk = table.string("max_disk");
    shape.max_disk_bytes = proven(&table, "max_disk", max_disk, |text| disk_bytes(&text));
    let days = table.integer("history_days");
    shape.history_days = proven(&table, "history_days", days, history_days);
    table.finish();
}

fn privacy(top: &mut Table<'_>, shape: &mut Shape) {
    let at = top.line_of("privacy");
    let Some(mut table) = top.table("privacy") else {
        shape.level_unclear = at;
        return;
    };
    let at = table.line_of("level");
    let level = table.string("level");
    shape.level = proven(&table, "level", level, |text| privacy_level(&text));
    shape.level_unclear = if shape.level.is_none() { at } else { None };
    let email = table.string("email");
    shape.email_hashed = proven(&table, "email", email, |text| match text.as_str() {
        "keep" => Ok(false),
        "hash" => Ok(true),
        _ => Err("must be \"keep\" or \"hash\"".to_owned()),
    });
    if table.line_of("email").is_some() && shape.email_hashed.is_none() {
        // Whoever wrote it wanted it hashed.
        shape.email_hashed = table.line_of("email").map(|line| At { value: true, line });
    }
    table.finish();
}

/// `[tags]`, and `team` and `project` at the top, which are the same.
fn tags(top: &mut Table<'_>) -> BTreeMap<String, At<String>> {
    let mut found = top.map("tags").values;
    for key in ["team", "project"] {
        let Some(value) = top.string(key) else { continue };
        if found.contains_key(key) {
            let what = format!("`{key}` stands at the top and under [tags]; the top holds");
            top.warn(key, value.line, what, "remove one");
        }
        found.insert(key.to_owned(), value);
    }
    let (kept, refused) = rules::screen(found);
    for (key, line, why) in refused {
        top.refuse(&format!("tags.{key}"), line, why.what, why.remedy);
    }
    kept
}

fn destinations(top: &mut Table<'_>, file: &Path, home: &Path) -> Vec<ReadDestination> {
    let beside = file.parent().unwrap_or(Path::new("/"));
    let mut found: Vec<ReadDestination> = Vec::new();
    for table in top.tables("destination") {
        let Some(read) = destination::read::read(table, home, beside) else { continue };
        let name = &read.destination.name;
        if found.iter().any(|known| known.destination.name == *name) {
            let what = format!("a second destination is named `{name}`, and is left out");
            top.refuse("destination.name", read.line, what, "give each a name of its own");
            continue;
        }
        found.push(read);
    }
    found
}

/// A setting that the environment can give.
pub struct Scalar {
    pub variable: &'static str,
    pub key: &'static str,
    pub apply: fn(&mut Config, &str) -> Result<(), String>,
}

/// The `CCOTEL_*` settings, for this process only.
pub const SCALARS: &[Scalar] = &[
    Scalar {
        variable: "CCOTEL_LISTEN",
        key: "agent.listen",
        apply: |config, text| {
            let parts: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
            listen_addresses(&parts).map(|listen| config.agent.listen = listen)
        },
    },
    Scalar {
        variable: "CCOTEL_MAX_DISK",
        key: "agent.max_disk",
        apply: |config, text| disk_bytes(text).map(|bytes| config.agent.max_disk_bytes = bytes),
    },
    Scalar {
        variable: "CCOTEL_HISTORY_DAYS",
        key: "agent.history_days",
        apply: |config, text| {
            let days = text.parse().map_err(|_| "must be a whole number".to_owned())?;
            history_days(days).map(|days| config.agent.history_days = days)
        },
    },
    Scalar {
        variable: "CCOTEL_PRIVACY",
        key: "privacy.level",
        apply: |config, text| {
            let level = privacy_level(text);
            // What cannot be understood may have been meant to tighten.
            config.privacy.level = *level.as_ref().unwrap_or(&PrivacyLevel::Minimal);
            level.map(|_| ()).map_err(|why| format!("{why}; `minimal` holds meanwhile"))
        },
    },
];

/// Holds a value against its rule; a breach is reported with the key's name.
pub fn proven<T, U>(
    table: &Table<'_>,
    key: &str,
    found: Option<At<T>>,
    rule: impl FnOnce(T) -> Result<U, String>,
) -> Option<At<U>> {
    let At { value, line } = found?;
    match rule(value) {
        Ok(value) => Some(At { value, line }),
        Err(why) => {
            table.refuse(key, line, format!("`{}` {why}", table.dotted(key)), "");
            None
        }
    }
}

pub fn privacy_level(text: &str) -> Result<PrivacyLevel, String> {
    match text {
        "minimal" => Ok(PrivacyLevel::Minimal),
        "standard" => Ok(PrivacyLevel::Standard),
        "full" => Ok(PrivacyLevel::Full),
        _ => Err("must be \"minimal\", \"standard\" or \"full\"".to_owned()),
    }
}

/// The word for a level, as it is written in files.
pub fn privacy_word(level: PrivacyLevel) -> &'static str {
    match level {
        PrivacyLevel::Minimal => "minimal",
        PrivacyLevel::Standard => "standard",
        PrivacyLevel::Full => "full",
    }
}

fn listen_addresses(texts: &[String]) -> Result<Vec<SocketAddr>, String> {
    let addresses = socket_addresses(texts, "127.0.0.1:14318")?;
    match addresses.iter().find(|address| !address.ip().is_loopback()) {
        Some(address) => Err(format!("can only hold loopback addresses, and `{address}` is none")),
        None => Ok(addresses),
    }
}

/// 1 to 8 different addresses, in words like `example` otherwise.
pub fn socket_addresses(texts: &[String], example: &str) -> Result<Vec<SocketAddr>, String> {
    if texts.is_empty() || texts.len() > LISTEN_MAX {
        return Err(format!("must hold 1 to {LISTEN_MAX} addresses"));
    }
    let mut addresses = Vec::new();
    for text in texts {
        let numeric = text.replacen("localhost:", "127.0.0.1:", 1);
        let address: SocketAddr = numeric
            .parse()
            .map_err(|_| format!("must hold addresses like \"{example}\", and `{text}` is none"))?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn host_names(names: Vec<String>) -> Result<Vec<String>, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let is_name =
        |name: &String| (1..=HOST_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain);
    if names.len() > ALLOWED_HOSTS_MAX || !names.iter().all(is_name) {
        return Err(format!(
            "must be at most {ALLOWED_HOSTS_MAX} names without a port, such as \"host.docker.internal\""
        ));
    }
    Ok(names)
}

fn accept_word(text: &str) -> Result<Accept, String> {
    match text {
        "claude-code" => Ok(Accept::ClaudeCode),
        "any" => Ok(Accept::Any),
        _ => Err("must be \"claude-code\" or \"any\"".to_owned()),
    }
}

fn disk_bytes(text: &str) -> Result<u64, String> {
    let size: bytesize::ByteSize =
        text.parse().map_err(|_| "must be a size like \"512 MiB\"".to_owned())?;
    if (DISK_BYTES_MIN..=DISK_BYTES_MAX).contains(&size.as_u64()) {
        Ok(size.as_u64())
    } else {
        Err("must lie between 16 MiB and 1 TiB".to_owned())
    }
}

fn history_days(days: i64) -> Result<u32, String> {
    u32::try_from(days)
        .ok()
        .filter(|days| (1..=HISTORY_DAYS_MAX).contains(days))
        .ok_or_else(|| format!("must lie between 1 and {HISTORY_DAYS_MAX}"))
}
