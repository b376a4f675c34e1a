//! The story of one session.

use super::*;

/// A session with everything that can happen in one.
fn record_story(data_dir: &Path) {
    let mut sink = Sink::open(&data_dir.join("history.db")).unwrap();
    sink.begin_install("test").unwrap();
    let text = |text: &str| Value::Text(text.into());
    let at = START_MS + 9 * HOUR_MS;
    let prompt = ("prompt.id", text("0198c3a2-3e52-7000-8000-00000000000a"));
    let one = |name: &str, after_ms: i64, more: &[(&str, Value)]| {
        let more: Vec<_> = more.iter().cloned().chain([prompt.clone()]).collect();
        event(name, "0198c3a2-aaaa", "checkout", at + after_ms, &more)
    };
    let terminal = [
        ("terminal.type", text("tmux")),
        ("service.version", text("2.1.197")),
        ("prompt_length", text("120")),
        ("command_name", text("review")),
    ];
    let answered = [
        ("model", text("claude-opus-4-8")),
        ("query_source", text("repl_main_thread")),
        ("effort", text("high")),
        ("speed", text("normal")),
        ("cost_usd", Value::Double(0.25)),
        ("input_tokens", Value::Int(400)),
        ("output_tokens", Value::Int(1_234)),
        ("cache_read_tokens", Value::Int(45_000)),
        ("duration_ms", Value::Int(4_321)),
        ("request_id", text("req_1")),
    ];
    let bash = ("tool_name", text("Bash"));
    let allowed = [bash.clone(), ("decision", text("accept")), ("source", text("config"))];
    let refused = [
        ("tool_name", text("Edit")),
        ("decision", text("reject")),
        ("source", text("user_reject")),
    ];
    let failed = [
        bash,
        ("success", text("false")),
        ("error_type", text("timeout")),
        ("duration_ms", text("125000")),
    ];
    let overloaded = [("model", text("claude-opus-4-8")), ("status_code", Value::Int(529))];
    let page = HistoryPage {
        events: vec![HistoryEvents {
            row: 1,
            received_ms: at + 200_000,
            events: vec![
                one("user_prompt", 0, &terminal),
                one("api_request", 5_000, &answered),
                one("tool_decision", 5_100, &allowed),
                one("tool_result", 130_000, &failed),
                one("tool_decision", 131_000, &refused),
                one("api_error", 140_000, &overloaded),
                event("user_prompt", "0198c3a2-bbbb", "search", at, &[]),
            ],
        }],
        ..HistoryPage::default()
    };
    sink.apply(&page, 4_000).unwrap();
}

#[test]
fn a_story_as_a_table_and_as_a_document() {
    let directory = tempfile::tempdir().unwrap();
    record_story(directory.path());
    insta::assert_snapshot!("story", printed(directory.path(), &["--session", "0198c3a2-a"]));
    let document = document(directory.path(), &["--session", "0198c3a2-aaaa", "--json"]);
    insta::assert_snapshot!("story_document", serde_json::to_string_pretty(&document).unwrap());
}

#[test]
fn an_id_that_fits_none_or_several_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let words = refused(directory.path(), &["--session", "x"], 1);
    assert!(words.contains("no session begins with `x`"), "{words}");
    record_story(directory.path());
    let words = refused(directory.path(), &["--session", "y", "--json"], 1);
    assert!(words.contains("`ccotel report --by session`"), "{words}");
    let words = refused(directory.path(), &["--session", "0198c3a2"], 2);
    assert!(words.contains("0198c3a2-aaaa, 0198c3a2-bbbb; give more"), "{words}");
}
