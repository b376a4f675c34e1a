//! Tools: how often each was used, failed and was refused, and how long it took.

use std::collections::HashMap;

use super::facets::Facets;
use super::groups::Matcher;
use super::history::durations::{Duration, Kind};
use super::history::file::FacetColumn;
use super::history::reader::History;
use super::history::schema::HistoryError;
use super::latency::{self, Percentiles};
use super::question::Filter;
use super::time::MinuteRange;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tool {
    pub tool: String,
    pub calls: i64,
    pub failures: i64,
    /// Refused by somebody, or by a rule.
    pub rejections: i64,
    pub duration: Option<Percentiles>,
}

/// Every tool used in the range, the most used first.
pub fn list(
    history: &History,
    range: MinuteRange,
    filters: &[Filter],
) -> Result<Vec<Tool>, HistoryError> {
    let mut tools: HashMap<String, (Tool, Duration)> = HashMap::new();
    for file in history.files() {
        let mut facets = Facets::new(file)?;
        let mut matcher = Matcher::new(file, filters)?;
        file.activity(&[range.minutes()], |_, session, facet, activity| {
            if activity.tool_calls + activity.tool_rejections == 0
                || !matcher.passes(session, facet)?
            {
                return Ok(());
            }
            if let Some(name) = &facets.action(facet)?.tool {
                let (tool, _) = tools.entry(name.clone()).or_default();
                tool.calls += activity.tool_calls;
                tool.failures += activity.tool_failures;
                tool.rejections += activity.tool_rejections;
            }
            Ok(())
        })?;
        let wanted = (Kind::Tool, FacetColumn::Tool);
        for (tool, duration) in latency::by(file, range, filters, wanted)? {
            if let Some((_, known)) = tool.and_then(|name| tools.get_mut(&name)) {
                known.merge(&duration);
            }
        }
    }
    let mut tools: Vec<Tool> = tools
        .into_iter()
        .map(|(name, (tool, duration))| Tool {
            tool: name,
            duration: Percentiles::of(&duration),
            ..tool
        })
        .collect();
    tools.sort_by(|one, other| other.calls.cmp(&one.calls).then_with(|| one.tool.cmp(&other.tool)));
    Ok(tools)
}
