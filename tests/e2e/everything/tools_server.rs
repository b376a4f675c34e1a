//! A server of the Model Context Protocol with one tool, over HTTP on loopback.
//!
//! <https://modelcontextprotocol.io/specification/2025-06-18/basic/transports#streamable-http>

use std::net::SocketAddr;

use anyhow::Result;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::harness::addresses;
use crate::harness::serving::Serving;

/// What Claude Code calls the tool of [`start`] where the server is named `bench`.
pub const TOOL: &str = "mcp__bench__echo";

/// Its address, and the server, which ends when dropped.
pub fn start() -> Result<(SocketAddr, Serving)> {
    let address = addresses::free_address()?;
    Ok((address, Serving::start(address, Router::new().fallback(answer))?))
}

async fn answer(body: String) -> Response {
    let Ok(request) = serde_json::from_str::<Value>(&body) else {
        return StatusCode::METHOD_NOT_ALLOWED.into_response(); // no stream of the server's own
    };
    let result = match request["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": request["params"]["protocolVersion"],
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "bench", "version": "1.0.0" },
        }),
        Some("tools/list") => json!({ "tools": [{
            "name": "echo", "description": "Says it again", "inputSchema": { "type": "object" },
        }] }),
        Some("tools/call") => json!({ "content": [{ "type": "text", "text": "again" }] }),
        _ => return StatusCode::ACCEPTED.into_response(), // a notification
    };
    let reply = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
    ([(header::CONTENT_TYPE, "application/json")], reply.to_string()).into_response()
}
