//! Watching the configuration files: a change is told once it has settled.
//!
//! Editors replace files, so directories are watched; a `config.toml` that is a link (dotfile managers)
//! has its target's directory watched too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::paths::Paths;

/// Quiet time after the last event before the files are read.
const SETTLE: Duration = Duration::from_millis(150);

/// Ends watching when dropped.
pub struct ConfigWatch {
    _watcher: RecommendedWatcher,
    events: mpsc::Receiver<()>,
}

impl ConfigWatch {
    pub fn start(paths: &Paths) -> notify::Result<Self> {
        // One waiting event is as good as many.
        let (sender, events) = mpsc::channel(1);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if event.is_ok_and(|event| !event.kind.is_access()) {
                    let _ = sender.try_send(());
                }
            })?;
        for (index, directory) in directories(paths).iter().enumerate() {
            let added = watcher.watch(directory, RecursiveMode::NonRecursive);
            // The user's own directory comes first; the others are extras.
            if index == 0 {
                added?;
            }
        }
        Ok(Self { _watcher: watcher, events })
    }

    /// Resolves when something changed and nothing has since for a moment.
    pub async fn changed(&mut self) {
        if self.events.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        while let Ok(Some(())) = tokio::time::timeout(SETTLE, self.events.recv()).await {}
    }
}

fn directories(paths: &Paths) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let linked = [paths.config_file(), Paths::organisation_file().to_path_buf()]
        .into_iter()
        .filter_map(|file| file.canonicalize().ok()?.parent().map(Path::to_path_buf));
    std::iter::once(paths.config_dir.clone())
        .chain(Paths::organisation_file().parent().map(Path::to_path_buf))
        .chain(linked)
        .filter(|directory| directory.is_dir() && seen.insert(directory.clone()))
        .collect()
}
