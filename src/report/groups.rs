//! Groups: which row a series, or an event's facet, belongs to.
//!
//! A group is the row's keys without its time; time is decided by the range a value was read from.

use std::collections::HashMap;

use super::history::file::{FacetColumn, HistoryFile, Lookup};
use super::history::intern::{action_of, context_of};
use super::history::label_name;
use super::history::schema::HistoryError;
use super::ids::IdMap;
use super::question::{Dimension, Dimensions, Filter};

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

/// The group of each series that passes the filters. Dimensions of events are `Unattributed` there.
pub fn of_series(
    history: &HistoryFile,
    by: &Dimensions,
    filters: &[Filter],
    groups: &mut Groups,
    series: &[(i64, String)],
) -> Result<HashMap<i64, usize>, HistoryError> {
    let columns = by
        .as_slice()
        .iter()
        .map(|dimension| Column::of(history, dimension))
        .collect::<Result<Vec<_>, _>>()?;
    let mut wanted = Vec::new();
    for (dimension, keys) in alternatives(filters) {
        wanted.push((Column::of(history, dimension)?, keys));
    }
    Ok(series
        .iter()
        .filter(|(id, _)| wanted.iter().all(|(column, keys)| keys.contains(&column.key(*id))))
        .map(|(id, _)| {
            let keys = columns.iter().map(|column| column.key(*id)).collect();
            (*id, groups.number(keys))
        })
        .collect())
}

/// The filters by dimension, each with the keys that pass.
fn alternatives(filters: &[Filter]) -> Vec<(&Dimension, Vec<Key>)> {
    let mut all: Vec<(&Dimension, Vec<Key>)> = Vec::new();
    for filter in filters {
        let key = filter.value.clone().map_or(Key::Unset, Key::Value);
        match all.iter_mut().find(|(dimension, _)| **dimension == filter.dimension) {
            Some((_, keys)) => keys.push(key),
            None => all.push((&filter.dimension, vec![key])),
        }
    }
    all
}

/// How a series is told apart.
enum Column {
    Known(HashMap<i64, String>),
    Time,
    Unattributed,
}

