//! Watching the gateway's files: certificates are renewed and tokens revoked while it runs.
//!
//! Kubernetes replaces a mounted secret by renaming a link in its directory, editors and cert-manager
//! replace files; so directories are watched. Where the system tells of nothing (a network file system),
//! the files are read again after a while all the same.

use std::path::PathBuf;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// Quiet time after the last event before the files are read.
const SETTLE: Duration = Duration::from_millis(100);
/// Without any event the files are read again after this.
const READ_AGAIN: Duration = Duration::from_secs(30);

/// Ends watching when dropped.
pub struct FilesWatch {
    watcher: Option<RecommendedWatcher>,
    events: mpsc::Receiver<()>,
    watched: Vec<PathBuf>,
    /// A change was seen, and has not been told yet.
    unsettled: bool,
    read_again_at: Instant,
}

impl FilesWatch {
    pub fn start() -> Self {
        // One waiting event is as good as many.
        let (sender, events) = mpsc::channel(1);
        let tell = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = sender.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(tell);
        if let Err(error) = &watcher {
            let seconds = READ_AGAIN.as_secs();
            tracing::warn!(
                "changes of tokens and certificates are seen after {seconds} s: {error}"
            );
        }
        Self {
            watcher: watcher.ok(),
            events,
            watched: Vec::new(),
            unsettled: false,
            read_again_at: Instant::now() + READ_AGAIN,
        }
    }

    /// Watches these from now on. A directory that is not there yet is tried again with each call.
    pub fn watch(&mut self, directories: Vec<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.watched.iter().filter(|known| !directories.contains(known)) {
            let _ = watcher.unwatch(gone);
        }
        self.watched.retain(|known| directories.contains(known) && known.is_dir());
        for directory in directories {
            if !self.watched.contains(&directory)
                && watcher.watch(&directory, RecursiveMode::NonRecursive).is_ok()
            {
                self.watched.push(directory);
            }
        }
    }

    /// Resolves when something may have changed, and nothing has since for a moment. Cancel safe: a
    /// change that was seen is told by a later call.
    pub async fn changed(&mut self) {
        if !self.unsettled {
            let event = async {
                if self.events.recv().await.is_none() {
                    std::future::pending::<()>().await; // nothing watches
                }
            };
            let _ = timeout_at(self.read_again_at, event).await;
            self.unsettled = true;
        }
        while let Ok(Some(())) = timeout(SETTLE, self.events.recv()).await {}
        self.unsettled = false;
        self.read_again_at = Instant::now() + READ_AGAIN;
    }
}
