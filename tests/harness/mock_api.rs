//! A mock of Anthropic's Messages API, as far as Claude Code uses it: `POST /v1/messages` (streamed
//! and whole), `POST /v1/messages/count_tokens`, and a probe of the base address.
//!
//! Streaming: <https://docs.anthropic.com/en/docs/build-with-claude/streaming>. Errors:
//! <https://docs.anthropic.com/en/api/errors>.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::script::{Reply, Script, Truth, Turn, Usage};

/// Requests that no script names: titles, summaries, and what later versions think of.
pub const AUXILIARY_USAGE: Usage = Usage::new(11, 3, 0, 0);

/// A running mock; ends when dropped.
pub struct MockApi {
    address: SocketAddr,
    memory: Arc<Mutex<Memory>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MockApi {
    pub fn start(script: Script) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket of our own");
        let address = listener.local_addr().expect("it is bound");
        let memory = Arc::new(Mutex::new(Memory::default()));
        let shared = Arc::new(Shared { script, memory: memory.clone() });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || serve(listener, shared, stopped));
        Self { address, memory, stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Of all sessions together.
    pub fn truth(&self) -> Truth {
        let mut total = Truth::default();
        lock(&self.memory).sessions.values().for_each(|truth| total.add(truth));
        total
    }

    pub fn truth_of(&self, session: &str) -> Truth {
        lock(&self.memory).sessions.get(session).cloned().unwrap_or_default()
    }

    /// The ids of all sessions.
    pub fn sessions(&self) -> Vec<String> {
        lock(&self.memory).sessions.keys().cloned().collect()
    }

    /// How often a prompt came to its end, over all sessions.
    pub fn finished(&self, prompt: &str) -> u64 {
        lock(&self.memory).finished.get(prompt).copied().unwrap_or_default()
    }

    /// Every request that was answered, as `METHOD /path model`.
    pub fn log(&self) -> Vec<String> {
        lock(&self.memory).log.clone()
    }
}

impl Drop for MockApi {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Memory {
    sessions: BTreeMap<String, Truth>,
    /// Session, prompt and turn of each request seen: a retry is not news.
    seen: BTreeSet<(String, String, usize)>,
    finished: BTreeMap<String, u64>,
    log: Vec<String>,
}

struct Shared {
    script: Script,
    memory: Arc<Mutex<Memory>>,
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn serve(listener: std::net::TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("threads are allowed").block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("it is non-blocking");
        let router = Router::new().fallback(answer).with_state(shared);
        // A gate that was never opened must not keep the mock: stop at once, open requests or not.
        tokio::select! {
            served = std::future::IntoFuture::into_future(axum::serve(listener, router)) => {
                served.expect("accepting does not end");
            }
            _ = stopped => {}
        }
    });
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let model = request["model"].as_str().unwrap_or_default().to_owned();
    lock(&shared.memory).log.push(format!("{method} {} {model}", uri.path()));
    match (method, uri.path()) {
        (Method::POST, "/v1/messages") => messages(&shared, &headers, &request, model).await,
        (Method::POST, "/v1/messages/count_tokens") => json_body(&json!({ "input_tokens": 17 })),
        (Method::HEAD, _) => StatusCode::OK.into_response(),
        _ => error(StatusCode::NOT_FOUND, "not_found_error"),
    }
}

async fn messages(
    shared: &Shared,
    headers: &HeaderMap,
    request: &Value,
    model: String,
) -> Response {
    let session = session_of(headers, request);
    let streamed = request["stream"].as_bool().unwrap_or(false);
    let Some(place) = Place::find(&shared.script, request) else {
        count(&mut lock(&shared.memory), &session, &model, AUXILIARY_USAGE);
        // Enough for a title, which is asked for as JSON, and readable as plain text.
        let text = Reply::Text(r#"{"title":"scripted"}"#.into());
        return message(&text, AUXILIARY_USAGE, &model, streamed);
    };
    let news = shared.note_arrival(&session, &place, request);
    let turn = place.turn;
    if turn.overloaded_once && news {
        lock(&shared.memory).sessions.entry(session).or_default().overloaded += 1;
        return overloaded();
    }
    if let Some(gate) = &turn.gate {
        gate.pass().await;
    }
    let mut memory = lock(&shared.memory);
    if place.is_last {
        *memory.finished.entry(place.prompt.to_owned()).or_default() += 1;
    }
    if matches!(turn.reply, Reply::BadRequest) {
        // Some versions ask again with a simpler request before they give up.
        memory.sessions.entry(session).or_default().refused += u64::from(news);
        return error(StatusCode::BAD_REQUEST, "invalid_request_error");
    }
    if matches!(turn.reply, Reply::Overloaded) {
        memory.sessions.entry(session).or_default().refused += u64::from(news);
        return overloaded();
    }
    count(&mut memory, &session, &model, turn.usage);
    message(&turn.reply, turn.usage, &model, streamed)
}

fn count(memory: &mut Memory, session: &str, model: &str, usage: Usage) {
    let truth = memory.sessions.entry(session.to_owned()).or_default();
    truth.tokens.entry(model.to_owned()).or_default().add(usage);
    *truth.requests.entry(model.to_owned()).or_default() += 1;
}

impl Shared {
    /// Counts what a request tells about the turn before it. False for one that was seen before.
    fn note_arrival(&self, session: &str, place: &Place<'_>, request: &Value) -> bool {
        let mut memory = lock(&self.memory);
        let key = (session.to_owned(), place.prompt.to_owned(), place.index);
        if !memory.seen.insert(key) {
            return false;
        }
        let truth = memory.sessions.entry(session.to_owned()).or_default();
        let Some(previous) = place.index.checked_sub(1) else {
            truth.prompts += 1;
            return true;
        };
        if let Reply::Tool { name, input } = &self.script.0[place.prompt][previous].reply {
            let failed = last_tool_failed(request);
            let runs = truth.tools.entry((*name).to_owned()).or_default();
            *(if failed { &mut runs.failed } else { &mut runs.succeeded }) += 1;
            let committed = input["command"].as_str().is_some_and(|it| it.contains("git commit"));
            truth.commits += u64::from(committed && !failed);
        }
        true
    }
}

/// Where in the script a request stands.
struct Place<'a> {
    prompt: &'a str,
    index: usize,
    turn: &'a Turn,
    is_last: bool,
}

impl<'a> Place<'a> {
    /// By the last scripted prompt in the conversation and the answers that came after it.
    fn find(script: &'a Script, request: &Value) -> Option<Self> {
        let messages = request["messages"].as_array()?;
        let mut index = 0;
        for message in messages.iter().rev() {
            if message["role"] == "assistant" {
                index += 1;
                continue;
            }
            let scripted = texts(&message["content"])
                .into_iter()
                .rev()
                .find_map(|text| script.0.get_key_value(text));
            if let Some((prompt, turns)) = scripted {
                let is_last = index + 1 == turns.len();
                return turns.get(index).map(|turn| Self { prompt, index, turn, is_last });
            }
        }
        None
    }
}

fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text],
        Value::Array(blocks) => blocks.iter().filter_map(|block| block["text"].as_str()).collect(),
        _ => Vec::new(),
    }
}

