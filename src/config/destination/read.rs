//! Reading one `[[destination]]`: every key proven, or the destination is left out.

use std::path::{Path, PathBuf};

use super::{Credentials, DestinationConfig, DestinationType, Protocol, Signals, Tls};
use crate::config::limits::HEADERS_MAX;
use crate::config::shape::{self, ReadDestination};
use crate::config::table::{At, Table};
use crate::record::PrivacyLevel;
use crate::store::handle::Since;

/// Reads one `[[destination]]`; `None` if anything in it is wrong, and said so.
pub fn read(mut table: Table<'_>, home: &Path, beside: &Path) -> Option<ReadDestination> {
    let lines = KEYS.iter().filter_map(|key| Some((*key, table.line_of(key)?))).collect();
    let line = table.line;
    let given = Given {
        name: required(&mut table, "name", name_rule),
        kind: required(&mut table, "type", type_rule),
        url: required(&mut table, "url", url_rule),
        protocol: optional(&mut table, "protocol", protocol_rule),
        tenant: optional(&mut table, "tenant", tenant_rule),
        signals: signals(&mut table),
        privacy: optional(&mut table, "privacy", shape::privacy_level),
        since: since(&mut table),
        credentials: credentials(&mut table, home, beside),
        headers: headers(&mut table),
        tls: tls(&mut table, home, beside),
    };
    let complete = given.proven(&table);
    table.finish();
    let (destination, privacy) = complete?;
    Some(ReadDestination { destination, privacy, line, lines })
}

/// Every key of a `[[destination]]`.
const KEYS: &[&str] = &[
    "name",
    "type",
    "url",
    "protocol",
    "bearer_token_file",
    "token_command",
    "basic_auth",
    "headers",
    "tls",
    "tenant",
    "signals",
    "privacy",
    "since",
];

/// A key that is absent is `Ok(None)`, a wrong one `Err`.
type Read<T> = Result<Option<At<T>>, Wrong>;

/// Already reported.
struct Wrong;

struct Given {
    name: Result<At<String>, Wrong>,
    kind: Result<At<DestinationType>, Wrong>,
    url: Result<At<String>, Wrong>,
    protocol: Read<Protocol>,
    tenant: Read<String>,
    signals: Read<Signals>,
    privacy: Read<PrivacyLevel>,
    since: Read<Since>,
    credentials: Result<Credentials, Wrong>,
    headers: Result<Vec<(String, String)>, Wrong>,
    tls: Result<Tls, Wrong>,
}

impl Given {
    fn proven(self, table: &Table<'_>) -> Option<(DestinationConfig, Option<At<PrivacyLevel>>)> {
        let kind = self.kind.ok()?.value;
        let protocol = self.protocol.ok()?;
        if let Some(At { value, line }) = &protocol
            && !speaks(kind, *value)
        {
            table.refuse("protocol", *line, "a protocol that this type does not speak", "use auto");
            return None;
        }
        let signals = self.signals.ok()?;
        if let Some(At { line, .. }) = &signals
            && kind != DestinationType::Otlp
        {
            let remedy = "leave it out";
            table.refuse("signals", *line, "`signals` is for destinations of type otlp", remedy);
            return None;
        }
        let headers = self.headers.ok()?;
        let credentials = self.credentials.ok()?;
        let tenant = self.tenant.ok()?.map(|tenant| tenant.value);
        let claimed = |name: &str| headers.iter().any(|(header, _)| header == name);
        if claimed("authorization") && credentials != Credentials::None {
            table.refuse("headers", table.line, "two credentials are given", "keep one");
            return None;
        }
        if claimed("x-scope-orgid") && tenant.is_some() {
            table.refuse("headers", table.line, "two tenants are given", "keep `tenant`");
            return None;
        }
        let privacy = self.privacy.ok()?;
        let destination = DestinationConfig {
            name: self.name.ok()?.value,
            kind,
            url: self.url.ok()?.value,
            protocol: protocol.map_or_else(Protocol::default, |protocol| protocol.value),
            credentials,
            headers,
            tenant,
            tls: self.tls.ok()?,
            signals: signals.map_or(Signals::ALL, |signals| signals.value),
            privacy: privacy.as_ref().map_or(PrivacyLevel::Full, |privacy| privacy.value),
            since: self.since.ok()?.map_or(Since::Now, |since| since.value),
        };
        Some((destination, privacy))
    }
}

