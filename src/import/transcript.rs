//! From lines to items.

use std::sync::Arc;

use super::counts::Counts;
use super::item::{Answer, Item, ItemKind, key};
use super::lenient::Text;
use super::line::{Begins, Line};
use super::memory::Memory;

/// Claude Code's own words in the place of an answer.
const SYNTHETIC: &str = "<synthetic>";

/// Reads lines of one file, in their order.
#[derive(Default)]
pub struct Transcript {
    memory: Memory,
}

impl Transcript {
    /// Looks at a line; hands on what counts.
    pub fn read(&mut self, bytes: &[u8], counts: &mut Counts, emit: &mut dyn FnMut(Item)) {
        let Ok(mut line) = serde_json::from_slice::<Line>(bytes) else {
            counts.broken += 1;
            return;
        };
        if line.kind.as_str() == Some("progress") {
            line = inner(line);
        }
        match line.kind.as_str() {
            Some("assistant") => self.assistant(&line, counts, emit),
            Some("user") => self.user(&line, counts, emit),
            Some("system") => self.command(&line, counts, emit),
            Some("api-request") => self.memory.note_request(&line),
            Some(_) => {}
            None => counts.foreign += 1,
        }
    }

    fn assistant(&mut self, line: &Line<'_>, counts: &mut Counts, emit: &mut dyn FnMut(Item)) {
        for block in &line.message.content.blocks {
            if let (Some("tool_use"), Some(id), Some(name)) =
                (block.kind.as_str(), block.id.as_str(), block.name.as_str())
            {
                self.memory.note_tool(id, name);
            }
        }
        let error = line.is_api_error_message.0;
        let model = line.message.model.as_str();
        if !error && model == Some(SYNTHETIC) {
            counts.synthetic += 1;
            return;
        }
        let Some(time_ms) = time_ms(&line.timestamp) else {
            counts.foreign += 1;
            return;
        };
        if error {
            let Some(uuid) = line.uuid.as_str() else {
                counts.foreign += 1;
                return;
            };
            #[expect(clippy::cast_possible_truncation, reason = "a status has three digits")]
            let status_code = line.api_error_status.0.map(|status| status as i64);
            let key = key("error", uuid);
            emit(self.item(line, key, time_ms, ItemKind::Error { status_code }));
            return;
        }
        let id = line.message.id.as_str().or(line.request_id.as_str()).or(line.uuid.as_str());
        let (Some(id), Some(model)) = (id, model) else {
            counts.foreign += 1;
            return;
        };
        let Some(usage) = &line.message.usage.0 else {
            counts.foreign += 1;
            return;
        };
        let answer = Answer {
            usage: usage.read(),
            model: self.memory.text(without_context(model)),
            query_source: self.memory.query_source(line),
            effort: line.effort.as_str().map(|effort| self.memory.text(effort)),
            request_id: line.request_id.as_str().map(Arc::from),
            cost_usd: line.cost_usd.0.filter(|cost| *cost >= 0.0),
        };
        emit(self.item(line, key("answer", id), time_ms, ItemKind::Answer(answer)));
    }

    fn user(&mut self, line: &Line<'_>, counts: &mut Counts, emit: &mut dyn FnMut(Item)) {
        let results = line.message.content.blocks.iter().filter_map(|block| {
            let is_result = block.kind.as_str() == Some("tool_result");
            block.tool_use_id.as_str().filter(|_| is_result).map(|id| (id, block.is_error.0))
        });
        let results: Vec<_> = results.collect();
        if results.is_empty() && !is_typed(line) {
            return;
        }
        let (Some(time_ms), Some(uuid)) = (time_ms(&line.timestamp), line.uuid.as_str()) else {
            counts.foreign += 1;
            return;
        };
        if results.is_empty() {
            let text = line.message.content.text;
            // A command is noted with words around it.
            let length = (text.begins == Begins::Plain).then_some(text.length);
            let kind = ItemKind::Prompt { length };
            emit(self.item(line, key("prompt", uuid), time_ms, kind));
        }
        for (id, is_error) in results {
            let decision = &line.permission_decision;
            let kind = ItemKind::Tool {
                name: self.memory.take_tool(id),
                success: !is_error,
                accepted: decision.decision.as_str().map(|decision| decision == "accept"),
                source: decision.source.as_str().map(|source| self.memory.text(source)),
                id: id.into(),
            };
            emit(self.item(line, key("tool", id), time_ms, kind));
        }
    }

    /// A command that no model answers. Claude Code counts it as a prompt in its events.
    fn command(&mut self, line: &Line<'_>, counts: &mut Counts, emit: &mut dyn FnMut(Item)) {
        let is_command = line.subtype.as_str() == Some("local_command");
        if !is_command || line.content.text.begins != Begins::Command {
            return;
        }
        let (Some(time_ms), Some(uuid)) = (time_ms(&line.timestamp), line.uuid.as_str()) else {
            counts.foreign += 1;
            return;
        };
        let kind = ItemKind::Prompt { length: None };
        emit(self.item(line, key("prompt", uuid), time_ms, kind));
    }

    fn item(&mut self, line: &Line<'_>, key: [u8; 16], time_ms: i64, kind: ItemKind) -> Item {
        Item {
            key,
            time_ms,
            place: self.memory.place(line),
            prompt_id: line.prompt_id.as_str().map(|id| self.memory.text(id)),
            kind,
        }
    }
}

/// The copied line, with its parent's session and place.
fn inner<'l>(mut outer: Line<'l>) -> Line<'l> {
    let Some(inside) = outer.data.message.0.0.take() else { return outer };
    let mut line = *inside;
    let fill = |own: &mut Text<'l>, parents: Text<'l>| {
        if own.as_str().is_none() {
            *own = parents;
        }
    };
    fill(&mut line.session_id, outer.session_id);
    fill(&mut line.timestamp, outer.timestamp);
    fill(&mut line.cwd, outer.cwd);
    fill(&mut line.git_branch, outer.git_branch);
    fill(&mut line.version, outer.version);
    fill(&mut line.entrypoint, outer.entrypoint);
    if line.kind.as_str() == Some("assistant") {
        line.is_sidechain.0 = true;
    } else {
        line.kind = outer.kind;
    }
    line
}

/// Whether a person wrote this, as far as the line tells.
fn is_typed(line: &Line<'_>) -> bool {
    let by_a_machine = line.is_meta.0
        || line.is_sidechain.0
        || line.is_compact_summary.0
        || line.is_visible_in_transcript_only.0
        || line.prompt_source.as_str() == Some("system");
    !by_a_machine && matches!(line.message.content.text.begins, Begins::Plain | Begins::Command)
}

/// `claude-opus-4-8[1m]` → `claude-opus-4-8`, as events have it.
fn without_context(model: &str) -> &str {
    model.split('[').next().unwrap_or(model)
}

fn time_ms(timestamp: &Text<'_>) -> Option<i64> {
    let time: jiff::Timestamp = timestamp.as_str()?.parse().ok()?;
    Some(time.as_millisecond()).filter(|ms| *ms > 0)
}