fn last_tool_failed(request: &Value) -> bool {
    let messages = request["messages"].as_array().into_iter().flatten().rev();
    let mut blocks =
        messages.flat_map(|message| message["content"].as_array().into_iter().flatten());
    blocks
        .find(|block| block["type"] == "tool_result")
        .is_some_and(|block| block["is_error"] == true)
}

/// From the header, or from the metadata that older versions send.
fn session_of(headers: &HeaderMap, request: &Value) -> String {
    if let Some(id) = headers.get("x-claude-code-session-id").and_then(|it| it.to_str().ok()) {
        return id.to_owned();
    }
    let user = request["metadata"]["user_id"].as_str().unwrap_or_default();
    let user: Value = serde_json::from_str(user).unwrap_or_default();
    user["session_id"].as_str().unwrap_or_default().to_owned()
}

fn message(reply: &Reply, usage: Usage, model: &str, streamed: bool) -> Response {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let (block, start, delta, reason) = match reply {
        Reply::Text(text) => (
            json!({ "type": "text", "text": text }),
            json!({ "type": "text", "text": "" }),
            json!({ "type": "text_delta", "text": text }),
            "end_turn",
        ),
        Reply::Tool { name, input } => (
            json!({ "type": "tool_use", "id": format!("toolu_{id}"), "name": name, "input": input }),
            json!({ "type": "tool_use", "id": format!("toolu_{id}"), "name": name, "input": {} }),
            json!({ "type": "input_json_delta", "partial_json": input.to_string() }),
            "tool_use",
        ),
        Reply::Refusal => (
            json!({ "type": "text", "text": "No." }),
            json!({ "type": "text", "text": "" }),
            json!({ "type": "text_delta", "text": "No." }),
            "refusal",
        ),
        Reply::BadRequest | Reply::Overloaded => unreachable!("answered before"),
    };
    let whole = |content: Value, reason: Value, output: u64| {
        json!({
            "id": format!("msg_{id}"), "type": "message", "role": "assistant", "model": model,
            "content": content, "stop_reason": reason, "stop_sequence": null,
            "usage": {
                "input_tokens": usage.input, "output_tokens": output,
                "cache_read_input_tokens": usage.cache_read,
                "cache_creation_input_tokens": usage.cache_creation,
            },
        })
    };
    let request_id = format!("req_{id}");
    if !streamed {
        let body = whole(json!([block]), json!(reason), usage.output);
        return ([("request-id", request_id)], json_body(&body)).into_response();
    }
    let events = [
        json!({ "type": "message_start", "message": whole(json!([]), Value::Null, 1) }),
        json!({ "type": "content_block_start", "index": 0, "content_block": start }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({
            "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null },
            "usage": { "output_tokens": usage.output },
        }),
        json!({ "type": "message_stop" }),
    ];
    let mut body = String::new();
    for event in events {
        let kind = event["type"].as_str().unwrap_or_default();
        let _ = write!(body, "event: {kind}\ndata: {event}\n\n");
    }
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream".to_owned()),
        ("request-id", request_id),
    ];
    (headers, body).into_response()
}

fn json_body(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn overloaded() -> Response {
    error(StatusCode::from_u16(529).expect("a three-digit status"), "overloaded_error")
}

fn error(status: StatusCode, kind: &str) -> Response {
    let body = json!({ "type": "error", "error": { "type": kind, "message": "scripted" } });
    (status, json_body(&body)).into_response()
}
