//! What the page asks, read from the query of an address: range, zone, filters, and what a view adds.
//!
//! Every name that is none of the page's own is a dimension to filter by, as in `--filter`.

use std::str::FromStr;

use super::reply::Failure;
use crate::report::question::Filter;
use crate::report::time::{Clock, MinuteRange};

/// Pairs in one query.
const PAIRS_MAX: usize = 64;
/// Bytes of one value; a tag's value has at most 255.
const VALUE_BYTES_MAX: usize = 512;
/// Names that are no filters.
const OWN: [&str; 10] =
    ["since", "until", "tz", "by", "metric", "width", "limit", "seen", "id", "imported"];

/// The query, as pairs. Nothing is understood yet.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(text.as_bytes()).into_owned().take(PAIRS_MAX + 1).collect();
        if pairs.len() > PAIRS_MAX {
            return Err(Failure::Question(format!("more than {PAIRS_MAX} filters are too many")));
        }
        if let Some((name, _)) = pairs.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
            return Err(Failure::Question(format!("the value of `{name}` is too long")));
        }
        Ok(Self(pairs))
    }

    /// A value that says something.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// A value that means something, or what is usual where there is none.
    pub fn get_or<T: FromStr>(&self, name: &str, usual: T) -> Result<T, Failure> {
        let Some(text) = self.get(name) else { return Ok(usual) };
        text.parse().map_err(|_| Failure::Question(format!("`{text}` is no value for `{name}`")))
    }

    pub fn filters(&self) -> Result<Vec<Filter>, Failure> {
        self.0
            .iter()
            .filter(|(name, _)| !OWN.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value}").parse())
            .collect::<Result<_, _>>()
            .map_err(refused)
    }

    /// The clock at the viewer's place.
    pub fn clock(&self, now: jiff::Timestamp) -> Result<Clock, Failure> {
        let mut clock = Clock::system(self.get("tz")).map_err(refused)?;
        clock.now = now.to_zoned(clock.zone().clone());
        Ok(clock)
    }

    pub fn range(&self, clock: &Clock) -> Result<MinuteRange, Failure> {
        clock.range(self.get("since").unwrap_or("30d"), self.get("until")).map_err(refused)
    }
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::Question(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(text).unwrap()
    }

    #[test]
    fn what_is_not_the_pages_own_is_a_filter() {
        let filters = query("since=7d&project=a%26b&project=&tag%3Acost_center=cc").filters();
        let values: Vec<_> = filters.unwrap().into_iter().map(|filter| filter.value).collect();
        assert_eq!(values, [Some("a&b".to_owned()), None, Some("cc".to_owned())]);
    }

    #[test]
    fn what_means_nothing_is_said() {
        let clock = query("tz=Europe/Paris").clock("2026-11-24T10:00:00Z".parse().unwrap());
        let clock = clock.unwrap();
        assert_eq!(clock.zone_name(), "Europe/Paris");
        for (text, words) in [
            ("since=yesteryear", "not a time"),
            ("since=2026-11-10&until=2026-11-01", "must be before"),
        ] {
            let error = query(text).range(&clock).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(query("tz=Mars/Base").clock(jiff::Timestamp::UNIX_EPOCH).is_err());
        assert!(query("colour=red").filters().is_err());
        assert!(Query::parse(&"a=b&".repeat(PAIRS_MAX + 1)).is_err());
        assert!(Query::parse(&format!("project={}", "x".repeat(VALUE_BYTES_MAX + 1))).is_err());
    }
}
