use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::*;
use crate::agent::status::{Status, Warning, WorkerFacts};
use crate::report::live::{Doing, Live, LiveSession, Today};
use crate::report::row::{Facts, Tokens};
use crate::report::sessions::Session;
use crate::report::story::{Entry, Request, Story, What};
use crate::top::keys::Key;

fn now() -> Zoned {
    let at: Timestamp = "2026-11-21T14:32:05Z".parse().unwrap();
    at.to_zoned(TimeZone::UTC)
}

fn ms(seconds_ago: i64) -> i64 {
    now().timestamp().as_millisecond() - seconds_ago * 1000
}

fn tokens(input: f64, output: f64, cache_read: f64, cache_creation: f64) -> Tokens {
    Tokens { input, output, cache_read, cache_creation }
}

fn sessions() -> Vec<LiveSession> {
    let shop = LiveSession {
        session_id: "aa112a0d-2c8d-4fd1-a985-c7d6f74b7b02".into(),
        project: Some("checkout".into()),
        team: Some("payments".into()),
        repository: Some("checkout".into()),
        branch: Some("fix/rounding-of-totals".into()),
        model: Some("claude-opus-4-8".into()),
        cost_usd: 12.345,
        tokens: tokens(52_000.0, 31_000.0, 4_100_000.0, 220_000.0),
        recent_tokens: tokens(1_000.0, 9_000.0, 900_000.0, 31_000.0),
        prompts: 14,
        requests: 120,
        errors: 2,
        tool_calls: 96,
        context_tokens: Some(171_200),
        context_window: Some(200_000),
        doing: Doing::Tool { name: "Bash".into(), others: 1, since_ms: ms(12) },
        first_ms: ms(3 * 3600 + 300),
        last_ms: ms(12),
        active: true,
    };
    let thinking = LiveSession {
        session_id: "bb".into(),
        project: Some("a-project-with-a-very-long-name-indeed".into()),
        model: Some("claude-sonnet-4-5-20250929".into()),
        cost_usd: 0.0312,
        requests: 3,
        context_tokens: Some(24_000),
        doing: Doing::Thinking { since_ms: ms(4) },
        first_ms: ms(65),
        last_ms: ms(4),
        active: true,
        ..LiveSession::default()
    };
    let over = LiveSession {
        session_id: "cc".into(),
        model: Some("eu.anthropic.claude-haiku-4-5".into()),
        cost_usd: 1.5,
        doing: Doing::Idle,
        first_ms: ms(9 * 3600),
        last_ms: ms(3000),
        ..LiveSession::default()
    };
    vec![thinking, shop, over]
}

fn status() -> Status {
    Status {
        running: true,
        worker: Some(WorkerFacts::default()),
        destinations: vec![
            json!({"name": "team-prom", "type": "prometheus", "state": "ok",
                   "backlog": {"records": 3, "bytes": 100, "oldest_seconds": 1.0}}),
            json!({"name": "logs", "type": "loki", "state": "retrying",
                   "backlog": {"records": 1200, "bytes": 250_000, "oldest_seconds": 10_800}}),
        ],
        warnings: vec![Warning { at: now().timestamp(), what: "w".into(), remedy: String::new() }],
        ..Status::default()
    }
}

fn shown() -> Shown {
    let mut course_usd = vec![0.0; 60];
    for (minute, usd) in [(3, 0.2), (20, 0.5), (21, 1.5), (22, 0.1), (58, 0.9), (59, 1.0)] {
        course_usd[minute] = usd;
    }
    let today = Today {
        cost_usd: 48.2,
        tokens: tokens(100_000.0, 90_000.0, 9_000_000.0, 400_000.0),
        sessions: 5,
        prompts: 41,
        requests: 1310,
        errors: 2,
        ..Today::default()
    };
    let live =
        Live { at_ms: ms(0), sessions: sessions(), today, burn_usd_per_hour: 7.6, course_usd };
    Shown { live: Some(live), status: Some(status()), ..Shown::default() }
}

