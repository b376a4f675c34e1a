//! Claude Code's settings: which layer wins which variable of its telemetry, and what is left of that
//! when ccotel launches it.
//!
//! The wrapper outranks every layer but the managed settings, so what is wrong in the others costs
//! only the sessions that no wrapper starts: a warning. What is wrong in the managed ones costs all.

use crate::agent::ensure::Endpoint;
use crate::launch::feed;
use crate::launch::layers::{ENABLE_TELEMETRY, HEADERS_HELPER, Layer, Layers, RESOURCE_ATTRIBUTES};
use crate::launch::managed::{self, Feed};
use crate::launch::prepare::Here;
use crate::launch::variables::is_true;
use crate::tags::encode;

use super::check::Check;
use super::remedy::{add_variable, ours, set_variable, unset_variable};

const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
/// What Claude Code knows; any other word, or none, and it exports nothing, without a message.
const PROTOCOLS: [&str; 3] = ["grpc", "http/json", "http/protobuf"];
const EXPORTERS: [&str; 4] = ["otlp", "console", "prometheus", "none"];
const SIGNALS: [&str; 2] = ["METRICS", "LOGS"];

/// `endpoint` is the agent's, or where it would be.
pub fn checks(here: &Here, endpoint: &Endpoint) -> Vec<Check> {
    let layers = &here.layers;
    vec![
        managed_settings(&layers.managed, endpoint),
        own_settings(layers).details(precedence(layers)),
        taken_feed(here, endpoint),
    ]
}

fn managed_settings(managed: &[Layer], endpoint: &Endpoint) -> Check {
    let name = "managed_settings";
    if managed.is_empty() {
        return Check::ok(name, "no managed settings of an organisation speak of telemetry");
    }
    let ours = format!("http://{}", endpoint.address);
    let (feed, noticed) = managed::feed(managed, endpoint);
    if let (Feed::Managed, Some(noticed)) = (feed, &noticed) {
        return Check::failed(name, &noticed.what).by_hand(format!(
            "managed settings win over ccotel: {}, or to leave telemetry out of it \
             (`ccotel setup --print-managed-settings` prints what it should hold)",
            noticed.remedy
        ));
    }
    for layer in managed {
        let wrong = layer.env.iter().find(|(name, value)| {
            name.ends_with("_PROTOCOL") && !PROTOCOLS.contains(&value.as_str()) && !value.is_empty()
        });
        if let Some((variable, value)) = wrong {
            let why = format!(
                "{} sets {variable} to `{value}`, which Claude Code does not know: it exports nothing",
                layer.source
            );
            let ask = format!("ask who keeps it to make it http/protobuf, and the endpoint {ours}");
            return Check::failed(name, why).by_hand(ask);
        }
    }
    if let Some(noticed) = noticed {
        return Check::warning(name, noticed.what).by_hand(noticed.remedy);
    }
    let sources: Vec<&str> = managed.iter().map(|layer| layer.source.as_str()).collect();
    Check::ok(name, format!("{} leave the feed to ccotel", sources.join(", ")))
}

/// A variable that wins among the user's and the project's layers, and where.
fn effective<'l>(layers: &'l Layers, name: &str) -> Option<(&'l str, &'l str)> {
    layers.layers.iter().rev().find_map(|layer| {
        let value = layer.env.get(name)?.trim();
        Some((layer.source.as_str(), value))
    })
}

fn own_settings(layers: &Layers) -> Check {
    let wrong = switched_off(layers)
        .or_else(|| exporter(layers))
        .or_else(|| protocol(layers))
        .or_else(|| attributes(layers));
    wrong.unwrap_or_else(|| {
        let own = layers.layers.iter().any(|layer| !layer.env.is_empty());
        let why = if own {
            "your own telemetry variables are in order, and `ccotel claude` merges with them"
        } else {
            "none of your own settings speak of telemetry; `ccotel claude` sets what is needed"
        };
        Check::ok("settings", why)
    })
}

/// What all of these have in common.
fn warning(source: &str, what: &str) -> Check {
    let why = format!(
        "{source} {what}; sessions through ccotel are counted all the same, others send nothing"
    );
    let check = Check::warning("settings", why);
    if source.starts_with('/') {
        check
    } else {
        check.by_hand("if it comes back, change your shell's startup file, too")
    }
}