impl Column {
    fn of(history: &HistoryFile, dimension: &Dimension) -> Result<Self, HistoryError> {
        Ok(match dimension {
            Dimension::Model => Self::Known(history.series_label("model")?),
            Dimension::Tag { name, .. } => Self::Known(history.series_label(&label_name(name))?),
            Dimension::Time(_) => Self::Time,
            _ => Self::Unattributed,
        })
    }

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
    Context(Lookup<'h>),
    Action(Lookup<'h>),
    /// Tools are known of tool results only; of everything else they are not unset, but unknown.
    Tool(Lookup<'h>),
    Session(Lookup<'h>),
    Time,
}

impl<'h> EventColumn<'h> {
    fn of(history: &'h HistoryFile, dimension: &Dimension) -> Result<Self, HistoryError> {
        let text = |column| history.facet_text(column);
        Ok(match dimension {
            Dimension::Time(_) => Self::Time,
            Dimension::Tag { name, .. } => Self::Context(history.context_tag(&label_name(name))?),
            Dimension::Model => Self::Action(text(FacetColumn::Model)?),
            Dimension::Repository => Self::Context(text(FacetColumn::Repository)?),
            Dimension::Branch => Self::Context(text(FacetColumn::Branch)?),
            Dimension::User => Self::Context(text(FacetColumn::User)?),
            Dimension::QuerySource => Self::Action(text(FacetColumn::QuerySource)?),
            Dimension::Tool => Self::Tool(text(FacetColumn::Tool)?),
            Dimension::Session => Self::Session(history.sessions()?),
        })
    }

    fn key(&mut self, session: i64, facet: i64) -> rusqlite::Result<Key> {
        let (value, otherwise) = match self {
            Self::Context(lookup) => (lookup.value(context_of(facet))?, Key::Unset),
            Self::Action(lookup) => (lookup.value(action_of(facet))?, Key::Unset),
            Self::Tool(lookup) => (lookup.value(action_of(facet))?, Key::Unattributed),
            Self::Session(lookup) => (lookup.value(session)?, Key::Unset),
            Self::Time => (None, Key::Unset),
        };
        Ok(value.map_or(otherwise, Key::Value))
    }
}

/// What keys depend on: only by that much are events told apart, so that little is looked up.
#[derive(Clone, Copy, Default)]
struct Relevant {
    context: bool,
    action: bool,
    session: bool,
}

impl Relevant {
    fn of<'a>(dimensions: impl Iterator<Item = &'a Dimension>) -> Self {
        let mut relevant = Self::default();
        for dimension in dimensions {
            match dimension {
                Dimension::Time(_) => {}
                Dimension::Tag { .. }
                | Dimension::Repository
                | Dimension::Branch
                | Dimension::User => relevant.context = true,
                Dimension::Model | Dimension::QuerySource | Dimension::Tool => {
                    relevant.action = true;
                }
                Dimension::Session => relevant.session = true,
            }
        }
        relevant
    }

    fn part(self, session: i64, facet: i64) -> (i64, i64) {
        let facet = match (self.context, self.action) {
            (true, true) => facet,
            (true, false) => context_of(facet),
            (false, true) => action_of(facet),
            (false, false) => 0,
        };
        (facet, if self.session { session } else { 0 })
    }
}

/// Which events pass the filters.
pub struct Matcher<'h> {
    wanted: Vec<(EventColumn<'h>, Vec<Key>)>,
    known: IdMap<(i64, i64), bool>,
    relevant: Relevant,
}

impl<'h> Matcher<'h> {
    pub fn new(history: &'h HistoryFile, filters: &[Filter]) -> Result<Self, HistoryError> {
        let mut wanted = Vec::new();
        for (dimension, keys) in alternatives(filters) {
            wanted.push((EventColumn::of(history, dimension)?, keys));
        }
        let relevant = Relevant::of(filters.iter().map(|filter| &filter.dimension));
        Ok(Self { wanted, known: IdMap::default(), relevant })
    }

    pub fn passes(&mut self, session: i64, facet: i64) -> rusqlite::Result<bool> {
        if self.wanted.is_empty() {
            return Ok(true);
        }
        let known_as = self.relevant.part(session, facet);
        if let Some(passes) = self.known.get(&known_as) {
            return Ok(*passes);
        }
        let mut passes = true;
        for (column, keys) in &mut self.wanted {
            passes = passes && keys.contains(&column.key(session, facet)?);
        }
        self.known.insert(known_as, passes);
        Ok(passes)
    }
}

/// The groups of events: by what they say, and where counters are that say less.
pub struct OfEvents<'h> {
    matcher: Matcher<'h>,
    columns: Vec<EventColumn<'h>>,
    /// Which of `columns` counters have, too; in the others they are unattributed.
    counted: Vec<bool>,
    known: IdMap<(i64, i64), Option<Placed>>,
    relevant: Relevant,
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
    pub fn new(
        history: &'h HistoryFile,
        by: &Dimensions,
        filters: &[Filter],
    ) -> Result<Self, HistoryError> {
        let matcher = Matcher::new(history, filters)?;
        Ok(Self {
            relevant: Relevant::of(
                by.as_slice().iter().chain(filters.iter().map(|filter| &filter.dimension)),
            ),
            matcher,
            counted: by.as_slice().iter().map(|dimension| !dimension.is_of_events()).collect(),
            columns: by
                .as_slice()
                .iter()
                .map(|dimension| EventColumn::of(history, dimension))
                .collect::<Result<_, _>>()?,
            known: IdMap::default(),
        })
    }

    /// `None` for what does not pass the filters.
    pub fn place(
        &mut self,
        groups: &mut Groups,
        session: i64,
        facet: i64,
    ) -> rusqlite::Result<Option<Placed>> {
        let known_as = self.relevant.part(session, facet);
        if let Some(placed) = self.known.get(&known_as) {
            return Ok(*placed);
        }
        let placed = if self.matcher.passes(session, facet)? {
            Some(self.find(groups, session, facet)?)
        } else {
            None
        };
        self.known.insert(known_as, placed);
        Ok(placed)
    }

    fn find(&mut self, groups: &mut Groups, session: i64, facet: i64) -> rusqlite::Result<Placed> {
        let mut keys = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            keys.push(column.key(session, facet)?);
        }
        let counted = keys
            .iter()
            .zip(&self.counted)
            .map(|(key, counted)| if *counted { key.clone() } else { Key::Unattributed })
            .collect();
        Ok(Placed { group: groups.number(keys), counted: groups.number(counted) })
    }
}
