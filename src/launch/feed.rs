//! Where the user's own layers export to: the one reading of it, for the wrapper's words, `ccotel
//! doctor`'s, and `ccotel connect otlp --inherit`.
//!
//! A repository's layers never count, nor do managed ones, which outrank us anyway. Rules of the
//! variables: <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>. A signal's own endpoint is
//! used as it stands, the generic one gets the signal's path; a signal's headers lie over the generic
//! ones.

use std::net::SocketAddr;

use super::layers::Layers;
use super::variables::is_enabled;
use crate::tags::encode;

/// One signal's way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    pub signal: Signal,
    /// The base, to which `/v1/metrics` and so on are added, or as it stands where it has another path.
    pub url: String,
    /// Whether `url` is such a base.
    pub is_base: bool,
    /// The variable that named it, and the layer.
    pub from: (String, String),
    /// `None` where nothing is said: Claude Code then exports nothing.
    pub protocol: Option<String>,
    pub headers: Vec<(String, String)>,
    pub tls: Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    Metrics,
    Logs,
    Traces,
}

/// Files, as they are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    pub ca: Option<String>,
    pub cert: Option<String>,
    pub key: Option<String>,
}

impl Signal {
    /// As variables spell it.
    fn upper(self) -> &'static str {
        match self {
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
            Self::Traces => "TRACES",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
        }
    }
}

/// What the user's own layers export to others than us.
pub fn exports(layers: &Layers, ours: SocketAddr) -> Vec<Export> {
    if !is_enabled(layers) {
        return Vec::new();
    }
    let signals = [Signal::Metrics, Signal::Logs, Signal::Traces];
    signals.into_iter().filter_map(|signal| export(layers, ours, signal)).collect()
}

fn export(layers: &Layers, ours: SocketAddr, signal: Signal) -> Option<Export> {
    let exporters = layers.of_user(&format!("OTEL_{}_EXPORTER", signal.upper()))?;
    exporters.split(',').find(|name| name.trim() == "otlp")?;
    let (variable, found) = of(layers, signal, "ENDPOINT")?;
    let source = layers.user_source(&variable)?.to_owned();
    if format!("{found}/").starts_with(&format!("http://{ours}/")) {
        return None;
    }
    let (path, query) = found.split_at(found.find(['?', '#']).unwrap_or(found.len()));
    let path = path.trim_end_matches('/');
    let base = path.strip_suffix(&format!("/v1/{}", signal.name()));
    let value = |kind: &str| of(layers, signal, kind).map(|(_, value)| value.to_owned());
    Some(Export {
        signal,
        url: format!("{}{query}", base.unwrap_or(path)),
        is_base: base.is_some() || !variable.contains(signal.upper()),
        protocol: value("PROTOCOL"),
        headers: headers(layers, signal),
        tls: Tls {
            ca: value("CERTIFICATE"),
            cert: value("CLIENT_CERTIFICATE"),
            key: value("CLIENT_KEY"),
        },
        from: (variable, source),
    })
}

/// The signal's own variable, else the generic one; empty is unset. With its name.
fn of<'l>(layers: &'l Layers, signal: Signal, kind: &str) -> Option<(String, &'l str)> {
    let names = [
        format!("OTEL_EXPORTER_OTLP_{}_{kind}", signal.upper()),
        format!("OTEL_EXPORTER_OTLP_{kind}"),
    ];
    names.into_iter().find_map(|name| {
        let value = layers.of_user(&name)?.trim();
        (!value.is_empty()).then_some((name, value))
    })
}

fn headers(layers: &Layers, signal: Signal) -> Vec<(String, String)> {
    let names = [
        "OTEL_EXPORTER_OTLP_HEADERS".to_owned(),
        format!("OTEL_EXPORTER_OTLP_{}_HEADERS", signal.upper()),
    ];
    let mut headers: Vec<(String, String)> = Vec::new();
    for text in names.iter().filter_map(|name| layers.of_user(name)) {
        for (name, value) in encode::entries(text) {
            let name = name.to_ascii_lowercase();
            headers.retain(|(known, _)| *known != name);
            headers.push((name, value));
        }
    }
    headers
}

/// A URL without user, password and query, to be shown.
pub fn bare(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::layers::{ENABLE_TELEMETRY, Layer};

    fn layer(source: &str, repository: bool, pairs: &[(&str, &str)]) -> Layer {
        let env = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Layer { source: source.into(), repository, env }
    }

    fn found(layers: Vec<Layer>) -> Vec<Export> {
        let layers = Layers { layers, managed: Vec::new() };
        exports(&layers, "127.0.0.1:14318".parse().unwrap())
    }

    const ON: [(&str, &str); 3] = [
        (ENABLE_TELEMETRY, "1"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORTER", "console, otlp"),
    ];

    #[test]
    fn each_signal_has_its_own_way_and_the_layers_are_named() {
        let shell = [
            &ON[..],
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://u:p@all.example.com/otlp/?key=1"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=a%20b,X=1"),
            ],
        ]
        .concat();
        let settings = [
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs/v1/logs"),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x=2,y=3"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
        ];
        let found = found(vec![
            layer("the environment", false, &shell),
            layer("settings.json", false, &settings),
        ]);
        let [metrics, logs] = &found[..] else { panic!("{found:?}") };
        assert_eq!(
            (metrics.url.as_str(), metrics.is_base),
            ("https://u:p@all.example.com/otlp?key=1", true)
        );
        assert_eq!(bare(&metrics.url), "https://all.example.com/otlp");
        assert_eq!(metrics.from.1, "the environment");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(metrics.headers, [pair("api-key", "a b"), pair("x", "1")]);
        assert_eq!(
            (logs.url.as_str(), logs.is_base, logs.protocol.as_deref()),
            ("http://logs", true, Some("http/json"))
        );
        assert_eq!(logs.from, pair("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "settings.json"));
        assert_eq!(logs.headers, [pair("api-key", "a b"), pair("x", "2"), pair("y", "3")]);
    }

    #[test]
    fn a_path_of_its_own_is_no_base() {
        let own =
            [&ON[..], &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://x/custom")]].concat();
        let found = found(vec![layer("the environment", false, &own)]);
        assert_eq!(
            (found.len(), found[0].is_base, found[0].url.as_str()),
            (1, false, "https://x/custom")
        );
    }

    #[test]
    fn a_repositorys_and_ours_and_what_is_off_are_none() {
        let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://repository")];
        let repository = [&ON[..], &endpoint].concat();
        assert_eq!(found(vec![layer("a", false, &[]), layer("b", true, &repository)]), []);
        assert_eq!(found(vec![layer("a", false, &ON), layer("b", true, &endpoint)]), []);
        let ours = [&ON[..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:14318")]].concat();
        assert_eq!(found(vec![layer("a", false, &ours)]), []);
        assert_eq!(found(vec![layer("a", false, &endpoint)]), []);
        let off = [&ON[1..], &endpoint].concat();
        assert_eq!(found(vec![layer("a", false, &off)]), []);
    }
}
