//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks. Short, since most conditions hold within a few of them.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks until there is something; after the deadline the last reason why not is the error.
pub fn until<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() >= end => {
                bail!("{what}: not within {} s: {error:#}", deadline.as_secs())
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
