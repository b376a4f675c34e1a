//! Ends two wrappers that call each other.
//!
//! A nested session (Claude Code's own shell calls `claude`) is legitimate, and so is a background
//! session that is started again for weeks, so it is not a flag, nor a mere counter: too many
//! launches, one within the other, in too short a time. `COUNT@FIRST`, in seconds since the epoch.

use std::ffi::OsStr;

use jiff::Timestamp;

pub const VARIABLE: &str = "CCOTEL_LAUNCH_DEPTH";
/// Launches within each other.
pub const DEPTH_MAX: u32 = 8;
/// In this time.
const WINDOW_S: i64 = 60;

/// Wrappers call each other.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{DEPTH_MAX} launches within each other: something named `claude` calls ccotel again")]
pub struct Looped;

/// The variable's value for what is launched now.
pub fn next(inherited: Option<&OsStr>, now: Timestamp) -> Result<String, Looped> {
    let now = now.as_second();
    let (count, first) = inherited
        .and_then(OsStr::to_str)
        .and_then(|text| text.split_once('@'))
        .and_then(|(count, first)| Some((count.parse::<u32>().ok()?, first.parse::<i64>().ok()?)))
        .filter(|(_, first)| (0..=WINDOW_S).contains(&now.saturating_sub(*first)))
        .unwrap_or((0, now));
    if count >= DEPTH_MAX { Err(Looped) } else { Ok(format!("{}@{first}", count + 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_ends_and_a_nested_session_does_not() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut value = next(None, at(1000)).unwrap();
        for _ in 1..DEPTH_MAX {
            value = next(Some(OsStr::new(&value)), at(1010)).unwrap();
        }
        assert_eq!(value, "8@1000");
        assert_eq!(next(Some(OsStr::new(&value)), at(1010)), Err(Looped));
        assert_eq!(next(Some(OsStr::new(&value)), at(1061)).as_deref(), Ok("1@1061"));
        assert_eq!(next(Some(OsStr::new("nonsense")), at(5)).as_deref(), Ok("1@5"));
    }
}
