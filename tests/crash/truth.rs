//! What the clients know: what was sent, and what was answered with success.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::process::{Key, Totals};

#[derive(Default)]
pub struct Truth {
    acknowledged: Mutex<Acknowledged>,
    more: Condvar,
    pub attempts: AtomicU64,
    /// Attempts without an answer, or refused by one.
    pub failures: AtomicU64,
    /// Requests that were sent once more although they had been acknowledged.
    pub repetitions: AtomicU64,
    violations: Mutex<Vec<String>>,
}

#[derive(Clone, Default)]
pub struct Acknowledged {
    /// By project and the rest of the series' labels.
    pub counters: BTreeMap<(String, Key), f64>,
    pub events: BTreeSet<String>,
    pub requests: u64,
}

impl Truth {
    pub fn counted(&self, project: &str, totals: &Totals) {
        let mut acknowledged = self.lock();
        for (key, value) in totals {
            *acknowledged.counters.entry((project.to_owned(), *key)).or_default() += value;
        }
    }

    pub fn happened(&self, ids: Vec<String>) {
        self.lock().events.extend(ids);
    }

    pub fn answered(&self) {
        self.lock().requests += 1;
        self.more.notify_all();
    }

    /// Waits for so many more acknowledged requests; whether they came.
    pub fn wait_for_more(&self, requests: u64, patience: Duration) -> bool {
        let acknowledged = self.lock();
        let enough = acknowledged.requests + requests;
        let waited =
            self.more.wait_timeout_while(acknowledged, patience, |it| it.requests < enough);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    pub fn acknowledged(&self) -> Acknowledged {
        self.lock().clone()
    }

    /// Something that must never happen did.
    pub fn violated(&self, what: String) {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn counts(&self) -> String {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let acknowledged = self.lock();
        format!(
            "{} requests with {} events acknowledged, {} attempts, {} failures, {} repetitions",
            acknowledged.requests,
            acknowledged.events.len(),
            of(&self.attempts),
            of(&self.failures),
            of(&self.repetitions)
        )
    }

    fn lock(&self) -> MutexGuard<'_, Acknowledged> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
