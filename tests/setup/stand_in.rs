//! `claude`, as far as a shell can tell: says what it was given, and whether it was counted.

use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::harness::http;

pub fn is_called() -> bool {
    let name = std::env::args_os().next();
    name.is_some_and(|name| Path::new(&name).file_name() == Some("claude".as_ref()))
}

/// Ends with 7, so that a lost exit code is seen.
pub fn run() -> ExitCode {
    let mut arguments: Vec<String> =
        std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned()).collect();
    let mut settings = None;
    if arguments.first().is_some_and(|first| first == "--settings") {
        settings = Some(arguments.remove(1));
        arguments.remove(0);
    }
    let counted = match settings.map(|file| send_event(&file)) {
        Some(Ok(())) => "counted".to_owned(),
        Some(Err(error)) => format!("not counted: {error:#}"),
        None => "plain".to_owned(),
    };
    let given: Vec<_> = arguments.iter().map(|it| format!("[{it}]")).collect();
    println!("{counted}: {}", given.join(""));
    ExitCode::from(7)
}

/// One API request, to where the settings say.
fn send_event(settings: &str) -> Result<()> {
    let settings: Value = serde_json::from_str(&std::fs::read_to_string(settings)?)?;
    let endpoint = settings["env"]["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"].as_str();
    let endpoint = endpoint.context("no endpoint")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let id = uuid::Uuid::new_v4().to_string();
    let body = json!({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": text("claude-code")}]},
        "scopeLogs": [{
            "scope": {"name": "com.anthropic.claude_code.events"},
            "logRecords": [{
                "timeUnixNano": now.to_string(),
                "body": text("claude_code.api_request"),
                "attributes": [
                    {"key": "event.name", "value": text("api_request")},
                    {"key": "event.sequence", "value": {"intValue": "0"}},
                    {"key": "session.id", "value": text(&id)},
                    {"key": "prompt.id", "value": text(&id)},
                    {"key": "request_id", "value": text(&format!("req_{id}"))},
                    {"key": "model", "value": text("claude-opus-4-8")},
                    {"key": "cost_usd", "value": {"doubleValue": 0.25}},
                ],
            }],
        }],
    }]});
    let headers = [("content-type", "application/json")];
    let (status, answer) = http::post(endpoint, &headers, body.to_string().into_bytes())?;
    ensure!(status == 200, "{endpoint} answered {status}: {answer}");
    Ok(())
}

fn text(text: &str) -> Value {
    json!({"stringValue": text})
}