fn switched_off(layers: &Layers) -> Option<Check> {
    let (source, value) = effective(layers, ENABLE_TELEMETRY)?;
    if value.is_empty() || is_true(value) {
        return None;
    }
    let check =
        warning(source, &format!("sets {ENABLE_TELEMETRY}={value}, which turns telemetry off"));
    // On, what is set up beside it works again; where that is not all there has to be, it is taken out.
    let mut on = layers.clone();
    let switch = on.layers.iter_mut().rev().find(|it| it.source == source);
    if let Some(layer) = switch {
        layer.env.insert(ENABLE_TELEMETRY.to_owned(), "1".to_owned());
    }
    let remedy = if exporter(&on).or_else(|| protocol(&on)).is_none() {
        set_variable(source, ENABLE_TELEMETRY, "1")
    } else {
        unset_variable(source, ENABLE_TELEMETRY)
    };
    Some(check.maybe_remedy(remedy))
}

fn is_on(layers: &Layers) -> Option<&str> {
    let (source, value) = effective(layers, ENABLE_TELEMETRY)?;
    is_true(value).then_some(source)
}

fn exporter(layers: &Layers) -> Option<Check> {
    let switch = is_on(layers)?;
    for signal in SIGNALS {
        let variable = format!("OTEL_{signal}_EXPORTER");
        let Some((source, value)) = effective(layers, &variable).filter(|it| !it.1.is_empty())
        else {
            let what = format!("turns telemetry on, and {variable} is set nowhere");
            let check = warning(switch, &what);
            return Some(check.maybe_remedy(add_variable(
                switch,
                ENABLE_TELEMETRY,
                &variable,
                "otlp",
            )));
        };
        let mut names = value.split(',').map(str::trim);
        let what = if let Some(unknown) = names.clone().find(|it| !EXPORTERS.contains(it)) {
            format!(
                "sets {variable} to `{unknown}`, which Claude Code does not know: it exports nothing"
            )
        } else if !names.any(|name| name == "otlp") {
            format!("sets {variable}={value}, without otlp")
        } else {
            continue;
        };
        return Some(warning(source, &what).maybe_remedy(set_variable(source, &variable, "otlp")));
    }
    None
}

/// Per signal, as Claude Code resolves it: its own variable, else the generic one.
fn protocol(layers: &Layers) -> Option<Check> {
    let switch = is_on(layers)?;
    for signal in SIGNALS {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_PROTOCOL");
        let set = |name: &str| effective(layers, name).filter(|it| !it.1.is_empty());
        let (variable, found) = match set(&own) {
            Some(found) => (own.as_str(), Some(found)),
            None => (PROTOCOL, set(PROTOCOL)),
        };
        let Some((source, value)) = found else {
            let what = format!(
                "turns telemetry on, and {PROTOCOL} is set nowhere: Claude Code then exports nothing"
            );
            let remedy = add_variable(switch, ENABLE_TELEMETRY, PROTOCOL, "http/protobuf");
            return Some(warning(switch, &what).maybe_remedy(remedy));
        };
        if !PROTOCOLS.contains(&value) {
            let what = format!(
                "sets {variable} to `{value}`, which Claude Code does not know: it exports nothing"
            );
            let remedy = set_variable(source, variable, "http/protobuf");
            return Some(warning(source, &what).maybe_remedy(remedy));
        }
    }
    None
}

