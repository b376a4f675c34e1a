//! Where the numbers come from: fresh looks at the history, and the agent's own words.
//!
//! The history is read when its file has changed, or when a rate would fall by itself; an idle one is
//! asked for nothing but its version. The agent is asked on a thread of its own: it may take its time
//! to answer, and keys must not wait for it.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Zoned;

use super::shown::Shown;
use crate::agent::status::Status;
use crate::paths::Paths;
use crate::report::history::reader::{History, Imported};
use crate::report::history::schema::HistoryError;
use crate::report::history::version::{Version, Watch};
use crate::report::live::{self, BURN_MINUTES};
use crate::report::story;
use crate::report::time::Clock;

/// How often rates are counted again while they can fall.
const RATES_PERIOD: Duration = Duration::from_secs(5);
/// How often the agent is asked.
const STATUS_PERIOD: Duration = Duration::from_secs(2);

/// What is wanted of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Also today's sessions that are not active.
    pub all: bool,
    /// Whose story.
    pub session: Option<String>,
}

/// The history, looked at again and again.
pub struct Source {
    paths: Paths,
    watch: Watch,
    seen: Option<Seen>,
}

/// The last look.
struct Seen {
    version: Version,
    wanted: Wanted,
    day: jiff::civil::Date,
    at: Instant,
    /// Rates of it will fall without news.
    moves: bool,
    failed: bool,
}

impl Source {
    pub fn new(paths: &Paths) -> Self {
        let watch = Watch::new([paths.history_db(), paths.imported_db()]);
        Self { paths: paths.clone(), watch, seen: None }
    }

    /// Looks if there is a reason to. Whether `shown` has changed.
    pub fn look(&mut self, wanted: &Wanted, shown: &mut Shown, now: &Zoned) -> bool {
        // Before the rows: what is written in between is seen again next time.
        let version = self.watch.version();
        if self.seen.as_ref().is_some_and(|seen| seen.still_holds(&version, wanted, now)) {
            return false;
        }
        let read = read(&self.paths, wanted, shown, now);
        let failed = read.is_err();
        match read {
            Ok(true) => shown.problem = None,
            Ok(false) => {
                *shown = Shown { status: shown.status.take(), ..Shown::default() };
                shown.problem = Some(
                    "Nothing has been recorded yet. `ccotel claude` starts a session; it appears \
                     here seconds after its first prompt."
                        .into(),
                );
            }
            Err(error) => shown.problem = Some(error.to_string()),
        }
        let moves = shown.live.as_ref().is_some_and(|live| {
            let age_ms = live.at_ms - live.newest_ms().unwrap_or(i64::MIN / 2);
            age_ms < BURN_MINUTES * 60_000
        });
        let day = now.date();
        let (wanted, at) = (wanted.clone(), Instant::now());
        self.seen = Some(Seen { version, wanted, day, at, moves, failed });
        true
    }

    /// Whether the last look found a history that it could not read.
    pub fn has_failed(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.failed)
    }
}

impl Seen {
    fn still_holds(&self, version: &Version, wanted: &Wanted, now: &Zoned) -> bool {
        self.version == *version
            && self.wanted == *wanted
            && self.day == now.date()
            && !(self.moves && self.at.elapsed() >= RATES_PERIOD)
    }
}

/// One consistent look. `false` where nothing has been recorded.
fn read(
    paths: &Paths,
    wanted: &Wanted,
    shown: &mut Shown,
    now: &Zoned,
) -> Result<bool, HistoryError> {
    let with_imports = read_with(paths, Imported::Include, wanted, shown, now);
    shown.imports_damaged = matches!(with_imports, Err(HistoryError::ImportDamaged { .. }));
    if shown.imports_damaged {
        // What runs now was not imported.
        return read_with(paths, Imported::Exclude, wanted, shown, now);
    }
    with_imports
}

fn read_with(
    paths: &Paths,
    imported: Imported,
    wanted: &Wanted,
    shown: &mut Shown,
    now: &Zoned,
) -> Result<bool, HistoryError> {
    let Some(history) = History::open(paths, imported)? else { return Ok(false) };
    let clock = Clock { now: now.clone() };
    shown.live = Some(live::live(&history, &clock, wanted.all)?);
    shown.story = match &wanted.session {
        Some(id) => story::story(&history, id)?,
        None => None,
    };
    Ok(true)
}

/// What the agent said last.
#[derive(Clone, Default)]
pub struct StatusSlot(Arc<Mutex<Option<Status>>>);

impl StatusSlot {
    pub fn take(&self) -> Option<Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Asks the agent from now on, and writes a byte to `news` after each answer. Ends with the process,
/// or when nobody listens any more.
pub fn ask_status(
    ask: impl Fn() -> Status + Send + 'static,
    mut news: UnixStream,
) -> std::io::Result<StatusSlot> {
    let slot = StatusSlot::default();
    let answers = slot.clone();
    std::thread::Builder::new().name("status".into()).spawn(move || {
        loop {
            let status = ask();
            *answers.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
            if news.write_all(b".").is_err() {
                return;
            }
            std::thread::sleep(STATUS_PERIOD);
        }
    })?;
    Ok(slot)
}
