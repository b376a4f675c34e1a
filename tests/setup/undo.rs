//! `setup` and `uninstall`: shown, done, done again, undone.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::harness::cases::Case;
use crate::home::{self, Home};

pub const VSCODE: &str = ".config/Code/User/settings.json";
pub const CURSOR: &str = ".config/Cursor/User/settings.json";
const CLAUDE: &str = ".claude/settings.json";
const FISH: &str = ".config/fish/conf.d/ccotel.fish";
const UNIT: &str = ".config/systemd/user/ccotel-agent.service";

pub const VSCODE_TEXT: &str = "{\n    // the theme\n    \"workbench.colorTheme\": \"Dark\", /* mine */\n    \"list\": [1, 2],\n}\n";

/// Everything that setup can write to.
const EVERYTHING: &[&str] = &["setup", "--yes", "--with", "env", "--with", "service"];

pub fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| Case::new(name, &[], run);
    vec![
        case("setup_and_purge_leave_the_home_as_it_was", setup_and_purge_leave_the_home_as_it_was),
        case("later_edits_stay_and_nothing_of_ours", later_edits_stay_and_nothing_of_ours),
        case("a_second_setup_finds_nothing_to_do", a_second_setup_finds_nothing_to_do),
        case("what_others_have_set_stays_theirs", what_others_have_set_stays_theirs),
        case("a_moved_binary_is_followed", a_moved_binary_is_followed),
        case("a_file_that_cannot_be_edited_keeps_no_other", a_file_that_cannot_be_edited),
        case("a_shim_comes_first_on_path", a_shim_comes_first_on_path),
        case("an_existing_feed_is_kept_and_undone", an_existing_feed_is_kept_and_undone),
        case("a_block_that_was_damaged_comes_out_or_is_named", a_damaged_block),
        case("an_interrupted_setup_is_undone", an_interrupted_setup_is_undone),
    ]
}

/// A user of everything: startup files with and without an end of line, a link to a file elsewhere.
pub fn lived_in() -> Result<Home> {
    let home = Home::new()?;
    home.write("dotfiles/bashrc", "alias ll='ls -l'")?;
    std::os::unix::fs::symlink("dotfiles/bashrc", home.home(".bashrc"))?;
    home.write(".profile", ". ~/.bashrc\n")?;
    home.write(".zshrc", "")?;
    home.write(".config/fish/config.fish", "set -g x 1\n")?;
    home.write(VSCODE, VSCODE_TEXT)?;
    std::fs::create_dir_all(home.home(CURSOR).parent().unwrap_or(&home.home("")))?;
    home.write(CLAUDE, "{\n  \"model\": \"opus\"\n}\n")?;
    std::fs::create_dir_all(home.home(".config/Claude"))?;
    home.executable("systemctl", home::SYSTEMCTL)?;
    Ok(home)
}

fn setup_and_purge_leave_the_home_as_it_was() -> Result<()> {
    let home = lived_in()?;
    let before = home.snapshot()?;
    home.run(EVERYTHING)?;
    for touched in [".bashrc", ".zshrc", FISH, VSCODE, CURSOR, CLAUDE, UNIT] {
        ensure!(home.read(touched)?.contains("ccotel"), "{touched}");
    }
    ensure!(home.home(".bashrc").symlink_metadata()?.is_symlink(), "a link stays one");
    home.run(&["agent", "start"])?;
    home.run(&["uninstall", "--purge", "--yes"])?;
    let after = home.snapshot()?;
    ensure!(before == after, "{before:#?}\n{after:#?}");
    ensure!(std::fs::read_dir(home.path("run"))?.count() == 1, "only systemctl's notes");
    Ok(())
}

