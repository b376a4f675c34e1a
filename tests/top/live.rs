//! Sessions on the screen: what they are, how they are sorted, what happened in them.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::harness::cases::Case;
use crate::harness::recorded::{self, INTERACTIVE, MILLION, Part, RICH};
use crate::harness::sandbox::Sandbox;
use crate::harness::terminal::Terminal;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("live::a_session_that_goes_on_is_shown_with_its_tool", &[], goes_on),
        Case::new("live::what_arrives_is_shown_without_a_key", &[], arrives),
        Case::new("live::sorting_and_selecting_move_rows_and_mark", &[], sorts),
        Case::new("live::a_filter_leaves_what_holds_it", &[], filters),
        Case::new("live::the_story_of_a_session_and_back", &[], tells),
        Case::new("live::any_size_is_drawn", &[], resizes),
        Case::new("live::a_snapshot_and_the_report_say_the_same", &[], snapshot),
        Case::new("live::the_window_of_a_context_is_what_counters_say", &[], windows),
        Case::new("live::without_colour_nothing_is_coloured", &[], without_colour),
    ]
}

/// A sandbox whose agent has been sent the rich session.
pub fn with_rich_session() -> Result<Sandbox> {
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    recorded::send(&sandbox, RICH, Part::Whole)?;
    Ok(sandbox)
}

pub fn start(sandbox: &Sandbox, rows: u16, columns: u16) -> Result<Terminal> {
    Terminal::start_sized(sandbox.ccotel(&["top"]), rows, columns)
}

/// The place of the line that holds a text.
fn line_with(screen: &str, text: &str) -> Option<usize> {
    screen.lines().position(|line| line.contains(text))
}

fn goes_on() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    recorded::send(&sandbox, RICH, Part::UpTo("tool_decision"))?;
    let terminal = start(&sandbox, 24, 80)?;
    terminal.wait_for("the session and its tool", |screen| {
        screen.lines().any(|line| line.contains("demo") && line.contains("Bash "))
    })?;
    terminal.wait_for("the agent", |screen| screen.contains("● agent"))?;
    let screen = terminal.screen();
    ensure!(screen.contains("1 session, 1 active"), "{screen}");
    ensure!(screen.lines().last().is_some_and(|foot| foot.contains("q quit")), "{screen}");
    Ok(())
}

fn arrives() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    let terminal = start(&sandbox, 24, 80)?;
    terminal.wait_for("that there is nothing", |screen| screen.contains("`ccotel claude`"))?;
    recorded::send(&sandbox, RICH, Part::UpTo("user_prompt"))?;
    terminal.wait_for("the session, thinking", |screen| screen.contains("thinking"))?;
    recorded::send(&sandbox, RICH, Part::Whole)?;
    let cost = recorded::truth(RICH)?;
    let cost = dollars(&cost);
    terminal.wait_for("its cost", |screen| {
        screen.lines().any(|line| line.contains("demo") && line.contains(&cost))
    })
}

/// What the recorded run cost, as it is shown.
fn dollars(truth: &Value) -> String {
    let usd = truth["cli_total_cost_usd"].as_f64().unwrap_or_default();
    ccotel::report::table::money(usd)
}

fn sorts() -> Result<()> {
    let sandbox = with_rich_session()?;
    recorded::send(&sandbox, INTERACTIVE, Part::Whole)?;
    let mut terminal = start(&sandbox, 24, 120)?;
    terminal.wait_for("three sessions by cost", |screen| {
        screen.contains("COST▼") && screen.matches("sonnet-4-5").count() == 3
    })?;
    let costs = costs(&terminal.screen());
    ensure!(costs.len() == 3 && costs.is_sorted_by(|one, next| one >= next), "{costs:?}");
    terminal.type_text("r")?;
    terminal.wait_for("the dearest last", |screen| {
        screen.contains("COST▲") && self::costs(screen).is_sorted()
    })?;
    terminal.type_text("s")?;
    terminal.wait_for("the next column", |screen| screen.contains("TOK/MIN▲"))?;
    terminal.type_text("<<<")?;
    terminal.wait_for("the first column", |screen| screen.contains("PROJECT▼"))?;
    // An arrow in two pieces, as over a slow line.
    terminal.type_text("\x1b")?;
    terminal.type_text("[C")?;
    terminal.wait_for("the model's column", |screen| screen.contains("MODEL▼"))?;
    terminal.type_text("?")?;
    terminal
        .wait_for("the help", |screen| screen.contains("TOK/MIN") && screen.contains("Ctrl-Z"))?;
    terminal.type_text("x\x0c")?;
    terminal.wait_for("the table again", |screen| {
        screen.contains("MODEL▼") && !screen.contains("Ctrl-Z")
    })
}

/// The amounts in the lines of sessions.
fn costs(screen: &str) -> Vec<f64> {
    let rows = screen.lines().filter(|line| line.contains("sonnet-4-5"));
    rows.filter_map(|row| row.split('$').nth(1)?.split(' ').next()?.parse().ok()).collect()
}

