//! What is in order is called so, and the document stays as it is.

use libtest_mimic::Trial;
use serde_json::Value;

use crate::harness::cases::Case;
use crate::harness::loki::Loki;
use crate::harness::programs::Program;
use crate::harness::prometheus::{Kind, Prometheus};
use crate::harness::victorialogs::VictoriaLogs;
use crate::house::CCOTEL;
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
        Case::new("healthy::a_destination_that_is_the_agent_is_parked", &[], || {
            itself();
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

pub fn connect(place: &Place, kind: &str, url: &str) {
    place.ccotel(&["connect", kind, url, "--name", kind]);
}

/// Written by hand: `connect` refuses it.
fn itself() {
    let place = Place::without_agent();
    let url = format!("http://localhost:{}", place.address.port());
    place.configure(&format!("[[destination]]\nname = \"me\"\ntype = \"otlp\"\nurl = \"{url}\"\n"));
    place.ccotel(&["agent", "start"]);
    let status = place.house.json(&["status", "--json"]);
    assert_eq!(status["destinations"][0]["state"], "parked", "{status:#}");
    let document = place.doctor("");
    let found = check(&document, "destination_address", Some("me"));
    assert!(found["why"].as_str().unwrap().contains("is this agent itself"), "{found:#}");
    let remedy = found["remedy"].as_str().unwrap();
    assert_no_fault(&place.doctor(remedy));
    assert_eq!(place.house.json(&["status", "--json"])["destinations"], serde_json::json!([]));
}

fn assert_no_fault(document: &Value) {
    let checks = document["checks"].as_array().unwrap();
    let fault = checks.iter().find(|it| it["verdict"] == "failed" || it["verdict"] == "warning");
    assert!(fault.is_none(), "{fault:#?}");
    assert_eq!(document["verdict"], "ok");
}

pub fn assert_queried_back(document: &Value, name: &str) {
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
    history
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
        (&["config", "set", "agent.history_days", "many"], "nothing was changed"),
        (&["config", "set", "tags.model", "c"], "nothing was changed"),
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
    place.ccotel(&["config", "set", "budget.daily_usd", "12.5"]);
    let text = std::fs::read_to_string(place.house.path("config/config.toml")).unwrap();
    let wanted = "# mine\n[agent]\nmax_disk = \"1 GiB\" # small\n\
                  listen = [\"127.0.0.1:5\", \"127.0.0.1:6\"]\nhistory_days = 7\n\n\
                  [tags]\nteam = \"platform\"\n\n[budget]\ndaily_usd = 12.5\n";
    assert_eq!(text, wanted);
}
