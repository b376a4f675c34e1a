//! `ccotel connect otlp --inherit`: the collector that the user's own layers export to, as a destination.
//!
//! Signals that go the same way are one destination. Tokens and passwords go into files of their own,
//! 0600; other headers into `config.toml`, which is 0600 too. Nothing is an argument.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Url;

use super::Args;
use crate::agent::files;
use crate::cli::{service, working_directory};
use crate::config::destination::read::OWNED_HEADERS;
use crate::config::destination::{Credentials, DestinationConfig, DestinationType, Signals, Tls};
use crate::config::edit::ConfigFile;
use crate::launch::feed::{self, Export, Signal};
use crate::launch::prepare;
use crate::paths::Paths;
use crate::setup::{self, claude, jsonc};

use super::given;

/// What was found, and what it comes to.
#[derive(Debug, Default)]
pub struct Inherited {
    /// What goes where, a line each.
    pub found: Vec<String>,
    /// What stays as it is, and why.
    pub left: Vec<String>,
    pub destinations: Vec<Draft>,
}

/// A destination, and the secret that is still to be written.
#[derive(Debug)]
pub struct Draft {
    pub config: DestinationConfig,
    pub secret: Option<(PathBuf, String)>,
}

/// Looks at the user's own layers, as the wrapper does in this directory.
pub fn look(paths: &Paths, file: &ConfigFile, args: &Args) -> anyhow::Result<Inherited> {
    let here = prepare::look_around(paths, &working_directory()?);
    let mut inherited = Inherited::default();
    for layer in &here.layers.managed {
        if layer.env.keys().any(|name| name.ends_with("_ENDPOINT")) {
            let why = "an organisation's, which outranks ccotel and is left as it is";
            inherited.left.push(format!("{} exports to a collector: {why}", layer.source));
        }
    }
    for layer in here.layers.layers.iter().filter(|layer| layer.repository) {
        if layer.env.keys().any(|name| name.ends_with("_ENDPOINT")) {
            let why = "a repository's is never taken over";
            inherited.left.push(format!("{} names a collector: {why}", layer.source));
        }
    }
    for broken in here.layers.broken() {
        inherited.left.push(format!("{broken}; what it exports to is not seen, so mend it first"));
    }
    let exports = feed::exports(&here.layers, service::address(paths));
    let mut taken = file.destination_names();
    for group in groups(exports) {
        inherited.found.push(words(&group));
        let known = here
            .loaded
            .config
            .destinations
            .iter()
            .find(|it| it.kind == DestinationType::Otlp && is_same(&it.url, &group[0].url));
        if let Some(known) = known {
            let url = feed::bare(&group[0].url);
            inherited.left.push(format!("{url} is the destination {} already", known.name));
            continue;
        }
        match draft(paths, file, args, &group, &taken) {
            Ok(draft) => {
                taken.push(draft.config.name.clone());
                inherited.destinations.push(draft);
            }
            Err(why) => inherited.left.push(why),
        }
    }
    if !inherited.destinations.is_empty()
        && let Some(file) = headers_helper(paths)?
    {
        inherited.left.push(format!(
            "otelHeadersHelper in {} makes headers that are not taken over: for a bearer token, give its \
             command to `ccotel connect otlp URL --token-command COMMAND`",
            file.display()
        ));
    }
    Ok(inherited)
}

/// The user's settings, if a command of theirs makes headers.
fn headers_helper(paths: &Paths) -> anyhow::Result<Option<PathBuf>> {
    let file = claude::settings_file(&paths.home);
    let text = setup::files::read(&file)?.unwrap_or_default();
    // Settings that cannot be read have exported nothing.
    let found = jsonc::get(&text, &["otelHeadersHelper".to_owned()]).ok().flatten();
    Ok(found.map(|_| file))
}

fn is_same(known: &str, url: &str) -> bool {
    feed::bare(known).trim_end_matches('/') == feed::bare(url).trim_end_matches('/')
}

