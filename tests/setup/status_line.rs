//! Claude Code's status line: set, chained, taken out again; and never touched without a word.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::harness::cases::Case;
use crate::home::Home;

const CLAUDE: &str = ".claude/settings.json";
const WITH: &[&str] = &["setup", "--yes", "--with", "statusline"];
/// With quotes, a padding, and comments to be kept.
const THEIRS: &str = "{\n  // mine\n  \"model\": \"opus\",\n  \"statusLine\": {\n    \"type\": \"command\",\n    \"command\": \"printf '%s' \\\"it's \\u0061 line\\\"\", // long\n    \"padding\": 0\n  }\n}\n";

pub fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| Case::new(name, &[], run);
    vec![
        case("a_status_line_is_not_set_without_a_word", not_without_a_word),
        case("a_status_line_is_set_where_there_is_none", where_there_is_none),
        case("a_status_line_of_theirs_is_chained_and_comes_back", theirs_is_chained),
        case("a_status_line_that_was_edited_since_stays", edited_since),
        case("a_status_line_of_ours_that_was_edited_comes_out", edited_and_undone),
        case("without_the_binary_their_status_line_is_shown", without_the_binary),
        case("a_status_line_that_is_strange_is_left", strange),
    ]
}

fn command(home: &Home) -> Result<String> {
    let text = home.read(CLAUDE)?;
    let lines: String = text
        .lines()
        .map(|line| line.split(" // ").next().unwrap_or(line))
        .filter(|line| !line.trim().starts_with("//"))
        .collect();
    let settings: Value = serde_json::from_str(&lines).with_context(|| text.clone())?;
    Ok(settings["statusLine"]["command"].as_str().unwrap_or_default().to_owned())
}

