//! The server of the stand-in for Loki: native push and OTLP, by the rules of [`super::loki_rules`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use bytes::Bytes;

use super::loki::{ANY_AGE_TENANT, SLOW_TENANTS};
use super::loki_otlp;
use super::loki_rules::{Answer, Entry, Streams};

/// Without tenants all is this one's.
const ONLY_TENANT: &str = "fake";

pub type SharedTenants = Arc<Mutex<BTreeMap<String, Streams>>>;

pub fn router(tenants: SharedTenants, has_tenants: bool) -> Router {
    Router::new()
        .route("/ready", get(|| async { "ready\n" }))
        .route("/loki/api/v1/push", post(push))
        .route("/otlp/v1/logs", post(push_otlp))
        // The rules have a limit of their own.
        .layer(DefaultBodyLimit::disable())
        .with_state(StandIn { tenants, has_tenants })
}

/// In order of time.
pub fn entries(tenants: &SharedTenants, tenant: &str) -> Vec<Entry> {
    let tenants = tenants.lock().expect("no push panics");
    tenants.get(tenant).map(Streams::entries).unwrap_or_default()
}

#[derive(Clone)]
struct StandIn {
    tenants: SharedTenants,
    has_tenants: bool,
}

impl StandIn {
    fn answer(
        &self,
        headers: &HeaderMap,
        push: impl FnOnce(&mut Streams, i64) -> Answer,
    ) -> (StatusCode, String) {
        let tenant = if self.has_tenants { text(headers, "x-scope-orgid") } else { ONLY_TENANT };
        if tenant.is_empty() {
            return (StatusCode::UNAUTHORIZED, "no org id\n".into());
        }
        let mut tenants = self.tenants.lock().expect("no push panics");
        let streams = tenants.entry(tenant.to_owned()).or_insert_with(|| {
            let streams = Streams::new(tenant, SLOW_TENANTS.contains(&tenant));
            if tenant == ANY_AGE_TENANT { streams.of_any_age() } else { streams }
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
        let answer = push(streams, i64::try_from(now).expect("before 2262"));
        (StatusCode::from_u16(answer.status).expect("a status of ours"), answer.text)
    }
}

async fn push(
    State(stand_in): State<StandIn>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let content_type = text(&headers, header::CONTENT_TYPE.as_str());
    stand_in.answer(&headers, |streams, now_ns| streams.push(now_ns, content_type, &body))
}

async fn push_otlp(
    State(stand_in): State<StandIn>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let is_gzip = text(&headers, header::CONTENT_ENCODING.as_str()) == "gzip";
    stand_in.answer(&headers, |streams, now_ns| match loki_otlp::decode(is_gzip, &body) {
        Ok(request) => streams.take(now_ns, request),
        Err(error) => Answer { status: 400, text: error },
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
