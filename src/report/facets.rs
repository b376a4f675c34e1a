//! What events have in common, in words: for lists that show it beside their sums.

use std::rc::Rc;

use super::history::file::{FacetColumn, HistoryFile, Lookup};
use super::history::intern::{action_of, context_of};
use super::history::schema::HistoryError;
use super::ids::IdMap;

/// Where, and who.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pub project: Option<String>,
    pub team: Option<String>,
    pub repository: Option<String>,
    pub branch: Option<String>,
    pub user: Option<String>,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Action {
    pub model: Option<String>,
    pub query_source: Option<String>,
    pub tool: Option<String>,
}

/// The facets of a file, looked up once each.
pub struct Facets<'h> {
    of_context: [Lookup<'h>; 5],
    of_action: [Lookup<'h>; 3],
    contexts: IdMap<i64, Rc<Context>>,
    actions: IdMap<i64, Rc<Action>>,
}

impl<'h> Facets<'h> {
    pub fn new(file: &'h HistoryFile) -> Result<Self, HistoryError> {
        let text = |column| file.facet_text(column);
        Ok(Self {
            of_context: [
                file.context_tag("project")?,
                file.context_tag("team")?,
                text(FacetColumn::Repository)?,
                text(FacetColumn::Branch)?,
                text(FacetColumn::User)?,
            ],
            of_action: [
                text(FacetColumn::Model)?,
                text(FacetColumn::QuerySource)?,
                text(FacetColumn::Tool)?,
            ],
            contexts: IdMap::default(),
            actions: IdMap::default(),
        })
    }

    pub fn context(&mut self, facet: i64) -> rusqlite::Result<Rc<Context>> {
        let id = context_of(facet);
        if let Some(context) = self.contexts.get(&id) {
            return Ok(Rc::clone(context));
        }
        let [project, team, repository, branch, user] = &mut self.of_context;
        let context = Rc::new(Context {
            project: project.value(id)?,
            team: team.value(id)?,
            repository: repository.value(id)?,
            branch: branch.value(id)?,
            user: user.value(id)?,
        });
        self.contexts.insert(id, Rc::clone(&context));
        Ok(context)
    }

    pub fn action(&mut self, facet: i64) -> rusqlite::Result<Rc<Action>> {
        let id = action_of(facet);
        if let Some(action) = self.actions.get(&id) {
            return Ok(Rc::clone(action));
        }
        let [model, query_source, tool] = &mut self.of_action;
        let action = Rc::new(Action {
            model: model.value(id)?,
            query_source: query_source.value(id)?,
            tool: tool.value(id)?,
        });
        self.actions.insert(id, Rc::clone(&action));
        Ok(action)
    }
}
