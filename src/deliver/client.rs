//! Client: one HTTP request to one backend, and its answer or the failure in words.
//!
//! Built at the first request, so an agent without destinations never loads TLS roots. No
//! credentials in any text: an address is shown as `host:port/path`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::Url;
use reqwest::redirect::Policy;

use super::credentials::{Authorization, Secret};
use super::failure;
pub use super::failure::Failure;
use super::outcome::cut;
use super::wire::Encoded;
use crate::agent::files::words;
use crate::config::destination::{DestinationConfig, Tls};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Below the usual 60 s of load balancers, so that they are not first to close.
const KEEP_ALIVE: Duration = Duration::from_secs(55);
const REDIRECTS_MAX: usize = 3;
/// More of an answer is not read.
const ANSWER_READ_BYTES_MAX: usize = 64 * 1024;

/// A backend's answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text, at most 1 KiB.
    pub fn words(&self) -> String {
        cut(String::from_utf8_lossy(&self.body).trim())
    }

    /// `X-Prometheus-Remote-Write-Samples-Written` of remote_write 2.0.
    pub fn samples_written(&self) -> Option<u64> {
        self.header("x-prometheus-remote-write-samples-written")?.trim().parse().ok()
    }

    /// No receiver of telemetry answers with HTML; a captive portal or a front page does.
    pub fn is_web_page(&self) -> bool {
        let html_type = self.header("content-type").is_some_and(|value| {
            value.trim_start().get(..9).is_some_and(|start| start.eq_ignore_ascii_case("text/html"))
        });
        let body = self.body.trim_ascii_start();
        html_type && !body.is_empty()
            || [&b"<!doctype html"[..], b"<html"].iter().any(|tag| {
                body.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
            })
    }
}

/// Sends to one destination.
#[derive(Debug)]
pub struct Client {
    url: Url,
    tls: Tls,
    headers: HeaderMap,
    authorization: Authorization,
    /// Built at first use, and again after a TLS failure: certificates on disk may have been renewed.
    http: Mutex<Option<reqwest::Client>>,
}

impl Client {
    pub fn new(config: &DestinationConfig) -> Result<Self, Failure> {
        let url = Url::parse(&config.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Failure::Setup(format!(
                    "the url of destination {} is not http or https",
                    config.name
                ))
            })?;
        let mut headers = HeaderMap::new();
        let tenant = config.tenant.iter().map(|tenant| ("X-Scope-OrgID", tenant.as_str()));
        let extra = config.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in extra.chain(tenant) {
            let wrong =
                || Failure::Setup(format!("the header {name} of {} is malformed", config.name));
            let mut header = HeaderValue::from_str(value).map_err(|_| wrong())?;
            header.set_sensitive(true);
            headers.insert(HeaderName::try_from(name).map_err(|_| wrong())?, header);
        }
        Ok(Self {
            url,
            tls: config.tls.clone(),
            headers,
            authorization: Authorization::new(config.credentials.clone()),
            http: Mutex::new(None),
        })
    }

    /// The destination in messages: no user, no password, no query.
    pub fn place(&self) -> String {
        place(&self.url)
    }

    /// One request, and at once another where a kept token was refused and a new one may be had.
    pub async fn send(&self, request: &Encoded) -> Result<Answer, Failure> {
        let result = self.attempt(request).await;
        match &result {
            Ok(answer) if matches!(answer.status, 401 | 403) && self.authorization.forget() => {
                self.attempt(request).await
            }
            _ => result,
        }
    }

    /// Reads from the same server, as the same user: for `ccotel doctor`.
    pub async fn get(&self, url: Url) -> Result<Answer, Failure> {
        let place = place(&url);
        let headers = self.headers.clone();
        let prepared = self.http()?.get(url).headers(headers);
        self.authorized(prepared, &place).await
    }

    /// Where the destination is.
    pub fn url(&self) -> &Url {
        &self.url
    }

    async fn attempt(&self, request: &Encoded) -> Result<Answer, Failure> {
        let mut headers = self.headers.clone();
        for (name, value) in &request.headers {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_str(value)
                    .map_err(|_| Failure::Setup(format!("the header {name} is malformed")))?,
            );
        }
        let mut url = self.url.clone();
        if let Some(signal) = request.wire.signal() {
            url.set_path(&signal.path(url.path()));
        }
        let place = place(&url);
        let prepared = self.http()?.post(url).headers(headers).body(request.body.clone());
        self.authorized(prepared, &place).await
    }

    async fn authorized(
        &self,
        prepared: reqwest::RequestBuilder,
        place: &str,
    ) -> Result<Answer, Failure> {
        let prepared = match self.authorization.secret().await? {
            Secret::None => prepared,
            Secret::Bearer(token) => prepared.bearer_auth(token),
            Secret::Basic { username, password } => prepared.basic_auth(username, Some(password)),
        };
        match prepared.send().await {
            Ok(response) => Ok(read(response).await),
            Err(error) => {
                let failure = failure::explain(&error, place);
                if matches!(failure, Failure::Tls { .. }) {
                    *self.http.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
                Err(failure)
            }
        }
    }

    fn http(&self) -> Result<reqwest::Client, Failure> {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        match &*http {
            Some(client) => Ok(client.clone()),
            None => Ok(http.insert(build(&self.url, &self.tls)?).clone()),
        }
    }
}

