//! The user's and the project's settings: what of them would make Claude Code export nothing, were it
//! not for ccotel, which outranks them.

use super::check::Check;
use super::remedy::{add_variable, set_variable, unset_variable};
use super::settings::PROTOCOLS;
use crate::launch::layers::{ENABLE_TELEMETRY, Layers, RESOURCE_ATTRIBUTES};
use crate::launch::variables::is_true;
use crate::tags::encode;

const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const EXPORTERS: [&str; 4] = ["otlp", "console", "prometheus", "none"];
const SIGNALS: [&str; 2] = ["METRICS", "LOGS"];

/// A variable that wins among the user's and the project's layers, and where.
fn effective<'l>(layers: &'l Layers, name: &str) -> Option<(&'l str, &'l str)> {
    layers.layers.iter().rev().find_map(|layer| {
        let value = layer.env.get(name)?.trim();
        Some((layer.source.as_str(), value))
    })
}

pub fn check(layers: &Layers) -> Check {
    let broken = layers.broken();
    if let Some(first) = broken.first() {
        return Check::warning("settings", first)
            .by_hand("mend it: what it says of telemetry, or of a collector, is not seen")
            .all_of(broken);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::layers::Layer;

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
            check(&layers(&all)).why
        };
        assert!(with(&[]).contains("OTEL_EXPORTER_OTLP_PROTOCOL is set nowhere"));
        assert!(with(&[(PROTOCOL, "http")]).contains("to `http`"));
        assert!(with(&[(PROTOCOL, "grpc")]).contains("in order"));
        let own = ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http");
        assert!(with(&[(PROTOCOL, "grpc"), own]).contains("LOGS_PROTOCOL to `http`"));
        let odd = ("OTEL_RESOURCE_ATTRIBUTES", "a=b,team=my team");
        let why = with(&[(PROTOCOL, "grpc"), odd]);
        assert!(why.contains("`team=my team`"), "{why}");
        assert!(check(&layers(&[(ENABLE_TELEMETRY, "0")])).why.contains("turns telemetry off"));
        assert!(check(&layers(&[on])).why.contains("OTEL_METRICS_EXPORTER is set nowhere"));
        let none = [on, ("OTEL_METRICS_EXPORTER", "none")];
        assert!(check(&layers(&none)).why.contains("without otlp"));
        assert!(check(&layers(&[])).why.contains("none of your own"));
    }
}
