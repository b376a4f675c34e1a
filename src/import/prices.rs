//! What a request would cost at list prices: the dated table in `prices.toml`, and Claude Code's own
//! arithmetic over it, in its order, so that both come to the same number.
//!
//! A model that is not in the table has no price. It is never guessed, and never 0.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::usage::{Part, Usage};

const TABLE: &str = include_str!("prices.toml");
const MILLION: f64 = 1e6;

/// List prices by model and day.
#[derive(Debug)]
pub struct Prices {
    models: HashMap<String, Vec<Row>>,
    web_search: f64,
    inference_us: f64,
}

/// A model's prices from a day on.
#[derive(Clone, Copy, Debug)]
struct Row {
    from_ms: i64,
    standard: Rates,
    fast: Option<Rates>,
    long_prompt: Option<(i64, Rates)>,
}

/// Dollars of a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
struct Rates {
    input: f64,
    output: f64,
    cache_read: f64,
    cache_write_5m: f64,
    cache_write_1h: f64,
}

impl Prices {
    /// The table that this version was built with.
    pub fn built_in() -> Self {
        Self::parse(TABLE).expect("the table is checked by a test")
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut models = HashMap::new();
        for model in file.model {
            let mut rows: Vec<Row> = model.price.iter().map(row).collect::<Result<_, _>>()?;
            rows.sort_by_key(|row| row.from_ms);
            for name in model.aliases.into_iter().chain([model.name]) {
                if rows.is_empty() || models.insert(name.clone(), rows.clone()).is_some() {
                    return Err(format!("{name} has no price, or two lists of them"));
                }
            }
        }
        Ok(Self { models, web_search: file.web_search, inference_us: file.inference_us })
    }

    /// Whether the model has a price, at any time.
    pub fn knows(&self, model: &str) -> bool {
        self.models.contains_key(&canonical(model))
    }

    /// Dollars of a request at a time; `None` where the model has no price.
    pub fn cost_usd(&self, model: &str, time_ms: i64, usage: &Usage) -> Option<f64> {
        let rows = self.models.get(&canonical(model))?;
        let row = rows.iter().rev().find(|row| row.from_ms <= time_ms).or_else(|| rows.first())?;
        let fast = row.fast.filter(|_| usage.is_fast());
        let long = row.long_prompt.filter(|_| fast.is_none());
        let whole = [usage.total];
        let parts = if long.is_some() { usage.parts().unwrap_or(&whole) } else { &whole };
        let tokens: f64 = parts
            .iter()
            .map(|part| {
                let long = long.filter(|(above, _)| part.prompt() > *above).map(|(_, rates)| rates);
                of_part(part, &fast.or(long).unwrap_or(row.standard))
            })
            .sum();
        let factor = if usage.inference_us { self.inference_us } else { 1.0 };
        #[expect(clippy::cast_precision_loss, reason = "counts of searches are small")]
        let searches = usage.web_searches as f64 * self.web_search;
        Some(tokens * factor + searches)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of tokens are far below 2^53")]
fn of_part(part: &Part, rates: &Rates) -> f64 {
    let of = |tokens: i64, price: f64| tokens as f64 / MILLION * price;
    let hour = part.cache_write_1h.clamp(0, part.cache_creation);
    let writes = if hour > 0 {
        of(hour, rates.cache_write_1h) + of(part.cache_creation - hour, rates.cache_write_5m)
    } else {
        of(part.cache_creation, rates.cache_write_5m)
    };
    of(part.input, rates.input)
        + of(part.output, rates.output)
        + of(part.cache_read, rates.cache_read)
        + writes
}

/// A model's name as the table has it: without a context suffix, a provider's prefix, a date and a
/// version of the provider's. `us.anthropic.claude-opus-4-20250514-v1:0` is `claude-opus-4`.
pub fn canonical(model: &str) -> String {
    let mut name = model.trim().to_ascii_lowercase();
    if let Some(start) = name.find("claude-") {
        name.drain(..start);
    }
    if let Some(end) = name.find(['[', '@', ':']) {
        name.truncate(end);
    }
    for suffix in ["-v1", "-v2", "-latest"] {
        if let Some(plain) = name.strip_suffix(suffix) {
            name.truncate(plain.len());
        }
    }
    if let Some((plain, date)) = name.rsplit_once('-')
        && date.len() == 8
        && date.bytes().all(|byte| byte.is_ascii_digit())
    {
        name.truncate(plain.len());
    }
    name
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "checked")]
    _checked: toml::value::Datetime,
    web_search: f64,
    inference_us: f64,
    model: Vec<FileModel>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FileModel {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(rename = "source")]
    _source: String,
    price: Vec<FileRow>,
}

#[derive(serde::Deserialize)]
struct FileRow {
    from: toml::value::Datetime,
    #[serde(flatten)]
    rates: Rates,
    fast: Option<Rates>,
    long_prompt: Option<FileLong>,
}

#[derive(serde::Deserialize)]
struct FileLong {
    above_tokens: i64,
    #[serde(flatten)]
    rates: Rates,
}

