//! Deaths: between two steps, and between any two commits of one.

use ccotel::store::handle::Ingest;

use super::super::files::{Files, commit_ends};
use super::super::steps::Step;
use super::{World, open};

impl World {
    pub fn squeeze(&mut self) {
        self.was_squeezed = true;
        self.crash_with(1 << 16);
        self.read_history();
        self.core.retain_within_limit(self.now_ms).unwrap();
        self.crash();
    }

    /// Runs a step, and then goes back to how the files were after some of its commits.
    pub fn crash_within(&mut self, step: &Step, commits: u8) {
        // These crash by themselves, or leave a backend with what was never frozen.
        if matches!(
            step,
            Step::Crash
                | Step::Squeeze
                | Step::History
                | Step::Deliver { .. }
                | Step::DeliverAndCrash { .. }
                | Step::Disconnect { .. }
        ) {
            return self.step(step);
        }
        let before = self.files();
        let backends: Vec<u8> = self.backends.keys().copied().collect();
        self.sent.clear();
        self.step(step);
        let after = self.files();
        let done = commit_ends(&before.log).last().copied().unwrap_or(0);
        let mut ends = commit_ends(&after.log);
        ends.retain(|end| *end > done);
        ends.push(done);
        // A checkpoint in between has moved pages that the shorter log would not have.
        if before.database == after.database {
            let log = after.log[..ends[usize::from(commits) % ends.len()]].to_vec();
            self.die(&Files { log, ..before }, 1 << 30);
        }
        for (body_hash, batch) in std::mem::take(&mut self.sent) {
            self.core.ingest(&mut [Ingest { body_hash, batch }], self.now_ms).remove(0).unwrap();
        }
        if let Step::Connect { destination, all } = step
            && !backends.contains(destination)
        {
            self.backends.remove(destination);
            self.connect(*destination, *all);
        }
    }

    fn files(&self) -> Files {
        let read = |name: &str| std::fs::read(self.directory.path().join(name)).unwrap_or_default();
        Files {
            database: read("queue.db"),
            log: read("queue.db-wal"),
            mark: read("queue.high-water.json"),
        }
    }

    /// The process dies: what is on disk is kept as it is, log and all, and opened by the next one at the
    /// same place. (A database elsewhere would be a copy, and a new install.)
    pub fn crash(&mut self) {
        self.crash_with(1 << 30);
    }

    fn crash_with(&mut self, disk_bytes_max: u64) {
        let files = self.files();
        self.die(&files, disk_bytes_max);
    }

    fn die(&mut self, files: &Files, disk_bytes_max: u64) {
        let folder = self.directory.path().to_owned();
        let install = self.core.install_id().to_owned();
        // The file that is open is gone from its path before it is closed, which would put its log away.
        std::fs::rename(folder.join("queue.db"), folder.join("dead")).unwrap();
        for (name, bytes) in [
            ("queue.db", &files.database),
            ("queue.db-wal", &files.log),
            ("queue.high-water.json", &files.mark),
        ] {
            let _ = std::fs::remove_file(folder.join(name));
            if !bytes.is_empty() {
                std::fs::write(folder.join(name), bytes).unwrap();
            }
        }
        self.core = open(&self.directory, disk_bytes_max, self.now_ms);
        self.core.history(self.history.0, self.history.1, 1 << 40).unwrap();
        std::fs::remove_file(folder.join("dead")).unwrap();
        self.look_at_install(&install);
    }
}
