//! Every query of every panel, as Grafana sends it, to real servers that hold the demo's fortnight.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccotel::demo::Fortnight;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use tempfile::TempDir;

use crate::dashboards::{self, root, targets, text};
use crate::grafana::Range;
use crate::harness::cases::Case;
use crate::harness::programs::Program;
use crate::harness::sandbox::Sandbox;
use crate::harness::{http, poll};

const READY: Duration = Duration::from_mins(1);
const SEED: u64 = 1;
const DAY_S: i64 = 24 * 3600;
const DAYS: i64 = 14;
/// Doubles of different orders of adding.
const EXACT: f64 = 1e-6;
/// Recording rules, budgets and alerts.
const RULES_MIN: usize = 15;
/// Of the agents' own health, which the throw-away agent of the demo sends none of: asked without an
/// error, and empty.
const HEALTH: &str = "ccotel-health";

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "every_query_of_counters_and_of_loki",
            &[Program::Prometheus3, Program::Loki],
            || check("loki"),
        ),
        Case::new(
            "every_query_of_victorialogs",
            &[Program::Prometheus3, Program::VictoriaLogs],
            || check("victoriametrics-logs-datasource"),
        ),
    ]
}

struct Server {
    address: SocketAddr,
    child: Child,
    _directory: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        http::end(&mut self.child);
    }
}

impl Server {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn start(
        program: Program,
        ready: &str,
        arguments: impl Fn(&str, SocketAddr) -> Result<Vec<String>>,
    ) -> Result<Self> {
        let (address, directory) = (http::free_address()?, TempDir::new()?);
        let arguments = arguments(&directory.path().display().to_string(), address)?;
        let path = program.find().with_context(|| program.missing())?;
        let child = Command::new(path)
            .args(arguments)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { address, child, _directory: directory };
        poll::until(ready, READY, || {
            let (status, body) = http::get(&server.url(ready), &[])?;
            ensure!(status == 200, "{status}: {body}");
            Ok(())
        })?;
        Ok(server)
    }

    /// With the stack's own configuration, the rules included.
    fn prometheus() -> Result<Self> {
        Self::start(Program::Prometheus3, "/-/ready", |directory, address| {
            let config = std::fs::read_to_string(root().join("stack/prometheus.yml"))?;
            let alerts = root().join("grafana/alerts");
            let config = config.replace("/etc/prometheus/rules", &alerts.display().to_string());
            let config = config.split("scrape_configs:").next().unwrap_or_default().to_owned();
            std::fs::write(format!("{directory}/prometheus.yml"), config)?;
            Ok(vec![
                format!("--config.file={directory}/prometheus.yml"),
                format!("--storage.tsdb.path={directory}/data"),
                format!("--web.listen-address={address}"),
                "--web.enable-remote-write-receiver".to_owned(),
            ])
        })
    }

    /// With the stack's own limits; the demo's first day is older than what is in memory only.
    fn loki() -> Result<Self> {
        let grpc = http::free_address()?;
        Self::start(Program::Loki, "/ready", |directory, address| {
            let config = std::fs::read_to_string(root().join("stack/loki.yaml"))?
                .replace("/etc/loki", directory)
                .replace("/loki", directory)
                .replace("http_listen_port: 3100", &format!("http_listen_address: 127.0.0.1\n  http_listen_port: {}", address.port()))
                .replace("grpc_listen_port: 9096", &format!("grpc_listen_address: 127.0.0.1\n  grpc_listen_port: {}", grpc.port()))
                .replace("ingester:\n", "ingester:\n  lifecycler: { min_ready_duration: 0s, join_after: 0s, final_sleep: 0s }\n");
            let config = config.split("ruler:").next().unwrap_or_default().to_owned();
            std::fs::write(format!("{directory}/loki.yaml"), config)?;
            Ok(vec![format!("-config.file={directory}/loki.yaml")])
        })
    }

    fn victorialogs() -> Result<Self> {
        Self::start(Program::VictoriaLogs, "/-/ready", |directory, address| {
            Ok(vec![
                format!("-storageDataPath={directory}"),
                format!("-httpListenAddr={address}"),
                "-retentionPeriod=31d".to_owned(),
            ])
        })
    }
}