fn row(row: &FileRow) -> Result<Row, String> {
    let day: Date = row.from.to_string().parse().map_err(|error| format!("from: {error}"))?;
    let start = day.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(Row {
        from_ms: start.timestamp().as_millisecond(),
        standard: row.rates,
        fast: row.fast,
        long_prompt: row.long_prompt.as_ref().map(|long| (long.above_tokens, long.rates)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOV_2026: i64 = 1_795_000_000_000;

    fn usage(input: i64, output: i64, cache_read: i64, cache_creation: i64, hour: i64) -> Usage {
        let total = Part { input, output, cache_read, cache_creation, cache_write_1h: hour };
        Usage { total, ..Usage::default() }
    }

    fn ms(time: &str) -> i64 {
        time.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn every_row_of_the_table_can_be_read_and_is_later_than_the_one_before() {
        let prices = Prices::built_in();
        for (model, rows) in &prices.models {
            assert_eq!(&canonical(model), model);
            assert!(rows.windows(2).all(|pair| pair[0].from_ms < pair[1].from_ms), "{model}");
            for rates in rows.iter().map(|row| row.standard) {
                assert!(rates.output > rates.input && rates.input > rates.cache_read, "{model}");
                assert!(rates.cache_write_1h > rates.cache_write_5m, "{model}");
            }
        }
    }

    #[test]
    fn names_are_found_whatever_is_around_them() {
        for (model, name) in [
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5[1m]", "claude-sonnet-4-5"),
            ("us.anthropic.claude-opus-4-20250514-v1:0", "claude-opus-4"),
            ("claude-3-5-haiku@20241022", "claude-3-5-haiku"),
            ("anthropic/claude-opus-5-5", "claude-opus-5-5"),
            ("Claude-3-7-Sonnet-Latest", "claude-3-7-sonnet"),
        ] {
            assert_eq!(canonical(model), name);
            assert!(Prices::built_in().knows(model), "{model}");
        }
    }

    #[test]
    fn a_model_without_a_price_is_not_free() {
        let prices = Prices::built_in();
        for model in ["claude-opus-4-9", "gpt-6", "<synthetic>", "", "claude-"] {
            assert_eq!(prices.cost_usd(model, NOV_2026, &usage(1, 1, 1, 1, 0)), None, "{model}");
        }
    }

    #[test]
    fn writes_of_an_hour_cost_twice_the_input() {
        let prices = Prices::built_in();
        let cost =
            |hour| prices.cost_usd("claude-sonnet-4-6", NOV_2026, &usage(10, 500, 1000, 700, hour));
        assert_eq!(
            cost(0),
            Some(10.0 / 1e6 * 3.0 + 500.0 / 1e6 * 15.0 + 1000.0 / 1e6 * 0.3 + 700.0 / 1e6 * 3.75)
        );
        assert!((cost(500).unwrap() - 0.011_58).abs() < 1e-12, "as Claude Code 2.1.329 says");
    }

    #[test]
    fn prices_are_those_of_the_day() {
        let prices = Prices::built_in();
        let read = usage(0, 0, 1_000_000, 0, 0);
        let cost = |time: &str| prices.cost_usd("claude-sonnet-5-5", ms(time), &read).unwrap();
        assert_eq!(cost("2026-10-06T23:59:59Z"), 0.2);
        assert_eq!(cost("2026-10-07T00:00:00Z"), 0.1);
        assert_eq!(cost("2020-01-01T00:00:00Z"), 0.2, "before the first row, the first row");
    }

    #[test]
    fn a_long_prompt_is_dearer_while_it_was() {
        let prices = Prices::built_in();
        let long = usage(100_000, 1000, 100_000, 1, 0);
        let at = usage(100_000, 1000, 100_000, 0, 0);
        let cost = |time: &str, usage: &Usage| prices.cost_usd("claude-opus-4-6", ms(time), usage);
        let (before, after) = ("2026-03-12T00:00:00Z", "2026-03-13T00:00:00Z");
        assert!(cost(before, &long) > cost(after, &long));
        assert_eq!(cost(before, &at), cost(after, &at), "200,000 is not above 200,000");
    }

    #[test]
    fn fast_answers_searches_and_places_have_their_price() {
        let prices = Prices::built_in();
        let mut usage = usage(100, 50, 2000, 300, 0);
        let cost = |usage: &Usage, model| prices.cost_usd(model, NOV_2026, usage).unwrap();
        let standard = cost(&usage, "claude-opus-5-5");
        usage.speed = Some("fast".into());
        assert!((cost(&usage, "claude-opus-5-5") - 0.0066).abs() < 1e-12, "as Claude Code says");
        assert_eq!(cost(&usage, "claude-opus-4-5"), {
            usage.speed = None;
            cost(&usage, "claude-opus-4-5")
        });
        usage.inference_us = true;
        assert!((cost(&usage, "claude-opus-5-5") - standard * 1.1).abs() < 1e-12);
        usage.web_searches = 3;
        assert!((cost(&usage, "claude-opus-5-5") - standard * 1.1 - 0.03).abs() < 1e-12);
    }

    /// The API may answer with several messages in one response; each is priced by its own prompt.
    #[test]
    fn parts_are_priced_by_themselves_where_the_prompt_decides() {
        let prices = Prices::built_in();
        let one = Part { input: 60_000, output: 10, ..Part::default() };
        let two = Part { input: 120_000, output: 20, ..Part::default() };
        let mut usage = usage(180_000, 30, 0, 0, 0);
        let cost = |usage: &Usage| prices.cost_usd("claude-haiku-5-5", NOV_2026, usage).unwrap();
        let as_one = cost(&usage);
        usage.iterations = vec![one, two];
        let apart = cost(&usage);
        assert!((as_one - (0.18 * 0.5 + 30.0 / 1e6 * 2.5)).abs() < 1e-12);
        assert!((apart - (0.006 + 10.0 / 1e6 * 0.5 + 0.06 + 20.0 / 1e6 * 2.5)).abs() < 1e-12);
        usage.iterations = vec![one];
        assert_eq!(cost(&usage), as_one, "parts that do not add up are not believed");
    }
}
