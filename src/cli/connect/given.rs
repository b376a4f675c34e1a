//! What was typed behind `ccotel connect`, proven and completed.

use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;

use super::{Args, Kind};
use crate::agent::files::words;
use crate::config::destination::read::{NAME_BYTES_MAX, OWNED_HEADERS, name_rule};
use crate::config::destination::{
    Credentials, DestinationConfig, DestinationType, Protocol, Signals, Tls,
};
use crate::config::edit::{ConfigFile, type_name};
use crate::config::{Problem, shape};
use crate::record::PrivacyLevel;
use crate::store::handle::Since;

/// Headers that another option sets, beside those that a protocol does.
const HEADERS_OF_OPTIONS: [&str; 2] = ["authorization", "x-scope-orgid"];

pub const WIDER: &str = "--privacy can only be tighter than [privacy] level in config.toml";

/// The destination that was meant, or one sentence about what is wrong.
pub fn destination(args: &Args, file: &ConfigFile) -> Result<DestinationConfig, String> {
    let kind = match args.kind {
        Kind::Prometheus => DestinationType::Prometheus,
        Kind::Loki => DestinationType::Loki,
        Kind::VictoriaLogs => DestinationType::VictoriaLogs,
        Kind::Otlp => DestinationType::Otlp,
    };
    let protocol = protocol(kind, &args.protocol)?;
    let url = complete(kind, protocol, args.url.as_deref().unwrap_or_default())?;
    let name = name(args.name.as_deref(), kind, &url, &file.destination_names())?;
    if let Some(asked) = args.privacy
        && asked > file.privacy_level()
    {
        return Err(WIDER.to_owned());
    }
    let credentials = match (&args.bearer_token_file, &args.token_command, &args.username) {
        (Some(path), _, _) => Credentials::BearerFile(absolute(path)?),
        (_, Some(command), _) => Credentials::BearerCommand(command.clone()),
        (_, _, Some(username)) => Credentials::Basic {
            username: username.clone(),
            password_file: absolute(args.password_file.as_deref().unwrap_or(Path::new("")))?,
        },
        _ => Credentials::None,
    };
    let tls_file = |path: &Option<std::path::PathBuf>| path.as_deref().map(absolute).transpose();
    Ok(DestinationConfig {
        name,
        kind,
        url: url.into(),
        protocol,
        credentials,
        headers: args.header.clone(),
        tenant: args.tenant.clone(),
        tls: Tls {
            ca: tls_file(&args.ca)?,
            cert: tls_file(&args.cert)?,
            key: tls_file(&args.key)?,
        },
        signals: Signals::ALL,
        privacy: args.privacy.unwrap_or(file.privacy_level()),
        since: args.since,
    })
}

/// The agent has another working directory.
pub fn absolute(path: &Path) -> Result<std::path::PathBuf, String> {
    let path = std::path::absolute(path).map_err(|error| {
        format!("the path {} cannot be used ({})", path.display(), words(&error))
    })?;
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("there is no file {}; create it first", path.display()))
    }
}

fn protocol(kind: DestinationType, given: &str) -> Result<Protocol, String> {
    match (kind, given) {
        (DestinationType::Prometheus, "1.0") => Ok(Protocol::RemoteWrite1),
        (DestinationType::Prometheus, "2.0") => Ok(Protocol::RemoteWrite2),
        (DestinationType::Loki, "otlp") => Ok(Protocol::Otlp),
        // The latter speak nothing else.
        (_, "auto") | (DestinationType::VictoriaLogs | DestinationType::Otlp, "otlp") => {
            Ok(Protocol::Auto)
        }
        (DestinationType::Prometheus, _) => {
            Err(format!("--protocol {given} is not one of prometheus': auto, 1.0, 2.0"))
        }
        (_, _) => {
            Err(format!("--protocol {given} is not one of {}'s: auto, otlp", type_name(kind)))
        }
    }
}