fn check(kind: &str) -> Result<()> {
    let prometheus = Server::prometheus()?;
    let is_loki = kind == "loki";
    let events = if is_loki { Server::loki()? } else { Server::victorialogs()? };
    let now = Timestamp::from_second(Timestamp::now().as_second().div_euclid(60) * 60)?;
    fill(&prometheus, &events, is_loki, now)?;
    let truth = Fortnight::new(SEED, now, &TimeZone::UTC)?;
    let asker = Asker { prometheus, events, truth: Truth::of(&truth), end_s: now.as_second() };
    let session = truth
        .sessions
        .iter()
        .max_by_key(|session| session.happenings.len())
        .context("a session")?
        .id
        .clone();
    asker.rules()?;
    if is_loki {
        asker.loki_rules()?;
    }
    asker.all(kind, &session)
}

/// The demo, in UTC so that days are the test's.
fn fill(prometheus: &Server, events: &Server, is_loki: bool, now: Timestamp) -> Result<()> {
    let sandbox = Sandbox::new()?;
    let (name, url) = if is_loki {
        ("loki", events.url("/loki/api/v1/push"))
    } else {
        ("victorialogs", events.url("/insert/opentelemetry/v1/logs"))
    };
    let config = format!(
        "[[destination]]\nname = \"stack-prometheus\"\ntype = \"prometheus\"\nurl = \"{}\"\n\
         [[destination]]\nname = \"stack-{name}\"\ntype = \"{name}\"\nurl = \"{url}\"\n",
        prometheus.url("/api/v1/write")
    );
    std::fs::create_dir_all(sandbox.config_dir())?;
    std::fs::write(sandbox.config_dir().join("config.toml"), config)?;
    let (seed, until) = (SEED.to_string(), now.to_string());
    let arguments = [
        "demo",
        "--seed",
        &seed,
        "--until",
        &until,
        "--exit",
        "--to-destinations",
        "--yes",
        "--json",
    ];
    let output = sandbox.ccotel(&arguments).env("TZ", "UTC").output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let flush = if is_loki { "/flush" } else { "/internal/force_flush" };
    http::post(&events.url(flush), &[], Vec::new())?;
    Ok(())
}

/// Totals of the fortnight.
struct Truth {
    total: ccotel::demo::truth::Facts,
    cost_today: f64,
}

impl Truth {
    fn of(fortnight: &Fortnight) -> Self {
        use ccotel::demo::happening::What;
        let end_s = fortnight.end_ms / 1000;
        let midnight_ms = (end_s - end_s.rem_euclid(DAY_S)) * 1000;
        let all = fortnight.sessions.iter().flat_map(|session| &session.happenings);
        let cost_today = all
            .filter(|it| it.at_ms >= midnight_ms)
            .filter_map(|it| {
                if let What::Request(request) = &it.what { Some(request.cost_usd) } else { None }
            })
            .sum();
        Self { total: fortnight.truth().total, cost_today }
    }

    /// What a panel has to show over the fortnight; `None` for what is no total.
    #[expect(clippy::cast_precision_loss, reason = "counts of a fortnight")]
    fn of_panel(&self, title: &str, unit: &str) -> Option<f64> {
        let facts = &self.total;
        let tokens = &facts.tokens;
        let all_tokens = tokens.input + tokens.output + tokens.cache_read + tokens.cache_creation;
        let sessions = facts.sessions.len() as f64;
        Some(match title {
            "Cost"
            | "Cost by model"
            | "Cost by model, share"
            | "Cost by team"
            | "Peak Cost Hours" => facts.cost_usd,
            "Cost today" | "Total Cost Today" => self.cost_today,
            "Cost / session" | "Average Cost / Session" => facts.cost_usd / sessions,
            "Cost per 1K Tokens" => 1000.0 * facts.cost_usd / all_tokens as f64,
            "Tokens" | "Tokens by type" => all_tokens as f64,
            "Tokens / session" => all_tokens as f64 / sessions,
            "Cache hits" | "Cache Hit Rate %" => {
                100.0 * tokens.cache_read as f64
                    / (tokens.input + tokens.cache_read + tokens.cache_creation) as f64
            }
            "Sessions" if unit == "short" => sessions,
            "Active time" => facts.active_seconds,
            "Lines changed" | "Code changes" | "Lines of Code Modified" => {
                (facts.lines_added + facts.lines_removed) as f64
            }
            "Commits" => facts.commits as f64,
            "Pull requests" => facts.pull_requests as f64,
            "Prompts" | "Prompts Per Hour" | "Prompts over time" => facts.prompts as f64,
            "Requests" | "Requests by model" | "Where requests come from" => facts.requests as f64,
            "Errors" | "Request errors" | "Failed requests" => facts.errors as f64,
            "Error rate" => 100.0 * facts.errors as f64 / (facts.errors + facts.requests) as f64,
            "Tools run" | "Tools over time" => facts.tool_calls as f64,
            "Failures by tool" => facts.tool_failures as f64,
            _ => return None,
        })
    }
}

