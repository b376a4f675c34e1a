//! What events have in common, in words: for lists that show it beside their sums.

use std::collections::HashMap;

use super::history::file::{FacetColumn, HistoryFile, Lookup};
use super::history::schema::HistoryError;

/// A facet as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FacetText {
    pub project: Option<String>,
    pub team: Option<String>,
    pub repository: Option<String>,
    pub branch: Option<String>,
    pub user: Option<String>,
    pub model: Option<String>,
    pub query_source: Option<String>,
    pub tool: Option<String>,
}

/// The facets of a file, looked up once each.
pub struct Facets<'h> {
    project: Lookup<'h>,
    team: Lookup<'h>,
    texts: [Lookup<'h>; 6],
    known: HashMap<i64, FacetText>,
}

impl<'h> Facets<'h> {
    pub fn new(file: &'h HistoryFile) -> Result<Self, HistoryError> {
        let text = |column| file.facet_text(column);
        Ok(Self {
            project: file.facet_tag("project")?,
            team: file.facet_tag("team")?,
            texts: [
                text(FacetColumn::Repository)?,
                text(FacetColumn::Branch)?,
                text(FacetColumn::User)?,
                text(FacetColumn::Model)?,
                text(FacetColumn::QuerySource)?,
                text(FacetColumn::Tool)?,
            ],
            known: HashMap::new(),
        })
    }

    pub fn text(&mut self, facet: i64) -> rusqlite::Result<&FacetText> {
        if !self.known.contains_key(&facet) {
            let text = self.find(facet)?;
            self.known.insert(facet, text);
        }
        Ok(&self.known[&facet])
    }

    fn find(&mut self, facet: i64) -> rusqlite::Result<FacetText> {
        let [repository, branch, user, model, query_source, tool] = &mut self.texts;
        Ok(FacetText {
            project: self.project.value(facet)?,
            team: self.team.value(facet)?,
            repository: repository.value(facet)?,
            branch: branch.value(facet)?,
            user: user.value(facet)?,
            model: model.value(facet)?,
            query_source: query_source.value(facet)?,
            tool: tool.value(facet)?,
        })
    }
}
