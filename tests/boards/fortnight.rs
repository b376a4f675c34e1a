//! Every query of every panel, as Grafana sends it, to real servers that hold a fortnight with known
//! truth: with everything shown, and with variables chosen (`choices.rs`).

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccotel::config::destination::DestinationType;
use ccotel::demo::Fortnight;
use jiff::Timestamp;
use serde_json::Value;

use crate::answers::{Found, Seen};
use crate::choices::{Choice, Chosen};
use crate::dashboards::{self, Board, targets, text};
use crate::grafana::Range;
use crate::harness::cases::Case;
use crate::harness::programs::Program;
use crate::harness::{http, poll};
use crate::servers::Server;
use crate::{health, renamed, rules};

const DAY_S: i64 = 24 * 3600;
const DAYS: i64 = 14;
/// Of the agents' own health: about installs, not about what was chosen of the work.
const HEALTH: &str = "ccotel-health";
/// Of one session.
const SESSION: &str = "claude-code-session.json";
/// VictoriaMetrics shows what is older than half a minute.
const SEEN_AFTER_S: i64 = 60;
/// Of what Loki flushes it shows a part for some seconds, while the machine is busy.
const FLUSHED: Duration = Duration::from_mins(1);

pub fn cases() -> Vec<Case> {
    let counters = |name: &str, program: Program| {
        let name = format!("every_query_of_counters [{name}]");
        Case::new(name, &[program], move || check(Some(program), None))
    };
    vec![
        counters("Prometheus", Program::Prometheus),
        counters("VictoriaMetrics", Program::VictoriaMetrics),
        Case::new(
            "every_rule_of_prometheus_in_vmalert",
            &[Program::VictoriaMetrics, Program::Vmalert],
            rules::vmalert,
        ),
        Case::new(
            "every_query_of_counters_and_of_loki",
            &[Program::Prometheus3, Program::Loki],
            || check(Some(Program::Prometheus3), Some(Program::Loki)),
        ),
        Case::new("every_query_of_victorialogs", &[Program::VictoriaLogs], || {
            check(None, Some(Program::VictoriaLogs))
        }),
    ]
}

/// Queries of a server that was not asked for are left to another case.
fn check(counters: Option<Program>, events: Option<Program>) -> Result<()> {
    let asker = Asker::new(counters, events)?;
    asker.fill()?;
    if counters.is_some_and(|program| program != Program::VictoriaMetrics) {
        asker.rules()?;
    }
    if asker.is_loki {
        poll::until("the whole fortnight", FLUSHED, || asker.loki_rules())?;
    }
    asker.all()
}

fn start(program: Program) -> Result<Server> {
    match program {
        Program::VictoriaMetrics => Server::victoriametrics(),
        Program::Loki => Server::loki(),
        Program::VictoriaLogs => Server::victorialogs(),
        prometheus => Server::prometheus(prometheus),
    }
}

pub struct Asker {
    pub counters: Option<Server>,
    pub events: Option<Server>,
    is_loki: bool,
    pub fortnight: Fortnight,
    end_s: i64,
}

impl Asker {
    pub fn new(counters: Option<Program>, events: Option<Program>) -> Result<Self> {
        let minutes = (Timestamp::now().as_second() - SEEN_AFTER_S).div_euclid(60);
        let now = Timestamp::from_second(minutes * 60)?;
        Ok(Self {
            counters: counters.map(start).transpose()?,
            events: events.map(start).transpose()?,
            is_loki: events == Some(Program::Loki),
            fortnight: renamed::fortnight(now)?,
            end_s: now.as_second(),
        })
    }

    pub fn fill(&self) -> Result<()> {
        let mut destinations = Vec::new();
        if let Some(server) = &self.counters {
            destinations.push((DestinationType::Prometheus, server.url("/api/v1/write")));
            health::write(server, self.end_s * 1000)?;
        }
        let (kind, path, flush) = if self.is_loki {
            (DestinationType::Loki, "/loki/api/v1/push", "/flush")
        } else {
            let path = "/insert/opentelemetry/v1/logs";
            (DestinationType::VictoriaLogs, path, "/internal/force_flush")
        };
        destinations.extend(self.events.as_ref().map(|server| (kind, server.url(path))));
        renamed::send(&self.fortnight, &destinations)?;
        if let Some(events) = &self.events {
            http::post(&events.url(flush), &[], Vec::new())?;
        }
        if let Some(counters) = &self.counters {
            http::get(&counters.url("/internal/force_flush"), &[])?; // VictoriaMetrics' alone
        }
        Ok(())
    }

    pub fn value(&self, server: &Server, path: &str, query: &str) -> Result<Found> {
        let time = self.end_s.to_string();
        let (status, body) = http::get(&server.url(path), &[("query", query), ("time", &time)])?;
        ensure!(status == 200, "{query}: {status}: {body}");
        Found::read(&body, false, query.to_owned())
    }

