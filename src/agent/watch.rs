//! Watching the configuration files: a change is told once it has settled.
//!
//! Editors replace files, so directories are watched; a `config.toml` that is a link (dotfile managers)
//! has its target's directory watched too.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::config::layers::organisation_file;
use crate::paths::Paths;

/// Quiet time after the last event before the files are read.
const SETTLE: Duration = Duration::from_millis(150);

/// Kubernetes replaces every file of a mounted map at once, by this link beside them.
const KUBERNETES_LINK: &str = "..data";

/// Ends watching when dropped.
pub struct ConfigWatch {
    _watcher: RecommendedWatcher,
    events: mpsc::Receiver<()>,
    /// A change was seen, and has not been told yet.
    unsettled: bool,
}

impl ConfigWatch {
    pub fn start(paths: &Paths) -> notify::Result<Self> {
        // One waiting event is as good as many.
        let (sender, events) = mpsc::channel(1);
        let names = names(paths);
        let tell = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_change(&event, &names)) {
                let _ = sender.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(tell)?;
        for (index, directory) in directories(paths).iter().enumerate() {
            let added = watcher.watch(directory, RecursiveMode::NonRecursive);
            // The user's own directory comes first; the others are extras.
            if index == 0 {
                added?;
            }
        }
        Ok(Self { _watcher: watcher, events, unsettled: false })
    }

    /// Resolves when something changed and nothing has since for a moment. Cancel safe: a change that
    /// was seen is told by a later call.
    pub async fn changed(&mut self) {
        if !self.unsettled && self.events.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        self.unsettled = true;
        while let Ok(Some(())) = tokio::time::timeout(SETTLE, self.events.recv()).await {}
        self.unsettled = false;
    }
}

/// Whether an event is about the content of a watched file; others in these directories are no news.
fn is_change(event: &Event, names: &BTreeSet<OsString>) -> bool {
    let mut changed = event.paths.iter().filter_map(|path| path.file_name());
    !event.kind.is_access() && changed.any(|name| names.contains(name))
}

fn files(paths: &Paths) -> [PathBuf; 2] {
    [paths.config_file(), organisation_file()]
}

/// The files' names, and the names of what they link to.
fn names(paths: &Paths) -> BTreeSet<OsString> {
    let linked = files(paths).into_iter().filter_map(|file| file.canonicalize().ok());
    let all = files(paths).into_iter().chain(linked);
    let names = all.filter_map(|file| file.file_name().map(OsStr::to_owned));
    names.chain([OsString::from(KUBERNETES_LINK)]).collect()
}

fn directories(paths: &Paths) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let linked = files(paths).into_iter().filter_map(|file| file.canonicalize().ok());
    std::iter::once(paths.config_file())
        .chain([organisation_file()])
        .chain(linked)
        .filter_map(|file| file.parent().map(Path::to_path_buf))
        .filter(|directory| directory.is_dir() && seen.insert(directory.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use notify::EventKind;
    use notify::event::{AccessKind, CreateKind};

    use super::*;

    #[test]
    fn only_changes_of_these_files_are_news() {
        let names = BTreeSet::from([OsString::from("config.toml")]);
        let event = |kind, path: &str| Event::new(kind).add_path(path.into());
        let created = EventKind::Create(CreateKind::File);
        assert!(is_change(&event(created, "/c/config.toml"), &names));
        assert!(!is_change(&event(created, "/c/queue.db-wal"), &names));
        assert!(!is_change(&event(EventKind::Access(AccessKind::Any), "/c/config.toml"), &names));
    }

    #[tokio::test]
    async fn a_change_outlives_a_call_that_was_cut_off() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths {
            config_dir: root.path().into(),
            data_dir: root.path().into(),
            runtime_dir: root.path().into(),
            home: root.path().into(),
        };
        let mut watch = ConfigWatch::start(&paths).unwrap();
        std::fs::write(paths.config_file(), "").unwrap();
        while !watch.unsettled {
            let cut_off = tokio::time::timeout(Duration::from_millis(10), watch.changed());
            assert!(cut_off.await.is_err(), "it settles for longer than that");
        }
        watch.changed().await;
        assert!(!watch.unsettled);
    }

    #[test]
    fn a_linked_file_is_watched_where_it_is() {
        let root = tempfile::tempdir().unwrap();
        let (config, dotfiles) = (root.path().join("config"), root.path().join("dotfiles"));
        std::fs::create_dir_all(&config).unwrap();
        std::fs::create_dir_all(&dotfiles).unwrap();
        std::fs::write(dotfiles.join("ccotel.toml"), "").unwrap();
        std::os::unix::fs::symlink(dotfiles.join("ccotel.toml"), config.join("config.toml"))
            .unwrap();
        let paths = Paths {
            config_dir: config.clone(),
            data_dir: root.path().into(),
            runtime_dir: root.path().into(),
            home: root.path().into(),
        };
        let directories = directories(&paths);
        assert_eq!(directories[0], config);
        assert!(directories.contains(&dotfiles.canonicalize().unwrap()), "{directories:?}");
        assert!(names(&paths).contains(OsStr::new("ccotel.toml")));
    }
}
