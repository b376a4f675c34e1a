//! Scenarios in the browser: each is a function of a script in `browser/`, run by Node.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::harness::programs::Program;
use crate::house::{House, Past};

/// Names the folder `node_modules` that the packages of `package.json` are in.
const MODULES_VARIABLE: &str = "CCOTEL_TEST_PAGE_MODULES";

/// What happens in the browser, and on which past.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    past: Past,
}

pub const SCENARIOS: &[Scenario] = &[
    with_a_past("every_view_shows_what_there_is"),
    with_a_past("the_table_has_the_numbers_of_the_chart"),
    with_a_past("values_show_under_the_pointer"),
    with_a_past("what_happens_shows_without_a_reload"),
    with_a_past("filters_are_in_the_address_and_the_back_button_works"),
    with_a_past("the_filter_menu_offers_what_there_is"),
    with_a_past("dragging_over_the_chart_zooms"),
    with_a_past("ranges_metrics_and_stacks_can_be_picked"),
    with_a_past("what_cannot_be_shown_is_said"),
    with_a_past("the_token_leaves_the_address_and_stays_in_the_tab"),
    with_a_past("the_redirect_file_opens_the_page"),
    with_a_past("a_stale_token_is_told_to_open_again"),
    with_a_past("another_page_cannot_ask"),
    with_a_past("nothing_scrolls_sideways"),
    with_a_past("light_and_dark_follow_the_system_or_a_choice"),
    with_a_past("nobody_is_shut_out"),
    with_a_past("all_of_it_works_from_the_keyboard"),
    with_a_past("an_agent_that_is_gone_is_said"),
    with_a_past("pictures"),
    Scenario { name: "imported_usage_is_told_apart", past: Past::WithImport },
    Scenario { name: "the_first_run_says_what_to_do", past: Past::Nothing },
    Scenario { name: "a_damaged_history_is_said", past: Past::Damaged },
];

const fn with_a_past(name: &'static str) -> Scenario {
    Scenario { name, past: Past::MadeUp }
}

/// What this machine lacks. A variable that names no such folder fails instead.
pub fn missing() -> Option<String> {
    let programs = [Program::Node, Program::Chromium];
    if let Some(program) = programs.into_iter().find(|program| program.find().is_none()) {
        return Some(program.missing());
    }
    modules().is_none().then(|| format!("needs the packages of package.json in {MODULES_VARIABLE}"))
}

fn modules() -> Option<PathBuf> {
    let folder = std::env::var_os(MODULES_VARIABLE).filter(|folder| !folder.is_empty())?;
    let folder = PathBuf::from(folder);
    assert!(
        folder.join("playwright-core").is_dir() && folder.join("axe-core").is_dir(),
        "{MODULES_VARIABLE} names {}, and the packages are not there",
        folder.display()
    );
    Some(folder)
}

pub fn run(scenario: &Scenario) -> Result<()> {
    let house = House::open(scenario.past)?;
    let sandbox = &house.sandbox;
    let report = match scenario.past {
        Past::MadeUp => {
            let words = ["report", "--since", "30d", "--tz", "Europe/Paris", "--json"];
            sandbox.json(&words)?.to_string()
        }
        Past::WithImport => sandbox.json(&["report", "--since", "365d", "--json"])?.to_string(),
        Past::Nothing | Past::Damaged => String::new(),
    };
    let token = std::fs::read_to_string(sandbox.data_dir().join("token"))?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/browser/run.mjs");
    let mut node = sandbox.command(Program::Node.find().context("it was found before")?);
    node.arg(script)
        .stdin(Stdio::null())
        .env(MODULES_VARIABLE, modules().context("they were found before")?)
        .env("PAGE_CHROMIUM", Program::Chromium.find().context("it was found before")?)
        .env("PAGE_SCENARIO", scenario.name)
        .env("PAGE_URL", &house.url)
        .env("PAGE_FILE", &house.file)
        .env("PAGE_CCOTEL", env!("CARGO_BIN_EXE_ccotel"))
        .env("PAGE_REPORT", report)
        .env("AGENT_ENDPOINT", format!("http://{}/{}", sandbox.agent_address()?, token.trim()));
    if let Some(folder) = std::env::var_os("CCOTEL_TEST_SCREENSHOTS") {
        node.env("CCOTEL_TEST_SCREENSHOTS", folder);
    }
    let output = node.output().context("running node")?;
    ensure!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
