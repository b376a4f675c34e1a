//! What is remembered while one transcript is read: a line says little by itself.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::item::Place;
use super::line::Line;

/// Tools that wait for their result, at once.
const TOOL_USES_MAX: usize = 4096;
/// Requests that wait for the first line of their answer.
const REQUESTS_MAX: usize = 256;

/// Of the lines before.
#[derive(Default)]
pub struct Memory {
    place: Arc<Place>,
    /// Tool names by `tool_use.id`, until the result comes.
    tool_uses: HashMap<String, Arc<str>>,
    /// `api-request`: its id, and what it was for.
    requests: VecDeque<(String, Arc<str>)>,
    /// Texts that come again and again.
    texts: HashMap<String, Arc<str>>,
}

impl Memory {
    pub fn note_tool(&mut self, id: &str, name: &str) {
        if self.tool_uses.len() >= TOOL_USES_MAX {
            self.tool_uses.clear();
        }
        let name = self.text(name);
        self.tool_uses.insert(id.to_owned(), name);
    }

    /// The name of the tool whose result has come.
    pub fn take_tool(&mut self, id: &str) -> Option<Arc<str>> {
        self.tool_uses.remove(id)
    }

    pub fn note_request(&mut self, line: &Line<'_>) {
        if let (Some(id), Some(source)) = (line.id.as_str(), line.query_source.as_str()) {
            let source = self.text(source);
            if self.requests.len() >= REQUESTS_MAX {
                self.requests.pop_front();
            }
            self.requests.push_back((id.to_owned(), source));
        }
    }

    /// What an answer was for.
    pub fn query_source(&mut self, line: &Line<'_>) -> Option<Arc<str>> {
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

    pub fn place(&mut self, line: &Line<'_>) -> Arc<Place> {
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

    pub fn text(&mut self, text: &str) -> Arc<str> {
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