/// What Claude Code would show.
fn shown(home: &Home) -> Result<String> {
    let input = "echo '{\"cost\":{\"total_cost_usd\":0.5}}' | sh -c \"$COMMAND\"";
    let mut shell = home.command("sh");
    shell.args(["-c", input]).env("COMMAND", command(home)?).env("NO_COLOR", "1");
    let output = shell.output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn not_without_a_word() -> Result<()> {
    for text in ["{\n  \"model\": \"opus\"\n}\n", THEIRS] {
        let home = Home::new()?;
        home.write(CLAUDE, text)?;
        let said = home.run(&["setup", "--yes"])?;
        ensure!(!home.read(CLAUDE)?.contains(" statusline"), "{said}");
        home.run(&["uninstall"])?;
        ensure!(home.read(CLAUDE)? == text);
    }
    Ok(())
}

fn where_there_is_none() -> Result<()> {
    let home = Home::new()?;
    // Nothing is none, too.
    home.write(CLAUDE, "{\n  \"statusLine\": null\n}\n")?;
    home.run(WITH)?;
    assert_eq!(shown(&home)?, "$0.50 session\n");
    home.write(CLAUDE, "{\n  \"model\": \"opus\"\n}\n")?;
    home.run(&["uninstall", "--purge", "--yes"])?;
    let before = home.snapshot()?;
    home.run(WITH)?;
    assert_eq!(shown(&home)?, "$0.50 session\n");
    // Asked for again or not, it stays, and nothing is due.
    let said = home.run(&["setup", "--yes"])?;
    ensure!(said.contains("set up already"), "{said}");
    ensure!(home.run(WITH)?.contains("set up already"));
    home.run(&["uninstall", "--purge", "--yes"])?;
    ensure!(home.snapshot()? == before, "{}", home.read(CLAUDE)?);
    Ok(())
}

fn theirs_is_chained() -> Result<()> {
    let home = Home::new()?;
    home.write(CLAUDE, THEIRS)?;
    let before = home.snapshot()?;
    let said = home.run(WITH)?;
    ensure!(said.contains("your status line stays"), "{said}");
    let text = home.read(CLAUDE)?;
    for kept in ["// mine", "// long", "\"padding\": 0", "\"model\": \"opus\"", "processWrapper"] {
        ensure!(text.contains(kept), "{kept}: {text}");
    }
    assert_eq!(shown(&home)?, "it's a line\n$0.50 session\n");
    // A second time it does not chain itself.
    ensure!(home.run(WITH)?.contains("set up already"));
    ensure!(home.read(CLAUDE)? == text);
    ensure!(home.run(&["setup", "--yes"])?.contains("set up already"));
    home.run(&["uninstall", "--purge", "--yes"])?;
    assert_eq!(home.read(CLAUDE)?, THEIRS);
    ensure!(home.snapshot()? == before);
    Ok(())
}

fn edited_since() -> Result<()> {
    let home = Home::new()?;
    home.write(CLAUDE, THEIRS)?;
    home.run(WITH)?;
    let edited = home.read(CLAUDE)?.replace("\"opus\"", "\"sonnet\", \"new\": true");
    home.write(CLAUDE, &edited)?;
    home.run(&["uninstall"])?;
    assert_eq!(home.read(CLAUDE)?, THEIRS.replace("\"opus\"", "\"sonnet\", \"new\": true"));
    // And what they made of the line themselves is theirs.
    home.run(WITH)?;
    let ours = serde_json::to_string(&command(&home)?)?;
    home.write(CLAUDE, &home.read(CLAUDE)?.replace(&ours, "\"my new line\""))?;
    home.run(&["uninstall"])?;
    assert_eq!(command(&home)?, "my new line");
    Ok(())
}

/// Whatever they made of the command: what they see behind ours is what they keep.
fn edited_and_undone() -> Result<()> {
    const MINE: &str =
        "{\n  \"statusLine\": {\"type\": \"command\", \"command\": \"echo mine\"}\n}\n";
    for (from, to, left) in [
        ("--chain 'echo mine'", "--chain 'echo other'", "echo other"),
        ("--chain 'echo mine'", "--chain=echo", "echo"),
        ("statusline", "statusline --no-color", "echo mine"),
        (" --chain 'echo mine'; echo mine", "", ""),
    ] {
        let home = Home::new()?;
        home.write(CLAUDE, MINE)?;
        home.run(WITH)?;
        let edited = command(&home)?.replace(from, to);
        ensure!(edited != command(&home)?, "{from} is in {edited}");
        let (ours, edited) =
            (serde_json::to_string(&command(&home)?)?, serde_json::to_string(&edited)?);
        home.write(CLAUDE, &home.read(CLAUDE)?.replace(&ours, &edited))?;
        home.run(&["uninstall", "--purge", "--yes"])?;
        assert_eq!(command(&home)?, left, "{edited}");
        ensure!(!home.read(CLAUDE)?.contains("ccotel"), "{}", home.read(CLAUDE)?);
    }
    Ok(())
}

/// The package was removed, and setup was not undone.
fn without_the_binary() -> Result<()> {
    let home = Home::new()?;
    home.write(
        CLAUDE,
        "{\n  \"statusLine\": {\"type\": \"command\", \"command\": \"echo \\\"it's\\\"; cat\"}\n}\n",
    )?;
    home.run(WITH)?;
    let input = "{\"cost\":{\"total_cost_usd\":0.5}}\n";
    assert_eq!(shown(&home)?, format!("it's\n{input}$0.50 session\n"));
    let (there, gone) = (home.ccotel(), home.path("the bin/gone"));
    std::fs::rename(&there, &gone)?;
    let said = shown(&home);
    std::fs::rename(&gone, &there)?;
    assert_eq!(said?, format!("it's\n{input}"));
    Ok(())
}

fn strange() -> Result<()> {
    for status_line in [
        "\"a string\"",
        "{}",
        "{\"type\": \"other\", \"command\": \"x\"}",
        "{\"type\": \"command\", \"command\": 5}",
    ] {
        let home = Home::new()?;
        let text = format!("{{\n  \"statusLine\": {status_line}\n}}\n");
        home.write(CLAUDE, &text)?;
        let said = home.run(WITH)?;
        ensure!(
            said.contains("statusLine is something that this ccotel does not know"),
            "{status_line}: {said}"
        );
        ensure!(home.read(CLAUDE)?.contains(&format!("\"statusLine\": {status_line}")));
    }
    let home = Home::new()?;
    home.write(
        CLAUDE,
        "{\n  \"statusLine\": {\"type\": \"command\", \"command\": \"ccotel statusline\"}\n}\n",
    )?;
    home.run(WITH)?;
    assert_eq!(command(&home)?, "ccotel statusline");
    Ok(())
}
