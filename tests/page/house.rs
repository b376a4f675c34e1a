//! A user with a history, an agent, and the page opened.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::harness::sandbox::Sandbox;
use crate::made_up;

/// So many days are made up. More than the page shows by itself, so that there is a time before.
const DAYS: u64 = 75;

/// Days that were imported, right before those.
const IMPORTED_DAYS: u64 = 12;
const DAY_MS: u64 = 86_400_000;

/// One that is used up by a session, and one that is not by all of them.
const BUDGETS: &str = "[budget]\nnotify = false\nmonthly_usd = 0.01\n\
                       [budget.project.checkout]\nweekly_usd = 1000000\n";

/// What is in the data directory before the agent starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    Nothing,
    MadeUp,
    /// As made up, and before it some days from transcripts.
    WithImport,
    Damaged,
}

pub struct House {
    pub sandbox: Sandbox,
    /// What `ccotel open` made.
    pub file: PathBuf,
    /// With the token in its fragment.
    pub url: String,
}

impl House {
    pub fn open(past: Past) -> Result<Self> {
        let sandbox = Sandbox::new()?;
        fs::create_dir_all(sandbox.data_dir())?;
        if past != Past::Nothing {
            fs::copy(history()?, sandbox.data_dir().join("history.db"))?;
        }
        if past == Past::WithImport {
            let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond())?;
            let imported_db = sandbox.data_dir().join("imported.db");
            made_up::write(&imported_db, now_ms - DAYS * DAY_MS, IMPORTED_DAYS)?;
        }
        if past == Past::MadeUp {
            let file = sandbox.config_dir().join("config.toml");
            fs::write(&file, fs::read_to_string(&file)? + BUDGETS)?;
        }
        sandbox.start_agent()?;
        if past == Past::Damaged {
            damage(&sandbox)?;
        }
        let file = PathBuf::from(sandbox.run(&["open", "--no-browser"])?.trim());
        let url = url_in(&fs::read_to_string(&file)?)?;
        Ok(Self { sandbox, file, url })
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> &str {
        let rest = self.url.trim_start_matches("http://");
        rest.split('/').next().unwrap_or_default()
    }

    pub fn token(&self) -> &str {
        self.url.split_once("#token=").map_or("", |(_, token)| token)
    }
}

/// The address that a redirect file leads to.
pub fn url_in(file: &str) -> Result<String> {
    let (_, rest) = file.split_once("url=").context("the file leads nowhere")?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

/// Made up once for all tests.
fn history() -> Result<PathBuf> {
    static MADE: OnceLock<Result<TempDir, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let make = || -> Result<TempDir> {
            let folder = tempfile::tempdir()?;
            let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond())?;
            made_up::write(&folder.path().join("history.db"), now_ms, DAYS)?;
            Ok(folder)
        };
        make().map_err(|error| format!("{error:#}"))
    });
    match made {
        Ok(folder) => Ok(folder.path().join("history.db")),
        Err(error) => anyhow::bail!("no history could be made up: {error}"),
    }
}

/// Overwrites all but the beginning of the file, which the agent keeps in memory: it does not notice.
fn damage(sandbox: &Sandbox) -> Result<()> {
    use std::os::unix::fs::FileExt as _;

    const LEFT_BYTES: usize = 96 << 10;
    let path = sandbox.data_dir().join("history.db");
    let file = fs::OpenOptions::new().write(true).open(&path)?;
    let length = usize::try_from(file.metadata()?.len())?;
    file.write_all_at(&vec![0xa5; length - LEFT_BYTES], LEFT_BYTES as u64)?;
    Ok(())
}
