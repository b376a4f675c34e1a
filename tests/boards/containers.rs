//! A container engine for tests: a `docker` on PATH that hands on what compose is told, and starts the real
//! servers in the containers' place, with the files, flags and ports that docker-compose itself reads from
//! the stack's compose.yaml.
//!
//! ```text
//! ccotel ─▶ docker compose up ─▶ request ─▶ this thread ─▶ prometheus, loki, a page for grafana
//!               ▲ docker-compose config ──────┘                          on the published ports
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::routing::get;
use serde_json::Value;

use crate::harness::addresses;
use crate::harness::loki_stand_in::{self, SharedTenants};
use crate::harness::programs::Program;
use crate::harness::server_process::ServerProcess;
use crate::harness::serving::Serving;

/// Answers what the test's thread says; what needs no server is answered here.
const DOCKER: &str = r#"#!/bin/sh
[ "$1" = info ] && exit 0
[ "$2" = version ] && exit 0
if [ "$2" = ps ]; then cat "$ENGINE/running" 2>/dev/null; exit 0; fi
if [ "$2" = up ]; then
  docker-compose config > "$ENGINE/config.yaml" || exit 1
  python3 -c 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)' \
    < "$ENGINE/config.yaml" > "$ENGINE/config.json" || exit 1
fi
shift
echo "$@" > "$ENGINE/new" && mv "$ENGINE/new" "$ENGINE/request"
while [ ! -e "$ENGINE/answer" ]; do sleep 0.05; done
code=$(cat "$ENGINE/answer"); rm "$ENGINE/answer"
exit "$code"
"#;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Programs that the stand-in itself runs.
pub const NEEDS: [&str; 2] = ["docker-compose", "python3"];

/// Ends with everything in it when dropped.
pub struct Engine {
    directory: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Engine {
    /// `broken` is a server that never becomes ready.
    pub fn start(directory: PathBuf, broken: &'static str) -> Result<Self> {
        fs::create_dir_all(directory.join("programs"))?;
        let docker = directory.join("programs/docker");
        fs::write(&docker, DOCKER)?;
        fs::set_permissions(&docker, PermissionsExt::from_mode(0o755))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, at) = (stop.clone(), directory.clone());
        let thread = std::thread::spawn(move || serve(&at, broken, &stopped));
        Ok(Self { directory, stop, thread: Some(thread) })
    }

    /// For a command that is to find it.
    pub fn give(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{path}", self.directory.join("programs").display()))
            .env("ENGINE", &self.directory);
    }

