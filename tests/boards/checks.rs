//! What can be said of the dashboards without a server.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use ccotel::record::attributes::{EVENTS, LABELS, TABLE};
use ccotel::record::names::label_name;
use serde_json::Value;

use crate::dashboards::{self, Board, targets, text};
use crate::harness::cases::Case;

const WIDTH: u64 = 24;
/// Of the roadmap, by name.
const ROADMAP: [&str; 26] = [
    "Real-Time Cost Burn Rate",
    "Total Cost Today",
    "Cached Write Cost (24h)",
    "Regular Input Cost (24h)",
    "Code Edit Acceptance Rate %",
    "Cost Forecast",
    "Average Cost / Session",
    "Cost per 1K Tokens",
    "Active Time (24h)",
    "Token Distribution by Model (24h)",
    "Active Sessions (24h)",
    "Average Session Metrics",
    "Lines of Code Modified",
    "Cache Hit Rate %",
    "Total Tokens Today",
    "Model Token Efficiency (tokens/$)",
    "Tool Usage Breakdown",
    "Peak Cost Hours",
    "Weekly Total Token Usage",
    "Cost Anomaly Detection",
    "Prompts Per Hour",
    "Tool Decision Sources (24h)",
    "Code Modification Velocity (lines/min)",
    "Token Usage Rate (24h)",
    "Prompt Length Distribution",
    "Tool Usage Breakdown (pie)",
];
/// Labels that would make a series a session, a prompt or a request.
const UNBOUNDED: [&str; 5] = ["session_id", "session.id", "prompt_id", "prompt.id", "request_id"];

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("no_two_panels_overlap", &[], no_overlap),
        Case::new("every_panel_has_a_title_a_unit_and_a_description", &[], all_said),
        Case::new("the_roadmaps_panels_are_there_by_name", &[], roadmap),
        Case::new("every_metric_and_label_is_one_that_ccotel_produces", &[], known_names),
        Case::new("no_panel_has_an_unbounded_label", &[], bounded),
        Case::new("the_reference_names_every_metric_event_and_attribute", &[], reference),
        Case::new("boards_can_be_imported_and_provisioned", &[], importable),
        Case::new("what_loki_counts_at_one_time_is_read_as_a_table", &[], tables),
        Case::new("of_too_many_log_lines_those_are_asked_for_that_are_shown_first", &[], first),
    ]
}

fn no_overlap() -> Result<()> {
    for board in dashboards::all()? {
        let mut taken = BTreeSet::new();
        for panel in board.panels() {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap_or(u64::MAX);
            ensure!(at("x") + at("w") <= WIDTH, "{}: {} is too wide", board.name, panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    ensure!(taken.insert((x, y)), "{}: {} overlaps", board.name, panel["title"]);
                }
            }
        }
    }
    Ok(())
}

fn all_said() -> Result<()> {
    for board in dashboards::all()? {
        let mut ids = BTreeSet::new();
        for panel in board.panels() {
            ensure!(ids.insert(panel["id"].as_u64()), "{}: one id twice", board.name);
            ensure!(!text(panel, "title").is_empty(), "{}: a panel without title", board.name);
        }
        for panel in board.asking() {
            let title = text(panel, "title");
            ensure!(
                text(panel, "description").len() > 8,
                "{}: {title}: no description",
                board.name
            );
            let unit = text(&panel["fieldConfig"]["defaults"], "unit");
            ensure!(!unit.is_empty(), "{}: {title}: no unit", board.name);
            ensure!(targets(panel).next().is_some(), "{}: {title}: asks nothing", board.name);
            let is_cost = ["currencyUSD", "prefix:$"].contains(&unit);
            let says = format!("{}{title}", text(panel, "description")).contains("ist price");
            ensure!(!is_cost || says, "{}: {title}: cost is list price", board.name);
        }
    }
    Ok(())
}

fn roadmap() -> Result<()> {
    for board in dashboards::all()?.iter().filter(|board| board.name.ends_with("/claude-code.json"))
    {
        let titles: BTreeSet<&str> = board.asking().map(|panel| text(panel, "title")).collect();
        ensure!(titles == BTreeSet::from(ROADMAP), "{}: {titles:?}", board.name);
    }
    Ok(())
}