/// Signals that go the same way, together.
fn groups(exports: Vec<Export>) -> Vec<Vec<Export>> {
    let mut groups: Vec<Vec<Export>> = Vec::new();
    for export in exports {
        let way = |it: &Export| {
            (it.url.clone(), it.is_base, it.protocol.clone(), it.headers.clone(), it.tls.clone())
        };
        match groups.iter_mut().find(|group| way(&group[0]) == way(&export)) {
            Some(group) => group.push(export),
            None => groups.push(vec![export]),
        }
    }
    groups
}

/// `metrics and logs go to https://c (OTEL_… in FILE), http/protobuf, with 2 headers`.
fn words(group: &[Export]) -> String {
    let Export { url, protocol, headers, .. } = &group[0];
    let protocol = protocol.as_deref().unwrap_or(
        "without OTEL_EXPORTER_OTLP_PROTOCOL, so that Claude Code exports nothing there by itself",
    );
    let signals: Vec<_> = group.iter().map(|export| export.signal.name()).collect();
    let mut places: Vec<_> =
        group.iter().map(|it| format!("{} in {}", it.from.0, it.from.1)).collect();
    places.dedup();
    let headers = match headers.len() {
        0 => String::new(),
        1 => ", with 1 header".to_owned(),
        many => format!(", with {many} headers"),
    };
    let (signals, url, places) = (signals.join(" and "), feed::bare(url), places.join(", "));
    format!("{signals} go to {url} ({places}), {protocol}{headers}")
}

/// The destination for a group, or why it cannot be one.
fn draft(
    paths: &Paths,
    file: &ConfigFile,
    args: &Args,
    group: &[Export],
    taken: &[String],
) -> Result<Draft, String> {
    let export = &group[0];
    let shown = feed::bare(&export.url);
    let over_http = "ccotel forwards OTLP over HTTP: most collectors take that on port 4318 \
                     (`ccotel connect otlp http://HOST:4318`)";
    match export.protocol.as_deref() {
        Some("http/protobuf" | "http/json") => {}
        Some(other) => return Err(format!("{shown} is spoken to in {other}, and {over_http}")),
        // The port of OTLP over gRPC.
        None if Url::parse(&export.url).is_ok_and(|url| url.port() == Some(4317)) => {
            return Err(format!(
                "{shown} is given no protocol, its port is that of gRPC, and {over_http}"
            ));
        }
        None => {}
    }
    if !export.is_base {
        let path = format!("/v1/{}", export.signal.name());
        return Err(format!("{shown} does not end in {path}, which ccotel adds to an address"));
    }
    let (url, user) = without_user(&export.url).ok_or_else(|| format!("{shown} is no address"))?;
    let name = free_name(args, &url, group, taken)?;
    let mut config = DestinationConfig {
        tls: tls(&export.tls)?,
        signals: signals(group),
        privacy: args.privacy.unwrap_or(file.privacy_level()),
        since: args.since,
        ..DestinationConfig::new(name, DestinationType::Otlp, url)
    };
    let mut secret = user.map(|(name, password)| Held::Basic(name, password));
    for (name, value) in &export.headers {
        match (name.as_str(), value.split_once(' ')) {
            ("authorization", Some((scheme, bearer))) if scheme.eq_ignore_ascii_case("bearer") => {
                secret = Some(Held::Bearer(bearer.trim().to_owned()));
            }
            ("authorization", Some((scheme, pair))) if scheme.eq_ignore_ascii_case("basic") => {
                secret = Some(basic(pair.trim()).ok_or("its Basic authorization is malformed")?);
            }
            ("x-scope-orgid", _) => config.tenant = Some(value.clone()),
            (name, _) if OWNED_HEADERS.contains(&name) => {}
            _ => config.headers.push((name.clone(), value.clone())),
        }
    }
    let secret = secret.map(|held| held.keep(paths, &mut config));
    Ok(Draft { config, secret })
}

