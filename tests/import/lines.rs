//! Lines of a transcript, made one by one.

use serde_json::{Value, json};

pub const MODEL: &str = "claude-sonnet-4-6";
/// Dollars of a million tokens of [`MODEL`].
const OUTPUT_USD: f64 = 15.0;
const INPUT_USD: f64 = 3.0;

/// 2026-11-02 10:00 UTC, and so many seconds.
pub fn time(seconds: i64) -> String {
    let start: jiff::Timestamp = "2026-11-02T10:00:00Z".parse().expect("a time");
    (start + jiff::SignedDuration::from_secs(seconds)).to_string()
}

/// An answer of 100 tokens to a prompt of 10.
pub fn answer(session: &str, id: &str, seconds: i64) -> Value {
    answer_of(session, id, &time(seconds), 10, 100)
}

pub fn answer_of(session: &str, id: &str, time: &str, input: i64, output: i64) -> Value {
    json!({
        "type": "assistant", "uuid": format!("uuid-{id}-{output}"), "timestamp": time, "sessionId": session,
        "requestId": format!("req_{id}"), "cwd": "/home/dev/src/shop", "version": "2.1.329",
        "entrypoint": "cli", "isSidechain": false,
        "message": {
            "id": format!("msg_{id}"), "role": "assistant", "model": MODEL,
            "content": [{ "type": "text", "text": "an answer" }],
            "usage": { "input_tokens": input, "output_tokens": output },
        },
    })
}

pub fn prompt(session: &str, id: &str, seconds: i64, text: &str) -> Value {
    json!({
        "type": "user", "uuid": format!("uuid-{id}"), "timestamp": time(seconds), "sessionId": session,
        "cwd": "/home/dev/src/shop", "version": "2.1.329", "entrypoint": "cli", "promptId": format!("prompt-{id}"),
        "message": { "role": "user", "content": text },
    })
}

/// What an answer of so many tokens costs.
#[expect(clippy::cast_precision_loss, reason = "a few tokens")]
pub fn cost_usd(input: i64, output: i64) -> f64 {
    (input as f64 * INPUT_USD + output as f64 * OUTPUT_USD) / 1e6
}