/// A bare address gets the usual path of its type; a path that is given is left alone.
fn complete(kind: DestinationType, protocol: Protocol, given: &str) -> Result<Url, String> {
    let parsed = Url::parse(given);
    if parsed.as_ref().is_err_and(|error| error.to_string().contains("port")) {
        return Err(format!("{given} is not an address: its port is no number up to 65535"));
    }
    let mut url = parsed
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| format!("{given} is not an address: it begins with http:// or https://"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials do not belong into the address: \
             use --username with --password-file, or --bearer-token-file"
            .to_owned());
    }
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    let usual = match (kind, protocol) {
        (DestinationType::Prometheus, _) => "/api/v1/write",
        (DestinationType::Loki, Protocol::Otlp) => "/otlp/v1/logs",
        (DestinationType::Loki, _) => "/loki/api/v1/push",
        (DestinationType::VictoriaLogs, _) => "/insert/opentelemetry/v1/logs",
        (DestinationType::Otlp, _) => {
            // The base is kept; every signal adds its own path.
            let base = ["/v1/metrics", "/v1/logs", "/v1/traces"]
                .iter()
                .find_map(|signal| path.strip_suffix(signal))
                .unwrap_or(&path);
            url.set_path(base);
            return Ok(url);
        }
    };
    url.set_path(if path.is_empty() { usual } else { &path });
    Ok(url)
}

pub fn name(
    given: Option<&str>,
    kind: DestinationType,
    url: &Url,
    taken: &[String],
) -> Result<String, String> {
    let name = match given {
        Some(name) => name.to_owned(),
        None => default_name(kind, url),
    };
    name_rule(&name).map_err(|why| format!("--name {name} cannot be used: it {why}"))?;
    if taken.contains(&name) {
        let free = (2..=taken.len() + 2)
            .map(|number| format!("{name}-{number}"))
            .find(|candidate| !taken.contains(candidate))
            .expect("there are more candidates than destinations");
        return Err(format!(
            "there is a destination {name} already: remove it (ccotel disconnect {name}), \
             or choose another name (--name {free})"
        ));
    }
    Ok(name)
}

/// Why the agent would not take a `config.toml` of this text; `None` if it would.
pub fn refused(file: &Path, text: &str, home: &Path) -> Option<String> {
    let (_, problems) = shape::read(file, text, home);
    problems.into_iter().find(Problem::is_error).map(|problem| {
        let key = problem.key.as_deref().unwrap_or_default();
        let said = if key.is_empty() || problem.what.contains(key) {
            String::new()
        } else {
            format!(" (`{key}`)")
        };
        format!("nothing was changed, since the agent would not take {problem}{said}")
    })
}

/// `prometheus-prom-example-com`.
fn default_name(kind: DestinationType, url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let host: String = host
        .chars()
        .map(
            |letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' },
        )
        .collect();
    let mut name = format!("{}-{}", type_name(kind), host.trim_matches('-'));
    name.truncate(NAME_BYTES_MAX);
    name.truncate(name.trim_end_matches('-').len());
    name
}

/// `now`, `all`, a duration back from now, a day (local midnight), or RFC 3339.
pub fn since(text: &str) -> Result<Since, String> {
    since_at(text, Timestamp::now(), &TimeZone::system())
}

fn since_at(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Since, String> {
    let wrong = || format!("`{text}` is no time: now, all, 12h, 7d, 4w, 2026-11-01, or RFC 3339");
    let time = match text {
        "now" => return Ok(Since::Now),
        "all" => return Ok(Since::All),
        _ if let Some(ago) = duration(text) => now.checked_sub(ago).map_err(|_| wrong())?,
        _ if let Ok(time) = text.parse::<Timestamp>() => time,
        _ => {
            let day = text.parse::<Date>().map_err(|_| wrong())?;
            day.to_zoned(zone.clone()).map_err(|_| wrong())?.timestamp()
        }
    };
    if time > now {
        Err(format!("{text} is in the future"))
    } else {
        Ok(Since::Time(time.as_millisecond()))
    }
}

/// `30m`, `12h`, `7d`, `4w`.
fn duration(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let number: i64 = text[..text.len() - unit.len_utf8()].parse().ok().filter(|one| *one >= 0)?;
    let minutes = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        'w' => 7 * 24 * 60,
        _ => return None,
    };
    SignedDuration::try_from_mins(number.checked_mul(minutes)?)
}