struct Asker {
    prometheus: Server,
    events: Server,
    truth: Truth,
    end_s: i64,
}

impl Asker {
    /// Every rule that Prometheus has loaded, asked at the fortnight's end.
    fn rules(&self) -> Result<()> {
        let answer = http::get_json(&self.prometheus.url("/api/v1/rules"), &[])?;
        let groups = answer["data"]["groups"].as_array().context("groups")?;
        let rules: Vec<&Value> = groups
            .iter()
            .flat_map(|group| group["rules"].as_array().into_iter().flatten())
            .collect();
        ensure!(rules.len() >= RULES_MIN, "only {} rules are loaded", rules.len());
        for rule in rules {
            let (name, query) = (text(rule, "name"), text(rule, "query"));
            let found = self.value(&self.prometheus, "/api/v1/query", query)?;
            if text(rule, "type") == "recording" {
                ensure!(found.rows > 0, "{name} is empty: {query}");
            }
            if name == "claude_code:cost_usd:growth30d" {
                let (sum, truth) = (found.sum.unwrap_or_default(), self.truth.total.cost_usd);
                ensure!((sum - truth).abs() < EXACT * truth, "{name} is {sum}, not {truth}");
            }
            println!("rule {name}: {} rows, {:?}", found.rows, found.sum);
        }
        Ok(())
    }

    /// Those of Loki's ruler; what they count in a minute is in a fortnight what the truth says.
    fn loki_rules(&self) -> Result<()> {
        let text = std::fs::read_to_string(root().join("grafana/alerts/loki/claude-code.yaml"))?;
        let facts = &self.truth.total;
        let truths = [facts.requests + facts.errors, facts.errors];
        let exprs: Vec<&str> =
            text.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
        ensure!(exprs.len() == truths.len(), "{exprs:?}");
        for (expr, truth) in exprs.iter().zip(truths) {
            let found =
                self.value(&self.events, "/loki/api/v1/query", &expr.replace("[1m]", "[14d]"))?;
            #[expect(clippy::cast_precision_loss, reason = "counts of a fortnight")]
            let truth = truth as f64;
            ensure!(found.sum == Some(truth), "{expr} is {:?}, not {truth}", found.sum);
        }
        Ok(())
    }

    fn value(&self, server: &Server, path: &str, query: &str) -> Result<Found> {
        let time = self.end_s.to_string();
        let (status, body) = http::get(&server.url(path), &[("query", query), ("time", &time)])?;
        ensure!(status == 200, "{query}: {status}: {body}");
        Found::read(&body, false, query.to_owned())
    }

