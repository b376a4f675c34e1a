//! What can be filtered by: the values that there are in a range, dearest first.

use serde_json::{Map, Value};

use super::{Asked, Document, facts};
use crate::report::history::reader::History;
use crate::report::history::schema::HistoryError;
use crate::report::question::Dimension;

/// Values of one dimension that are offered; the others can be had from the lists.
const VALUES_MAX: usize = 60;
/// Always offered, where there is anything to tell apart.
const DIMENSIONS: [&str; 7] =
    ["project", "team", "model", "repo", "branch", "user", "query_source"];
/// Tags beside these that are offered.
const TAGS_MAX: usize = 16;

pub(super) fn document(history: Option<&History>, asked: &Asked) -> Document {
    let mut document = facts::head(history, asked)?;
    let mut filters = Map::new();
    if let Some(history) = history {
        let tags = tag_names(history)?.into_iter().take(TAGS_MAX);
        let words = DIMENSIONS.iter().map(|word| (*word).to_owned());
        for word in words.chain(tags.map(|tag| format!("tag:{tag}"))) {
            let Ok(dimension) = word.parse::<Dimension>() else { continue };
            if filters.contains_key(dimension.key()) {
                continue;
            }
            let answer = facts::ask(history, asked, asked.range, vec![dimension])?;
            let values: Vec<Option<&str>> = answer
                .rows
                .iter()
                .filter_map(|row| row.keys.first())
                .filter(|key| **key != crate::report::groups::Key::Unattributed)
                .map(facts::key)
                .take(VALUES_MAX)
                .collect();
            if values.iter().any(Option::is_some) {
                filters.insert(word, values.into());
            }
        }
    }
    document.insert("filters".to_owned(), Value::Object(filters));
    Ok(Value::Object(document))
}

/// Every tag that an event or a counter was ever sent with, but the two with names of their own.
fn tag_names(history: &History) -> Result<Vec<String>, HistoryError> {
    const QUERY: &str = "SELECT DISTINCT name FROM tag WHERE name NOT IN ('project', 'team')";
    let mut names: Vec<String> = Vec::new();
    for file in history.files() {
        names.extend(file.checked(|connection| {
            connection
                .prepare(QUERY)?
                .query_map([], |row| row.get(0))?
                .collect::<Result<Vec<_>, _>>()
        })?);
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
