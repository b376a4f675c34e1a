//! Our price of every recorded request beside Claude Code's own.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use ccotel::import::prices::Prices;
use ccotel::import::usage::{Part, Usage};

use crate::harness::recorded;

/// Both add the same products, perhaps in another order.
const RELATIVE_TOLERANCE: f64 = 1e-9;

/// Before this request was answered, an answer to it had broken off after 5 tokens of input and 1 of
/// output: they are in the event's cost, though neither in its tokens nor in the counters.
const BROKEN_OFF: (&str, f64) = ("req_mock_da2d509baa59483f98ea", (5.0 * 3.0 + 15.0) / 1e6);

#[test]
fn every_recorded_request_costs_what_claude_code_says() -> Result<()> {
    let prices = Prices::built_in();
    let mut compared: BTreeMap<String, usize> = BTreeMap::new();
    for recording in recorded::all()? {
        for event in recorded::events(&recording, "api_request")? {
            let text = |name: &str| {
                event.get(name).with_context(|| format!("{recording}: a request without {name}"))
            };
            let number = |name: &str| -> Result<i64> { Ok(text(name)?.parse()?) };
            let (model, theirs) = (text("model")?, text("cost_usd")?.parse::<f64>()?);
            let at = text("event.timestamp")?.parse::<jiff::Timestamp>()?.as_millisecond();
            let cache_creation = number("cache_creation_tokens")?;
            // An event does not say how long its cache writes are kept: one of both must fit.
            let ours = [0, cache_creation].map(|cache_write_1h| {
                let total = Part {
                    input: number("input_tokens").unwrap_or(-1),
                    output: number("output_tokens").unwrap_or(-1),
                    cache_read: number("cache_read_tokens").unwrap_or(-1),
                    cache_creation,
                    cache_write_1h,
                };
                let speed = event.get("speed").cloned();
                prices.cost_usd(model, at, &Usage { total, speed, ..Usage::default() })
            });
            let broken_off = if text("request_id")? == BROKEN_OFF.0 { BROKEN_OFF.1 } else { 0.0 };
            let same = |ours: &Option<f64>| {
                ours.is_some_and(|ours| {
                    (ours + broken_off - theirs).abs() <= RELATIVE_TOLERANCE * theirs.abs()
                })
            };
            ensure!(ours.iter().any(same), "{recording}: {model} costs {theirs}, not {ours:?}");
            *compared.entry(model.clone()).or_default() += 1;
        }
    }
    let models = ["claude-sonnet-4-5", "claude-opus-4-8", "claude-haiku-4-5-20251001"];
    ensure!(models.iter().all(|model| compared.contains_key(*model)), "{compared:?}");
    ensure!(compared.values().sum::<usize>() >= 100, "{compared:?}");
    Ok(())
}