    /// Everything is asked, then everything wrong is told at once.
    fn all(&self, kind: &str, session: &str) -> Result<()> {
        let folder = if kind == "loki" { "dashboards/" } else { "dashboards-victorialogs/" };
        let mut table =
            format!("\n{:<28} {:<38} {:>18} {:>18}\n", "board", "panel", "value", "truth");
        let mut wrong = Vec::new();
        for board in dashboards::all()?.iter().filter(|it| it.name.starts_with(folder)) {
            let is_part =
                board.name.ends_with("claude-code-session.json") || board.name.contains(HEALTH);
            for panel in board.asking() {
                let title = text(panel, "title");
                let unit = text(&panel["fieldConfig"]["defaults"], "unit");
                let truth = if is_part { None } else { self.truth.of_panel(title, unit) };
                let mut first = true;
                for target in targets(panel) {
                    let found = self
                        .ask(panel, target, session)
                        .with_context(|| format!("{}: {title}", board.name))?;
                    let truth = truth.filter(|_| std::mem::take(&mut first));
                    let shown = truth.map_or_else(String::new, |it| format!("{it:.6}"));
                    let value = found
                        .sum
                        .map_or_else(|| format!("{} lines", found.rows), |it| format!("{it:.6}"));
                    writeln!(
                        table,
                        "{:<28} {title:<38} {value:>18} {shown:>18}",
                        board.name.trim_start_matches(folder)
                    )?;
                    if found.rows == 0 && !board.name.contains(HEALTH) {
                        wrong.push(format!("{}: {title} is empty: {}", board.name, found.asked));
                    }
                    if let (Some(truth), Some(value)) = (truth, found.sum)
                        && (value - truth).abs() > EXACT * truth.abs().max(1.0)
                    {
                        wrong.push(format!(
                            "{}: {title} is {value}, not {truth}: {}",
                            board.name, found.asked
                        ));
                    }
                }
            }
        }
        println!("{table}");
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }

    fn ask(&self, panel: &Value, target: &Value, session: &str) -> Result<Found> {
        let range = Range::of(panel, self.end_s - DAYS * DAY_S, self.end_s);
        let asked = range.fill(text(target, "expr"), session);
        let kind = text(&target["datasource"], "type");
        let instant =
            target["instant"] == true || ["instant", "stats"].contains(&text(target, "queryType"));
        let lines =
            panel["type"] == "logs" || (kind != "loki" && text(target, "queryType") == "instant");
        let range = if kind == "prometheus" { range.aligned() } else { range };
        let (server, path) = match (kind, lines, instant) {
            ("prometheus", _, true) => (&self.prometheus, "/api/v1/query"),
            ("prometheus", ..) => (&self.prometheus, "/api/v1/query_range"),
            ("loki", false, true) => (&self.events, "/loki/api/v1/query"),
            ("loki", ..) => (&self.events, "/loki/api/v1/query_range"),
            (_, true, _) => (&self.events, "/select/logsql/query"),
            (_, _, true) => (&self.events, "/select/logsql/stats_query"),
            _ => (&self.events, "/select/logsql/stats_query_range"),
        };
        let (start, end, step) =
            (range.start_s.to_string(), range.end_s.to_string(), format!("{}s", range.step_s));
        let time = self.end_s.to_string();
        let parameters = [
            ("query", asked.as_str()),
            ("start", &start),
            ("end", &end),
            ("step", &step),
            ("time", &time),
            ("limit", "500"),
        ];
        let (status, body) = http::get(&server.url(path), &parameters)?;
        ensure!(status == 200, "{asked}: {status}: {body}");
        Found::read(&body, lines && kind != "loki", asked)
    }
}

struct Found {
    asked: String,
    rows: usize,
    /// Of all values; `None` for lines.
    sum: Option<f64>,
}

impl Found {
    fn read(body: &str, is_lines: bool, asked: String) -> Result<Self> {
        if is_lines {
            return Ok(Self { asked, rows: body.lines().count(), sum: None });
        }
        let answer: Value = serde_json::from_str(body)?;
        let rows = answer["data"]["result"].as_array().context("no result")?;
        let is_streams = answer["data"]["resultType"] == "streams";
        let values = |row: &Value| {
            let many = row["values"].as_array().cloned().unwrap_or_default();
            many.into_iter()
                .chain(Some(row["value"].clone()).filter(Value::is_array))
                .collect::<Vec<_>>()
        };
        let numbers =
            rows.iter().flat_map(values).filter_map(|it| it[1].as_str()?.parse::<f64>().ok());
        let sum = (!is_streams).then(|| numbers.filter(|it| it.is_finite()).sum());
        Ok(Self { asked, rows: rows.len(), sum })
    }
}
