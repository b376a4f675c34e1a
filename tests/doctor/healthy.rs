//! What is in order is called so, the mark changes nobody's totals, and the document stays as it is.

use std::collections::BTreeMap;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::dashboards;
use crate::grafana;
use crate::harness::cases::Case;
use crate::harness::loki::Loki;
use crate::harness::programs::Program;
use crate::harness::prometheus::{Kind, Prometheus};
use crate::harness::victorialogs::VictoriaLogs;
use crate::house::CCOTEL;
use crate::otlp;
use crate::place::{Place, check};
use crate::server::{self, Server};

pub fn trials() -> Vec<Trial> {
    let prometheus = Program::Prometheus;
    let cases = vec![
        Case::new("healthy::nothing_is_wrong_and_the_mark_is_queried_back", &[prometheus], || {
            all_is_well();
            Ok(())
        }),
        Case::new(format!("healthy::loki_is_asked_for_the_mark ({})", Loki::which()), &[], || {
            asked_of_loki();
            Ok(())
        }),
        Case::new("healthy::victorialogs_is_asked_for_the_mark", &[Program::VictoriaLogs], || {
            asked_of_victorialogs();
            Ok(())
        }),
        Case::new("healthy::victoriametrics_is_asked", &[Program::VictoriaMetrics], || {
            asked_of_victoriametrics();
            Ok(())
        }),
        Case::new("healthy::otlp_accepts_the_mark", &[], || {
            accepted_by_otlp();
            Ok(())
        }),
        Case::new("healthy::a_mark_changes_no_total", &[prometheus], || {
            no_total_changes();
            Ok(())
        }),
        Case::new("healthy::a_first_mark_is_no_usage", &[], || {
            no_usage();
            Ok(())
        }),
        Case::new("healthy::offline_sends_nothing", &[], || {
            offline();
            Ok(())
        }),
        Case::new("healthy::the_document_keeps_its_keys", &[], || {
            document();
            Ok(())
        }),
        Case::new("healthy::wrong_use_is_one_sentence_and_code_2", &[], || {
            wrong_use();
            Ok(())
        }),
        Case::new("healthy::the_screen_names_the_fault_and_the_command", &[], || {
            screen();
            Ok(())
        }),
        Case::new("healthy::config_set_changes_one_value", &[], || {
            config_set();
            Ok(())
        }),
    ];
    cases.into_iter().map(Case::into_trial).collect()
}

fn connect(place: &Place, kind: &str, url: &str) {
    place.ccotel(&["connect", kind, url, "--name", kind]);
}

fn assert_no_fault(document: &Value) {
    let checks = document["checks"].as_array().unwrap();
    let fault = checks.iter().find(|it| it["verdict"] == "failed" || it["verdict"] == "warning");
    assert!(fault.is_none(), "{fault:#?}");
    assert_eq!(document["verdict"], "ok");
}

fn assert_queried_back(document: &Value, name: &str) {
    let record = check(document, "destination_record", Some(name));
    assert_eq!(record["verdict"], "ok", "{document:#}");
    assert_eq!(record["why"], "the mark was sent, and queried back", "{document:#}");
}

fn all_is_well() {
    let place = Place::without_agent();
    place.configure("[tags]\nteam = \"platform\"\n\n[privacy]\nlevel = \"minimal\"\n");
    place.ccotel(&["agent", "start"]);
    let prometheus = Prometheus::start_kind(Kind::OutOfOrder).unwrap();
    connect(&place, "prometheus", &prometheus.url(""));
    for mark in 1..=2 {
        let document = place.doctor("");
        assert_no_fault(&document);
        assert_queried_back(&document, "prometheus");
        let rows = prometheus.query("ccotel_doctor_marks_total").unwrap();
        let values: Vec<f64> = rows.iter().map(|row| row.value).collect();
        assert_eq!(rows[0].labels["team"], "platform", "{rows:?}");
        assert_eq!(values, [f64::from(mark)], "{rows:?}");
    }
    assert!(place.house.run(&["doctor"]).status.success());
}

fn asked_of_loki() {
    let place = Place::new();
    let loki = Loki::start().unwrap();
    connect(&place, "loki", &loki.push_url());
    let document = place.doctor("");
    assert_no_fault(&document);
    if Program::Loki.find().is_some() {
        assert_queried_back(&document, "loki");
    } else {
        // The stand-in takes pushes, and knows no queries.
        let record = check(&document, "destination_record", Some("loki"));
        let why = record["why"].as_str().unwrap();
        assert!(why.starts_with("accepted, could not be queried back"), "{record:#}");
    }
    assert!(loki.entries(&[]).unwrap().is_empty(), "boards ask for Claude Code's services");
}

fn asked_of_victorialogs() {
    let place = Place::new();
    let logs = VictoriaLogs::start().unwrap();
    connect(&place, "victorialogs", &logs.otlp_url());
    let document = place.doctor("");
    assert_no_fault(&document);
    assert_queried_back(&document, "victorialogs");
}