fn later_edits_stay_and_nothing_of_ours() -> Result<()> {
    let home = lived_in()?;
    home.run(EVERYTHING)?;
    let edit = |below: &str, change: &dyn Fn(String) -> String| -> Result<()> {
        home.write(below, &change(home.read(below)?)).map(drop)
    };
    edit(".bashrc", &|text| format!("export FIRST=1\n{text}export LAST=1\n"))?;
    edit(".zshrc", &|text| text + "export LAST=1\n")?;
    edit(FISH, &|text| text + "set -g mine 1\n")?;
    edit(VSCODE, &|text| text.replace("\"Dark\"", "\"Light\", // brighter\n    \"new\": true"))?;
    edit(CURSOR, &|text| text.replacen('{', "{\n  // mine\n  \"a\": 1,", 1))?;
    edit(CLAUDE, &|text| {
        text.replace("\"env\": {", "\"env\": {\n    \"MINE\": \"1\",")
            .replace("\"OTEL_LOGS_EXPORTER\": \"otlp\"", "\"OTEL_LOGS_EXPORTER\": \"console\"")
    })?;
    home.run(&["uninstall", "--purge", "--yes"])?;
    let has = |below: &str, wanted: &str| -> Result<()> {
        let text = home.read(below)?;
        ensure!(text == wanted, "{below} is\n{text}\nand not\n{wanted}");
        Ok(())
    };
    has(".bashrc", "export FIRST=1\nalias ll='ls -l'\nexport LAST=1\n")?;
    has(".zshrc", "export LAST=1\n")?;
    has(FISH, "set -g mine 1\n")?;
    has(VSCODE, &VSCODE_TEXT.replace("\"Dark\"", "\"Light\", // brighter\n    \"new\": true"))?;
    let text = home.read(CURSOR)?;
    ensure!(text.contains("// mine\n  \"a\": 1") && !text.contains("ccotel"), "{text}");
    let settings: Value = serde_json::from_str(&home.read(CLAUDE)?)?;
    // The value that somebody has changed is theirs now.
    let left = serde_json::json!({
        "model": "opus", "env": { "MINE": "1", "OTEL_LOGS_EXPORTER": "console" },
    });
    ensure!(settings == left, "{settings:#}");
    ensure!(!home.home(".local").exists() && !home.home(".config/ccotel").exists());
    ensure!(!home.home(".config/systemd").exists());
    Ok(())
}

fn a_second_setup_finds_nothing_to_do() -> Result<()> {
    let home = lived_in()?;
    home.run(EVERYTHING)?;
    // Wherever others have moved our lines.
    home.write(".zshrc", &format!("{}export LAST=1\n", home.read(".zshrc")?))?;
    let before = (home.read(".zshrc")?, home.read(CLAUDE)?, home.read(VSCODE)?);
    let said = home.run(EVERYTHING)?;
    ensure!(said.trim() == "Everything is set up already.", "{said}");
    // What is not asked for again stays.
    let said = home.run(&["setup", "--yes", "--without", "service"])?;
    ensure!(said.trim() == "Everything is set up already.", "{said}");
    ensure!((home.read(".zshrc")?, home.read(CLAUDE)?, home.read(VSCODE)?) == before);
    Ok(())
}

fn what_others_have_set_stays_theirs() -> Result<()> {
    let home = lived_in()?;
    let vscode = "{ \"claudeCode.claudeProcessWrapper\": \"/opt/launcher\" }\n";
    let claude = "{ \"processWrapper\": \"/opt/launcher\", \"env\": { \"OTEL_EXPORTER_OTLP_ENDPOINT\": \"http://collector\" } }\n";
    home.write(VSCODE, vscode)?;
    home.write(CLAUDE, claude)?;
    let said = home.run(EVERYTHING)?;
    ensure!(said.contains("claudeCode.claudeProcessWrapper is \"/opt/launcher\" there"), "{said}");
    let said = said.replace('\n', " ");
    ensure!(
        said.contains("env.OTEL_EXPORTER_OTLP_ENDPOINT is \"http://collector\" already"),
        "{said}"
    );
    ensure!(home.read(VSCODE)? == vscode && home.read(CLAUDE)? == claude);
    home.run(&["uninstall"])?;
    ensure!(home.read(VSCODE)? == vscode && home.read(CLAUDE)? == claude);
    Ok(())
}