/// What is not to stand in `config.toml`.
enum Held {
    Bearer(String),
    Basic(String, String),
}

impl Held {
    fn keep(self, paths: &Paths, config: &mut DestinationConfig) -> (PathBuf, String) {
        let (kind, text) = match &self {
            Self::Bearer(token) => ("token", token.clone()),
            Self::Basic(_, password) => ("password", password.clone()),
        };
        let path = free_file(&paths.config_dir, &config.name, kind);
        config.credentials = match self {
            Self::Bearer(_) => Credentials::BearerFile(path.clone()),
            Self::Basic(username, _) => {
                Credentials::Basic { username, password_file: path.clone() }
            }
        };
        (path, text)
    }
}

/// Nobody's file is written over.
fn free_file(directory: &Path, name: &str, kind: &str) -> PathBuf {
    let first = directory.join(format!("{name}.{kind}"));
    let others = (2_u64..).map(|number| directory.join(format!("{name}-{number}.{kind}")));
    let mut candidates = std::iter::once(first.clone()).chain(others);
    candidates.find(|path| path.symlink_metadata().is_err()).unwrap_or(first)
}

/// Whether a file is one that `free_file` has named for this destination.
pub fn is_secret_of(directory: &Path, name: &str, kind: &str, path: &Path) -> bool {
    let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
    let middle = file.strip_prefix(name).and_then(|rest| rest.strip_suffix(&format!(".{kind}")));
    let is_numbered =
        |text: &str| text.strip_prefix('-').is_some_and(|it| it.parse::<u64>().is_ok());
    path.parent() == Some(directory) && middle.is_some_and(|it| it.is_empty() || is_numbered(it))
}

fn basic(pair: &str) -> Option<Held> {
    let text = String::from_utf8(BASE64.decode(pair).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some(Held::Basic(name.to_owned(), password.to_owned()))
}

/// Credentials in an address would be shown wherever the address is.
fn without_user(text: &str) -> Option<(Url, Option<(String, String)>)> {
    let mut url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    let decode = crate::tags::encode::decode;
    let user = (!url.username().is_empty())
        .then(|| (decode(url.username()), decode(url.password().unwrap_or_default())));
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_fragment(None);
    Some((url, user))
}

fn free_name(args: &Args, url: &Url, group: &[Export], taken: &[String]) -> Result<String, String> {
    let first = given::name(args.name.as_deref(), DestinationType::Otlp, url, &[])?;
    if !taken.contains(&first) {
        return Ok(first);
    }
    let second = format!("{first}-{}", group[0].signal.name());
    given::name(Some(&second), DestinationType::Otlp, url, taken)
}

/// All where nothing goes elsewhere: what the user turns on later is theirs as well.
fn signals(group: &[Export]) -> Signals {
    let has = |signal| group.iter().any(|export| export.signal == signal);
    let (metrics, logs) = (has(Signal::Metrics), has(Signal::Logs));
    Signals { metrics, logs, traces: has(Signal::Traces) || (metrics && logs) }
}

fn tls(files: &feed::Tls) -> Result<Tls, String> {
    let file = |path: &Option<String>| {
        path.as_deref().map(|path| given::absolute(Path::new(path))).transpose()
    };
    let (cert, key) = (file(&files.cert)?, file(&files.key)?);
    if cert.is_some() != key.is_some() {
        return Err("a client's certificate and its key go together, and one is missing".to_owned());
    }
    Ok(Tls { ca: file(&files.ca)?, cert, key })
}

impl Draft {
    /// Before `config.toml` names it.
    pub fn write_secret(&self) -> anyhow::Result<()> {
        let Some((path, text)) = &self.secret else { return Ok(()) };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(files::at("create", directory))?;
        }
        Ok(files::replace(path, format!("{text}\n").as_bytes())?)
    }
}