/// `NAME=VALUE`.
pub fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` is no header: NAME=VALUE"))?;
    let parsed =
        http::HeaderName::try_from(name).map_err(|_| format!("{name} is no header name"))?;
    http::HeaderValue::from_str(value).map_err(|_| format!("the value of {name} is malformed"))?;
    if HEADERS_OF_OPTIONS.contains(&parsed.as_str()) || OWNED_HEADERS.contains(&parsed.as_str()) {
        return Err(format!("{name} is set by the protocol or by another option"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

pub fn privacy(text: &str) -> Result<PrivacyLevel, String> {
    match text {
        "minimal" => Ok(PrivacyLevel::Minimal),
        "standard" => Ok(PrivacyLevel::Standard),
        "full" => Ok(PrivacyLevel::Full),
        _ => Err(format!("`{text}` is no level: minimal, standard or full")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_address_gets_the_usual_path() {
        use DestinationType::{Loki, Otlp, Prometheus, VictoriaLogs};
        use Protocol::Auto;
        let table = [
            (Prometheus, Auto, "http://localhost:9090", "http://localhost:9090/api/v1/write"),
            (Prometheus, Auto, "http://localhost:9090/", "http://localhost:9090/api/v1/write"),
            (Prometheus, Auto, "https://g.net/api/prom/push", "https://g.net/api/prom/push"),
            (Prometheus, Auto, "https://m/api/v1/push", "https://m/api/v1/push"),
            (Loki, Auto, "http://h:3100", "http://h:3100/loki/api/v1/push"),
            (Loki, Protocol::Otlp, "http://h:3100", "http://h:3100/otlp/v1/logs"),
            (VictoriaLogs, Auto, "http://h:9428", "http://h:9428/insert/opentelemetry/v1/logs"),
            (Otlp, Auto, "http://h:4318", "http://h:4318/"),
            (Otlp, Auto, "http://h:4318/otlp/v1/metrics", "http://h:4318/otlp"),
            (Otlp, Auto, "http://h/x?key=1#top", "http://h/x?key=1"),
        ];
        for (kind, protocol, given, expected) in table {
            assert_eq!(complete(kind, protocol, given).unwrap().as_str(), expected);
        }
        for wrong in ["localhost:9090", "ftp://h", "", "http://", "http://me:secret@h"] {
            let error = complete(Prometheus, Auto, wrong).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn names_come_from_type_and_host_and_are_free() {
        let url = Url::parse("https://prom.example.com/x").unwrap();
        let kind = DestinationType::Prometheus;
        assert_eq!(name(None, kind, &url, &[]).unwrap(), "prometheus-prom-example-com");
        let v6 = Url::parse("http://[::1]:9090").unwrap();
        assert_eq!(name(None, kind, &v6, &[]).unwrap(), "prometheus-1");
        let long = format!("https://{}.com", vec!["part"; 20].join("."));
        let long = name(None, kind, &Url::parse(&long).unwrap(), &[]).unwrap();
        assert!(long.len() <= NAME_BYTES_MAX && name_rule(&long).is_ok(), "{long}");
        let taken = ["a".to_owned(), "a-2".to_owned()];
        let error = name(Some("a"), kind, &url, &taken).unwrap_err();
        assert!(error.contains("--name a-3"), "{error}");
        for wrong in ["", "a b", "é", &"x".repeat(64), "TeamProm", "-a"] {
            assert!(name(Some(wrong), kind, &url, &[]).is_err());
        }
    }

    #[test]
    fn times_to_begin_from() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let at = |text: &str| match since_at(text, now, &zone) {
            Ok(Since::Time(time_ms)) => Timestamp::from_millisecond(time_ms).unwrap().to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(at("now"), "Ok(Now)");
        assert_eq!(at("all"), "Ok(All)");
        assert_eq!(at("12h"), "2026-11-21T00:00:00Z");
        assert_eq!(at("1w"), "2026-11-14T12:00:00Z");
        assert_eq!(at("2026-11-01"), "2026-10-31T23:00:00Z");
        assert_eq!(at("2026-11-01T05:00:00+01:00"), "2026-11-01T04:00:00Z");
        for wrong in ["", "7", "d", "-7d", "7y", "99999999999999999w", "2027-01-01", "soon"] {
            assert!(since_at(wrong, now, &zone).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_header_cannot_be_one_that_is_set_already() {
        assert_eq!(header("X-A=b=c"), Ok(("X-A".to_owned(), "b=c".to_owned())));
        for wrong in
            ["X-A", "=b", "Authorization=x", "content-type=x", "X A=b", "X-A=\n", "Connection=x"]
        {
            assert!(header(wrong).is_err(), "{wrong}");
        }
    }
}
