//! Tools of a range.

use serde_json::{Value, json};

use super::{Asked, Document, facts};
use crate::report::history::reader::History;
use crate::report::tools::{self, Tool};

pub(super) fn document(history: Option<&History>, asked: &Asked) -> Document {
    let mut document = facts::head(history, asked)?;
    let tools = match history {
        Some(history) => tools::list(history, asked.range, &asked.filters)?,
        None => Vec::new(),
    };
    document.insert("rows".to_owned(), tools.iter().map(row).collect());
    Ok(Value::Object(document))
}

pub(super) fn row(tool: &Tool) -> Value {
    json!({
        "tool": tool.tool,
        "calls": tool.calls,
        "failures": tool.failures,
        "rejections": tool.rejections,
        "p50_ms": tool.duration.map(|it| it.p50_ms),
        "p95_ms": tool.duration.map(|it| it.p95_ms),
    })
}