/// One malformed entry makes Claude Code drop all of them.
fn attributes(layers: &Layers) -> Option<Check> {
    is_on(layers)?;
    let (source, value) = effective(layers, RESOURCE_ATTRIBUTES)?;
    let malformed = |text: &str| {
        text.chars().any(|it| !it.is_ascii_graphic() || it == ';' || it == '\\')
            || text.split('%').skip(1).any(|rest| {
                !rest.get(..2).is_some_and(|hex| hex.bytes().all(|it| it.is_ascii_hexdigit()))
            })
    };
    let bad = value.split(',').find(|entry| malformed(entry))?;
    let entries = encode::entries(value);
    let encoded = encode::join(entries.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let what = format!(
        "has `{}` in {RESOURCE_ATTRIBUTES}: one malformed entry makes Claude Code drop all of them",
        bad.trim()
    );
    Some(warning(source, &what).maybe_remedy(set_variable(source, RESOURCE_ATTRIBUTES, &encoded)))
}

/// Telemetry that went elsewhere before ccotel came.
fn taken_feed(here: &Here, endpoint: &Endpoint) -> Check {
    let name = "other_collector";
    let same = |known: &str, url: &str| feed::bare(known).trim_end_matches('/') == url;
    let known = |url: &str| here.loaded.config.destinations.iter().any(|it| same(&it.url, url));
    let exports = feed::exports(&here.layers, endpoint.address);
    let mut urls = exports.iter().map(|export| (export, feed::bare(&export.url)));
    let Some((export, url)) = urls.clone().find(|(_, url)| !known(url)) else {
        return match urls.next() {
            Some((_, url)) => Check::ok(name, format!("{url} gets its share as a destination")),
            None => {
                Check::ok(name, "no collector of your own that ccotel would take the feed from")
            }
        };
    };
    let (variable, source) = &export.from;
    let why = format!(
        "{variable} in {source} exports to {url}; sessions through ccotel come here instead of there"
    );
    Check::warning(name, why).remedy(ours("connect otlp --inherit"))
}

/// Every variable that a layer sets: which one wins, and over which others.
fn precedence(layers: &Layers) -> Vec<String> {
    let all: Vec<&Layer> = layers.layers.iter().chain(&layers.managed).collect();
    let mut names: Vec<&String> = all.iter().flat_map(|layer| layer.env.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            let mut setting = all.iter().rev().filter(|layer| layer.env.contains_key(name));
            let winner = setting.next().map_or("", |layer| layer.source.as_str());
            let others: Vec<&str> = setting.map(|layer| layer.source.as_str()).collect();
            let over = if others.is_empty() {
                String::new()
            } else {
                format!(", over {}", others.join(", "))
            };
            let managed = layers.managed.iter().any(|layer| layer.env.contains_key(name));
            let then = match (managed, name.as_str()) {
                (true, _) => "wins over ccotel",
                (false, RESOURCE_ATTRIBUTES) => "ccotel merges tags into it",
                (false, HEADERS_HELPER) => "ccotel needs no headers",
                (false, name) if name.starts_with("OTEL_LOG_") => "stays, if it is your own",
                (false, _) => "ccotel sets its own above it",
            };
            format!("{name}: {winner}{over}; {then}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(pairs: &[(&str, &str)]) -> Layers {
        let env = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let layer =
            Layer { source: "the environment".into(), repository: false, env: env.collect() };
        Layers { layers: vec![layer], managed: Vec::new() }
    }

    #[test]
    fn what_would_export_nothing_is_named() {
        let on = (ENABLE_TELEMETRY, "1");
        let exporters = [("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_LOGS_EXPORTER", "otlp")];
        let with = |more: &[(&'static str, &'static str)]| {
            let all: Vec<_> =
                [on].into_iter().chain(exporters).chain(more.iter().copied()).collect();
            own_settings(&layers(&all)).why
        };
        assert!(with(&[]).contains("OTEL_EXPORTER_OTLP_PROTOCOL is set nowhere"));
        assert!(with(&[(PROTOCOL, "http")]).contains("to `http`"));
        assert!(with(&[(PROTOCOL, "grpc")]).contains("in order"));
        let own = ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http");
        assert!(with(&[(PROTOCOL, "grpc"), own]).contains("LOGS_PROTOCOL to `http`"));
        let odd = ("OTEL_RESOURCE_ATTRIBUTES", "a=b,team=my team");
        let why = with(&[(PROTOCOL, "grpc"), odd]);
        assert!(why.contains("`team=my team`"), "{why}");
        assert!(
            own_settings(&layers(&[(ENABLE_TELEMETRY, "0")])).why.contains("turns telemetry off")
        );
        assert!(own_settings(&layers(&[on])).why.contains("OTEL_METRICS_EXPORTER is set nowhere"));
        let none = [on, ("OTEL_METRICS_EXPORTER", "none")];
        assert!(own_settings(&layers(&none)).why.contains("without otlp"));
        assert!(own_settings(&layers(&[])).why.contains("none of your own"));
    }
}
