//! What an organisation's managed settings leave of our own. They outrank `--settings`: this is
//! said, and not fought.

use super::layers::{ENABLE_TELEMETRY, HEADERS_HELPER, Layer, RESOURCE_ATTRIBUTES};
use super::problems::Noticed;
use super::variables::is_true;
use crate::agent::ensure::Endpoint;

/// Where a launch's telemetry will go.
#[derive(Debug, PartialEq, Eq)]
pub enum Feed {
    /// To the agent.
    Ours,
    /// Elsewhere, or nowhere: an organisation decided.
    Managed,
}

/// Who has the feed, and what there is to say of it.
pub fn feed(managed: &[Layer], endpoint: &Endpoint) -> (Feed, Option<Noticed>) {
    let ours = format!("http://{}", endpoint.address);
    for layer in managed {
        if layer.env.get(ENABLE_TELEMETRY).is_some_and(|text| !text.is_empty() && !is_true(text)) {
            let what = format!("{} turns telemetry off, so nothing is counted", layer.source);
            return (Feed::Managed, Some(noticed(what, "ask who keeps it")));
        }
        let claims = |(name, value): (&String, &String)| claims_feed(name, value, &ours);
        if layer.env.iter().any(claims) {
            let what = format!(
                "{} sends telemetry elsewhere, so ccotel receives nothing and only adds tags",
                layer.source
            );
            let remedy = format!("ask who keeps it to name the endpoint {ours}");
            return (Feed::Managed, Some(noticed(what, &remedy)));
        }
    }
    let erased = managed.iter().find(|layer| layer.env.contains_key(RESOURCE_ATTRIBUTES));
    let noticed = erased.map(|layer| {
        let what = format!("{} sets {RESOURCE_ATTRIBUTES}, which replaces tags", layer.source);
        noticed(what, "ask who keeps it to leave it out")
    });
    (Feed::Ours, noticed)
}

fn noticed(what: String, remedy: &str) -> Noticed {
    Noticed::new(what, remedy).once()
}

/// Whether a managed variable takes the feed away. One that names the agent does not.
fn claims_feed(name: &str, value: &str, ours: &str) -> bool {
    if name == HEADERS_HELPER {
        return false;
    }
    if name == "OTEL_METRICS_EXPORTER" || name == "OTEL_LOGS_EXPORTER" {
        return !value.is_empty() && !value.split(',').any(|exporter| exporter.trim() == "otlp");
    }
    name.starts_with("OTEL_EXPORTER_OTLP_")
        && name.ends_with("_ENDPOINT")
        && !value.is_empty()
        && !value.starts_with(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str, value: &str) -> Vec<Layer> {
        let env = [(name.to_owned(), value.to_owned())].into();
        vec![Layer { source: "managed.json".into(), repository: false, env }]
    }

    #[test]
    fn only_what_takes_the_feed_away_makes_us_step_aside() {
        let endpoint =
            Endpoint { address: "127.0.0.1:14318".parse().unwrap(), token: "t".to_owned() };
        for (name, value, expected, says) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector", Feed::Managed, true),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://collector", Feed::Managed, true),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:14318", Feed::Ours, false),
            ("OTEL_METRICS_EXPORTER", "console", Feed::Managed, true),
            ("OTEL_METRICS_EXPORTER", "otlp", Feed::Ours, false),
            ("CLAUDE_CODE_ENABLE_TELEMETRY", "0", Feed::Managed, true),
            ("CLAUDE_CODE_ENABLE_TELEMETRY", "1", Feed::Ours, false),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=b", Feed::Ours, true),
            ("OTEL_LOG_USER_PROMPTS", "1", Feed::Ours, false),
        ] {
            let (feed, noticed) = feed(&layer(name, value), &endpoint);
            assert_eq!(feed, expected, "{name}={value}");
            assert_eq!(noticed.is_some(), says, "{name}={value}");
        }
    }
}