/// The status line has decided; a body that breaks off is read as far as it came.
async fn read(mut response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ANSWER_READ_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == ANSWER_READ_BYTES_MAX {
            break;
        }
    }
    Answer { status, headers, body }
}

fn build(url: &Url, tls: &Tls) -> Result<reqwest::Client, Failure> {
    // Once a process; another room may have been first, with the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("ccotel/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .pool_idle_timeout(KEEP_ALIVE)
        .pool_max_idle_per_host(1)
        .redirect(same_host_only());
    if is_loopback(url) {
        // As curl and Go do: a proxy cannot reach this machine's loopback.
        builder = builder.no_proxy();
    }
    let pem = |path: &std::path::Path, key: &str| {
        std::fs::read(path).map_err(|error| {
            Failure::Setup(format!(
                "cannot read tls.{key} {} ({}); correct it",
                path.display(),
                words(&error)
            ))
        })
    };
    let wrong = |what: &str| {
        Failure::Setup(format!("{what} is not a PEM file of the right kind; correct it"))
    };
    match &tls.ca {
        Some(ca) => {
            let roots = reqwest::Certificate::from_pem_bundle(&pem(ca, "ca")?)
                .ok()
                .filter(|roots| !roots.is_empty())
                .ok_or_else(|| wrong(&format!("tls.ca {}", ca.display())))?;
            builder = builder.tls_certs_only(roots);
        }
        // Plain HTTP needs no roots: loading the platform's takes a megabyte.
        None if url.scheme() == "http" => builder = builder.tls_certs_only([]),
        None => {}
    }
    if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
        let mut both = pem(cert, "cert")?;
        both.push(b'\n');
        both.extend(pem(key, "key")?);
        let identity = reqwest::Identity::from_pem(&both).map_err(|_| {
            wrong(&format!("tls.cert {} or tls.key {}", cert.display(), key.display()))
        })?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|error| {
        Failure::Setup(format!(
            "cannot set up TLS ({}); check tls and the system's CA certificates",
            failure::innermost(&error)
        ))
    })
}

/// Follows a redirect that keeps method, body and host; anything else is the answer itself.
fn same_host_only() -> Policy {
    Policy::custom(|attempt| {
        let keeps_body = matches!(
            attempt.status(),
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        );
        let same_host = attempt.previous().first().is_some_and(|first| {
            first.host_str() == attempt.url().host_str()
                && !(first.scheme() == "https" && attempt.url().scheme() == "http")
        });
        if keeps_body && same_host && attempt.previous().len() <= REDIRECTS_MAX {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `host:port/path`.
fn place(url: &Url) -> String {
    let port = url.port_or_known_default().map_or(String::new(), |port| format!(":{port}"));
    format!("{}{port}{}", url.host_str().unwrap_or_default(), url.path())
}