fn a_moved_binary_is_followed() -> Result<()> {
    let mut home = lived_in()?;
    let before = home.snapshot()?;
    home.run(EVERYTHING)?;
    std::fs::create_dir(home.path("new bin"))?;
    std::fs::rename(home.ccotel(), home.path("new bin/ccotel"))?;
    let path = format!(
        "{}:{}:/usr/bin:/bin",
        home.path("new bin").display(),
        home.path("the bin").display()
    );
    home.set("PATH", path);
    let mut command = home.command(home.path("new bin/ccotel"));
    let output = command.args(EVERYTHING).output()?;
    ensure!(output.status.success(), "{output:?}");
    for touched in [".bashrc", ".zshrc", FISH, UNIT, ".local/share/ccotel/shims/ccotel-wrap"] {
        let text = home.read(touched)?;
        ensure!(text.contains("new bin/ccotel") && !text.contains("the bin/ccotel"), "{text}");
    }
    let link = home.home(".local/share/ccotel/shims/claude").read_link()?;
    ensure!(link == home.path("new bin/ccotel"), "{}", link.display());
    let mut command = home.command(home.path("new bin/ccotel"));
    let output = command.args(["uninstall", "--purge", "--yes"]).output()?;
    ensure!(output.status.success(), "{output:?}");
    ensure!(home.snapshot()? == before);
    Ok(())
}

fn a_file_that_cannot_be_edited() -> Result<()> {
    let home = lived_in()?;
    home.write(VSCODE, "{ \"a\": ")?;
    let output = home.output(EVERYTHING)?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(output.status.code() == Some(1), "{said}");
    ensure!(said.contains("! ") && said.contains("it is not valid JSON"), "{said}");
    ensure!(home.read(VSCODE)? == "{ \"a\": ");
    ensure!(home.read(".bashrc")?.contains("ccotel") && home.read(CLAUDE)?.contains("ccotel"));
    // Damaged between setup and uninstall: named, the rest undone, and left for another try.
    home.write(CLAUDE, "{ \"processWrapper\": ")?;
    let output = home.output(&["uninstall"])?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1) && said.contains("take out processWrapper"), "{said}");
    ensure!(!home.read(".bashrc")?.contains("ccotel"));
    home.write(CLAUDE, "{}\n")?;
    home.run(&["uninstall"])?;
    Ok(())
}

fn a_shim_comes_first_on_path() -> Result<()> {
    let home = lived_in()?;
    let before = home.snapshot()?;
    home.run(&["setup", "--yes", "--way", "shim", "--without", "service"])?;
    let shims = home.home(".local/share/ccotel/shims/claude");
    for (shell, arguments) in [("bash", &["-lc"][..]), ("bash", &["-ic"])] {
        let mut command = home.command(shell);
        let output = command
            .args(arguments)
            .arg("command -v claude; . ~/.bashrc; echo \"$PATH\"")
            .output()?;
        let said = String::from_utf8(output.stdout)?;
        let mut lines = said.lines();
        ensure!(lines.next() == shims.to_str(), "{shell} {arguments:?}: {said}");
        ensure!(lines.next().is_some_and(|path| path.matches("/shims").count() == 1), "{said}");
    }
    // A script's, with no shell between.
    let mut command = home.command(&shims);
    let output = command.arg("from a script").output()?;
    ensure!(String::from_utf8(output.stdout)?.contains("counted: [from a script]"));
    ensure!(output.status.code() == Some(7));
    home.run(&["uninstall", "--purge", "--yes"])?;
    ensure!(home.snapshot()? == before);
    Ok(())
}

