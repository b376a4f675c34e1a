//! Requests to the page that are written out: what no browser would send, too.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::house::House;

/// For what should have happened long before.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The status and the whole answer of a request that is written out.
pub fn ask(house: &House, request: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(house.host())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.with_context(|| format!("an answer: {answer:?}"))?, answer))
}

pub fn get(house: &House, path: &str, headers: &[(&str, &str)]) -> Result<(u16, String)> {
    let mut head = vec![format!("GET {path} HTTP/1.1"), "Connection: close".to_owned()];
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push(format!("Host: {}", house.host()));
    }
    head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    ask(house, &(head.join("\r\n") + "\r\n\r\n"))
}

pub fn api(house: &House, path: &str, headers: &[(&str, &str)]) -> Result<(u16, String)> {
    let bearer = format!("Bearer {}", house.token());
    let mut all = vec![("Authorization", bearer.as_str())];
    all.extend(headers);
    get(house, &format!("/api/v1/{path}"), &all)
}

pub fn document(house: &House, path: &str) -> Result<Value> {
    let (status, answer) = api(house, path, &[])?;
    ensure!(status == 200, "{path}: {answer}");
    let (_, body) = answer.split_once("\r\n\r\n").context("a body")?;
    Ok(serde_json::from_str(body)?)
}
