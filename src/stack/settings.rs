//! `.env`: ports, profiles and the password. Written 0600, and read again as it is: lines that somebody
//! added stay.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::agent::files;

/// A variable, the port where it is free, and what begins the names of the profiles that have it.
pub const PORTS: [(&str, u16, &str); 10] = [
    ("GRAFANA_PORT", 3000, ""),
    ("PROMETHEUS_PORT", 9090, ""),
    ("LOKI_PORT", 3100, ""),
    ("VICTORIAMETRICS_PORT", 8428, "victoria"),
    ("VICTORIALOGS_PORT", 9428, "victoria"),
    ("COLLECTOR_GRPC_PORT", 4317, "collector"),
    ("COLLECTOR_HTTP_PORT", 4318, "collector"),
    ("COLLECTOR_METRICS_PORT", 8889, "collector"),
    ("COLLECTOR_HEALTH_PORT", 13133, "collector"),
    ("PROMETHEUS_SCRAPE_PORT", 9091, "scrape"),
];
/// Ports that are tried above a taken one.
const PORTS_TRIED: u16 = 200;
const PASSWORD_BYTES: usize = 18;
const FIRST_LINE: &str = "# Made by `ccotel stack up`; yours to change, then `up` again.";

/// The settings in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    lines: Vec<String>,
}

/// Of a stack that was never started.
impl Default for Settings {
    fn default() -> Self {
        Self { lines: vec![FIRST_LINE.to_owned()] }
    }
}

impl Settings {
    pub fn file(directory: &Path) -> PathBuf {
        directory.join(".env")
    }

    /// `None` where the stack was never written.
    pub fn read(directory: &Path) -> anyhow::Result<Option<Self>> {
        let path = Self::file(directory);
        let Some(bytes) = files::read_small(&path)? else { return Ok(None) };
        let text = String::from_utf8(bytes)
            .with_context(|| format!("{} is not text; remove it", path.display()))?;
        Ok(Some(Self { lines: text.lines().map(str::to_owned).collect() }))
    }

    pub fn save(&self, directory: &Path) -> anyhow::Result<()> {
        files::private_dir(directory)?;
        let text = self.lines.iter().fold(String::new(), |text, line| text + line + "\n");
        Ok(files::replace(&Self::file(directory), text.as_bytes())?)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let values = self.lines.iter().filter_map(|line| line.trim().split_once('='));
        values.rev().find(|(other, _)| other.trim() == name).map(|(_, value)| value.trim())
    }

    pub fn set(&mut self, name: &str, value: &str) {
        let is_it =
            |line: &String| line.trim().split_once('=').is_some_and(|(it, _)| it.trim() == name);
        let line = format!("{name}={value}");
        match self.lines.iter_mut().find(|line| is_it(line)) {
            Some(old) => *old = line,
            None => self.lines.push(line),
        }
    }

    pub fn port(&self, name: &str) -> u16 {
        let usual = PORTS.iter().find(|(it, ..)| *it == name).map_or(0, |(_, port, _)| *port);
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or(usual)
    }

    pub fn profiles(&self) -> Vec<&str> {
        self.get("COMPOSE_PROFILES").map_or_else(Vec::new, |value| {
            value.split(',').map(str::trim).filter(|it| !it.is_empty()).collect()
        })
    }

    pub fn has_profile(&self, name: &str) -> bool {
        self.profiles().contains(&name)
    }

    /// Whether a Prometheus scrapes the agent, instead of being written to.
    pub fn is_scraped(&self) -> bool {
        ["scrape", "scrape-desktop"].iter().any(|name| self.has_profile(name))
    }

    /// What every stack needs and is not there yet. The password is made once.
    pub fn complete(&mut self) -> anyhow::Result<()> {
        self.set("COMPOSE_PROJECT_NAME", "ccotel");
        self.set("GRAFANA_DIR", "./grafana");
        for name in ["GRAFANA_ADMIN_PASSWORD", "GRAFANA_RENDERER_TOKEN"] {
            if self.get(name).is_none_or(str::is_empty) {
                self.set(name, &secret()?);
            }
        }
        let victoria = self.has_profile("victoria");
        let of = |folder: &str| {
            format!("./provisioning/{folder}{}", if victoria { "-victoria" } else { "" })
        };
        self.set("GRAFANA_DATASOURCES", &of("datasources"));
        self.set("GRAFANA_PROVIDERS", &of("dashboards"));
        self.set("GRAFANA_PLUGINS", if victoria { "victoriametrics-logs-datasource" } else { "" });
        let renders = self.has_profile("renderer");
        self.set("GRAFANA_RENDERER_URL", if renders { "http://renderer:8081/render" } else { "" });
        Ok(())
    }