fn required<T>(
    table: &mut Table<'_>,
    key: &'static str,
    rule: fn(&str) -> Result<T, String>,
) -> Result<At<T>, Wrong> {
    if let Some(found) = optional(table, key, rule)? {
        return Ok(found);
    }
    let what = format!("a destination without `{key}`");
    table.refuse(key, table.line, what, format!("add {key} = \"…\""));
    Err(Wrong)
}

fn optional<T>(
    table: &mut Table<'_>,
    key: &'static str,
    rule: impl FnOnce(&str) -> Result<T, String>,
) -> Read<T> {
    let found = table.string(key);
    present(table, key, |table| shape::proven(table, key, found, |text| rule(&text)))
}

/// Tells an absent key from a wrong one.
fn present<T>(
    table: &Table<'_>,
    key: &str,
    read: impl FnOnce(&Table<'_>) -> Option<At<T>>,
) -> Read<T> {
    match read(table) {
        None if table.line_of(key).is_some() => Err(Wrong),
        found => Ok(found),
    }
}

fn since(table: &mut Table<'_>) -> Read<Since> {
    let found = table.time("since");
    present(table, "since", |table| shape::proven(table, "since", found, |text| since_rule(&text)))
}

fn signals(table: &mut Table<'_>) -> Read<Signals> {
    let found = table.strings("signals");
    present(table, "signals", |table| {
        shape::proven(table, "signals", found, |it| signals_rule(&it))
    })
}

fn signals_rule(names: &[String]) -> Result<Signals, String> {
    let mut signals = Signals { metrics: false, logs: false, traces: false };
    for name in names {
        match name.as_str() {
            "metrics" => signals.metrics = true,
            "logs" => signals.logs = true,
            "traces" => signals.traces = true,
            _ => return Err("must hold \"metrics\", \"logs\" or \"traces\"".to_owned()),
        }
    }
    if names.is_empty() { Err("must name at least one".to_owned()) } else { Ok(signals) }
}

fn credentials(table: &mut Table<'_>, home: &Path, beside: &Path) -> Result<Credentials, Wrong> {
    let file = optional(table, "bearer_token_file", |text| path_rule(text, home, beside))?;
    let command = optional(table, "token_command", |text| not_empty(text.trim()))?;
    let line = table.line_of("basic_auth");
    let basic = match table.table("basic_auth") {
        None if line.is_some() => return Err(Wrong),
        None => None,
        Some(mut inner) => {
            let username = required(&mut inner, "username", not_empty);
            let password_file = required_path(&mut inner, "password_file", home, beside);
            inner.finish();
            Some(Credentials::Basic { username: username?.value, password_file: password_file? })
        }
    };
    let mut given = [
        file.map(|file| Credentials::BearerFile(file.value)),
        command.map(|command| Credentials::BearerCommand(command.value)),
        basic,
    ]
    .into_iter()
    .flatten();
    let credentials = given.next().unwrap_or_default();
    if given.next().is_some() {
        let remedy = "keep one of bearer_token_file, token_command, basic_auth";
        table.refuse("basic_auth", line.unwrap_or(table.line), "two credentials are given", remedy);
        return Err(Wrong);
    }
    Ok(credentials)
}

fn required_path(
    table: &mut Table<'_>,
    key: &'static str,
    home: &Path,
    beside: &Path,
) -> Result<PathBuf, Wrong> {
    let text = required(table, key, not_empty)?;
    path_rule(&text.value, home, beside).map_err(|_| Wrong)
}

fn headers(table: &mut Table<'_>) -> Result<Vec<(String, String)>, Wrong> {
    let line = table.line_of("headers");
    let map = table.map("headers");
    if !map.complete {
        return Err(Wrong);
    }
    let mut headers = Vec::new();
    let mut wrong = None;
    for (name, At { value, line }) in map.values {
        let Ok(parsed) = http::HeaderName::try_from(name.as_str()) else {
            wrong = Some((line, format!("`{name}` is no header name")));
            continue;
        };
        if OWNED_HEADERS.contains(&parsed.as_str()) {
            wrong = Some((line, format!("the header `{name}` is set by the protocol itself")));
        } else if http::HeaderValue::try_from(value.as_str()).is_err() {
            wrong = Some((line, format!("the value of the header `{name}` is not acceptable")));
        } else {
            headers.push((parsed.as_str().to_owned(), value));
        }
    }
    if headers.len() > HEADERS_MAX {
        wrong = Some((line.unwrap_or(table.line), format!("more than {HEADERS_MAX} headers")));
    }
    match wrong {
        None => Ok(headers),
        Some((line, what)) => {
            table.refuse("headers", line, what, "remove or correct it");
            Err(Wrong)
        }
    }
}

/// What a protocol sets by itself.
pub const OWNED_HEADERS: &[&str] = &[
    "host",
    "content-type",
    "content-encoding",
    "content-length",
    "transfer-encoding",
    "connection",
    "user-agent",
    "x-prometheus-remote-write-version",
];

fn tls(table: &mut Table<'_>, home: &Path, beside: &Path) -> Result<Tls, Wrong> {
    let line = table.line_of("tls");
    let Some(mut inner) = table.table("tls") else {
        return if line.is_some() { Err(Wrong) } else { Ok(Tls::default()) };
    };
    let mut file = |key| optional(&mut inner, key, |text| path_rule(text, home, beside));
    let (ca, cert, key) = (file("ca")?, file("cert")?, file("key")?);
    if cert.is_some() != key.is_some() {
        inner.refuse("cert", inner.line, "`cert` and `key` go together", "give both or neither");
        return Err(Wrong);
    }
    inner.finish();
    let path = |found: Option<At<PathBuf>>| found.map(|found| found.value);
    Ok(Tls { ca: path(ca), cert: path(cert), key: path(key) })
}

/// The longest name of a destination.
pub const NAME_BYTES_MAX: usize = 63;

/// `[a-z0-9][a-z0-9_.-]{0,62}`: it is a label's value, a key in the store and a word on a command line.
pub fn name_rule(text: &str) -> Result<String, String> {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let rest = |byte: u8| first(byte) || b"_.-".contains(&byte);
    let valid = text.len() <= NAME_BYTES_MAX
        && text.as_bytes().first().is_some_and(|byte| first(*byte))
        && text.bytes().all(rest);
    if valid {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 63 of a-z 0-9 _ . -, and begin with a letter or digit".to_owned())
    }
}

/// http or https, with a host, and without credentials, which would be shown wherever the URL is.
pub fn url_rule(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| "is no URL".to_owned())?;
    let scheme = uri.scheme_str().unwrap_or_default();
    let Some(authority) = uri.authority().filter(|_| matches!(scheme, "http" | "https")) else {
        return Err("must begin with http:// or https://".to_owned());
    };
    if authority.host().is_empty() {
        return Err("has no host".to_owned());
    }
    if authority.as_str().contains('@') {
        return Err("must not hold credentials: use basic_auth or bearer_token_file".to_owned());
    }
    Ok(text.to_owned())
}

