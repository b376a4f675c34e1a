//! Groups: which row a series, or an event's facet, belongs to.
//!
//! A group is the row's keys without its time; time is decided by the range a value was read from.

use std::collections::HashMap;

use super::history::label_name;
use super::history::reader::{FacetColumn, History, Lookup};
use super::history::schema::HistoryError;
use super::question::{Dimension, Dimensions};

/// What a row stands for, in one dimension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Value(String),
    /// The tag is not set, or the event does not say.
    Unset,
    /// Counted, and explained by no event.
    Unattributed,
}

/// Every group so far, numbered.
#[derive(Debug, Default)]
pub struct Groups {
    keys: Vec<Vec<Key>>,
    numbers: HashMap<Vec<Key>, usize>,
}

impl Groups {
    pub fn number(&mut self, keys: Vec<Key>) -> usize {
        if let Some(number) = self.numbers.get(&keys) {
            return *number;
        }
        let number = self.keys.len();
        self.keys.push(keys.clone());
        self.numbers.insert(keys, number);
        number
    }

    pub fn keys(&self, number: usize) -> &[Key] {
        &self.keys[number]
    }
}

/// The group of each series. Dimensions of events are `Unattributed` there.
pub fn of_series(
    history: &History,
    by: &Dimensions,
    groups: &mut Groups,
    series: &[(i64, String)],
) -> Result<HashMap<i64, usize>, HistoryError> {
    let mut columns = Vec::new();
    for dimension in by.as_slice() {
        columns.push(match dimension {
            Dimension::Model => Column::Known(history.series_label("model")?),
            Dimension::Tag { name, .. } => Column::Known(history.series_label(&label_name(name))?),
            Dimension::Time(_) => Column::Time,
            _ => Column::Unattributed,
        });
    }
    Ok(series
        .iter()
        .map(|(id, _)| {
            let keys = columns.iter().map(|column| column.key(*id)).collect();
            (*id, groups.number(keys))
        })
        .collect())
}

/// How a series is told apart.
enum Column {
    Known(HashMap<i64, String>),
    Time,
    Unattributed,
}

impl Column {
    fn key(&self, series: i64) -> Key {
        match self {
            Self::Known(values) => {
                values.get(&series).map_or(Key::Unset, |value| Key::Value(value.clone()))
            }
            Self::Time => Key::Unset,
            Self::Unattributed => Key::Unattributed,
        }
    }
}

/// How an event is told apart.
enum EventColumn<'h> {
    Facet(Lookup<'h>),
    /// Tools are known of tool results only; of everything else they are not unset, but unknown.
    Tool(Lookup<'h>),
    Session(Lookup<'h>),
    Time,
}

impl EventColumn<'_> {
    fn key(&mut self, session: i64, facet: i64) -> rusqlite::Result<Key> {
        let (value, otherwise) = match self {
            Self::Facet(lookup) => (lookup.value(facet)?, Key::Unset),
            Self::Tool(lookup) => (lookup.value(facet)?, Key::Unattributed),
            Self::Session(lookup) => (lookup.value(session)?, Key::Unset),
            Self::Time => (None, Key::Unset),
        };
        Ok(value.map_or(otherwise, Key::Value))
    }
}

/// The groups of events: by what they say, and where counters are that say less.
pub struct OfEvents<'h> {
    columns: Vec<EventColumn<'h>>,
    /// Which of `columns` counters have, too; in the others they are unattributed.
    counted: Vec<bool>,
    known: HashMap<(i64, i64), Placed>,
    by_session: bool,
}

/// Where an event counts.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// The row that its keys name.
    pub group: usize,
    /// The row that the same usage is in, as counters know it.
    pub counted: usize,
}

impl<'h> OfEvents<'h> {
    pub fn new(history: &'h History, by: &Dimensions) -> Result<Self, HistoryError> {
        let mut columns = Vec::new();
        for dimension in by.as_slice() {
            let text = |column| history.facet_text(column).map(EventColumn::Facet);
            columns.push(match dimension {
                Dimension::Time(_) => EventColumn::Time,
                Dimension::Tag { name, .. } => {
                    EventColumn::Facet(history.facet_tag(&label_name(name))?)
                }
                Dimension::Model => text(FacetColumn::Model)?,
                Dimension::Repository => text(FacetColumn::Repository)?,
                Dimension::Branch => text(FacetColumn::Branch)?,
                Dimension::User => text(FacetColumn::User)?,
                Dimension::QuerySource => text(FacetColumn::QuerySource)?,
                Dimension::Tool => EventColumn::Tool(history.facet_text(FacetColumn::Tool)?),
                Dimension::Session => EventColumn::Session(history.sessions()?),
            });
        }
        Ok(Self {
            by_session: by.as_slice().contains(&Dimension::Session),
            counted: by.as_slice().iter().map(|dimension| !dimension.is_of_events()).collect(),
            columns,
            known: HashMap::new(),
        })
    }

    pub fn place(
        &mut self,
        groups: &mut Groups,
        session: i64,
        facet: i64,
    ) -> rusqlite::Result<Placed> {
        let known_as = (facet, if self.by_session { session } else { 0 });
        if let Some(placed) = self.known.get(&known_as) {
            return Ok(*placed);
        }
        let mut keys = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            keys.push(column.key(session, facet)?);
        }
        let counted = keys
            .iter()
            .zip(&self.counted)
            .map(|(key, counted)| if *counted { key.clone() } else { Key::Unattributed })
            .collect();
        let placed = Placed { group: groups.number(keys), counted: groups.number(counted) };
        self.known.insert(known_as, placed);
        Ok(placed)
    }
}
