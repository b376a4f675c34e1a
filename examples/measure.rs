//! Measures the numbers that the design promises, with the release binary, and prints them beside the goals.
//!
//! ```text
//! cargo build --release --locked && cargo run --release --example measure -- target/release/ccotel
//! ```
//!
//! Linux only: memory and CPU come from `/proc`. Absolute times are those of this machine at this moment;
//! each is the median of many runs.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};
use prost::Message;

type Outcome<T> = Result<T, Box<dyn Error>>;

const LOG_RECORDS: usize = 100_000;
const RECORDS_PER_REQUEST: usize = 20;
const POINTS: usize = 100_000;
const POINTS_PER_REQUEST: usize = 26;
const IDLE: Duration = Duration::from_mins(1);

fn main() -> Outcome<()> {
    let binary = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("target/release/ccotel"), PathBuf::from);
    let binary = std::fs::canonicalize(&binary).map_err(|error| {
        format!("{}: {error}; build it with `cargo build --release`", binary.display())
    })?;
    println!("{:<62} {:>12}   goal", "what", "measured");
    row(
        "binary size, stripped",
        &format!("{:.1} MB", megabytes(std::fs::metadata(&binary)?.len())),
        "≤ 12 MB",
    );
    launches(&binary)?;
    agent(&binary)
}

fn row(what: &str, measured: &str, goal: &str) {
    println!("{what:<62} {measured:>12}   {goal}");
}

/// What the wrapper adds before the real program runs.
fn launches(binary: &Path) -> Outcome<()> {
    let home = Home::new(binary)?;
    home.ccotel(&["agent", "start"])?;
    let (mut plain, mut wrapped) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        plain.push(time(Command::new("/bin/true").current_dir(&home.repository))?);
        wrapped.push(time(&mut home.claude())?);
    }
    let added = median(&mut wrapped).saturating_sub(median(&mut plain));
    row("wrapper's added time, agent up (median of 200)", &milliseconds(added), "≤ 3 ms");
    drop(home);
    let mut cold = Vec::new();
    for _ in 0..20 {
        let home = Home::new(binary)?;
        cold.push(time(&mut home.claude())?);
    }
    let added = median(&mut cold).saturating_sub(median(&mut plain));
    row(
        "wrapper's added time, agent to be started (median of 20)",
        &milliseconds(added),
        "≤ 15 ms",
    );
    Ok(())
}

/// What the agent costs: at rest, at its start, and a record.
fn agent(binary: &Path) -> Outcome<()> {
    let mut starts = Vec::new();
    for _ in 0..10 {
        let home = Home::new(binary)?;
        let begun = Instant::now();
        home.ccotel(&["agent", "start"])?;
        Client::connect(&home)?.post("/v1/logs", &log_request(0))?;
        starts.push(begun.elapsed());
    }
    row(
        "`agent start` typed to first accepted request (median of 10)",
        &milliseconds(median(&mut starts)),
        "≤ 10 ms",
    );

    let home = Home::new(binary)?;
    home.ccotel(&["agent", "start"])?;
    let processes = home.processes()?;
    let before = cpu(&processes)?;
    std::thread::sleep(IDLE);
    row(
        "agent idle: CPU a minute, no session",
        &milliseconds(cpu(&processes)?.saturating_sub(before)),
        "≤ 10 ms",
    );
    row(
        "agent idle: RSS, holder and worker",
        &format!("{:.1} MiB", resident_kib(&processes)? / 1024.0),
        "≤ 8 MiB",
    );
    row(
        "  the same, shared pages counted once (PSS)",
        &format!("{:.1} MiB", proportional_kib(&processes)? / 1024.0),
        "",
    );
    row(
        "  of it not shared with the binary's file",
        &format!("{:.1} MiB", anonymous_kib(&processes)? / 1024.0),
        "",
    );
    throughput(&home, &processes)
}

