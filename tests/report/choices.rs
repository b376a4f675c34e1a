//! Filters, imports, CSV, and what is compared.

use std::fs;

use ccotel::report::history::event_rows::Events;
use ccotel::report::history::facts::{Facet, Fact, Kind, OfSession, Request};
use ccotel::report::history::schema;

use super::*;

/// Two requests of a session that ran before telemetry was on, one of them of a model without a price.
fn import(data_dir: &Path) {
    let mut connection = schema::open_for_writing(&data_dir.join("imported.db")).unwrap();
    let transaction = connection.transaction().unwrap();
    let mut events = Events::new(&transaction).unwrap();
    for (row, cost_usd) in [(1, Some(1.5)), (2, None)] {
        let request = Request { cost_usd, input_tokens: 1_000, ..Request::default() };
        let fact = Fact {
            time_ms: START_MS + 8 * HOUR_MS + row,
            session: Some("old-1".into()),
            prompt_id: None,
            of_session: OfSession { signed_in: true, ..OfSession::default() },
            facet: Facet {
                tags: labels(&[("project", "checkout")]),
                model: Some("claude-opus-4-8".into()),
                ..Facet::default()
            },
            kind: Kind::Request(request),
        };
        events.add(&fact, (row, 0)).unwrap();
    }
    events.finish().unwrap();
    transaction.commit().unwrap();
}

#[test]
fn filters_leave_the_rest_out() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let total = |more: &[&str]| {
        let arguments = [&in_range(more)[..], &["--json"]].concat();
        document(directory.path(), &arguments)
    };
    let of_search = total(&["--where", "project=search"]);
    assert_eq!(of_search["total"]["cost_usd"], 0.0034);
    assert_eq!(of_search["total"]["active_seconds"], 3725.0);
    assert_eq!(of_search["usage_from"], "counters");
    assert_eq!(of_search["filters"], serde_json::json!([{"key": "project", "value": "search"}]));
    let both = total(&["--where", "project=search", "--where", "project=checkout"]);
    assert_eq!(both["total"], total(&[])["total"]);
    let of_session = total(&["--where", "session=s1", "--where", "team=payments"]);
    assert_eq!(of_session["total"]["cost_usd"], 0.3);
    assert_eq!(of_session["total"]["sessions"], 1);
    assert_eq!(of_session["usage_from"], "events");
    let text = printed(directory.path(), &in_range(&["--where", "repo=acme/shop"]));
    assert!(text.contains("Counters do not know this filter"), "{text}");
}

#[test]
fn a_tag_nobody_has_is_said_with_where_to_look() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let text = printed(directory.path(), &in_range(&["--where", "tag:cost_center=cc-1"]));
    assert!(text.starts_with("Nothing recorded") && text.contains("cost_center=cc-1"), "{text}");
    assert!(text.contains("--by tag:cost_center"), "{text}");
}

#[test]
fn imports_count_unless_they_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    import(directory.path());
    let total = |which: &str| {
        let arguments = in_range(&["--json", "--imported", which]);
        document(directory.path(), &arguments)["total"].clone()
    };
    assert_eq!(total("include")["cost_usd"], 1.8034);
    assert_eq!(total("include")["sessions"], 3);
    assert_eq!(total("exclude")["cost_usd"], 0.3034);
    assert_eq!(total("only")["cost_usd"], 1.5);
    assert_eq!(total("only")["unpriced_requests"], 1);
    let by_project = document(directory.path(), &in_range(&["--by", "project", "--json"]));
    assert_eq!(by_project["imported"]["cost_usd"], 1.5);
    assert_eq!(by_project["rows"][0]["imported_cost_usd"], 1.5);
    assert_eq!(by_project["cost_is"], "list_price_equivalent");
    insta::assert_snapshot!(
        "with_imports",
        printed(directory.path(), &in_range(&["--by", "project"]))
    );
}

/// Imports alone are a history, too.
#[test]
fn imports_need_no_telemetry() {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path());
    let by_model = document(directory.path(), &in_range(&["--by", "model", "--json"]));
    assert_eq!(by_model["rows"][0]["model"], "claude-opus-4-8");
    assert_eq!(by_model["total"]["tokens"]["input"], 2_000);
    let session = document(directory.path(), &["--session", "old", "--json"]);
    assert_eq!(session["session"]["imported"], true);
}

#[test]
fn damaged_imports_are_said_and_can_be_left_out() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    fs::write(directory.path().join("imported.db"), vec![b'x'; 8192]).unwrap();
    let words = refused(directory.path(), &in_range(&["--json"]), 1);
    assert!(words.contains("imported.db is damaged"), "{words}");
    assert!(words.contains("ccotel import") && words.contains("--imported exclude"), "{words}");
    let without = document(directory.path(), &in_range(&["--json", "--imported", "exclude"]));
    assert_eq!(without["total"]["cost_usd"], 0.3034);
}

#[test]
fn csv_has_the_names_of_the_document_and_no_totals() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let csv = printed(directory.path(), &in_range(&["--by", "project,day", "--csv"]));
    assert_eq!(csv.matches("\r\n").count(), csv.lines().count());
    insta::assert_snapshot!("csv", csv.replace("\r\n", "\n"));
    let empty =
        printed(directory.path(), &["--since", "2026-11-01", "--until", "2026-11-02", "--csv"]);
    assert_eq!(empty.lines().count(), 1);
}

#[test]
fn a_total_is_compared_with_the_time_before() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let second_day = ["--since", "2026-11-15", "--until", "2026-11-16"];
    let text = printed(directory.path(), &second_day);
    assert!(text.contains("$0.0034, 99 % less than the day before ($0.30)."), "{text}");
    let document = document(directory.path(), &[&second_day[..], &["--json"]].concat());
    assert_eq!(document["previous"]["since"], "2026-11-14T00:00:00+01:00");
    assert_eq!(document["previous"]["total"]["cost_usd"], 0.3);
    // Nothing is known of the days before the first.
    let text = printed(directory.path(), &in_range(&[]));
    assert!(!text.contains("before"), "{text}");
}

#[test]
fn marks_only_where_the_locale_has_them() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    assert!(printed(directory.path(), &in_range(&[])).contains("Cost by hour: █"));
    let output = Command::new(env!("CARGO_BIN_EXE_ccotel"))
        .args([&["report"], &in_range(&[])[..]].concat())
        .env("CCOTEL_DATA_DIR", directory.path())
        .env("CCOTEL_CONFIG_DIR", directory.path().join("config"))
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(!String::from_utf8(output.stdout).unwrap().contains("Cost by"));
}
