//! From an item to what the history keeps of an event: tags of its folder, a price, and the privacy
//! level that applies there. What the level drops is not handed on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::item::{Answer, Item, ItemKind, Place};
use super::prices::Prices;
use crate::config::Loaded;
use crate::record::attributes::{self, Class};
use crate::record::privacy::{self, Outcome};
use crate::record::{Labels, PrivacyLevel, Value, secrets, tag_labels};
use crate::report::history::facts::{
    ApiError, Facet, Fact, Kind, OfSession, Request, ToolResult, error_class,
};
use crate::tags::{self, Inputs};

/// Facets that are remembered; a branch or a model makes a new one.
const FACETS_MAX: usize = 10_000;

/// Makes facts. Remembers what folders are.
pub struct Facts {
    home: PathBuf,
    loaded: Loaded,
    install_key: [u8; 32],
    prices: Prices,
    folders: HashMap<Option<PathBuf>, Arc<Folder>>,
    facets: HashMap<Described, Facet>,
    sessions: HashMap<(PrivacyLevel, String), Arc<str>>,
}

/// What applies to a folder.
struct Folder {
    number: usize,
    tags: Labels,
    level: PrivacyLevel,
    repository: Option<String>,
}

/// What makes a facet, before privacy.
#[derive(PartialEq, Eq, Hash)]
struct Described {
    folder: usize,
    branch: Option<String>,
    model: Option<Arc<str>>,
    query_source: Option<Arc<str>>,
    tool: Option<Arc<str>>,
}

impl Facts {
    pub fn new(home: &Path, loaded: Loaded, install_key: [u8; 32]) -> Self {
        Self {
            home: home.to_path_buf(),
            loaded,
            install_key,
            prices: Prices::built_in(),
            folders: HashMap::new(),
            facets: HashMap::new(),
            sessions: HashMap::new(),
        }
    }

    /// What an answer costs: as an old Claude Code said, else at list prices.
    pub fn cost_usd(&self, answer: &Answer, time_ms: i64) -> Option<f64> {
        answer.cost_usd.or_else(|| self.prices.cost_usd(&answer.model, time_ms, &answer.usage))
    }

    /// A session's id as it is stored.
    pub fn session(&mut self, place: &Place) -> Arc<str> {
        let level = self.folder(place.directory.as_deref()).level;
        let key = (level, place.session.clone());
        if let Some(known) = self.sessions.get(&key) {
            return Arc::clone(known);
        }
        let id = self.id("session.id", &place.session, level).unwrap_or_default();
        if self.sessions.len() >= FACETS_MAX {
            self.sessions.clear();
        }
        self.sessions.insert(key, Arc::clone(&id));
        id
    }

    /// A request's id as it is stored.
    pub fn request_id(&mut self, place: &Place, answer: &Answer) -> Option<Arc<str>> {
        let level = self.folder(place.directory.as_deref()).level;
        answer.request_id.as_deref().and_then(|id| self.id("request_id", id, level))
    }

    pub fn fact(&mut self, item: &Item) -> Fact {
        let folder = self.folder(item.place.directory.as_deref());
        let level = folder.level;
        let kind = self.kind(item, level);
        Fact {
            time_ms: item.time_ms,
            session: Some(self.session(&item.place)).filter(|id| !id.is_empty()),
            prompt_id: item.prompt_id.as_deref().and_then(|id| self.id("prompt.id", id, level)),
            of_session: OfSession {
                entrypoint: item.place.entrypoint.as_deref().map(Arc::from),
                version: item.place.version.as_deref().map(Arc::from),
                ..OfSession::default()
            },
            facet: self.facet(item, &folder),
            kind,
        }
    }