fn story() -> Story {
    let entry = |seconds_ago, what| Entry {
        time_ms: ms(seconds_ago),
        prompt_id: None,
        imported: false,
        what,
    };
    let request = |source: &str, cost_usd| {
        What::Request(Request {
            model: Some("claude-opus-4-8".into()),
            query_source: Some(source.into()),
            cost_usd: Some(cost_usd),
            input_tokens: 210,
            output_tokens: 1_530,
            cache_read_tokens: 150_000,
            cache_creation_tokens: 4_000,
            duration_ms: Some(12_300),
            ..Request::default()
        })
    };
    let tool = |id: &str, success: bool| What::Tool {
        tool: Some("Edit".into()),
        success: Some(success),
        duration_ms: Some(45),
        error_type: (!success).then(|| "permission".into()),
        accepted: None,
        source: None,
        tool_use_id: Some(id.into()),
    };
    let decision = |accepted, source: &str, id: &str| What::Decision {
        tool: Some("Edit".into()),
        accepted: Some(accepted),
        source: Some(source.into()),
        tool_use_id: Some(id.into()),
    };
    let prompt = |command: Option<&str>| What::Prompt {
        length: Some(312),
        command: command.map(Into::into),
    };
    let failed = What::Error {
        model: None,
        query_source: None,
        class: Some("overloaded".into()),
        status_code: Some(529),
        attempt: Some(10),
        duration_ms: Some(61_000),
    };
    let session = Session {
        id: "aa112a0d-2c8d-4fd1-a985-c7d6f74b7b02".into(),
        first_ms: ms(300),
        last_ms: ms(12),
        project: Some("checkout".into()),
        branch: Some("main\u{1b}[2J".into()),
        models: vec!["claude-opus-4-8".into()],
        facts: Facts {
            cost_usd: 12.345,
            prompts: 2,
            requests: 2,
            tool_calls: 2,
            tokens: tokens(420.0, 3_060.0, 300_000.0, 8_000.0),
            ..Facts::default()
        },
        ..Session::default()
    };
    let entries = vec![
        entry(300, prompt(None)),
        entry(299, request("generate_session_title", 0.0004)),
        entry(280, decision(true, "config", "a")),
        entry(279, request("repl_main_thread", 0.1812)),
        entry(278, tool("a", true)),
        entry(270, tool("b", false)),
        entry(260, decision(false, "user_reject", "c")),
        entry(200, prompt(Some("review"))),
        entry(100, failed),
        entry(12, decision(true, "user_temporary", "d")),
    ];
    Story { session, entries, left_out: 0 }
}

