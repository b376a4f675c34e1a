//! A gate before a backend: what goes through is counted, and it can be shut, or keep the answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, Response, StatusCode, Uri};
use bytes::Bytes;

use crate::harness::serving::Serving;
use crate::harness::{addresses, http};

/// What happens to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Open,
    /// It comes no further.
    Shut,
    /// The backend has it, and the sender never hears of it.
    KeepsAnswers,
}

/// One request, and what the backend answered.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub content_type: String,
    pub status: u16,
    /// The answer had the headers of remote_write 2.0.
    pub says_what_was_written: bool,
}

impl Exchange {
    pub fn is_remote_write_2(&self) -> bool {
        self.content_type.contains("io.prometheus.write.v2.Request")
    }
}

#[derive(Default)]
struct Inner {
    mode: Mode,
    exchanges: Vec<Exchange>,
}

#[derive(Clone)]
struct Shared {
    backend: String,
    client: reqwest::Client,
    inner: Arc<Mutex<Inner>>,
}

pub struct Gate {
    address: SocketAddr,
    shared: Shared,
    _serving: Serving,
}

impl Gate {
    /// Before the backend at this address, `http://host:port`.
    pub fn before(backend: &str) -> Result<Self> {
        // The client wants a TLS provider even for plain loopback. A second installation is no fault.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(http::TIMEOUT).build()?;
        let shared = Shared { backend: backend.to_owned(), client, inner: Arc::default() };
        let router = Router::new()
            .fallback(pass)
            .layer(DefaultBodyLimit::disable())
            .with_state(shared.clone());
        let address = addresses::free_address()?;
        Ok(Self { address, shared, _serving: Serving::start(address, router)? })
    }

    /// The backend's address, as seen through the gate.
    pub fn url(&self, backend_url: &str) -> String {
        backend_url.replace(&self.shared.backend, &format!("http://{}", self.address))
    }

    pub fn set(&self, mode: Mode) {
        self.shared.inner.lock().expect("nothing panics with it").mode = mode;
    }

    /// Everything that reached the backend.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.inner.lock().expect("nothing panics with it").exchanges.clone()
    }
}

async fn pass(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let mode = shared.inner.lock().expect("nothing panics with it").mode;
    if mode == Mode::Shut {
        return answer(StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new(), Bytes::new());
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let content_type = headers.get("content-type").and_then(|it| it.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let request = shared.client.post(format!("{}{path}", shared.backend));
    let sent = request.headers(onward(headers)).body(body).send().await;
    let Ok(response) = sent else {
        return answer(StatusCode::BAD_GATEWAY, HeaderMap::new(), Bytes::new());
    };
    let (status, headers) = (response.status(), onward(response.headers().clone()));
    let words = response.bytes().await.unwrap_or_default();
    shared.inner.lock().expect("nothing panics with it").exchanges.push(Exchange {
        content_type,
        status: status.as_u16(),
        says_what_was_written: headers.contains_key("x-prometheus-remote-write-samples-written"),
    });
    if mode == Mode::KeepsAnswers {
        std::future::pending::<()>().await;
    }
    answer(status, headers, words)
}

fn answer(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Without the headers of one connection.
fn onward(mut headers: HeaderMap) -> HeaderMap {
    for name in ["host", "content-length", "transfer-encoding", "connection"] {
        headers.remove(HeaderName::from_static(name));
    }
    headers
}
