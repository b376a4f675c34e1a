//! Launches that sent nothing: Claude Code versions exist whose exporter does nothing, silently.
//!
//! The wrapper tells of each launch. When its process is gone, and no record has come with its launch
//! id, the user is told. All of it is bounded, and lost when the worker ends: it only enriches.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::notice::LaunchNotice;
use super::status::Warning;

/// Launches that are watched at a time; the oldest is forgotten first.
const WATCHED_MAX: usize = 256;
/// Silent launches that are remembered.
const SILENT_MAX: usize = 16;
/// A shorter run (`claude --version`, `claude mcp list`) has nothing to send.
const RUN_MIN: Duration = Duration::from_secs(30);
/// What was sent at exit may still be on its way.
const GRACE: Duration = Duration::from_secs(15);
/// A silent launch is shown for so long.
const SHOWN: Duration = Duration::from_hours(7 * 24);

#[derive(Debug)]
struct Launch {
    notice: LaunchNotice,
    started: SystemTime,
    /// When its process was first found gone.
    gone: Option<SystemTime>,
}

#[derive(Debug)]
struct Silent {
    started: SystemTime,
    directory: PathBuf,
}

/// The launches of this worker's life.
#[derive(Debug, Default)]
pub struct Sessions {
    watched: VecDeque<Launch>,
    silent: VecDeque<Silent>,
}

impl Sessions {
    pub fn notice(&mut self, notice: LaunchNotice, now: SystemTime) {
        if self.watched.len() >= WATCHED_MAX {
            self.watched.pop_front();
        }
        self.watched.push_back(Launch { notice, started: now, gone: None });
    }

    /// Whether there is anything to look at: without, no timer is needed.
    pub fn is_watching(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Looks at all launches. `is_alive`: a process of this id exists; `was_heard`: a record with this
    /// launch id has been received.
    pub fn look(
        &mut self,
        now: SystemTime,
        is_alive: impl Fn(u32) -> bool,
        was_heard: impl Fn(&str) -> bool,
    ) {
        let silent = &mut self.silent;
        self.watched.retain_mut(|launch| {
            if was_heard(&launch.notice.id) {
                return false;
            }
            if is_alive(launch.notice.pid) {
                launch.gone = None;
                return true;
            }
            let gone = *launch.gone.get_or_insert(now);
            if since(gone, now) < GRACE {
                return true;
            }
            if since(launch.started, gone) >= RUN_MIN {
                let directory = launch.notice.directory.clone();
                silent.push_back(Silent { started: launch.started, directory });
            }
            false
        });
        silent.retain(|launch| since(launch.started, now) < SHOWN);
        while silent.len() > SILENT_MAX {
            silent.pop_front();
        }
    }

    pub fn warnings(&self) -> impl Iterator<Item = Warning> {
        self.silent.iter().map(|launch| {
            let at = jiff::Timestamp::try_from(launch.started).unwrap_or_default();
            let local = at.to_zoned(jiff::tz::TimeZone::system());
            Warning {
                at,
                what: format!(
                    "a session started at {} in {} ran and sent nothing",
                    local.strftime("%Y-%m-%d %H:%M"),
                    launch.directory.display()
                ),
                remedy: "update Claude Code, and look for settings that turn telemetry off with \
                         `ccotel tags`"
                    .into(),
            }
        })
    }
}

fn since(start: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(start).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        START + Duration::from_secs(seconds)
    }

    fn launched(id: &str) -> Sessions {
        let mut sessions = Sessions::default();
        let notice = LaunchNotice { id: id.into(), pid: 7, directory: "/work".into() };
        sessions.notice(notice, START);
        sessions
    }

    #[test]
    fn a_long_run_that_sent_nothing_is_told_after_a_grace() {
        let mut sessions = launched("a");
        sessions.look(at(50), |_| true, |_| false);
        sessions.look(at(60), |_| false, |_| false);
        assert_eq!(sessions.warnings().count(), 0);
        sessions.look(at(80), |_| false, |_| false);
        let warnings: Vec<_> = sessions.warnings().collect();
        assert!(warnings[0].what.contains("in /work ran and sent nothing"), "{warnings:?}");
        assert!(!sessions.is_watching());
        sessions.look(at(80) + SHOWN, |_| false, |_| false);
        assert_eq!(sessions.warnings().count(), 0);
    }

    #[test]
    fn a_session_that_was_heard_and_a_short_run_are_fine() {
        for (gone_at, heard) in [(60, true), (5, false)] {
            let mut sessions = launched("a");
            sessions.look(at(gone_at), |_| false, |_| heard);
            sessions.look(at(gone_at + 20), |_| false, |_| heard);
            assert_eq!(sessions.warnings().count(), 0);
            assert!(!sessions.is_watching());
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut sessions = Sessions::default();
        for id in 0..1000 {
            let notice = LaunchNotice { id: id.to_string(), pid: 7, directory: "/work".into() };
            sessions.notice(notice, START);
        }
        assert_eq!(sessions.watched.len(), WATCHED_MAX);
        sessions.look(at(60), |_| false, |_| false);
        sessions.look(at(90), |_| false, |_| false);
        assert_eq!(sessions.warnings().count(), SILENT_MAX);
    }
}
