//! Profile `scrape`: a Prometheus that reads the agent's page. It has to know where that is, needs the
//! agent's token, and hands on what it has scraped to the Prometheus that Grafana asks.

use anyhow::Context as _;
use serde_json::json;

use crate::agent::{ensure, files as private};
use crate::cli::say_wrapped;
use crate::config;
use crate::config::edit::{ConfigFile, Form};
use crate::paths::Paths;
use crate::stack::settings::Settings;

/// What a container of Docker Desktop calls this machine.
const DESKTOP_HOST: &str = "host.docker.internal";
/// As `prometheus-scrape.yml` has it.
const HANDED_ON_TO: &str = "http://127.0.0.1:9090/";

/// The scraper runs as the user, whose alone the token is.
pub fn prepare(paths: &Paths, settings: &mut Settings) -> anyhow::Result<()> {
    let directory = paths.stack_dir();
    private::private_dir(&directory.join("scrape-data"))?;
    settings.set("CCOTEL_TOKEN_FILE", &paths.token_file().display().to_string());
    settings.set("CCOTEL_UID", &rustix::process::getuid().as_raw().to_string());
    settings.set("CCOTEL_GID", &rustix::process::getgid().as_raw().to_string());
    let is_desktop = settings.has_profile("scrape-desktop");
    if is_desktop {
        allow_host(paths)?;
    }
    let config = config::read(paths).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", lines.join("; "))
    })?;
    let agent = ensure::ensure(paths, &config).context("there is no agent to scrape")?;
    let port = agent.address.port();
    let host = if is_desktop { DESKTOP_HOST.to_owned() } else { agent.address.ip().to_string() };
    let targets = json!([{ "targets": [format!("{host}:{port}")] }]).to_string();
    write(&directory.join("scrape-targets.json"), &targets)?;
    let file = directory.join("prometheus-scrape.yml");
    let text = std::fs::read_to_string(&file).map_err(private::at("read", &file))?;
    let to = if is_desktop {
        "http://prometheus:9090/".to_owned()
    } else {
        format!("http://127.0.0.1:{}/", settings.port("PROMETHEUS_PORT"))
    };
    write(&file, &text.replace(HANDED_ON_TO, &to))
}

/// `[agent] allowed_hosts`, beside what is there.
fn allow_host(paths: &Paths) -> anyhow::Result<()> {
    let mut file = ConfigFile::open(&paths.config_file())?;
    let known = config::read(paths).map(|config| config.agent.allowed_hosts).unwrap_or_default();
    if known.iter().any(|name| name == DESKTOP_HOST) {
        return Ok(());
    }
    let names: Vec<String> = known.into_iter().chain([DESKTOP_HOST.to_owned()]).collect();
    file.set("agent", "allowed_hosts", &names, Form::List);
    file.save()?;
    say_wrapped(&format!(
        "{DESKTOP_HOST}: written to [agent] allowed_hosts in {}, so that a container may ask the agent",
        paths.config_file().display()
    ));
    Ok(())
}

fn write(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    Ok(std::fs::write(path, text).map_err(private::at("write", path))?)
}
