//! What Claude Code writes to its status line's standard input
//! (<https://code.claude.com/docs/en/statusline>). Any field may be absent, `null` or of another type
//! in another version: then it is as if absent, and the others count.

use std::io::Read;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use serde_json::Value;

use super::limits::{Limit, Limits, WINDOWS, is_sane_cost, is_sane_percent};

/// Claude Code writes a few kilobytes; what comes after these is not read.
pub const INPUT_BYTES_MAX: usize = 1024 * 1024;
/// It writes at once and closes; who does not is not waited for.
const WAIT: Duration = Duration::from_millis(500);

/// The fields that are used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    /// Where the session was started: its tags are this directory's.
    pub directory: Option<PathBuf>,
    pub cost_usd: Option<f64>,
    /// How full the context is, in percent.
    pub context_percent: Option<f64>,
    pub limits: Limits,
}

/// All of standard input, within a limit and a time.
pub fn read_all(mut stdin: impl Read + AsFd) -> Vec<u8> {
    let deadline = Instant::now() + WAIT;
    let mut bytes = Vec::new();
    let mut part = vec![0; 64 * 1024];
    while bytes.len() < INPUT_BYTES_MAX {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(timeout) = left.try_into() else { break };
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        if !matches!(poll(&mut fds, Some(&timeout)), Ok(ready) if ready > 0) {
            break;
        }
        match stdin.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(length) => bytes.extend_from_slice(&part[..length]),
        }
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

impl Input {
    /// `None` for what is no JSON object at all.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(bytes).ok()?;
        document.is_object().then(|| Self::of(&document))
    }

    fn of(document: &Value) -> Self {
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
        let number = |pointer: &str| document.pointer(pointer).and_then(Value::as_f64);
        let places = ["/workspace/project_dir", "/cwd", "/workspace/current_dir"];
        let directory = places.into_iter().find_map(text).map(PathBuf::from);
        let limit = |window: &str| {
            let of = |key: &str| number(&format!("/rate_limits/{window}/{key}"));
            #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
            let resets_at = of("resets_at").map(|at| at as i64);
            Some((window.to_owned(), Limit { used_percent: of("used_percentage")?, resets_at }))
        };
        Self {
            directory: directory.filter(|it| it.is_absolute()),
            cost_usd: number("/cost/total_cost_usd").filter(|usd| is_sane_cost(*usd)),
            context_percent: number("/context_window/used_percentage")
                .or_else(|| context(document))
                .filter(|percent| is_sane_percent(*percent)),
            limits: Limits(WINDOWS.into_iter().filter_map(limit).collect()),
        }
    }
}

/// From the last request, as Claude Code computes it; earlier versions do not.
fn context(document: &Value) -> Option<f64> {
    let of = |pointer: &str| document.pointer(pointer).and_then(Value::as_f64);
    let size = of("/context_window/context_window_size").filter(|size| *size > 0.0)?;
    let usage = document.pointer("/context_window/current_usage")?.as_object()?;
    let tokens: f64 = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
        .into_iter()
        .filter_map(|key| usage.get(key)?.as_f64())
        .sum();
    Some(tokens / size * 100.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_absent_or_null_or_of_another_type_is_left_out() {
        for document in [
            json!({}),
            json!({"cost": null, "rate_limits": null, "workspace": null, "context_window": null}),
            json!({"cost": {"total_cost_usd": "1"}, "rate_limits": [1], "cwd": 7, "context_window": {"used_percentage": null, "current_usage": null, "context_window_size": 0}}),
            json!({"rate_limits": {"five_hour": {"used_percentage": null, "resets_at": 5}, "seven_day": null}, "cwd": "relative"}),
        ] {
            let bytes = document.to_string();
            assert_eq!(Input::parse(bytes.as_bytes()), Some(Input::default()), "{document}");
        }
        for broken in ["", "{", "[1]", "null", "\u{0}"] {
            assert_eq!(Input::parse(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn a_whole_document_is_understood() {
        let document = json!({
            "session_id": "a", "cwd": "/shop/web",
            "workspace": {"current_dir": "/shop/web", "project_dir": "/shop"},
            "cost": {"total_cost_usd": 0.25},
            "context_window": {"context_window_size": 200_000, "current_usage":
                {"input_tokens": 10_000, "cache_read_input_tokens": 40_000, "output_tokens": 9}},
            "rate_limits": {"five_hour": {"used_percentage": 23.5, "resets_at": 1_738_425_600}},
        });
        let input = Input::parse(document.to_string().as_bytes()).unwrap();
        assert_eq!(input.directory, Some("/shop".into()));
        assert_eq!((input.cost_usd, input.context_percent), (Some(0.25), Some(25.0)));
        let limit = Limit { used_percent: 23.5, resets_at: Some(1_738_425_600) };
        assert_eq!(input.limits.0, [("five_hour".to_owned(), limit)].into());
    }
}