fn throughput(home: &Home, processes: &[u32]) -> Outcome<()> {
    let disk_before = home.disk_bytes();
    let before = cpu(processes)?;
    let begun = Instant::now();
    let mut client = Client::connect(home)?;
    for request in 0..LOG_RECORDS / RECORDS_PER_REQUEST {
        client.post("/v1/logs", &log_request(request))?;
    }
    let used = cpu(processes)?.saturating_sub(before);
    row("CPU per 100,000 log records, 20 a request, synced", &seconds(used), "≤ 0.8 s");
    row("  time from first to last answer, one connection", &seconds(begun.elapsed()), "");
    let bytes = home.disk_bytes().saturating_sub(disk_before);
    row("disk a log record (queue.db)", &format!("{} B", bytes / LOG_RECORDS as u64), "≤ 200 B");

    let before = cpu(processes)?;
    for request in 0..POINTS / POINTS_PER_REQUEST {
        client.post("/v1/metrics", &metrics_request(request))?;
    }
    row(
        "CPU per 100,000 data points, 26 a request, synced",
        &seconds(cpu(processes)?.saturating_sub(before)),
        "≤ 0.55 s",
    );
    row("RSS after it", &format!("{:.1} MiB", resident_kib(processes)? / 1024.0), "");
    Ok(())
}

/// Recorded log records of the real Claude Code, 20 of them, at another time and place in the sequence.
fn log_request(number: usize) -> Vec<u8> {
    let recorded = include_bytes!(
        "../tests/fixtures/claude-code-2.1.197/slow-http-protobuf-cumulative/001-logs-http_protobuf.bin"
    );
    let mut request = ExportLogsServiceRequest::decode(recorded.as_slice()).unwrap_or_default();
    for scope in request.resource_logs.iter_mut().flat_map(|resource| &mut resource.scope_logs) {
        let pattern = scope.log_records.clone();
        scope.log_records = pattern.into_iter().cycle().take(RECORDS_PER_REQUEST).collect();
        for (place, record) in scope.log_records.iter_mut().enumerate() {
            let sequence = number * RECORDS_PER_REQUEST + place;
            record.time_unix_nano += sequence as u64 * 1_000_000;
            for attribute in &mut record.attributes {
                if attribute.key == "prompt.id" || attribute.key == "request_id" {
                    let text = format!(
                        "{sequence:08x}-5b7c-4c1f-9d2e-{:012x}",
                        sequence.wrapping_mul(2_654_435_761)
                    );
                    attribute.value = Some(opentelemetry_proto::tonic::common::v1::AnyValue {
                        value: Some(
                            opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue(
                                text,
                            ),
                        ),
                    });
                }
            }
        }
    }
    request.encode_to_vec()
}

/// A recorded request of counters, each 1 further than in the request before.
fn metrics_request(number: usize) -> Vec<u8> {
    let recorded = include_bytes!(
        "../tests/fixtures/claude-code-2.1.197/rich-http-protobuf-cumulative/004-metrics-http_protobuf.bin"
    );
    let mut request = ExportMetricsServiceRequest::decode(recorded.as_slice()).unwrap_or_default();
    let metrics = request
        .resource_metrics
        .iter_mut()
        .flat_map(|resource| &mut resource.scope_metrics)
        .flat_map(|scope| &mut scope.metrics);
    let mut left = POINTS_PER_REQUEST;
    for metric in metrics {
        if let Some(Data::Sum(sum)) = &mut metric.data {
            sum.data_points.truncate(left);
            left -= sum.data_points.len();
            for point in &mut sum.data_points {
                point.time_unix_nano += number as u64 * 10_000_000_000;
                if let Some(number_data_point::Value::AsDouble(value)) = &mut point.value {
                    *value += f64::from(u32::try_from(number).unwrap_or(u32::MAX));
                }
            }
        }
    }
    request.encode_to_vec()
}

/// A user with an empty home and an agent that ends with it.
struct Home {
    directory: tempfile::TempDir,
    repository: PathBuf,
    binary: PathBuf,
}