    /// Gives every taken port another, and says which were moved. `running` is what the stack was
    /// started with, if it runs: its ports are taken by itself.
    pub fn move_taken_ports(&mut self, running: Option<&Self>) -> anyhow::Result<Vec<(u16, u16)>> {
        let runs = |of: &str| running.is_some_and(|running| running.has_ports(of));
        let mut moved = Vec::new();
        let own = PORTS.iter().filter(|(_, _, of)| runs(of));
        let mut given: Vec<u16> = own.map(|(name, ..)| self.port(name)).collect();
        for (name, _, of) in PORTS {
            if runs(of) || !self.has_ports(of) {
                continue;
            }
            let wanted = self.port(name);
            let free = (wanted..wanted.saturating_add(PORTS_TRIED))
                .find(|port| !given.contains(port) && is_free(*port));
            ensure!(free.is_some(), "no port from {wanted} on is free; set {name} in .env");
            let free = free.unwrap_or(wanted);
            if free != wanted {
                moved.push((wanted, free));
            }
            given.push(free);
            self.set(name, &free.to_string());
        }
        Ok(moved)
    }

    /// Whether ports of these profiles are in use: see `PORTS`.
    fn has_ports(&self, of: &str) -> bool {
        of.is_empty() || self.profiles().iter().any(|profile| profile.starts_with(of))
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; PASSWORD_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_made_once_and_other_lines_stay() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Settings::read(directory.path()).unwrap(), None);
        let mut first = Settings::default();
        first.complete().unwrap();
        first.lines.push("LOKI_PORT=4000 ".to_owned());
        first.save(directory.path()).unwrap();
        let mut second = Settings::read(directory.path()).unwrap().unwrap();
        second.complete().unwrap();
        assert_eq!(second, first);
        assert!(first.get("GRAFANA_ADMIN_PASSWORD").unwrap().len() >= 20);
        assert_eq!(first.lines[0], FIRST_LINE);
        assert_eq!(second.port("LOKI_PORT"), 4000);
        assert_eq!(second.port("GRAFANA_PORT"), 3000);
    }

    #[test]
    fn a_taken_port_is_moved_and_no_port_is_given_twice() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut settings = Settings::default();
        settings.set("GRAFANA_PORT", &port.to_string());
        settings.set("LOKI_PORT", &port.to_string());
        let moved = settings.move_taken_ports(None).unwrap();
        assert_eq!(moved.iter().filter(|(from, _)| *from == port).count(), 2);
        assert_ne!(settings.port("GRAFANA_PORT"), port);
        assert_ne!(settings.port("GRAFANA_PORT"), settings.port("LOKI_PORT"));
    }

    #[test]
    fn ports_of_profiles_that_are_off_are_left_alone() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let mut settings = Settings::default();
        settings.set("COLLECTOR_HEALTH_PORT", &port);
        settings.set("LOKI_PORT", &port);
        let running = settings.clone();
        settings.move_taken_ports(Some(&running)).unwrap();
        assert_eq!(settings.get("COLLECTOR_HEALTH_PORT"), Some(port.as_str()));
        settings.set("COMPOSE_PROFILES", "collector");
        settings.move_taken_ports(Some(&running)).unwrap();
        assert_ne!(settings.get("COLLECTOR_HEALTH_PORT"), Some(port.as_str()));
        assert_eq!(settings.get("LOKI_PORT"), Some(port.as_str()), "it runs there itself");
    }

    #[test]
    fn victoria_brings_its_datasources() {
        let mut settings = Settings::default();
        settings.set("COMPOSE_PROFILES", "victoria, renderer");
        settings.complete().unwrap();
        assert_eq!(
            settings.get("GRAFANA_DATASOURCES"),
            Some("./provisioning/datasources-victoria")
        );
        assert!(settings.has_profile("renderer"));
        settings.set("COMPOSE_PROFILES", "");
        settings.complete().unwrap();
        assert_eq!(settings.get("GRAFANA_PLUGINS"), Some(""));
    }
}
