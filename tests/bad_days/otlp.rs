//! Requests as Claude Code sends them, each with costs of its own.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::house::House;

/// API requests told of in one OTLP request.
pub const RECORDS: u64 = 20;

/// For a request that is refused again and again.
const PATIENCE: Duration = Duration::from_mins(1);

/// What Claude Code would send; the same each time that it is sent.
pub struct Request {
    signal: &'static str,
    body: String,
}

impl Request {
    /// [`RECORDS`] events `api_request`.
    pub fn events(number: u64) -> Self {
        Self { signal: "logs", body: body(number).to_string() }
    }

    /// One point: 0.25 dollars, all that a session of its own cost.
    pub fn cost() -> Self {
        Self { signal: "metrics", body: cost_body().to_string() }
    }
}

/// Between two times that the same request is sent.
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// How the agent answered.
pub struct Answered {
    pub status: u16,
    pub retry_after: Option<String>,
}

/// Where the agent receives.
pub fn endpoint(house: &House) -> String {
    let status = house.json(&["status", "--json"]);
    let token = std::fs::read_to_string(house.path("data/token")).unwrap();
    format!("http://{}/{}", status["addresses"][0].as_str().unwrap(), token.trim())
}

/// Sends the `number`th request: [`RECORDS`] events `api_request` of one session.
pub async fn send(endpoint: &str, number: u64) -> Answered {
    post(endpoint, &Request::events(number)).await.unwrap()
}

/// The same request until it is taken, as Claude Code's exporter does, though for longer.
pub async fn send_until_taken(endpoint: &str, number: u64) {
    until_taken(endpoint, &Request::events(number)).await;
}

/// An answer may be cut off with the worker that was about to give it. Returns how often it was sent.
pub async fn until_taken(endpoint: &str, request: &Request) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    let mut sent = 1;
    while !post(endpoint, request).await.is_ok_and(|answered| answered.status == 200) {
        assert!(Instant::now() < deadline, "never taken in {sent} times: {}", request.body);
        sent += 1;
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    sent
}

async fn post(endpoint: &str, request: &Request) -> reqwest::Result<Answered> {
    // Another test of this process may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let sending = client
        .post(format!("{endpoint}/v1/{}", request.signal))
        .header("content-type", "application/json")
        .body(request.body.clone());
    let response = sending.send().await?;
    let retry_after = response.headers().get("retry-after");
    Ok(Answered {
        status: response.status().as_u16(),
        retry_after: retry_after.map(|value| value.to_str().unwrap().to_owned()),
    })
}

fn cost_body() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().to_string();
    let session = uuid::Uuid::new_v4().to_string();
    json!({"resourceMetrics": [{
        "resource": {"attributes": [{"key": "service.name", "value": text("claude-code")}]},
        "scopeMetrics": [{
            "scope": {"name": "com.anthropic.claude_code"},
            "metrics": [{"name": "claude_code.cost.usage", "unit": "USD", "sum": {
                "aggregationTemporality": 2,
                "isMonotonic": true,
                "dataPoints": [{
                    "startTimeUnixNano": now,
                    "timeUnixNano": now,
                    "asDouble": 0.25,
                    "attributes": [
                        {"key": "session.id", "value": text(&session)},
                        {"key": "model", "value": text("claude-opus-4-8")},
                    ],
                }],
            }}],
        }],
    }]})
}

fn body(number: u64) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let records: Vec<Value> = (number * RECORDS..(number + 1) * RECORDS)
        .map(|sequence| {
            // An id that says nothing and cannot be compressed, as the real ones are.
            let id = uuid::Uuid::new_v4();
            json!({
                "timeUnixNano": now.to_string(),
                "body": text("claude_code.api_request"),
                "attributes": [
                    {"key": "event.name", "value": text("api_request")},
                    {"key": "event.sequence", "value": {"intValue": sequence.to_string()}},
                    {"key": "session.id", "value": text("0b6c1f5e-6d7f-4c7c-9a52-6a4a3a5f0a01")},
                    {"key": "prompt.id", "value": text(&uuid::Uuid::new_v4().to_string())},
                    {"key": "request_id", "value": text(&format!("req_{id}"))},
                    {"key": "model", "value": text("claude-opus-4-8")},
                    {"key": "cost_usd", "value": {"doubleValue": 0.25}},
                    {"key": "input_tokens", "value": {"intValue": "10"}},
                ],
            })
        })
        .collect();
    json!({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": text("claude-code")}]},
        "scopeLogs": [{
            "scope": {"name": "com.anthropic.claude_code.events"},
            "logRecords": records,
        }],
    }]})
}

fn text(text: &str) -> Value {
    json!({"stringValue": text})
}
