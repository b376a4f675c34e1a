//! `setup` and `uninstall`: what they say and ask, and that nothing is done before.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::harness::cases::Case;
use crate::home::Home;
use crate::undo::{CURSOR, VSCODE, VSCODE_TEXT, lived_in};

pub fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| Case::new(name, &[], run);
    vec![
        case("without_a_yes_everything_is_shown_and_nothing_done", shown_and_not_done),
        case("managed_settings_are_valid_and_name_no_secret", managed_settings),
        case("setup_asks_on_a_terminal", setup_asks_on_a_terminal),
        case("a_destination_of_a_wrong_type_is_a_usage_error", a_wrong_type),
        case("uninstall_without_setup_says_so", uninstall_without_setup),
    ]
}

fn shown_and_not_done() -> Result<()> {
    let home = lived_in()?;
    let before = home.snapshot()?;
    for (arguments, code) in [(&["setup", "--dry-run"][..], 0), (&["setup"], 1)] {
        let output = home.output(arguments)?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(output.status.code() == Some(code), "{arguments:?}: {said}");
        for line in [
            "~/.bashrc changes: ",
            "  + # >>> ccotel >>>",
            "~/.config/Code/User/settings.json changes: ",
            "  +     \"claudeCode.claudeProcessWrapper\": ",
            "  + ccotel service install   (systemd, for your user)",
            "  +   \"env\": {",
            "Nothing was changed. ",
        ] {
            ensure!(said.contains(line), "{line:?} is not in\n{said}");
        }
    }
    ensure!(home.snapshot()? == before);
    Ok(())
}

fn managed_settings() -> Result<()> {
    let home = Home::new()?;
    let output = home.output(&["setup", "--print-managed-settings"])?;
    let settings: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(
        settings["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:14318",
        "{settings}"
    );
    ensure!(settings["env"]["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf", "{settings}");
    ensure!(home.snapshot()?.is_empty(), "nothing is made");
    Ok(())
}

fn setup_asks_on_a_terminal() -> Result<()> {
    let home = lived_in()?;
    let program = home.ccotel().display().to_string();
    let mut terminal = home.terminal(&program, &["setup", "--without", "service"])?;
    let questions = |written: &str| {
        ["[Y/n] ", "[hook/shim/neither] ", "nothing for none: "]
            .map(|mark| written.matches(mark).count())
            .iter()
            .sum::<usize>()
    };
    let mut seen = String::new();
    // Yes to each change but that of VS Code.
    for answered in 0.. {
        terminal.wait_for("a question, or the end", |_| {
            let written = terminal.written();
            questions(&written) > answered || written.contains("changes made")
        })?;
        let written = terminal.written();
        if written.contains("changes made") {
            break;
        }
        let asked = written.strip_prefix(seen.as_str()).unwrap_or_default();
        let answer = if asked.contains("/Code/User/settings.json changes") { "no\r" } else { "\r" };
        terminal.type_text(answer)?;
        seen = written;
    }
    ensure!(home.read(VSCODE)? == VSCODE_TEXT, "{}", home.read(VSCODE)?);
    ensure!(
        home.read(".bashrc")?.contains(" init bash") && home.read(CURSOR)?.contains("ccotel-wrap")
    );
    Ok(())
}

/// A wrong type is seen before anything is touched.
fn a_wrong_type() -> Result<()> {
    let home = lived_in()?;
    let before = home.snapshot()?;
    for wrong in ["foo=http://x", "otlp=localhost:4318", "otlp"] {
        let output = home.output(&["setup", "--yes", "--connect", wrong])?;
        ensure!(output.status.code() == Some(2), "{wrong}: {output:?}");
    }
    ensure!(home.snapshot()? == before);
    Ok(())
}

fn uninstall_without_setup() -> Result<()> {
    let home = lived_in()?;
    let before = home.snapshot()?;
    let said = home.run(&["uninstall"])?;
    ensure!(said.contains("`ccotel setup` has changed nothing here"), "{said}");
    ensure!(home.snapshot()? == before);
    let output = home.output(&["uninstall", "--purge"])?;
    ensure!(output.status.code() == Some(1), "nobody is there to be asked");
    Ok(())
}