fn type_rule(text: &str) -> Result<DestinationType, String> {
    match text {
        "prometheus" => Ok(DestinationType::Prometheus),
        "loki" => Ok(DestinationType::Loki),
        "victorialogs" => Ok(DestinationType::VictoriaLogs),
        "otlp" => Ok(DestinationType::Otlp),
        _ => Err("must be \"prometheus\", \"loki\", \"victorialogs\" or \"otlp\"".to_owned()),
    }
}

fn protocol_rule(text: &str) -> Result<Protocol, String> {
    match text {
        "auto" => Ok(Protocol::Auto),
        "1.0" => Ok(Protocol::RemoteWrite1),
        "2.0" => Ok(Protocol::RemoteWrite2),
        "otlp" => Ok(Protocol::Otlp),
        _ => Err("must be \"auto\", \"1.0\", \"2.0\" or \"otlp\"".to_owned()),
    }
}

fn speaks(kind: DestinationType, protocol: Protocol) -> bool {
    match protocol {
        Protocol::Auto => true,
        Protocol::RemoteWrite1 | Protocol::RemoteWrite2 => kind == DestinationType::Prometheus,
        Protocol::Otlp => matches!(kind, DestinationType::Loki | DestinationType::Otlp),
    }
}

fn tenant_rule(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 150 || http::HeaderValue::try_from(text).is_err() {
        return Err("must be 1 to 150 characters that a header can hold".to_owned());
    }
    Ok(text.to_owned())
}

fn since_rule(text: &str) -> Result<Since, String> {
    match text {
        "now" => Ok(Since::Now),
        "all" => Ok(Since::All),
        _ => text
            .parse::<jiff::Timestamp>()
            .map(|time| Since::Time(time.as_millisecond()))
            .map_err(|_| "must be \"now\", \"all\" or a time like 2026-11-01T00:00:00Z".to_owned()),
    }
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// `~/` is the home directory; a relative path is beside the file that names it.
pub(in crate::config) fn path_rule(
    text: &str,
    home: &Path,
    beside: &Path,
) -> Result<PathBuf, String> {
    match text.strip_prefix("~/") {
        _ if text.is_empty() => Err("is empty".to_owned()),
        Some(rest) => Ok(home.join(rest)),
        None => Ok(beside.join(text)),
    }
}
