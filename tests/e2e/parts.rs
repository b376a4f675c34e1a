//! The parts by themselves: a test that leans on them leans on something.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use prost::Message as _;

use crate::Case;
use crate::harness::claude::{self, HAIKU, SONNET, print_arguments, terminal_arguments};
use crate::harness::http;
use crate::harness::loki::Loki;
use crate::harness::loki_rules::{EntryProto, LabelPair, PushRequest, StreamProto, Timestamp};
use crate::harness::mock_api::MockApi;
use crate::harness::programs::Program;
use crate::harness::prometheus::Prometheus;
use crate::harness::sandbox::Sandbox;
use crate::harness::scenario;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("claude_code_agrees_with_the_mock", &[Program::Claude], claude_agrees),
        Case::new("claude_code_agrees_with_the_mock_in_a_terminal", &[Program::Claude], terminal),
        Case::new("prometheus_starts_again_where_it_was", &[Program::Prometheus], prometheus),
        Case::new("loki_keeps_its_rules", &[Program::Loki], || keeps_rules(Loki::start_real()?)),
        Case::new("the_stand_in_keeps_lokis_rules", &[], || keeps_rules(Loki::start_stand_in()?)),
    ]
}

/// The CLI's own sums, without ccotel, are the mock's.
fn claude_agrees() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let api = MockApi::start(scenario::script());
    let command = sandbox.bare_claude(&api, &print_arguments(SONNET, &[]))?;
    let first = claude::session(command, &scenario::FRESH)?;
    let truth = api.truth_of(&first.session_id);
    ensure!(truth == scenario::fresh_truth(), "{truth:#?}\n{:#?}", api.log());
    scenario::check_cli_usage(&first.usage, &truth)?;
    scenario::check_cost(first.cost_usd, &truth)?;

    let resume = print_arguments(HAIKU, &["--resume", &first.session_id]);
    let second = claude::session(sandbox.bare_claude(&api, &resume)?, &scenario::RESUMED)?;
    ensure!(second.session_id == first.session_id, "resumed as {}", second.session_id);
    let mut both = scenario::fresh_truth();
    both.add(&scenario::resumed_truth());
    ensure!(api.truth() == both, "{:#?}\n{:#?}", api.truth(), api.log());
    Ok(())
}

fn terminal() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let api = MockApi::start(scenario::script());
    let arguments = terminal_arguments(SONNET, &[], scenario::TERMINAL[0]);
    let command = sandbox.bare_claude(&api, &arguments)?;
    claude::terminal_session(command, &api, &scenario::TERMINAL)?;
    let truth = api.truth();
    ensure!(truth.prompts == 2 && truth.tool_results() == 1, "{truth:#?}\n{:#?}", api.log());
    Ok(())
}

fn prometheus() -> Result<()> {
    let mut prometheus = Prometheus::start()?;
    prometheus.stop();
    prometheus.start_again()?;
    let rows = prometheus.query("vector(42)")?;
    ensure!(rows.len() == 1 && (rows[0].value - 42.0).abs() < f64::EPSILON, "{rows:?}");
    Ok(())
}

/// The same questions for the real one and the stand-in, so that the one vouches for the other.
fn keeps_rules(mut loki: Loki) -> Result<()> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let labels = r#"{service_name="claude-code", team="a \"quoted\" team"}"#;
    let push = |entries: Vec<EntryProto>| push(&loki, labels, entries);

    ensure!(push(vec![entry(now - 10, "first"), entry(now, "second")])? == 204, "plain entries");
    ensure!(push(vec![entry(now - 10, "first")])? == 204, "an entry sent twice");
    ensure!(push(vec![entry(now - 3000, "late")])? == 204, "50 minutes behind the newest");
    let mixed = vec![entry(now - 2 * 3600, "too late"), entry(now - 5, "beside it")];
    ensure!(push(mixed)? == 400, "two hours behind the newest");
    ensure!(push(vec![entry(now + 3600, "too new")])? == 400, "an hour ahead");
    ensure!(push(vec![entry(now, &"x".repeat(257 * 1024))])? == 400, "a line of 257 KiB");
    let other = r#"{service_name="claude-code", team="other"}"#;
    let old = vec![entry(now - 8 * 24 * 3600, "too old")];
    ensure!(self::push(&loki, other, old)? == 400, "eight days old");
    let unquoted = "{service_name=claude-code}";
    ensure!(self::push(&loki, unquoted, vec![entry(now, "x")])? == 400, "a label without quotes");
    let (status, _) =
        http::post(&loki.push_url(), &[("content-type", "application/x-protobuf")], vec![7; 9])?;
    ensure!(status == 400, "no snappy: {status}");

    let lines = |loki: &Loki| -> Result<Vec<String>> {
        let entries = loki.entries(&[("team", "a \"quoted\" team")])?;
        ensure!(entries.iter().all(|it| it.field("kind") == Some("test")), "{entries:?}");
        Ok(entries.into_iter().map(|entry| entry.line).collect())
    };
    let expected = ["late", "first", "beside it", "second"];
    ensure!(lines(&loki)? == expected, "{:?}", lines(&loki)?);
    loki.stop();
    loki.start_again()?;
    ensure!(lines(&loki)? == expected, "after a restart: {:?}", lines(&loki)?);
    Ok(())
}

fn push(loki: &Loki, labels: &str, entries: Vec<EntryProto>) -> Result<u16> {
    let request = PushRequest { streams: vec![StreamProto { labels: labels.into(), entries }] };
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec())?;
    Ok(http::post(&loki.push_url(), &[("content-type", "application/x-protobuf")], body)?.0)
}

fn entry(seconds: i64, line: &str) -> EntryProto {
    EntryProto {
        timestamp: Some(Timestamp { seconds, nanos: 0 }),
        line: line.into(),
        structured_metadata: vec![LabelPair { name: "kind".into(), value: "test".into() }],
    }
}