/// What goes to a collector now goes on going there, by way of ccotel.
fn an_existing_feed_is_kept_and_undone() -> Result<()> {
    let home = lived_in()?;
    home.write(
        CLAUDE,
        "{\n  \"env\": {\n    \"CLAUDE_CODE_ENABLE_TELEMETRY\": \"1\",\n    \"OTEL_METRICS_EXPORTER\": \"otlp\",\n    \
         \"OTEL_EXPORTER_OTLP_ENDPOINT\": \"http://127.0.0.1:9\",\n    \
         \"OTEL_EXPORTER_OTLP_HEADERS\": \"authorization=Bearer s3cr3t\"\n  }\n}\n",
    )?;
    let before = home.snapshot()?;
    let shown = home.output(&["setup", "--dry-run"])?;
    let shown = String::from_utf8(shown.stdout)?;
    ensure!(
        shown.contains("metrics go to http://127.0.0.1:9 (OTEL_EXPORTER_OTLP_ENDPOINT in "),
        "{shown}"
    );
    ensure!(home.snapshot()? == before, "a dry run changes nothing");
    home.run(&["setup", "--yes", "--without", "service"])?;
    let config = home.read(".config/ccotel/config.toml")?;
    ensure!(
        config.contains("url = \"http://127.0.0.1:9/\"") && !config.contains("s3cr3t"),
        "{config}"
    );
    ensure!(home.read(".config/ccotel/otlp-127-0-0-1.token")? == "s3cr3t\n");
    let again = home.run(&["setup", "--yes", "--without", "service"])?;
    ensure!(again.contains("set up already"), "{again}");
    home.run(&["uninstall", "--purge", "--yes"])?;
    let after = home.snapshot()?;
    ensure!(before == after, "{before:#?}\n{after:#?}");
    Ok(())
}

fn a_damaged_block() -> Result<()> {
    let begin = "# >>> ccotel >>> (written by `ccotel setup`; `ccotel uninstall` takes it out)\n";
    for (from, to) in [
        (begin, ""),
        (begin, "# >>> ccotel\n"),
        ("# <<< ccotel <<<\n", ""),
        ("fi\n# <<<", "fi\nexport INSIDE=1\n# <<<"),
        ("# <<< ccotel <<<\n", "# <<< ccotel <<<\nTWICE"),
    ] {
        let home = Home::new()?;
        home.write(".bashrc", "export A=1\n")?;
        home.run(&["setup", "--yes", "--without", "service"])?;
        let text = home.read(".bashrc")?;
        let block = text.strip_prefix("export A=1\n").unwrap_or_default();
        let damaged = text.replace(from, to).replace("TWICE", block) + "export B=1\n";
        home.write(".bashrc", &damaged)?;
        home.run(&["uninstall", "--purge", "--yes"])?;
        let left = home.read(".bashrc")?.replace("\n\n", "\n");
        let inside = if to.contains("INSIDE") { "export INSIDE=1\n" } else { "" };
        ensure!(left == format!("export A=1\n{inside}export B=1\n"), "{damaged}\n{left}");
    }
    // Nobody knows where it ends: it is named, and left for somebody's hand.
    let home = Home::new()?;
    home.write(".bashrc", "export A=1\n")?;
    home.run(&["setup", "--yes", "--without", "service"])?;
    let damaged = home.read(".bashrc")?.replace("fi\n# <<< ccotel <<<\n", "export B=1\nfi\n");
    home.write(".bashrc", &damaged)?;
    let output = home.output(&["uninstall", "--purge", "--yes"])?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1), "{said}");
    ensure!(said.contains(".bashrc still has something of ours"), "{said}");
    ensure!(said.contains("take out lines 3, 4, 5 by hand"), "{said}");
    home.write(".bashrc", "export A=1\n")?;
    home.run(&["uninstall", "--purge", "--yes"])?;
    Ok(())
}

/// The journal is written before a file is: what it says and was not done is no harm.
fn an_interrupted_setup_is_undone() -> Result<()> {
    let home = lived_in()?;
    let before = home.snapshot()?;
    home.run(EVERYTHING)?;
    // As if the change of .zshrc, and the making of the fish file, had not come to pass.
    home.write(".zshrc", "")?;
    std::fs::remove_file(home.home(FISH))?;
    home.run(&["uninstall", "--purge", "--yes"])?;
    ensure!(home.snapshot()? == before);
    Ok(())
}
