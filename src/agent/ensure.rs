//! Placeholder for the room that makes sure an agent runs; the lead drops it in the merge.

use std::net::SocketAddr;

use crate::config::Config;
use crate::paths::Paths;

/// Where Claude Code sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// 32 hexadecimal digits: the first part of the path.
    pub token: String,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EnsureError(String);

impl EnsureError {
    pub fn remedy(&self) -> &'static str {
        "see `ccotel doctor`"
    }
}

pub fn ensure(paths: &Paths, config: &Config) -> Result<Endpoint, EnsureError> {
    let error = |error: std::io::Error| EnsureError(error.to_string());
    crate::launch::problems::create_private_dir(&paths.data_dir).map_err(error)?;
    let file = paths.token_file();
    if !file.exists() {
        let token = uuid::Uuid::new_v4().simple().to_string();
        crate::launch::problems::write_private(&file, token.as_bytes()).map_err(error)?;
    }
    let token = std::fs::read_to_string(&file).map_err(error)?;
    Ok(Endpoint { address: config.agent.listen[0], token })
}
