//! A mark is nobody's usage: reports, `top`, `verify` and every panel say the same before and after.

use std::collections::BTreeMap;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::dashboards;
use crate::grafana;
use crate::harness::cases::Case;
use crate::harness::programs::Program;
use crate::harness::prometheus::Prometheus;
use crate::healthy::{assert_queried_back, connect};
use crate::otlp;
use crate::place::{Place, check};

pub fn trials() -> Vec<Trial> {
    let cases = [
        Case::new("totals::a_mark_changes_none", &[Program::Prometheus], || {
            no_total_changes();
            Ok(())
        }),
        Case::new("totals::a_first_mark_is_no_usage", &[], || {
            no_usage();
            Ok(())
        }),
    ];
    cases.into_iter().map(Case::into_trial).collect()
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
    // Everything is chosen.
    let all = |expr: &str| {
        ["team", "project", "sender", "user", "model", "install", "destination"]
            .iter()
            .fold(expr.to_owned(), |expr, name| expr.replace(&format!("${{{name}:regex}}"), ".*"))
    };
    let queries = of_metrics.map(|expr| all(&range.fill(expr, "none")));
    let mut asked: Vec<String> = queries.filter(|it| !it.contains("service_name")).collect();
    assert!(asked.iter().all(|query| !query.contains('$')), "{asked:#?}");
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
