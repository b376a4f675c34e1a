//! Models of a range.

use serde_json::{Value, json};

use super::{Asked, Document, facts};
use crate::report::history::reader::History;
use crate::report::models::{self, Model};

pub(super) fn document(history: Option<&History>, asked: &Asked) -> Document {
    let mut document = facts::head(history, asked)?;
    let models = match history {
        Some(history) => models::list(history, asked.range, &asked.filters)?,
        None => Vec::new(),
    };
    // What names no model is prompts and tools, and nothing that a model did.
    let named = models.iter().filter(|it| it.model.is_some() || it.facts.cost_usd != 0.0);
    document.insert("rows".to_owned(), named.map(row).collect());
    Ok(Value::Object(document))
}

fn row(model: &Model) -> Value {
    json!({
        "model": model.model,
        "cost_usd": model.facts.cost_usd,
        "imported_cost_usd": model.facts.imported_cost_usd,
        "tokens": facts::tokens(&model.facts.tokens),
        "cache_hit_ratio": facts::cache_hit_ratio(&model.facts.tokens),
        "requests": model.facts.requests,
        "errors": model.facts.errors,
        "unpriced_requests": model.facts.unpriced_requests,
        "output_tokens_per_second": model.output_tokens_per_second,
        "first_token_p50_ms": model.first_token.map(|it| it.p50_ms),
        "p50_ms": model.duration.map(|it| it.p50_ms),
        "p95_ms": model.duration.map(|it| it.p95_ms),
    })
}
