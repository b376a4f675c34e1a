//! Answers, and the headers that all of them carry.

use bytes::Bytes;
use http::header::{self, CONTENT_TYPE, HeaderMap, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

use crate::report::history::schema::HistoryError;

pub(super) type Reply = Response<Full<Bytes>>;

/// Only from here, and only what is here: no inline script, no other host, no frame around it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Why a request has no answer. The page shows the words as they are.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("not let in: {0}")]
    Forbidden(&'static str),
    #[error(
        "this page was opened with a token that the agent does not know; run `ccotel open` again"
    )]
    Unauthenticated,
    #[error("there is nothing at this address")]
    NotFound,
    #[error("there is no session with this id: it may be older than what is kept")]
    NoSession,
    #[error("this address is only read")]
    Method,
    #[error("{0}")]
    Question(String),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("the agent is busy with other questions; try again in a moment")]
    Busy,
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::NotFound | Self::NoSession => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Question(_) => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::History(_) | Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// For the page to tell apart what it explains in its own way.
    fn kind(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "forbidden",
            Self::Unauthenticated => "unauthenticated",
            Self::NotFound => "not_found",
            Self::NoSession => "no_session",
            Self::Method => "method",
            Self::Question(_) => "question",
            Self::History(HistoryError::Damaged { .. }) => "damaged",
            Self::History(_) => "history",
            Self::Busy => "busy",
            Self::Broken(_) => "broken",
        }
    }

    pub fn reply(&self) -> Reply {
        let document = serde_json::json!({
            "schema": super::api::SCHEMA,
            "error": { "kind": self.kind(), "message": self.to_string() },
        });
        let mut reply = json(&document);
        *reply.status_mut() = self.status();
        match self {
            Self::Unauthenticated => {
                // Not `Basic`: a browser would ask for a password.
                set(reply.headers_mut(), header::WWW_AUTHENTICATE, "Bearer");
            }
            Self::Method => set(reply.headers_mut(), header::ALLOW, "GET, HEAD"),
            Self::Busy => set(reply.headers_mut(), header::RETRY_AFTER, "1"),
            _ => {}
        }
        reply
    }
}

pub(super) fn json(document: &serde_json::Value) -> Reply {
    body(document.to_string(), "application/json")
}

pub(super) fn body(content: impl Into<Bytes>, content_type: &'static str) -> Reply {
    let mut reply = Response::new(Full::new(content.into()));
    let headers = reply.headers_mut();
    set(headers, CONTENT_TYPE, content_type);
    for (name, value) in ALWAYS {
        set(headers, name, value);
    }
    reply
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
