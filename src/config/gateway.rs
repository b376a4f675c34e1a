//! `[gateway]`: whom `ccotel agent run --gateway` listens to, and how it knows them.
//!
//! ```toml
//! [gateway]
//! listen = ["0.0.0.0:4318"]
//! tls = { cert = "/etc/ccotel/tls/tls.crt", key = "/etc/ccotel/tls/tls.key" }
//! client_ca = "/etc/ccotel/tls/ca.crt"          # certificates of this authority name a sender
//! tokens = "/etc/ccotel/tokens"                 # one file a sender, named as the sender is
//! metrics_token_file = "/etc/ccotel/metrics/token"
//! url = "https://ccotel.example.com:4318"       # what `ccotel gateway token add` prints
//! tls_ended_by_proxy = false
//!
//! [[gateway.sender]]
//! name = "ci-shop"
//! certificate = "ci-shop.example.com"           # its common name, or a DNS or URI name of it
//! tags = { team = "payments", project = "shop" }
//! privacy = "minimal"                           # only tighter than [privacy]
//! ```
//!
//! Files that are named here are read by `gateway`, and again when they change.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::destination::read::{name_rule, path_rule, url_rule};
use super::limits::SENDERS_MAX;
use super::shape::{privacy_level, proven, socket_addresses};
use super::table::{At, Table};
use crate::paths::Paths;
use crate::record::PrivacyLevel;
use crate::tags::rules;

/// Where a gateway listens if nothing says otherwise: the port that OTLP over HTTP has.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 4318);
/// Longest name in a certificate that a sender is known by.
const CERTIFICATE_NAME_BYTES_MAX: usize = 253;

/// `[gateway]`, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayConfig {
    pub listen: Vec<SocketAddr>,
    pub tls: Option<TlsFiles>,
    /// Senders may show a certificate of this authority instead of a token.
    pub client_ca: Option<PathBuf>,
    /// Somebody in front ends TLS, so that plain HTTP arrives here from elsewhere.
    pub tls_ended_by_proxy: bool,
    /// A directory; without one it is `tokens` beside the user's `config.toml`.
    pub tokens: Option<PathBuf>,
    /// Whoever has this token may read `/metrics`, and nothing else.
    pub metrics_token_file: Option<PathBuf>,
    /// Where senders reach it.
    pub url: Option<String>,
    pub senders: Vec<SenderConfig>,
}

/// The gateway's own certificate, PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// `[[gateway.sender]]`: what is fixed for a sender. One that has only a token needs none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderConfig {
    pub name: String,
    pub certificate: Option<String>,
    /// The sender cannot set these otherwise.
    pub tags: BTreeMap<String, String>,
    pub privacy: Option<PrivacyLevel>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: vec![LISTEN_DEFAULT],
            tls: None,
            client_ca: None,
            tls_ended_by_proxy: false,
            tokens: None,
            metrics_token_file: None,
            url: None,
            senders: Vec::new(),
        }
    }
}

impl GatewayConfig {
    /// Where the senders' tokens are.
    pub fn tokens_dir(&self, paths: &Paths) -> PathBuf {
        self.tokens.clone().unwrap_or_else(|| paths.config_dir.join("tokens"))
    }
}

/// One file's worth; `None` leaves the lower layer's value.
#[derive(Debug, Default)]
pub struct GatewayShape {
    listen: Option<At<Vec<SocketAddr>>>,
    tls: Option<At<TlsFiles>>,
    client_ca: Option<At<PathBuf>>,
    tls_ended_by_proxy: Option<At<bool>>,
    tokens: Option<At<PathBuf>>,
    metrics_token_file: Option<At<PathBuf>>,
    url: Option<At<String>>,
    senders: Vec<At<SenderConfig>>,
}

/// Reads the table; what is wrong is reported and left out.
pub fn read(mut table: Table<'_>, home: &Path, beside: &Path) -> GatewayShape {
    let listen = table.strings("listen");
    let mut file = |key| {
        let found = table.string(key);
        proven(&table, key, found, |text| path_rule(&text, home, beside))
    };
    let (client_ca, tokens) = (file("client_ca"), file("tokens"));
    let metrics_token_file = file("metrics_token_file");
    let url = table.string("url");
    let shape = GatewayShape {
        listen: proven(&table, "listen", listen, |texts| socket_addresses(&texts, "0.0.0.0:4318")),
        tls: tls(&mut table, home, beside),
        client_ca,
        tls_ended_by_proxy: table.boolean("tls_ended_by_proxy"),
        tokens,
        metrics_token_file,
        url: proven(&table, "url", url, |text| url_rule(text.trim_end_matches('/'))),
        senders: table.tables("sender").into_iter().filter_map(sender).collect(),
    };
    table.finish();
    shape
}