fn filters() -> Result<()> {
    let sandbox = with_rich_session()?;
    let mut terminal = start(&sandbox, 24, 80)?;
    terminal.wait_for("the session", |screen| screen.contains("sonnet-4-5"))?;
    terminal.type_text("/nobody")?;
    terminal.wait_for("no row", |screen| screen.contains("filter: nobody"))?;
    terminal.wait_for("why", |screen| screen.contains("No session here holds “nobody”"))?;
    terminal.type_text("\x1b")?;
    terminal.wait_for("the row again", |screen| screen.contains("sonnet-4-5"))
}

fn tells() -> Result<()> {
    let sandbox = with_rich_session()?;
    let mut terminal = start(&sandbox, 24, 100)?;
    terminal.wait_for("the session", |screen| screen.contains("sonnet-4-5"))?;
    terminal.type_text("\r")?;
    terminal.wait_for("the end of its story", |screen| {
        screen.contains("q back") && screen.contains("prompts,")
    })?;
    terminal.type_text("g")?;
    terminal.wait_for("its beginning", |screen| {
        let prompt = line_with(screen, "▶ prompt");
        let tool = line_with(screen, "  Bash");
        prompt.is_some() && prompt < tool
    })?;
    terminal.type_text("q")?;
    terminal.wait_for("the table", |screen| screen.contains("q quit"))
}

fn resizes() -> Result<()> {
    let sandbox = with_rich_session()?;
    let terminal = start(&sandbox, 50, 160)?;
    terminal.wait_for("panels", |screen| {
        screen.contains("─ Last hour") || screen.contains(" Last hour ─")
    })?;
    for (rows, columns) in [(10, 40), (2, 20), (1, 1), (3, 300), (100, 3)] {
        terminal.resize(rows, columns)?;
    }
    terminal.resize(24, 80)?;
    terminal.wait_for("the table at 80×24", |screen| {
        screen.contains("COST▼")
            && screen.lines().last().is_some_and(|foot| foot.contains("q quit"))
    })?;
    terminal.resize(10, 40)?;
    terminal.wait_for("the table at 40×10", |screen| {
        screen.contains("COST▼") && !screen.contains("MODEL") && screen.contains("demo")
    })
}

fn snapshot() -> Result<()> {
    let sandbox = with_rich_session()?;
    let snapshot = sandbox.json(&["top", "--json"])?;
    ensure!(snapshot["schema"] == 1 && snapshot["error"].is_null(), "{snapshot}");
    ensure!(snapshot["agent"]["running"] == true, "{snapshot}");
    let session = &snapshot["sessions"][0];
    ensure!(session["project"] == "demo" && session["model"] == "claude-sonnet-4-5", "{session}");
    ensure!(
        session["doing"]["state"] == "idle" || session["doing"]["state"] == "failed",
        "{session}"
    );
    ensure!(session["context"]["window"] == 200_000, "{session}");
    let report = sandbox.json(&["report", "--since", "today", "--by", "session", "--json"])?;
    let of_session = report["rows"]
        .as_array()
        .and_then(|rows| rows.iter().find(|row| row["session"] == session["session"]));
    for (here, there) in [("cost_usd", "cost_usd"), ("requests", "requests"), ("tokens", "tokens")]
    {
        let reported = of_session.map(|row| &row[there]);
        ensure!(reported.is_some_and(|it| same(it, &session[here])), "{session}\n{report}");
    }
    ensure!(same(&snapshot["today"]["cost_usd"], &report["total"]["cost_usd"]), "{snapshot}");
    let burnt = snapshot["burn"]["cost_usd_per_hour"].as_f64().unwrap_or_default();
    let spent = session["cost_usd"].as_f64().unwrap_or_default();
    ensure!((burnt - 4.0 * spent).abs() < 1e-9, "{burnt} an hour is not four times {spent}");
    Ok(())
}

/// Whole numbers may be written with or without a point.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|it| same(value, it)))
        }
        _ => one.as_f64() == other.as_f64() && one.is_number(),
    }
}

/// Events name the model without its suffix; counters, which have it, come with the second look.
fn windows() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.start_agent()?;
    recorded::send(&sandbox, MILLION, Part::UpTo("api_request"))?;
    let context = |snapshot: &Value| snapshot["sessions"][0]["context"].clone();
    let before = context(&sandbox.json(&["top", "--json"])?);
    ensure!(before["tokens"].is_number() && before["window"].is_null(), "{before}");
    recorded::send(&sandbox, MILLION, Part::Whole)?;
    let after = context(&sandbox.json(&["top", "--json"])?);
    ensure!(after["window"] == 1_000_000, "{after}");
    Ok(())
}

fn without_colour() -> Result<()> {
    let sandbox = with_rich_session()?;
    let mut command = sandbox.ccotel(&["top"]);
    command.env("NO_COLOR", "1");
    let plain = Terminal::start_sized(command, 24, 80)?;
    let coloured = start(&sandbox, 24, 80)?;
    for terminal in [&plain, &coloured] {
        terminal.wait_for("session and agent", |screen| {
            screen.contains("sonnet-4-5") && screen.contains("● agent")
        })?;
    }
    ensure!(coloured.is_coloured(), "with colours there should be some");
    ensure!(!plain.is_coloured(), "NO_COLOR is not honoured");
    Ok(())
}
