//! What the wrapper told of each launch: where it runs, and so its repository and branch.
//!
//! A notice only enriches events and may never arrive. Git facts are resolved by a function that is
//! handed in, at most once a second a launch, so that events follow a change of branch.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::agent::notice::LaunchNotice;

/// Launches that are remembered; the one noticed first is forgotten first.
const LAUNCHES_MAX: usize = 256;
/// How old facts may be.
const FACTS_AGE_MAX: Duration = Duration::from_secs(1);

/// Git's facts about a directory, as they are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `vcs.repository.name`.
    pub repository: Option<String>,
    /// `vcs.ref.head.name`.
    pub branch: Option<String>,
    /// `ccotel.worktree`: its name, when it is not the main checkout.
    pub worktree: Option<String>,
}

/// Reads git's facts. It must not block for long: a few small files, no subprocess.
pub type Resolver = fn(&Path) -> Option<Facts>;

/// The launches that this agent was told of.
pub struct Launches {
    resolver: Resolver,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    launches: HashMap<String, Launch>,
    noticed: u64,
}

struct Launch {
    notice: LaunchNotice,
    noticed_at: Instant,
    /// Counts up with each notice: the smallest is the oldest.
    order: u64,
    heard: bool,
    facts: Option<(Instant, Facts)>,
}

/// What events of a launch are enriched with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub facts: Facts,
    /// `ccotel.directory`: the working directory's name, not its path.
    pub directory: Option<String>,
}

impl Launches {
    pub fn new(resolver: Resolver) -> Self {
        Self { resolver, known: Mutex::default() }
    }

    /// Remembers a launch. A second notice of one id replaces the first.
    pub fn notice(&self, notice: LaunchNotice, now: Instant) {
        let mut known = self.known();
        known.noticed += 1;
        let order = known.noticed;
        let heard = known.launches.get(&notice.id).is_some_and(|launch| launch.heard);
        let launch = Launch { noticed_at: now, order, heard, facts: None, notice };
        known.launches.insert(launch.notice.id.clone(), launch);
        if known.launches.len() > LAUNCHES_MAX {
            let oldest = known.launches.values().min_by_key(|launch| launch.order);
            if let Some(id) = oldest.map(|launch| launch.notice.id.clone()) {
                known.launches.remove(&id);
            }
        }
    }

    /// Something of this launch arrived.
    pub fn heard(&self, id: &str) {
        if let Some(launch) = self.known().launches.get_mut(id) {
            launch.heard = true;
        }
    }

    /// Where a launch works, by facts at most a second old.
    pub fn place(&self, id: &str, now: Instant) -> Option<Place> {
        let mut known = self.known();
        let launch = known.launches.get_mut(id)?;
        let fresh = launch.facts.as_ref().is_some_and(|(resolved_at, _)| {
            now.saturating_duration_since(*resolved_at) < FACTS_AGE_MAX
        });
        if !fresh {
            let facts = (self.resolver)(&launch.notice.directory).unwrap_or_default();
            launch.facts = Some((now, facts));
        }
        let facts = launch.facts.as_ref().map(|(_, facts)| facts.clone()).unwrap_or_default();
        let directory = launch.notice.directory.file_name();
        let directory = directory.map(|name| name.to_string_lossy().into_owned());
        Some(Place { facts, directory })
    }

    /// Launches noticed at least so long ago of which nothing has arrived, oldest first.
    pub fn silent(&self, at_least: Duration, now: Instant) -> Vec<LaunchNotice> {
        let known = self.known();
        let mut silent: Vec<&Launch> = known
            .launches
            .values()
            .filter(|launch| !launch.heard)
            .filter(|launch| now.saturating_duration_since(launch.noticed_at) >= at_least)
            .collect();
        silent.sort_by_key(|launch| launch.order);
        silent.into_iter().map(|launch| launch.notice.clone()).collect()
    }

    /// A poisoned lock still guards whole entries: each is written at once.
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static CALLS: Cell<u32> = const { Cell::new(0) };
    }

    fn resolver(directory: &Path) -> Option<Facts> {
        let calls = CALLS.get() + 1;
        CALLS.set(calls);
        (directory != Path::new("/nowhere")).then(|| Facts {
            repository: Some("shop".into()),
            branch: Some(format!("branch-{calls}")),
            worktree: None,
        })
    }

    fn notice(id: &str, directory: &str) -> LaunchNotice {
        LaunchNotice { id: id.into(), pid: 7, directory: directory.into() }
    }

    fn branch(place: Option<Place>) -> Option<String> {
        place.and_then(|place| place.facts.branch)
    }

    #[test]
    fn a_change_of_branch_is_followed_within_a_second() {
        let launches = Launches::new(resolver);
        let start = Instant::now();
        launches.notice(notice("a", "/src/shop"), start);
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!(branch(launches.place("a", start)).as_deref(), Some("branch-1"));
        assert_eq!(branch(launches.place("a", after(999))).as_deref(), Some("branch-1"));
        assert_eq!(branch(launches.place("a", after(1000))).as_deref(), Some("branch-2"));
        let directory = launches.place("a", after(1000)).and_then(|place| place.directory);
        assert_eq!(directory.as_deref(), Some("shop"));
        assert_eq!(launches.place("unknown", start), None);
    }

    #[test]
    fn a_directory_without_git_is_asked_about_once_a_second_too() {
        let launches = Launches::new(resolver);
        let start = Instant::now();
        launches.notice(notice("a", "/nowhere"), start);
        let before = CALLS.get();
        for _ in 0..3 {
            assert_eq!(branch(launches.place("a", start)), None);
        }
        assert_eq!(CALLS.get(), before + 1);
    }

    #[test]
    fn the_oldest_launch_is_forgotten_and_silence_is_told() {
        let launches = Launches::new(resolver);
        let start = Instant::now();
        for number in 0..=LAUNCHES_MAX {
            launches.notice(notice(&number.to_string(), "/src"), start);
        }
        assert_eq!(launches.place("0", start), None);
        launches.heard("1");
        let silent = launches.silent(Duration::ZERO, start);
        assert_eq!(silent.len(), LAUNCHES_MAX - 1);
        assert_eq!(silent.first().map(|notice| notice.id.as_str()), Some("2"));
        assert!(launches.silent(Duration::from_mins(1), start).is_empty());
    }
}
