//! The stack's destinations in config.toml.

use anyhow::Context as _;

use crate::agent::manage;
use crate::cli::say_wrapped;
use crate::config::destination::{DestinationConfig, DestinationType};
use crate::config::edit::ConfigFile;
use crate::paths::Paths;
use crate::stack::settings::Settings;
use crate::store::handle::Since;

/// The names that the stack gives.
const NAMES: [&str; 4] =
    ["stack-prometheus", "stack-loki", "stack-victoriametrics", "stack-victorialogs"];
/// Where a destination of such a name is the stack's, and not one that somebody pointed elsewhere.
const HERE: &str = "http://127.0.0.1:";

/// Writes the stack's destinations into config.toml, brings their addresses up to date, and takes out
/// those whose profile is off.
pub fn connect(paths: &Paths, settings: &Settings) -> anyhow::Result<()> {
    let mut file = ConfigFile::open(&paths.config_file())?;
    let wanted = destinations(settings, &file);
    let before = file.to_string();
    let over = apply(&mut file, &wanted)?;
    if file.to_string() == before {
        return Ok(());
    }
    file.save().context("the stack runs; connecting it failed")?;
    let runs = manage::reload(paths, |names| {
        wanted.iter().all(|it| names.contains(&it.name.as_str()))
            && over.iter().all(|name| !names.contains(name))
    });
    for name in over {
        let why = if name == "stack-prometheus" {
            "it is scraped instead, and would have everything twice"
        } else {
            "its profile is off"
        };
        say_wrapped(&format!("{name}: removed from {}; {why}", paths.config_file().display()));
    }
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

/// Says which were taken out.
fn apply(file: &mut ConfigFile, wanted: &[DestinationConfig]) -> anyhow::Result<Vec<&'static str>> {
    for config in wanted {
        match file.destination_url(&config.name) {
            Some(url) if url == config.url => {}
            Some(_) => _ = file.set_destination_url(&config.name, &config.url),
            None => file.add_destination(config)?,
        }
    }
    let is_over = |name: &&str| {
        wanted.iter().all(|config| config.name != *name)
            && file.destination_url(name).is_some_and(|url| url.starts_with(HERE))
    };
    let over: Vec<&str> = NAMES.into_iter().filter(is_over).collect();
    for name in &over {
        file.remove_destination(name);
    }
    Ok(over)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_that_scrapes_takes_the_writer_out_and_a_moved_port_changes_the_address_alone() {
        let text = "# \"http://127.0.0.1:3200/loki/api/v1/push\"\n\
            [[destination]]\nname = \"stack-prometheus\"\ntype = \"prometheus\"\n\
            url = \"http://127.0.0.1:9090/api/v1/write\"\n\n\
            [[destination]]\nname = \"stack-loki\"\ntype = \"loki\"\n\
            url = \"http://127.0.0.1:3100/loki/api/v1/push\"\nprivacy = \"minimal\"\n";
        let mut file = ConfigFile::of_text(std::path::Path::new("config.toml"), text).unwrap();
        let mut settings = Settings::default();
        settings.set("COMPOSE_PROFILES", "scrape");
        settings.set("LOKI_PORT", "3200");
        let wanted = destinations(&settings, &file);
        assert_eq!(apply(&mut file, &wanted).unwrap(), ["stack-prometheus"]);
        assert_eq!(file.destination_names(), ["stack-loki"]);
        let url = file.destination_url("stack-loki");
        assert_eq!(url, Some("http://127.0.0.1:3200/loki/api/v1/push"));
        assert!(file.to_string().contains("privacy = \"minimal\""));
        assert!(apply(&mut file, &wanted).unwrap().is_empty());
    }
}