/// Every name in PromQL and LogQL that is no function, keyword or duration.
fn known_names() -> Result<()> {
    let metrics = metric_names()?;
    let mut labels: BTreeSet<String> =
        LABELS.iter().map(|(_, label)| (*label).to_owned()).collect();
    labels.extend(TABLE.iter().flat_map(|(_, keys)| keys.iter()).map(|key| label_name(key)));
    labels.extend(
        [
            "team",
            "project",
            "sender",
            "instance",
            "job",
            "destination",
            "outcome",
            "service_name",
            "event_name",
        ]
        .map(str::to_owned),
    );
    for board in dashboards::all()? {
        for (title, expr) in exprs(&board) {
            for word in
                words(&expr, |it| it.starts_with("claude_code_") || it.starts_with("ccotel_"))
            {
                ensure!(metrics.contains(&word), "{}: {title}: no metric {word}", board.name);
            }
            for label in compared(&expr) {
                let name = label_name(&label);
                ensure!(labels.contains(&name), "{}: {title}: no label {label}", board.name);
            }
        }
    }
    Ok(())
}

/// Both ways for what is ours to list: nothing is missing, and no event is named that there is not.
fn reference() -> Result<()> {
    let page = std::fs::read_to_string(dashboards::root().join("docs/reference.md"))?;
    let mut names: Vec<String> =
        metric_names()?.into_iter().filter(|it| !HINTS.contains(&it.as_str())).collect();
    names.extend(EVENTS.iter().map(|event| (*event).to_owned()));
    for key in TABLE.iter().flat_map(|(_, keys)| keys.iter()) {
        names.extend([(*key).to_owned(), label_name(key)]);
    }
    for name in names {
        ensure!(page.contains(&format!("`{name}`")), "docs/reference.md does not name {name}");
    }
    let events = page.split("## Events").nth(1).and_then(|it| it.split("## Attributes").next());
    for line in events.into_iter().flat_map(str::lines).filter_map(|line| line.strip_prefix("| `"))
    {
        let name = line.split('`').next().unwrap_or_default();
        ensure!(EVENTS.contains(&name), "docs/reference.md: there is no event {name}");
    }
    Ok(())
}

/// Words of the sources that only begin like a metric.
const HINTS: [&str; 1] = ["ccotel_other_total"];

/// As the sources name them.
fn metric_names() -> Result<BTreeSet<String>> {
    let mut names: BTreeSet<String> = [
        ("claude_code.session.count", ""),
        ("claude_code.lines_of_code.count", ""),
        ("claude_code.pull_request.count", ""),
        ("claude_code.commit.count", ""),
        ("claude_code.cost.usage", "USD"),
        ("claude_code.token.usage", "tokens"),
        ("claude_code.code_edit_tool.decision", ""),
        ("claude_code.active_time.total", "s"),
    ]
    .iter()
    .map(|(name, unit)| ccotel::record::names::metric_name(name, unit))
    .collect();
    for file in [
        "src/receive/exposition.rs",
        "src/agent/rooms/own_samples.rs",
        "src/agent/rooms/senders.rs",
    ] {
        let source = std::fs::read_to_string(dashboards::root().join(file))?;
        names.extend(words(&source, |it| it.starts_with("ccotel_") && it != "ccotel_"));
    }
    Ok(names)
}

fn words(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    parts.filter(|part| wanted(part)).map(str::to_owned).collect()
}

/// Names before `=`, `=~`, `!=`, `:=` and `:~`.
fn compared(expr: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let mut names = Vec::new();
    for (at, _) in expr.match_indices(['=', '~']) {
        let before = expr[..at].trim_end_matches(['!', '=', ':', '<', '>']).trim_end();
        let start = before.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
        let name = &before[start..];
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) && name != "at" {
            names.push(name.to_owned());
        }
    }
    names
}

fn exprs(board: &Board) -> Vec<(String, String)> {
    let asking = board.asking();
    asking
        .flat_map(|panel| {
            targets(panel)
                .map(|target| (text(panel, "title").to_owned(), text(target, "expr").to_owned()))
        })
        .collect()
}