impl Home {
    fn new(binary: &Path) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let repository = directory.path().join("repository");
        std::fs::create_dir_all(&repository)?;
        std::fs::write(
            repository.join(".ccotel.toml"),
            "team = \"payments\"\nproject = \"checkout\"\n",
        )?;
        std::fs::create_dir_all(directory.path().join("config"))?;
        // A port of the kernel's choice: the default one may belong to this user's own agent.
        std::fs::write(
            directory.path().join("config/config.toml"),
            "[agent]\nlisten = [\"127.0.0.1:0\"]\n",
        )?;
        Ok(Self { directory, repository, binary: binary.to_owned() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.repository).env("HOME", self.directory.path());
        for (name, folder) in [
            ("CCOTEL_CONFIG_DIR", "config"),
            ("CCOTEL_DATA_DIR", "data"),
            ("CCOTEL_RUNTIME_DIR", "run"),
        ] {
            command.env(name, self.directory.path().join(folder));
        }
        command.env("CCOTEL_CLAUDE", "/bin/true").stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn ccotel(&self, arguments: &[&str]) -> Outcome<()> {
        let output = self
            .command()
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()?;
        if !output.status.success() {
            return Err(format!(
                "`ccotel {}`: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr)
            )
            .into());
        }
        Ok(())
    }

    fn claude(&self) -> Command {
        let mut command = self.command();
        command.args(["claude", "-p", "hello"]);
        command
    }

    fn agent(&self) -> Outcome<serde_json::Value> {
        Ok(serde_json::from_slice(&std::fs::read(self.directory.path().join("data/agent.json"))?)?)
    }

    fn address(&self) -> Outcome<SocketAddr> {
        Ok(self.agent()?["addresses"][0].as_str().ok_or("agent.json names no address")?.parse()?)
    }

    /// The holder and its worker.
    fn processes(&self) -> Outcome<Vec<u32>> {
        let holder =
            u32::try_from(self.agent()?["pid"].as_u64().ok_or("agent.json names no pid")?)?;
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let children =
                std::fs::read_to_string(format!("/proc/{holder}/task/{holder}/children"))?;
            let workers: Vec<u32> =
                children.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
            if !workers.is_empty() {
                return Ok(std::iter::once(holder).chain(workers).collect());
            }
            if Instant::now() > deadline {
                return Err("the holder has no worker".into());
            }
            std::thread::yield_now();
        }
    }

    fn disk_bytes(&self) -> u64 {
        let size = |name: &str| {
            std::fs::metadata(self.directory.path().join("data").join(name))
                .map_or(0, |file| file.len())
        };
        size("queue.db")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.ccotel(&["agent", "stop", "--stay"]);
    }
}

/// One kept-alive connection.
struct Client {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

impl Client {
    fn connect(home: &Home) -> Outcome<Self> {
        let host = home.address()?;
        Ok(Self { stream: BufReader::new(TcpStream::connect(host)?), host })
    }

    fn post(&mut self, path: &str, body: &[u8]) -> Outcome<()> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let mut status = String::new();
        self.stream.read_line(&mut status)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        std::io::copy(&mut (&mut self.stream).take(length), &mut std::io::sink())?;
        if status.contains(" 200 ") {
            Ok(())
        } else {
            Err(format!("{path}: {}", status.trim()).into())
        }
    }
}

fn time(command: &mut Command) -> Outcome<Duration> {
    let begun = Instant::now();
    let status = command.status()?;
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    Ok(begun.elapsed())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Time on a processor of all threads of the processes, in nanoseconds (`/proc/PID/task/TID/schedstat`).
fn cpu(processes: &[u32]) -> Outcome<Duration> {
    let mut total = 0;
    for process in processes {
        for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let schedstat = std::fs::read_to_string(task?.path().join("schedstat"))?;
            total +=
                schedstat.split_whitespace().next().ok_or("empty schedstat")?.parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(total))
}

fn resident_kib(processes: &[u32]) -> Outcome<f64> {
    status_kib(processes, "VmRSS:")
}

fn anonymous_kib(processes: &[u32]) -> Outcome<f64> {
    status_kib(processes, "RssAnon:")
}

/// `Pss` of `/proc/PID/smaps_rollup`: each page divided by the number of processes that map it.
fn proportional_kib(processes: &[u32]) -> Outcome<f64> {
    let mut total = 0.0;
    for process in processes {
        let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        total += field_kib(&rollup, "Pss:")?;
    }
    Ok(total)
}

fn status_kib(processes: &[u32], field: &str) -> Outcome<f64> {
    let mut total = 0.0;
    for process in processes {
        total += field_kib(&std::fs::read_to_string(format!("/proc/{process}/status"))?, field)?;
    }
    Ok(total)
}

fn field_kib(text: &str, field: &str) -> Outcome<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
