//! The stack's destinations in config.toml.

use anyhow::Context as _;

use crate::agent::manage;
use crate::cli::say_wrapped;
use crate::config::destination::{DestinationConfig, DestinationType};
use crate::config::edit::ConfigFile;
use crate::paths::Paths;
use crate::stack::settings::Settings;
use crate::store::handle::Since;

/// Writes the stack's destinations into config.toml, or brings their addresses up to date.
pub fn connect(paths: &Paths, settings: &Settings) -> anyhow::Result<()> {
    let mut file = ConfigFile::open(&paths.config_file())?;
    let wanted = destinations(settings, &file);
    let before = file.to_string();
    for config in &wanted {
        if !before.contains(&format!("\"{}\"", config.url)) {
            file.remove_destination(&config.name);
        }
        if !file.destination_names().contains(&config.name) {
            file.add_destination(config)?;
        }
    }
    if file.to_string() == before {
        return Ok(());
    }
    file.save().context("the stack runs; connecting it failed")?;
    let runs =
        manage::reload(paths, |names| wanted.iter().all(|it| names.contains(&it.name.as_str())));
    let when =
        if runs { "from now on" } else { "once the agent runs: the next `claude` starts it" };
    let names: Vec<&str> = wanted.iter().map(|config| config.name.as_str()).collect();
    say_wrapped(&format!(
        "{}: written to {}; sent to {when}",
        names.join(", "),
        paths.config_file().display()
    ));
    Ok(())
}

fn destinations(settings: &Settings, file: &ConfigFile) -> Vec<DestinationConfig> {
    let mut wanted = vec![
        ("stack-prometheus", DestinationType::Prometheus, "PROMETHEUS_PORT", "/api/v1/write"),
        ("stack-loki", DestinationType::Loki, "LOKI_PORT", "/loki/api/v1/push"),
    ];
    if settings.has_profile("victoria") {
        wanted.extend([
            (
                "stack-victoriametrics",
                DestinationType::Prometheus,
                "VICTORIAMETRICS_PORT",
                "/api/v1/write",
            ),
            (
                "stack-victorialogs",
                DestinationType::VictoriaLogs,
                "VICTORIALOGS_PORT",
                "/insert/opentelemetry/v1/logs",
            ),
        ]);
    }
    if settings.is_scraped() {
        wanted.retain(|(name, ..)| *name != "stack-prometheus"); // it would have everything twice
    }
    let config =
        |(name, kind, port, path): (&str, DestinationType, &str, &str)| DestinationConfig {
            privacy: file.privacy_level(),
            since: Since::All,
            ..DestinationConfig::new(
                name,
                kind,
                format!("http://127.0.0.1:{}{path}", settings.port(port)),
            )
        };
    wanted.into_iter().map(config).collect()
}