/// A grouping by such a label has to be cut to the first so many, or counted.
fn bounded() -> Result<()> {
    for board in dashboards::all()? {
        for (title, expr) in exprs(&board) {
            for label in UNBOUNDED {
                let grouped =
                    ["by (", ", "].iter().any(|before| expr.contains(&format!("{before}{label}")));
                let cut =
                    ["topk(", "limit ", "count(", "count (", "count by", "count_uniq", "avg("]
                        .iter()
                        .any(|it| expr.contains(it));
                ensure!(!grouped || cut, "{}: {title}: {label} without limit", board.name);
            }
        }
    }
    Ok(())
}

/// Grafana makes one table a query of it, with a column `Value #A` and one a label, and drops the legend.
/// Read as series it is one bar for all tools, and a slice called `Value #A`.
fn tables() -> Result<()> {
    for board in dashboards::all()? {
        for panel in board.asking() {
            let title = format!("{}: {}", board.name, panel["title"]);
            let at_once: Vec<&Value> =
                targets(panel).filter(|it| it["queryType"] == "instant" && is_loki(it)).collect();
            if at_once.is_empty() {
                continue;
            }
            let by_labels = at_once.iter().any(|it| text(it, "legendFormat").contains("{{"));
            let rows = panel["options"]["reduceOptions"]["values"] == true;
            match text(panel, "type") {
                "table" => {
                    let steps = panel["transformations"].as_array().into_iter().flatten();
                    let ids: Vec<&str> = steps.map(|step| text(step, "id")).collect();
                    ensure!(ids == ["merge", "organize"], "{title}: {ids:?}");
                }
                _ if by_labels => ensure!(rows, "{title}: all rows are one value"),
                _ => {
                    for target in at_once.iter().filter(|it| !text(it, "legendFormat").is_empty()) {
                        let named = names_column(panel, target);
                        ensure!(named, "{title}: {} has no name", target["refId"]);
                    }
                }
            }
        }
    }
    Ok(())
}

fn is_loki(target: &Value) -> bool {
    text(&target["datasource"], "type") == "loki"
}

/// An override gives the query's column its legend.
fn names_column(panel: &Value, target: &Value) -> bool {
    let overrides = panel["fieldConfig"]["overrides"].as_array().into_iter().flatten();
    overrides
        .filter(|it| it["matcher"]["id"] == "byFrameRefID")
        .filter(|it| it["matcher"]["options"] == target["refId"])
        .flat_map(|it| it["properties"].as_array().into_iter().flatten())
        .any(|it| it["id"] == "displayName" && it["value"] == target["legendFormat"])
}

fn first() -> Result<()> {
    for board in dashboards::all()? {
        for panel in board.asking().filter(|panel| panel["type"] == "logs") {
            let direction = match text(&panel["options"], "sortOrder") {
                "Ascending" => "forward",
                _ => "backward",
            };
            for target in targets(panel).filter(|target| is_loki(target)) {
                ensure!(target["direction"] == direction, "{}: {}", board.name, panel["title"]);
            }
        }
    }
    Ok(())
}

fn importable() -> Result<()> {
    let mut uids = BTreeSet::new();
    for board in dashboards::all()? {
        let uid = text(&board.json, "uid").to_owned();
        ensure!(uid.len() <= 40 && uids.insert(uid.clone()), "{}: uid {uid}", board.name);
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let inputs: BTreeSet<String> =
            list(&board.json["__inputs"]).iter().map(|it| text(it, "name").to_owned()).collect();
        let variables = list(&board.json["templating"]["list"]);
        let sources: BTreeSet<String> = variables
            .iter()
            .filter(|it| it["type"] == "datasource")
            .map(|it| text(it, "name").to_owned())
            .collect();
        ensure!(
            inputs.len() == sources.len() && !inputs.is_empty(),
            "{}: {inputs:?}, {sources:?}",
            board.name
        );
        for panel in board.asking() {
            for target in targets(panel) {
                let uid = text(&target["datasource"], "uid");
                let Some(name) = uid.strip_prefix("${").and_then(|it| it.strip_suffix('}')) else {
                    bail!("{}: {}: a fixed datasource {uid}", board.name, panel["title"]);
                };
                ensure!(sources.contains(name), "{}: no variable {name}", board.name);
            }
        }
    }
    Ok(())
}
