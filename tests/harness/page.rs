//! The local page's JSON API, by the file that leads a browser to it.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::http;

pub struct PageApi {
    address: String,
    token: String,
}

impl PageApi {
    /// From the redirect file that `ccotel open` writes.
    pub fn of_file(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let url = text.split("url=").nth(1).and_then(|rest| rest.split('"').next());
        let (address, token) =
            url.and_then(|url| url.split_once("/#token=")).with_context(|| text.clone())?;
        Ok(Self { address: address.to_owned(), token: token.to_owned() })
    }

    pub fn url(&self, document: &str) -> String {
        format!("{}/api/v1/{document}", self.address)
    }

    pub fn get(&self, document: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let bearer = format!("Bearer {}", self.token);
        http::get_json_with(&self.url(document), parameters, &[("authorization", &bearer)])
    }
}