fn tls(table: &mut Table<'_>, home: &Path, beside: &Path) -> Option<At<TlsFiles>> {
    let mut inner = table.table("tls")?;
    let line = inner.line;
    let mut file = |key| {
        let found = inner.string(key);
        proven(&inner, key, found, |text| path_rule(&text, home, beside))
    };
    let (cert, key) = (file("cert"), file("key"));
    let both = cert.zip(key).map(|(cert, key)| TlsFiles { cert: cert.value, key: key.value });
    if both.is_none() {
        let what = "`gateway.tls` needs `cert` and `key`, two PEM files";
        inner.refuse("cert", line, what, "give both");
    }
    inner.finish();
    both.map(|value| At { value, line })
}

/// `None` if anything in it is wrong: a sender without its tags or its level would be another one.
fn sender(mut table: Table<'_>) -> Option<At<SenderConfig>> {
    let line = table.line;
    let name = table.string("name");
    if name.is_none() && table.line_of("name").is_none() {
        table.refuse("name", line, "a sender without `name`", "add name = \"…\"");
    }
    let name = proven(&table, "name", name, |text| name_rule(&text));
    let certificate = table.string("certificate");
    let certificate = proven(&table, "certificate", certificate, certificate_rule);
    let privacy = table.string("privacy");
    let privacy = proven(&table, "privacy", privacy, |text| privacy_level(&text));
    let map = table.map("tags");
    let mut complete = map.complete;
    let (tags, refused) = rules::screen(map.values);
    for (key, line, why) in refused {
        complete = false;
        table.refuse(&format!("tags.{key}"), line, why.what, why.remedy);
    }
    complete &= table.line_of("certificate").is_some() == certificate.is_some();
    complete &= table.line_of("privacy").is_some() == privacy.is_some();
    table.finish();
    let tags = tags.into_iter().map(|(key, value)| (key, value.value)).collect();
    let name = name.filter(|_| complete)?.value;
    let sender = SenderConfig {
        name,
        certificate: certificate.map(|certificate| certificate.value),
        tags,
        privacy: privacy.map(|privacy| privacy.value),
    };
    Some(At { value: sender, line })
}

fn certificate_rule(text: String) -> Result<String, String> {
    if text.is_empty() || text.len() > CERTIFICATE_NAME_BYTES_MAX {
        return Err(format!("must have 1 to {CERTIFICATE_NAME_BYTES_MAX} bytes"));
    }
    Ok(text)
}

impl GatewayShape {
    /// Puts what this file says over what is there, with the line of each key. The line of the first
    /// sender that is one too many.
    pub fn apply(self, config: &mut GatewayConfig, lines: &mut Vec<(String, u32)>) -> Option<u32> {
        let mut take = Take { lines };
        take.key("listen", self.listen, &mut config.listen);
        if let Some(tls) = self.tls {
            take.lines.extend(["tls.cert", "tls.key"].map(|key| (key.to_owned(), tls.line)));
            config.tls = Some(tls.value);
        }
        take.optional("client_ca", self.client_ca, &mut config.client_ca);
        take.key("tls_ended_by_proxy", self.tls_ended_by_proxy, &mut config.tls_ended_by_proxy);
        take.optional("tokens", self.tokens, &mut config.tokens);
        take.optional(
            "metrics_token_file",
            self.metrics_token_file,
            &mut config.metrics_token_file,
        );
        take.optional("url", self.url, &mut config.url);
        let mut too_many = None;
        for At { value: sender, line } in self.senders {
            config.senders.retain(|known| known.name != sender.name);
            if config.senders.len() >= SENDERS_MAX {
                too_many.get_or_insert(line);
                continue;
            }
            lines.push((format!("sender.{}", sender.name), line));
            config.senders.push(sender);
        }
        too_many
    }
}

/// Moves values to where they hold, and notes their lines.
struct Take<'a> {
    lines: &'a mut Vec<(String, u32)>,
}

impl Take<'_> {
    fn key<T>(&mut self, key: &str, found: Option<At<T>>, target: &mut T) {
        if let Some(At { value, line }) = found {
            *target = value;
            self.lines.push((key.to_owned(), line));
        }
    }

    fn optional<T>(&mut self, key: &str, found: Option<At<T>>, target: &mut Option<T>) {
        let found = found.map(|At { value, line }| At { value: Some(value), line });
        self.key(key, found, target);
    }
}