fn screen(state: &mut State, shown: &Shown, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, shown, &now(), Theme { colour: true })).unwrap();
    // Without the quotes around each line, and the blanks before the second of them.
    let text = terminal.backend().to_string();
    let lines = text.lines().map(|line| line.trim_matches('"').trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

fn arrived(shown: &Shown) -> State {
    let mut state = State::default();
    state.arrived(&shown.live.as_ref().unwrap().sessions);
    state
}

#[test]
fn the_table_at_80_by_24() {
    let shown = shown();
    insta::assert_snapshot!(screen(&mut arrived(&shown), &shown, 80, 24));
}

#[test]
fn the_table_at_160_by_50() {
    let shown = shown();
    insta::assert_snapshot!(screen(&mut arrived(&shown), &shown, 160, 50));
}

#[test]
fn the_table_at_40_by_10() {
    let shown = shown();
    insta::assert_snapshot!(screen(&mut arrived(&shown), &shown, 40, 10));
}

#[test]
fn the_help_at_80_by_24() {
    let shown = shown();
    let mut state = State { over: Over::Help, ..arrived(&shown) };
    insta::assert_snapshot!(screen(&mut state, &shown, 80, 24));
}

#[test]
fn a_story_at_80_by_24() {
    let shown = Shown { story: Some(story()), ..shown() };
    let mut state = State { view: View::Detail, ..arrived(&shown) };
    let drawn = screen(&mut state, &shown, 80, 24);
    assert!(!drawn.contains('\u{1b}'), "a branch's name steers the terminal");
    insta::assert_snapshot!(drawn);
}

#[test]
fn a_story_at_40_by_10_is_scrolled_to_its_beginning() {
    let shown = Shown { story: Some(story()), ..shown() };
    let mut state = State { view: View::Detail, ..arrived(&shown) };
    let newest = screen(&mut state, &shown, 40, 10);
    assert!(newest.contains("begun"), "the newest is last:\n{newest}");
    assert!(state.scrolled_max > 0);
    state.key(Key::Home, &[]);
    insta::assert_snapshot!(screen(&mut state, &shown, 40, 10));
}

#[test]
fn without_an_agent_or_a_history_it_says_what_to_do() {
    let shown = Shown {
        status: Some(Status::default()),
        problem: Some("Nothing has been recorded yet. `ccotel claude` starts a session.".into()),
        ..Shown::default()
    };
    insta::assert_snapshot!(screen(&mut State::default(), &shown, 80, 10));
}

#[test]
fn a_quiet_day_is_said() {
    let mut shown = shown();
    let live = shown.live.as_mut().unwrap();
    live.sessions.clear();
    let quiet = screen(&mut State::default(), &shown, 80, 10);
    assert!(quiet.contains("No session was active in the last 15 minutes."), "{quiet}");
    assert!(quiet.contains("`a` shows today's."), "{quiet}");
    shown.live.as_mut().unwrap().today = Today::default();
    let quiet = screen(&mut State { all: true, ..State::default() }, &shown, 80, 10);
    assert!(quiet.contains("No session today."), "{quiet}");
    assert!(quiet.contains("`ccotel claude` starts one"), "{quiet}");
}

#[test]
fn no_size_is_too_small_or_too_large() {
    let shown = Shown { story: Some(story()), ..shown() };
    let sizes = (0..10).chain([19, 39, 79, 161]);
    for (width, height) in sizes.clone().flat_map(|width| sizes.clone().map(move |it| (width, it)))
    {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        for view in [View::Table, View::Detail] {
            for over in [Over::Nothing, Over::Help, Over::Filter] {
                let mut state = State { view: view.clone(), over, ..arrived(&shown) };
                let theme = Theme { colour: true };
                terminal.draw(|frame| draw(frame, &mut state, &shown, &now(), theme)).unwrap();
            }
        }
    }
}

#[test]
fn without_colours_no_cell_has_one() {
    let shown = shown();
    let mut terminal = Terminal::new(TestBackend::new(160, 50)).unwrap();
    let mut state = arrived(&shown);
    let mut draw_with = |colour| {
        let theme = Theme { colour };
        terminal.draw(|frame| draw(frame, &mut state, &shown, &now(), theme)).unwrap();
        let cells = terminal.backend().buffer().content();
        cells.iter().any(|cell| cell.fg != ratatui::style::Color::Reset)
    };
    assert!(draw_with(true));
    assert!(!draw_with(false));
}

#[test]
fn models_are_short_and_texts_are_cut_by_their_width() {
    for (model, short) in [
        ("claude-opus-4-8", "opus-4-8"),
        ("claude-haiku-4-5-20251001", "haiku-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "sonnet-4-5"),
        ("anthropic/claude-sonnet-4-5", "sonnet-4-5"),
        ("gpt", "gpt"),
        ("", ""),
    ] {
        assert_eq!(table::short_model(model), short);
    }
    assert_eq!(cut("projects", 8), "projects");
    assert_eq!(cut("projects", 5), "proj…");
    assert_eq!(cut("日本語", 5), "日本…");
    assert_eq!(cut("ab", 0), "");
}
