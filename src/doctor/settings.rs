//! Claude Code's settings: which layer wins which variable of its telemetry, and what is left of that
//! when ccotel launches it.
//!
//! The wrapper outranks every layer but the managed settings, so what is wrong in the others costs
//! only the sessions that no wrapper starts: a warning. What is wrong in the managed ones costs all.

use crate::agent::ensure::Endpoint;
use crate::launch::feed;
use crate::launch::layers::{HEADERS_HELPER, Layer, Layers, RESOURCE_ATTRIBUTES};
use crate::launch::managed::{self, Feed};
use crate::launch::prepare::Here;

use super::check::Check;
use super::own_settings;
use super::remedy::ours;

/// What Claude Code knows; any other word, or none, and it exports nothing, without a message.
pub const PROTOCOLS: [&str; 3] = ["grpc", "http/json", "http/protobuf"];

/// `endpoint` is the agent's, or where it would be.
pub fn checks(here: &Here, endpoint: &Endpoint) -> Vec<Check> {
    let layers = &here.layers;
    vec![
        managed_settings(&layers.managed, endpoint),
        with_precedence(own_settings::check(layers), layers),
        taken_feed(here, endpoint),
    ]
}

fn with_precedence(mut check: Check, layers: &Layers) -> Check {
    let own = std::mem::take(&mut check.details);
    check.details(own.into_iter().chain(precedence(layers)))
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
