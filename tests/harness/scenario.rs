//! The scripted sessions that tests share, and the totals they must come to.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::claude::{HAIKU, SONNET};
use super::script::{Script, ToolRuns, Truth, Turn, Usage};

/// A session with every kind of tool, a commit, a failing command, a 529 and a 400.
pub const FRESH: [&str; 3] = ["write a greeting", "commit the greeting", "ask for too much"];

/// Its continuation in a new process.
pub const RESUMED: [&str; 1] = ["read the greeting again"];

/// A session of two prompts in a terminal: the first is an argument, the second typed.
pub const TERMINAL: [&str; 2] = ["say where we are", "say goodbye"];

/// Two sessions at once take one each.
pub const CONCURRENT: [&str; 2] = ["count the files", "count the lines"];

/// Dollars of a million tokens: input, output, cache read, cache creation (five minutes).
/// <https://docs.anthropic.com/en/docs/about-claude/pricing>
const PRICES: [(&str, [f64; 4]); 2] =
    [(SONNET, [3.0, 15.0, 0.3, 3.75]), (HAIKU, [1.0, 5.0, 0.1, 1.25])];

/// Costs are sums of binary fractions of dollars.
const COST_TOLERANCE_USD: f64 = 1e-9;

pub fn script() -> Script {
    Script::default()
        .prompt(
            FRESH[0],
            [
                Turn::tool(
                    "Write",
                    json!({ "file_path": "greeting.txt", "content": "hello\nworld\n" }),
                    Usage::new(100, 20, 0, 5000),
                )
                .overloaded_once(),
                Turn::tool(
                    "Read",
                    json!({ "file_path": "greeting.txt" }),
                    Usage::new(7, 13, 5000, 210),
                ),
                Turn::tool(
                    "Edit",
                    json!({ "file_path": "greeting.txt", "old_string": "world", "new_string": "you" }),
                    Usage::new(9, 31, 5210, 190),
                ),
                Turn::bash("exit 3", Usage::new(3, 17, 5400, 80)),
                Turn::text("Done.", Usage::new(5, 8, 5480, 60)),
            ],
        )
        .prompt(
            FRESH[1],
            [
                Turn::bash(
                    "git add greeting.txt && git commit -m greeting",
                    Usage::new(19, 41, 5540, 120),
                ),
                Turn::text("Committed.", Usage::new(2, 6, 5660, 33)),
            ],
        )
        .prompt(FRESH[2], [Turn::bad_request()])
        .prompt(
            RESUMED[0],
            [
                Turn::tool("Read", json!({ "file_path": "greeting.txt" }), Usage::new(23, 11, 0, 5900)),
                Turn::text("It says hello.", Usage::new(4, 9, 5900, 44)),
            ],
        )
        .prompt(
            TERMINAL[0],
            [
                Turn::bash("git status --short", Usage::new(61, 22, 0, 4000)),
                Turn::text("In a repository.", Usage::new(8, 12, 4000, 90)),
            ],
        )
        .prompt(TERMINAL[1], [Turn::text("Goodbye.", Usage::new(6, 4, 4090, 25))])
        .prompt(
            CONCURRENT[0],
            [
                Turn::bash("git ls-files", Usage::new(71, 15, 0, 3000)),
                Turn::text("A few.", Usage::new(5, 3, 3000, 18)),
            ],
        )
        .prompt(
            CONCURRENT[1],
            [
                Turn::bash("git grep -c ''", Usage::new(83, 19, 0, 3100)),
                Turn::text("Some.", Usage::new(6, 2, 3100, 29)),
            ],
        )
}

/// What [`FRESH`] comes to, worked out by hand from the script.
pub fn fresh_truth() -> Truth {
    let once = ToolRuns { succeeded: 1, failed: 0 };
    Truth {
        tokens: BTreeMap::from([(SONNET.into(), Usage::new(145, 136, 32290, 5693))]),
        requests: BTreeMap::from([(SONNET.into(), 7)]),
        prompts: 3,
        tools: BTreeMap::from([
            ("Write".into(), once),
            ("Read".into(), once),
            ("Edit".into(), once),
            ("Bash".into(), ToolRuns { succeeded: 1, failed: 1 }),
        ]),
        commits: 1,
        overloaded: 1,
        refused: 1,
    }
}

/// What [`RESUMED`] adds.
pub fn resumed_truth() -> Truth {
    Truth {
        tokens: BTreeMap::from([(HAIKU.into(), Usage::new(27, 20, 5900, 5944))]),
        requests: BTreeMap::from([(HAIKU.into(), 2)]),
        prompts: 1,
        tools: BTreeMap::from([("Read".into(), ToolRuns { succeeded: 1, failed: 0 })]),
        ..Truth::default()
    }
}

/// At list prices.
pub fn cost_usd(truth: &Truth) -> Result<f64> {
    truth
        .tokens
        .iter()
        .try_fold(0.0, |sum, (model, usage)| Ok(sum + model_cost_usd(model, *usage)?))
}

#[expect(clippy::cast_precision_loss, reason = "scripted token counts are small")]
fn model_cost_usd(model: &str, usage: Usage) -> Result<f64> {
    let price = PRICES.iter().find(|(name, _)| model.starts_with(name));
    let (_, price) = price.with_context(|| format!("no price for {model}"))?;
    let dollars =
        usage.by_type().into_iter().zip(price).map(|((_, tokens), price)| tokens as f64 * price);
    Ok(dollars.sum::<f64>() / 1e6)
}

/// A cost from the CLI, a report or a backend is that of the truth.
pub fn check_cost(cost_usd_found: f64, truth: &Truth) -> Result<()> {
    let expected = cost_usd(truth)?;
    ensure!(
        (cost_usd_found - expected).abs() < COST_TOLERANCE_USD,
        "{cost_usd_found} dollars instead of {expected}"
    );
    Ok(())
}

/// `modelUsage` of the CLI's result.
pub fn check_cli_usage(usage: &Value, truth: &Truth) -> Result<()> {
    for (model, expected) in &truth.tokens {
        let of = |name: &str| usage[model][name].as_u64().unwrap_or_default();
        let found = Usage::new(
            of("inputTokens"),
            of("outputTokens"),
            of("cacheReadInputTokens"),
            of("cacheCreationInputTokens"),
        );
        ensure!(found == *expected, "{model}: {found:?} instead of {expected:?}: {usage}");
    }
    Ok(())
}