fn asked_of_victoriametrics() {
    let place = Place::new();
    let metrics = Prometheus::start_kind(Kind::VictoriaMetrics).unwrap();
    connect(&place, "prometheus", &metrics.write_url());
    let document = place.doctor("");
    assert_no_fault(&document);
    assert_queried_back(&document, "prometheus");
}

fn accepted_by_otlp() {
    let place = Place::new();
    let collector = Server::start(Vec::new(), server::status(200));
    connect(&place, "otlp", &collector.url(""));
    let document = place.doctor("");
    assert_no_fault(&document);
    let record = check(&document, "destination_record", Some("otlp"));
    let wanted = "accepted, could not be queried back: OTLP has no way to ask";
    assert_eq!(record["why"], wanted, "{document:#}");
}

/// An answer: its rows' labels, and what they come to.
type Answered = (Vec<BTreeMap<String, String>>, f64);

/// What every panel asks of Prometheus, and the recipe of the README, over the last hour.
fn boards(prometheus: &Prometheus) -> BTreeMap<String, Answered> {
    let recipe = "sum(last_over_time(claude_code_cost_usage_USD_total[1h]) - \
                  (last_over_time(claude_code_cost_usage_USD_total[13h] offset 1h) or \
                  min_over_time(claude_code_cost_usage_USD_total[1h])))";
    let end_s = jiff::Timestamp::now().as_second();
    let range = grafana::Range { start_s: end_s - 3600, end_s, step_s: 60 };
    let boards = dashboards::all().unwrap();
    let panels = boards.iter().flat_map(dashboards::Board::asking);
    let exprs = panels.flat_map(dashboards::targets).map(|target| dashboards::text(target, "expr"));
    let of_metrics = exprs.filter(|it| it.contains("claude_code_") && !it.contains("|="));
    let queries = of_metrics.map(|expr| range.fill(expr, "none"));
    let mut asked: Vec<String> = queries.filter(|it| !it.contains("service_name")).collect();
    asked.extend([recipe.to_owned(), "count({__name__=~\"claude_code_.*\"})".to_owned()]);
    let answered = |query: String| {
        let rows = prometheus.query(&query).unwrap();
        // What depends on the moment of asking is compared by its rows alone.
        let moves = ["rate(", "increase(", "deriv(", "time()", "predict"];
        let moves = moves.iter().any(|word| query.contains(word));
        let sum = if moves { 0.0 } else { rows.iter().map(|row| row.value).sum() };
        let mut labels: Vec<_> = rows.into_iter().map(|row| row.labels).collect();
        labels.sort();
        // The same question, whatever the moment.
        (query.replace(&end_s.to_string(), "now"), (labels, sum))
    };
    asked.into_iter().map(answered).collect()
}

/// Everything that is counted here, without the times of asking.
fn reports(place: &Place) -> Vec<Value> {
    let mut reports: Vec<Value> = [
        &["report", "--json", "--by", "project,model"][..],
        &["report", "--json", "--by", "session"],
        &["report", "--json", "--by", "user"],
        &["top", "--json"],
        &["verify", "--json"],
    ]
    .iter()
    .map(|arguments| place.house.json(arguments))
    .collect();
    for report in &mut reports {
        for key in ["since", "until", "at", "agent"] {
            report.as_object_mut().unwrap().remove(key);
        }
    }
    reports
}

fn no_total_changes() {
    let place = Place::new();
    let prometheus = Prometheus::start().unwrap();
    connect(&place, "prometheus", &prometheus.url(""));
    let endpoint = otlp::endpoint(&place.house);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(otlp::send(&endpoint, 0).await.status, 200);
        otlp::until_taken(&endpoint, &otlp::Request::cost()).await;
    });
    // The first makes the samples that are compared; two more may change nothing of them.
    place.doctor("");
    let (before, asked) = (reports(&place), boards(&prometheus));
    assert!(asked.len() > 20, "{asked:#?}");
    let answered = asked.values().filter(|(labels, _)| !labels.is_empty()).count();
    assert!(answered > 5, "{asked:#?}");
    let total = &before[0]["total"];
    assert_eq!((&total["requests"], &total["cost_usd"]), (&20.into(), &0.25.into()), "{before:#?}");
    for _ in 0..2 {
        assert_queried_back(&place.doctor(""), "prometheus");
    }
    let marks = prometheus.query("ccotel_doctor_marks_total").unwrap();
    assert_eq!(marks[0].value.to_string(), "3", "{marks:?}");
    for (query, (labels, sum)) in boards(&prometheus) {
        let (labels_before, sum_before) = &asked[&query];
        assert_eq!(&labels, labels_before, "{query}");
        // A mark counts 1: far more than cents of rounding.
        assert!((sum - sum_before).abs() < 0.01 || sum.is_nan(), "{query}: {sum_before} → {sum}");
    }
    assert_eq!(reports(&place), before);
    let status = place.house.json(&["status", "--json"]);
    assert!(status["warnings"].as_array().unwrap().is_empty(), "{status:#}");
    assert_eq!(status["sessions"]["today"], 1, "{status:#}");
}

