//! One HTTP request to a part under test.

use std::process::Child;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// No part under test takes longer for anything it is asked.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Made once, since it reads the machine's certificates. It keeps no connection: those are a runtime's.
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    // The client wants a TLS provider even for plain loopback. A second installation is no fault.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).pool_max_idle_per_host(0);
    client.build().expect("a client without options")
});

/// The status and the body.
pub fn get(url: &str, parameters: &[(&str, &str)]) -> Result<(u16, String)> {
    get_with(url, parameters, &[])
}

pub fn get_with(
    url: &str,
    parameters: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Result<(u16, String)> {
    let url = reqwest::Url::parse_with_params(url, parameters)?;
    request(|client| {
        headers.iter().fold(client.get(url), |it, (name, value)| it.header(*name, *value))
    })
}

pub fn post(url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<(u16, String)> {
    request(|client| {
        let request =
            headers.iter().fold(client.post(url), |it, (name, value)| it.header(*name, *value));
        request.body(body)
    })
}

/// A 200 with JSON in it.
pub fn get_json(url: &str, parameters: &[(&str, &str)]) -> Result<Value> {
    get_json_with(url, parameters, &[])
}

pub fn get_json_with(
    url: &str,
    parameters: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Result<Value> {
    let (status, body) = get_with(url, parameters, headers)?;
    ensure!(status == 200, "{url} answered {status}: {body}");
    serde_json::from_str(&body).with_context(|| format!("{url} answered no JSON: {body}"))
}

fn request(
    build: impl FnOnce(&reqwest::Client) -> reqwest::RequestBuilder,
) -> Result<(u16, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let response = build(&CLIENT).send().await?;
        let status = response.status().as_u16();
        Ok((status, response.text().await?))
    })
}

/// Ends a part that a test started, and waits for it.
pub fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