    /// What went wrong in it.
    pub fn end(mut self) -> Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        let thread = self.thread.take().context("it has ended")?;
        thread.join().expect("it returns its errors")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(directory: &Path, broken: &str, stop: &AtomicBool) -> Result<()> {
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    while !stop.load(Ordering::SeqCst) {
        let request = directory.join("request");
        let Ok(asked) = fs::read_to_string(&request) else {
            std::thread::sleep(LOOK_AGAIN);
            continue;
        };
        fs::remove_file(&request)?;
        let done = answer(directory, broken, asked.trim(), &mut running);
        let names: Vec<&str> = running.keys().map(String::as_str).collect();
        fs::write(directory.join("running"), names.join("\n"))?;
        fs::write(directory.join("answer.new"), if done.is_ok() { "0" } else { "1" })?;
        fs::rename(directory.join("answer.new"), directory.join("answer"))?;
        done?;
    }
    Ok(())
}

fn answer(
    directory: &Path,
    broken: &str,
    asked: &str,
    running: &mut BTreeMap<String, Running>,
) -> Result<()> {
    match asked.split(' ').next() {
        Some("up") => start_all(directory, broken, running),
        Some("restart") => {
            running.clear();
            start_all(directory, broken, running)
        }
        Some("down") => {
            running.clear();
            if asked.contains("--volumes") {
                fs::remove_dir_all(directory.join("volumes")).context("there are no volumes")?;
            }
            Ok(())
        }
        _ => bail!("the engine is asked for {asked:?}"),
    }
}

fn start_all(
    directory: &Path,
    broken: &str,
    running: &mut BTreeMap<String, Running>,
) -> Result<()> {
    let config: Value = serde_json::from_slice(&fs::read(directory.join("config.json"))?)?;
    for name in ["prometheus", "loki", "grafana"] {
        if name != broken && !running.contains_key(name) {
            let service = &config["services"][name];
            let started = start(directory, name, service).with_context(|| service.to_string())?;
            running.insert(name.to_owned(), started);
        }
    }
    Ok(())
}

enum Running {
    Program { _process: ServerProcess },
    Server { _serving: Serving },
}

fn start(directory: &Path, name: &str, service: &Value) -> Result<Running> {
    let address = published(service)?;
    let volume = directory.join("volumes").join(name);
    fs::create_dir_all(&volume)?;
    match name {
        "prometheus" => {
            let program = Program::Prometheus.find().context(Program::Prometheus.missing())?;
            let mounted = [("/prometheus", volume.as_path())];
            let arguments = arguments(service, &mounted)?;
            // The container's port is published on this one.
            let listen = format!("--web.listen-address={address}");
            let ready_url = format!("http://{address}/-/ready");
            run(Command::new(program).args(arguments).arg(listen), &volume, &ready_url)
        }
        "loki" if Program::Loki.find().is_some() => loki(service, address, &volume),
        "loki" => serve_itself(address, loki_stand_in::router(SharedTenants::default(), false)),
        _ => serve_itself(address, Router::new().route("/api/health", get(|| async { "{}" }))),
    }
}

fn serve_itself(address: SocketAddr, router: Router) -> Result<Running> {
    Ok(Running::Server { _serving: Serving::start(address, router)? })
}

fn run(command: &mut Command, directory: &Path, ready_url: &str) -> Result<Running> {
    let command = command.current_dir(directory);
    Ok(Running::Program { _process: ServerProcess::start(command, directory, ready_url)? })
}

/// With the container's paths in the configuration, and its ports, made this machine's.
fn loki(service: &Value, address: SocketAddr, volume: &Path) -> Result<Running> {
    let grpc = addresses::free_address()?;
    let file = host_path(service, "/etc/loki/loki.yaml")?;
    let volume_text = volume.display().to_string();
    let config = fs::read_to_string(file)?
        .replace("/etc/loki", &volume_text)
        .replace("/loki", &volume_text)
        .replace("http_listen_port: 3100", &format!("http_listen_address: 127.0.0.1\n  http_listen_port: {}", address.port()))
        .replace("grpc_listen_port: 9096", &format!("grpc_listen_address: 127.0.0.1\n  grpc_listen_port: {}", grpc.port()))
        .replace("ingester:\n", "ingester:\n  lifecycler: { min_ready_duration: 0s, join_after: 0s, final_sleep: 0s }\n");
    let config = config.split("# Errors are events").next().unwrap_or_default();
    fs::write(volume.join("loki.yaml"), config)?;
    let program = Program::Loki.find().context(Program::Loki.missing())?;
    let config_file = format!("-config.file={volume_text}/loki.yaml");
    run(Command::new(program).arg(config_file), volume, &format!("http://{address}/ready"))
}

/// The command's, with what is mounted at its place on this machine. The longest path first.
fn arguments(service: &Value, volumes: &[(&str, &Path)]) -> Result<Vec<String>> {
    let mut places: Vec<(String, String)> = binds(service);
    places.extend(volumes.iter().map(|(at, path)| ((*at).to_owned(), path.display().to_string())));
    places.sort_by_key(|(at, _)| std::cmp::Reverse(at.len()));
    let command = service["command"].as_array().context("no command")?;
    let put = |text: &str| match text.split_once('=') {
        Some((flag, value)) => {
            let place = places.iter().find(|(at, _)| value == at);
            place.map_or_else(|| text.to_owned(), |(_, path)| format!("{flag}={path}"))
        }
        None => text.to_owned(),
    };
    Ok(command.iter().filter_map(Value::as_str).map(put).collect())
}

/// `HOST:CONTAINER:ro` of the compose file.
fn binds(service: &Value) -> Vec<(String, String)> {
    let volumes = service["volumes"].as_array().into_iter().flatten();
    let parts = volumes.filter_map(Value::as_str).map(|text| text.split(':').collect::<Vec<_>>());
    parts
        .filter(|parts| parts.len() > 1 && parts[0].starts_with('/'))
        .map(|parts| (parts[1].to_owned(), parts[0].to_owned()))
        .collect()
}

fn host_path(service: &Value, at: &str) -> Result<String> {
    let binds = binds(service);
    let (_, path) = binds.into_iter().find(|(it, _)| it == at).with_context(|| at.to_owned())?;
    Ok(path)
}

/// `127.0.0.1:PORT:3000/tcp`
fn published(service: &Value) -> Result<SocketAddr> {
    let port = service["ports"][0].as_str().context("no port")?;
    let (address, _) = port.rsplit_once(':').with_context(|| port.to_owned())?;
    Ok(address.parse()?)
}
