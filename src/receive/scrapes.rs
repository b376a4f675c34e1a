//! Which series a scraper of `GET /metrics` has seen as 0.
//!
//! A scraper does not see a series' first value grow from 0, since there is no series before it: what was
//! counted until the first scrape would be in no query. So a new series is shown as 0 until one scrape has
//! had that, and with its value from the next on.
//!
//! ```text
//! series by age:  0 ……… seen │ seen ……… all        a scrape: those right of the bar are 0, then seen = all
//! ```
//!
//! Series keep their places in the store, so one number is all there is to remember of a scraper. It is in
//! memory: what was there when this worker began counts as seen, since a 0 would be a reset of what was
//! shown before. Only who says by Prometheus' header that it scrapes is one: who looks with `curl` takes
//! nobody's 0 away. Several scrapers are told apart by `?scraper=NAME`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use http::request::Parts;

/// Prometheus and vmagent send it with each scrape.
const HEADER: &str = "x-prometheus-scrape-timeout-seconds";
const PARAMETER: &str = "scraper=";
/// Scrapers that are told apart; all beyond are one.
const SCRAPERS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 64;

/// Of one door.
#[derive(Debug, Default)]
pub(super) struct Scrapes {
    /// Series that were there when this worker began.
    begun_with: usize,
    seen: Mutex<BTreeMap<String, usize>>,
}

impl Scrapes {
    pub fn new(begun_with: usize) -> Self {
        Self { begun_with, seen: Mutex::default() }
    }

    /// How many of so many series this request is shown with their values.
    pub fn shown(&self, request: &Parts, series: usize) -> usize {
        if request.method != http::Method::GET || !request.headers.contains_key(HEADER) {
            return series;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut name = name(request.uri.query().unwrap_or_default());
        if seen.len() >= SCRAPERS_MAX && !seen.contains_key(name) {
            name = "";
        }
        let before = seen.insert(name.to_owned(), series).unwrap_or(self.begun_with);
        // Fewer than there were: another install has begun, with other series.
        if before > series { 0 } else { before }
    }
}

/// Compared only, so it need not be decoded.
fn name(query: &str) -> &str {
    let named = query.split('&').find_map(|part| part.strip_prefix(PARAMETER)).unwrap_or_default();
    &named[..named.floor_char_boundary(NAME_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(path: &str) -> Parts {
        http::Request::get(path).header(HEADER, "10").body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_new_series_is_held_back_once_from_each_scraper() {
        let scrapes = Scrapes::new(3);
        let (one, other) = (scrape("/metrics"), scrape("/metrics?scraper=b"));
        assert_eq!(scrapes.shown(&one, 3), 3, "what was there before is shown");
        assert_eq!(scrapes.shown(&one, 5), 3);
        assert_eq!(scrapes.shown(&one, 5), 5);
        assert_eq!(scrapes.shown(&other, 5), 3, "the other one has not had it");
        assert_eq!(scrapes.shown(&other, 6), 5);
        assert_eq!(scrapes.shown(&one, 6), 5);
        assert_eq!(scrapes.shown(&one, 2), 0, "another install");
    }

    #[test]
    fn who_only_looks_takes_nothing_away() {
        let scrapes = Scrapes::new(0);
        let look = http::Request::get("/metrics").body(()).unwrap().into_parts().0;
        assert_eq!(scrapes.shown(&look, 4), 4);
        assert_eq!(scrapes.shown(&scrape("/metrics"), 4), 0);
    }

    #[test]
    fn beyond_so_many_all_are_one() {
        let scrapes = Scrapes::new(0);
        for number in 0..100 {
            scrapes.shown(&scrape(&format!("/metrics?scraper={number}")), 1);
        }
        let seen = scrapes.seen.lock().unwrap().len();
        assert!(seen <= SCRAPERS_MAX + 1, "{seen}");
    }
}