    /// Everything is asked, then everything wrong is told at once.
    fn all(&self) -> Result<()> {
        let folder = if self.events.is_some() && !self.is_loki {
            "dashboards-victorialogs/"
        } else {
            "dashboards/"
        };
        let boards: Vec<Board> =
            dashboards::all()?.into_iter().filter(|it| it.name.starts_with(folder)).collect();
        let mut seen = Seen::default();
        for choice in if self.is_loki { Choice::few() } else { Choice::all() } {
            let chosen = Chosen::of(&self.fortnight, &choice);
            ensure!(chosen.facts().requests > 0, "nobody worked on {}", choice.words());
            seen.heading(&choice)?;
            for board in &boards {
                let is_of_all = board.name.ends_with(SESSION) || board.name.contains(HEALTH);
                if choice.is_all() || !is_of_all {
                    self.board(board, &choice, &chosen, &mut seen)?;
                }
                self.variables(board, &choice, &chosen, &mut seen)?;
            }
        }
        println!("{}", seen.table);
        ensure!(seen.wrong.is_empty(), "{}", seen.wrong.join("\n"));
        Ok(())
    }

    fn board(
        &self,
        board: &Board,
        choice: &Choice,
        chosen: &Chosen,
        seen: &mut Seen,
    ) -> Result<()> {
        for panel in board.asking() {
            let title = text(panel, "title");
            let unit = text(&panel["fieldConfig"]["defaults"], "unit");
            let truth = match &board.name {
                name if name.ends_with(SESSION) => None,
                name if name.contains(HEALTH) => health::truth(title),
                _ => chosen.of_panel(title, unit),
            };
            for (index, target) in targets(panel).enumerate() {
                let found = self.ask(panel, target, choice);
                let Some(found) = found.with_context(|| format!("{}: {title}", board.name))? else {
                    continue;
                };
                let truth = truth.filter(|_| index == 0);
                seen.panel(&format!("{}: {title}", board.name), &found, truth, choice.is_all())?;
            }
        }
        Ok(())
    }

    /// What the drop-downs list: projects of the chosen teams, users and models of those, and installs.
    fn variables(
        &self,
        board: &Board,
        choice: &Choice,
        chosen: &Chosen,
        seen: &mut Seen,
    ) -> Result<()> {
        let Some(server) = &self.counters else { return Ok(()) };
        let list = board.json["templating"]["list"].as_array().context("variables")?;
        for variable in list.iter().filter(|it| it["type"] == "query") {
            let query = choice.fill(text(&variable["query"], "query"))?;
            let inner = query.strip_prefix("label_values(").and_then(|it| it.strip_suffix(')'));
            let (series, label) =
                inner.and_then(|it| it.rsplit_once(", ")).with_context(|| query.clone())?;
            let (start, end) = ((self.end_s - DAYS * DAY_S).to_string(), self.end_s.to_string());
            let parameters = [("match[]", series), ("start", &start), ("end", &end)];
            let answer = server.json(&format!("/api/v1/label/{label}/values"), &parameters)?;
            let listed: BTreeSet<String> = serde_json::from_value(answer["data"].clone())?;
            let name = text(variable, "name");
            let is_true = match name {
                "project" => listed == chosen.projects,
                // The fortnight came through no gateway: All has to show what has no sender.
                "sender" => listed.is_empty(),
                _ => !listed.is_empty(),
            };
            if !is_true {
                let what = format!("{}: variable {name} lists {listed:?}", board.name);
                seen.wrong.push(format!("{what}: {query}"));
            }
        }
        Ok(())
    }

    /// `None` where its server is left to another case.
    fn ask(&self, panel: &Value, target: &Value, choice: &Choice) -> Result<Option<Found>> {
        let range = Range::of(panel, self.end_s - DAYS * DAY_S, self.end_s);
        let asked = choice.fill(&range.fill(text(target, "expr"), self.session()?))?;
        let kind = text(&target["datasource"], "type");
        let server = if kind == "prometheus" { &self.counters } else { &self.events };
        let Some(server) = server else { return Ok(None) };
        let instant =
            target["instant"] == true || ["instant", "stats"].contains(&text(target, "queryType"));
        let lines =
            panel["type"] == "logs" || (kind != "loki" && text(target, "queryType") == "instant");
        let range = if kind == "prometheus" { range.aligned() } else { range };
        let path = match (kind, lines, instant) {
            ("prometheus", _, true) => "/api/v1/query",
            ("prometheus", ..) => "/api/v1/query_range",
            ("loki", false, true) => "/loki/api/v1/query",
            ("loki", ..) => "/loki/api/v1/query_range",
            (_, true, _) => "/select/logsql/query",
            (_, _, true) => "/select/logsql/stats_query",
            _ => "/select/logsql/stats_query_range",
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
        Found::read(&body, lines && kind != "loki", asked).map(Some)
    }

    /// The one with most to tell.
    fn session(&self) -> Result<&str> {
        let sessions = self.fortnight.sessions.iter();
        let longest = sessions.max_by_key(|session| session.happenings.len());
        Ok(&longest.context("a session")?.id)
    }
}
