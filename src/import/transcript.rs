//! From lines to items: what is remembered while one transcript is read.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::counts::Counts;
use super::item::{Answer, Item, ItemKind, Place, key};
use super::lenient::Text;
use super::line::{Begins, Line};

/// Tools that wait for their result, at once.
const TOOL_USES_MAX: usize = 4096;
/// Requests that wait for the first line of their answer.
const REQUESTS_MAX: usize = 256;
/// Claude Code's own words in the place of an answer.
const SYNTHETIC: &str = "<synthetic>";

/// Reads lines of one file, in their order.
#[derive(Default)]
pub struct Transcript {
    place: Arc<Place>,
    /// Tool names by `tool_use.id`, until the result comes.
    tool_uses: HashMap<String, Arc<str>>,
    /// `api-request`: its id, and what it was for.
    requests: VecDeque<(String, Arc<str>)>,
    /// Texts that come again and again.
    texts: HashMap<String, Arc<str>>,
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
            Some("api-request") => self.request(&line),
            Some(_) => {}
            None => counts.foreign += 1,
        }
    }

    fn assistant(&mut self, line: &Line<'_>, counts: &mut Counts, emit: &mut dyn FnMut(Item)) {
        for block in &line.message.content.blocks {
            if let (Some("tool_use"), Some(id), Some(name)) =
                (block.kind.as_str(), block.id.as_str(), block.name.as_str())
            {
                if self.tool_uses.len() >= TOOL_USES_MAX {
                    self.tool_uses.clear();
                }
                let name = self.text(name);
                self.tool_uses.insert(id.to_owned(), name);
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
            model: self.text(without_context(model)),
            query_source: self.query_source(line),
            effort: line.effort.as_str().map(|effort| self.text(effort)),
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
            let kind = ItemKind::Prompt { length: line.message.content.text.length };
            emit(self.item(line, key("prompt", uuid), time_ms, kind));
        }
        for (id, is_error) in results {
            let decision = &line.permission_decision;
            let kind = ItemKind::Tool {
                name: self.tool_uses.remove(id),
                success: !is_error,
                accepted: decision.decision.as_str().map(|decision| decision == "accept"),
                source: decision.source.as_str().map(|source| self.text(source)),
                id: id.into(),
            };
            emit(self.item(line, key("tool", id), time_ms, kind));
        }
    }

    fn request(&mut self, line: &Line<'_>) {
        if let (Some(id), Some(source)) = (line.id.as_str(), line.query_source.as_str()) {
            let source = self.text(source);
            if self.requests.len() >= REQUESTS_MAX {
                self.requests.pop_front();
            }
            self.requests.push_back((id.to_owned(), source));
        }
    }

    fn query_source(&mut self, line: &Line<'_>) -> Option<Arc<str>> {
        let said = line.request_ref.as_str().and_then(|wanted| {
            let found = self.requests.iter().rev().find(|(id, _)| id == wanted);
            found.map(|(_, source)| Arc::clone(source))
        });
        // Older versions do not say it. These are the words that their events have.
        said.or_else(|| {
            Some(self.text(if line.is_sidechain.0 {
                "subagent"
            } else if line.entrypoint.as_str().is_some_and(|entry| entry.starts_with("sdk")) {
                "sdk"
            } else {
                "repl_main_thread"
            }))
        })
    }

    fn item(&mut self, line: &Line<'_>, key: [u8; 16], time_ms: i64, kind: ItemKind) -> Item {
        Item {
            key,
            time_ms,
            place: self.place(line),
            prompt_id: line.prompt_id.as_str().map(|id| self.text(id)),
            kind,
        }
    }

    fn place(&mut self, line: &Line<'_>) -> Arc<Place> {
        let session = line.request_session_id.as_str().or(line.session_id.as_str());
        let known = &self.place;
        let same = known.session == session.unwrap_or_default()
            && known.directory.as_ref().and_then(|path| path.to_str()) == line.cwd.as_str()
            && known.branch.as_deref() == line.git_branch.as_str()
            && known.version.as_deref() == line.version.as_str()
            && known.entrypoint.as_deref() == line.entrypoint.as_str();
        if !same {
            self.place = Arc::new(Place {
                session: session.unwrap_or_default().to_owned(),
                directory: line.cwd.as_str().map(Into::into),
                branch: line.git_branch.owned(),
                version: line.version.owned(),
                entrypoint: line.entrypoint.owned(),
            });
        }
        Arc::clone(&self.place)
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        if self.texts.len() >= TOOL_USES_MAX {
            self.texts.clear();
        }
        let shared: Arc<str> = text.into();
        self.texts.insert(text.to_owned(), Arc::clone(&shared));
        shared
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
