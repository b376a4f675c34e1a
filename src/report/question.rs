//! A question, understood: which time, of what, and what the rows stand for.

use std::str::FromStr;

use super::row::KEYS;
use super::time::{Clock, MinuteRange, Unit};

/// How many dimensions a report may have at once.
pub const DIMENSIONS_MAX: usize = 2;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    pub clock: Clock,
    pub range: MinuteRange,
    pub by: Dimensions,
    pub filters: Vec<Filter>,
}

/// Only what has this value in this dimension. Filters of one dimension are alternatives, those of
/// different ones must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub dimension: Dimension,
    /// `None`: what has no value there.
    pub value: Option<String>,
}

impl FromStr for Filter {
    type Err = DimensionError;

    /// `project=checkout`; `project=` is what has no project.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let (dimension, value) =
            word.split_once('=').ok_or_else(|| DimensionError::NotAFilter(word.to_owned()))?;
        let dimension: Dimension = dimension.trim().parse()?;
        if matches!(dimension, Dimension::Time(_)) {
            return Err(DimensionError::FilterOfTime);
        }
        Ok(Self { dimension, value: Some(value.to_owned()).filter(|value| !value.is_empty()) })
    }
}

/// What rows stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    Time(Unit),
    Model,
    /// A tag, `project` and `team` included, by the name it was asked for with. The key is the name,
    /// unless a fact has that key: then it is `tag:NAME`.
    Tag {
        name: String,
        key: String,
    },
    Repository,
    Branch,
    Tool,
    Session,
    User,
    QuerySource,
}

/// A dimension, or several, that make no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DimensionError {
    #[error(
        "`{0}` is not something to report by: give hour, day, week, month, project, team, sender, model, repo, branch, tool, session, user, query_source or tag:NAME"
    )]
    Unknown(String),
    #[error("a tag has a name: give tag:NAME, such as tag:cost_center")]
    TagWithoutName,
    #[error("--by takes at most {DIMENSIONS_MAX} dimensions, and was given {0}")]
    TooMany(usize),
    #[error("--by was given `{0}` twice")]
    Twice(String),
    #[error("--by takes one of hour, day, week and month at a time")]
    TwoTimes,
    #[error("`{0}` is not a filter: give DIMENSION=VALUE, such as project=checkout")]
    NotAFilter(String),
    #[error("a time is not filtered by: give --since and --until")]
    FilterOfTime,
}

impl Dimension {
    /// The key of rows in JSON, and the head of the column.
    pub fn key(&self) -> &str {
        match self {
            Self::Time(Unit::Hour) => "hour",
            Self::Time(Unit::Day) => "day",
            Self::Time(Unit::Week) => "week",
            Self::Time(Unit::Month) => "month",
            Self::Model => "model",
            Self::Tag { key, .. } => key,
            Self::Repository => "repo",
            Self::Branch => "branch",
            Self::Tool => "tool",
            Self::Session => "session",
            Self::User => "user",
            Self::QuerySource => "query_source",
        }
    }

    /// Whether counters do not know it, so that it is attributed by events.
    pub fn is_of_events(&self) -> bool {
        !matches!(self, Self::Time(_) | Self::Model | Self::Tag { .. })
    }
}

impl FromStr for Dimension {
    type Err = DimensionError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(match word {
            "hour" => Self::Time(Unit::Hour),
            "day" => Self::Time(Unit::Day),
            "week" => Self::Time(Unit::Week),
            "month" => Self::Time(Unit::Month),
            "project" | "team" | "sender" => {
                Self::Tag { name: word.to_owned(), key: word.to_owned() }
            }
            "model" => Self::Model,
            "repo" => Self::Repository,
            "branch" => Self::Branch,
            "tool" => Self::Tool,
            "session" => Self::Session,
            "user" => Self::User,
            "query_source" => Self::QuerySource,
            _ => match word.strip_prefix("tag:") {
                Some("") => return Err(DimensionError::TagWithoutName),
                Some(name) => Self::Tag {
                    name: name.to_owned(),
                    key: if KEYS.contains(&name) { word } else { name }.to_owned(),
                },
                None => return Err(DimensionError::Unknown(word.to_owned())),
            },
        })
    }
}

/// One or two different dimensions, of which at most one is time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimensions(Vec<Dimension>);

impl Dimensions {
    pub fn new(dimensions: Vec<Dimension>) -> Result<Self, DimensionError> {
        if dimensions.len() > DIMENSIONS_MAX {
            return Err(DimensionError::TooMany(dimensions.len()));
        }
        if let [first, second] = &dimensions[..] {
            if first.key() == second.key() {
                return Err(DimensionError::Twice(first.key().to_owned()));
            }
            if matches!((first, second), (Dimension::Time(_), Dimension::Time(_))) {
                return Err(DimensionError::TwoTimes);
            }
        }
        Ok(Self(dimensions))
    }

    pub fn of(dimension: Dimension) -> Self {
        Self(vec![dimension])
    }

    pub fn as_slice(&self) -> &[Dimension] {
        &self.0
    }

    /// The unit of time, if one of them is time.
    pub fn unit(&self) -> Option<Unit> {
        self.0.iter().find_map(|dimension| match dimension {
            Dimension::Time(unit) => Some(*unit),
            _ => None,
        })
    }

    /// Whether rows can only be had from events.
    pub fn are_of_events(&self) -> bool {
        self.0.iter().any(Dimension::is_of_events)
    }

    /// Whether rows stand for tools: then they count calls, too.
    pub fn have_tool(&self) -> bool {
        self.0.contains(&Dimension::Tool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimensions(words: &[&str]) -> Result<Dimensions, DimensionError> {
        Dimensions::new(words.iter().map(|word| word.parse()).collect::<Result<_, _>>()?)
    }

    #[test]
    fn keys_are_the_words_asked_with() {
        for word in [
            "hour",
            "day",
            "week",
            "month",
            "project",
            "team",
            "sender",
            "model",
            "repo",
            "branch",
            "tool",
            "session",
            "user",
            "query_source",
        ] {
            assert_eq!(word.parse::<Dimension>().unwrap().key(), word);
        }
        assert_eq!("tag:cost.center".parse::<Dimension>().unwrap().key(), "cost.center");
        assert_eq!("tag:sessions".parse::<Dimension>().unwrap().key(), "tag:sessions");
    }

    #[test]
    fn what_makes_no_report_is_said() {
        let words = |given: &[&str]| dimensions(given).unwrap_err().to_string();
        assert!(words(&["days"]).starts_with("`days` is not"));
        assert!(words(&["tag:"]).contains("tag:NAME"));
        assert!(words(&["day", "team", "model"]).ends_with("was given 3"));
        assert_eq!(words(&["team", "tag:team"]), "--by was given `team` twice");
        assert!(words(&["day", "hour"]).contains("one of hour, day"));
        assert!(dimensions(&["project", "day"]).is_ok());
    }

    #[test]
    fn filters_name_a_dimension_and_a_value() {
        let filter = |word: &str| word.parse::<Filter>();
        let project = filter("project=a=b").unwrap();
        assert_eq!((project.dimension.key(), project.value.as_deref()), ("project", Some("a=b")));
        assert_eq!(filter("tag:cost_center=").unwrap().value, None);
        for (word, expected) in [
            ("checkout", "`checkout` is not a filter"),
            ("projcet=x", "`projcet` is not something to report by"),
            ("day=2026-11-14", "--since"),
            ("=x", "`` is not something"),
        ] {
            assert!(filter(word).unwrap_err().to_string().contains(expected), "{word}");
        }
    }
}