/// On an install that has seen nothing else.
fn no_usage() {
    let place = Place::new();
    let said = |place: &Place| {
        ["report", "verify"].map(|command| {
            let output = place.house.run(&[command]);
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        })
    };
    let before = said(&place);
    let document = place.doctor("");
    assert_eq!(check(&document, "record_stored", None)["verdict"], "ok", "{document:#}");
    assert_eq!(said(&place), before);
}

fn offline() {
    let place = Place::new();
    let backend = Server::start(Vec::new(), server::status(204));
    place.ccotel(&["connect", "prometheus", &backend.url(""), "--name", "p", "--no-check"]);
    let output = place.house.run(&["doctor", "--offline", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let record = check(&document, "record_accepted", None);
    assert_eq!(record["verdict"], "not_checked", "{document:#}");
    assert_eq!(check(&document, "destination_state", Some("p"))["verdict"], "ok");
    let status = place.house.json(&["status", "--json"]);
    assert_eq!(status["records"]["received"], 0, "{status:#}");
    assert_eq!(backend.count(), 0);
}

fn document() {
    let place = Place::without_agent();
    let document = place.doctor("");
    let keys =
        |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    insta::assert_snapshot!(keys(&document), @"schema verdict checks");
    let checks = document["checks"].as_array().unwrap();
    let first = "group name subject verdict why remedy by_hand details";
    assert!(checks.iter().all(|check| keys(check) == first), "{document:#}");
    let names: Vec<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    switch
    program
    version
    shim
    shell
    managed_settings
    settings
    other_collector
    config
    tags
    permissions
    disk
    disk_limit
    agent
    agent_version
    port
    clock
    service
    notices
    launches
    record_accepted
    record_stored
    destinations
    ");
    let verdicts = checks.iter().map(|check| check["verdict"].as_str().unwrap());
    let verdicts: std::collections::BTreeSet<&str> = verdicts.collect();
    assert_eq!(verdicts.into_iter().collect::<Vec<_>>(), ["failed", "not_checked", "ok"]);
}

fn wrong_use() {
    let place = Place::without_agent();
    // There is nowhere to stand: the document says that, too.
    let script = format!("mkdir gone && cd gone && rmdir ../gone && {CCOTEL} doctor --json");
    let output = place.house.command("sh").args(["-c", &script]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["verdict"]), (Some(1), &"failed".into()));
    assert!(document["error"].as_str().unwrap().contains("working directory"), "{document}");
    for (arguments, words) in [
        (&["doctor", "--fast"][..], "--fast"),
        (&["doctor", "now"], "now"),
        (&["doctor", "--json", "--verbose"], "--verbose"),
        (&["config", "set", "agent.colour", "red"], "there is no value named agent.colour"),
        (&["config", "set", "agent.max_disk", "lots"], "nothing was changed"),
        (&["config", "set", "agent.max_disk", "1 GiB", "2 GiB"], "takes one value"),
        (&["config", "set", "agent.listen", "0.0.0.0:1"], "nothing was changed"),
    ] {
        let output = place.house.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words) && said.lines().count() <= 2, "{arguments:?}: {said}");
    }
}

fn screen() {
    let place = Place::without_agent();
    let output = place.house.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let fault = text.lines().position(|line| line.contains("FAIL agent")).unwrap();
    let command = text.lines().nth(fault + 1).unwrap().trim();
    assert!(command.starts_with("$ ") && command.ends_with(" agent start"), "{text}");
    assert!(text.trim_end().ends_with("Begin with the first one: agent."), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
}

fn config_set() {
    let place = Place::without_agent();
    place.house.write("config/config.toml", "# mine\n[agent]\nmax_disk = '64 MiB' # small\n");
    place.ccotel(&["config", "set", "agent.max_disk", "1 GiB"]);
    place.ccotel(&["config", "set", "agent.listen", "127.0.0.1:5", "127.0.0.1:6"]);
    place.ccotel(&["config", "set", "agent.history_days", "7"]);
    place.ccotel(&["config", "set", "tags.team", "platform"]);
    let text = std::fs::read_to_string(place.house.path("config/config.toml")).unwrap();
    let wanted = "# mine\n[agent]\nmax_disk = \"1 GiB\" # small\n\
                  listen = [\"127.0.0.1:5\", \"127.0.0.1:6\"]\nhistory_days = 7\n\n\
                  [tags]\nteam = \"platform\"\n";
    assert_eq!(text, wanted);
}