    fn kind(&self, item: &Item, level: PrivacyLevel) -> Kind {
        match &item.kind {
            ItemKind::Answer(answer) => Kind::Request(Request {
                cost_usd: self.cost_usd(answer, item.time_ms),
                input_tokens: answer.usage.total.input,
                output_tokens: answer.usage.total.output,
                cache_read_tokens: answer.usage.total.cache_read,
                cache_creation_tokens: answer.usage.total.cache_creation,
                effort: answer.effort.clone(),
                // Events have it only where it is not the usual one.
                speed: answer.usage.is_fast().then(|| Arc::from("fast")),
                request_id: answer
                    .request_id
                    .as_deref()
                    .and_then(|id| self.id("request_id", id, level)),
                ..Request::default()
            }),
            ItemKind::Error { status_code } => Kind::Error(ApiError {
                status_code: *status_code,
                class: error_class(*status_code, None),
                ..ApiError::default()
            }),
            ItemKind::Prompt { length } => Kind::Prompt { length: *length, command: None },
            ItemKind::Tool { success, accepted, source, id, .. } => Kind::ToolResult(ToolResult {
                success: Some(*success),
                accepted: *accepted,
                source: source.clone(),
                tool_use_id: self.id("tool_use_id", id, level),
                ..ToolResult::default()
            }),
        }
    }

    fn facet(&mut self, item: &Item, folder: &Folder) -> Facet {
        let (model, query_source, tool) = match &item.kind {
            ItemKind::Answer(answer) => {
                (Some(Arc::clone(&answer.model)), answer.query_source.clone(), None)
            }
            ItemKind::Tool { name, .. } => (None, None, name.clone()),
            _ => (None, None, None),
        };
        let branch = item.place.branch.clone();
        let described = Described { folder: folder.number, branch, model, query_source, tool };
        if let Some(known) = self.facets.get(&described) {
            return known.clone();
        }
        let kept =
            |key, text: Option<&str>| text.and_then(|text| self.kept(key, text, folder.level));
        let facet = Facet {
            tags: folder.tags.clone(),
            user: None,
            repository: kept("vcs.repository.name", folder.repository.as_deref()),
            // A checkout without a branch is noted as HEAD.
            branch: kept(
                "vcs.ref.head.name",
                described.branch.as_deref().filter(|branch| *branch != "HEAD"),
            ),
            model: kept("model", described.model.as_deref()),
            query_source: kept("query_source", described.query_source.as_deref()),
            tool: kept("tool_name", described.tool.as_deref()),
        };
        if self.facets.len() >= FACETS_MAX {
            self.facets.clear();
        }
        self.facets.insert(described, facet.clone());
        facet
    }

    fn folder(&mut self, directory: Option<&Path>) -> Arc<Folder> {
        let key = directory.map(Path::to_path_buf);
        if let Some(known) = self.folders.get(&key) {
            return Arc::clone(known);
        }
        let folder = Arc::new(self.look_at(directory));
        self.folders.insert(key, Arc::clone(&folder));
        folder
    }

    /// A folder that is gone has the name that it had.
    fn look_at(&self, directory: Option<&Path>) -> Folder {
        let number = self.folders.len();
        let Some(directory) = directory.filter(|path| path.is_absolute()) else {
            let tags: Vec<(String, String)> = self.loaded.config.tags.clone().into_iter().collect();
            let level = self.loaded.config.privacy.level;
            return Folder { number, tags: tag_labels(tags.iter()), level, repository: None };
        };
        let resolved = tags::resolve(&Inputs {
            directory,
            home: &self.home,
            loaded: &self.loaded,
            attributes: &[],
            variable: None,
        });
        let tags: Vec<(String, String)> =
            resolved.tags.into_iter().map(|(name, tag)| (name, tag.value)).collect();
        let facts = tags::git::facts(directory).filter(|facts| facts.root != self.home);
        Folder {
            number,
            tags: tag_labels(tags.iter()),
            level: resolved.level,
            repository: facts.and_then(|facts| facts.repository),
        }
    }

    fn id(&self, key: &'static str, id: &str, level: PrivacyLevel) -> Option<Arc<str>> {
        if level > PrivacyLevel::Minimal { Some(id.into()) } else { self.kept(key, id, level) }
    }

    /// What a level leaves of an attribute's value.
    fn kept(&self, key: &'static str, text: &str, level: PrivacyLevel) -> Option<Arc<str>> {
        let class = attributes::class("", key, false).unwrap_or(Class::Content);
        let value = Value::Text(secrets::mask(text).into());
        match privacy::apply(class, key, value, level, &self.install_key) {
            Outcome::Keep(Value::Text(text)) | Outcome::Cut(Value::Text(text), _) => Some(text),
            _ => None,
        }
    }
}
