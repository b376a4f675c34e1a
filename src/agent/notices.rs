//! The notices of launches that still run, on disk: a session outlives workers, and its wrapper, which
//! told of it once, is gone.
//!
//! `notices.json` is a JSON array of [`LaunchNotice`], oldest first, replaced with each launch.

use super::files;
use super::notice::LaunchNotice;
use crate::paths::Paths;

/// Launches that are kept; the oldest is forgotten first.
const NOTICES_MAX: usize = 256;

/// The launches known from before whose process is alive. What cannot be read is as if absent: it only
/// enriches.
pub fn load(paths: &Paths, is_alive: impl Fn(u32) -> bool) -> Vec<LaunchNotice> {
    let content = files::read_small(&paths.notices_file()).ok().flatten();
    let notices: Option<Vec<LaunchNotice>> =
        content.and_then(|content| serde_json::from_slice(&content).ok());
    let mut notices = notices.unwrap_or_default();
    notices.retain(|notice| is_alive(notice.pid));
    notices
}

/// Adds one, and forgets those whose process has ended.
pub fn add(paths: &Paths, notice: &LaunchNotice, is_alive: impl Fn(u32) -> bool) {
    let mut notices = load(paths, is_alive);
    notices.retain(|known| known.id != notice.id);
    notices.push(notice.clone());
    let surplus = notices.len().saturating_sub(NOTICES_MAX);
    notices.drain(..surplus);
    if let Ok(text) = serde_json::to_vec(&notices)
        && let Err(error) = files::replace(&paths.notices_file(), &text)
    {
        tracing::warn!("a launch will not be known after a restart: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(id: u32) -> LaunchNotice {
        LaunchNotice { id: id.to_string(), pid: id, directory: "/work".into() }
    }

    #[test]
    fn launches_that_live_are_known_again_and_no_more_than_some() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths {
            config_dir: root.path().into(),
            data_dir: root.path().into(),
            runtime_dir: root.path().into(),
            home: root.path().into(),
        };
        assert_eq!(load(&paths, |_| true), []);
        for id in 1..=300 {
            add(&paths, &notice(id), |_| true);
        }
        let known = load(&paths, |_| true);
        assert_eq!((known.len(), &known[0].id[..]), (NOTICES_MAX, "45"));
        add(&paths, &notice(300), |pid| pid > 298);
        assert_eq!(load(&paths, |_| true), [notice(299), notice(300)]);
        std::fs::write(paths.notices_file(), "damaged").unwrap();
        assert_eq!(load(&paths, |_| true), []);
    }
}
