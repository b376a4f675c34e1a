//! Why a gateway does not begin, in a sentence with what to do.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::is_off_loopback;
use super::tls::TlsError;
use super::tokens::TokenFileError;
use crate::config::gateway::GatewayConfig;

#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error(
        "the gateway would listen on {0} without TLS, and whoever is on the way could read its tokens: set `[gateway] tls = {{ cert = \"…\", key = \"…\" }}`, or `tls_ended_by_proxy = true` where a proxy in front of it ends TLS"
    )]
    Plain(SocketAddr),
    #[error(
        "`[gateway] client_ca` needs `tls`: behind a proxy that ends TLS no client's certificate arrives"
    )]
    ClientsWithoutTls,
    #[error(
        "the sender {0} is known by a certificate, and no authority is: set `[gateway] client_ca`"
    )]
    NoAuthority(String),
    #[error("{0}; mend it, then start the gateway again")]
    Tls(TlsError),
    #[error(
        "{0}: the gateway lets in who has a token, and there is none; `ccotel gateway token add NAME` makes one"
    )]
    Tokens(TokenFileError),
    #[error(
        "the gateway would let nobody in: {} holds no token{}; `ccotel gateway token add NAME` makes one", tokens_dir.display(), problem.as_ref().map(|problem| format!(" ({problem})")).unwrap_or_default()
    )]
    Nobody { tokens_dir: PathBuf, problem: Option<String> },
    #[error("{0}: that is `[gateway] metrics_token_file`")]
    Metrics(TokenFileError),
}

/// What the configuration alone says.
pub fn check_config(config: &GatewayConfig) -> Result<(), Unfit> {
    check_addresses(config, &config.listen)?;
    if config.client_ca.is_some() && config.tls.is_none() {
        return Err(Unfit::ClientsWithoutTls);
    }
    let by_certificate = config.senders.iter().find(|sender| sender.certificate.is_some());
    if let Some(sender) = by_certificate.filter(|_| config.client_ca.is_none()) {
        return Err(Unfit::NoAuthority(sender.name.clone()));
    }
    Ok(())
}

/// Off loopback there is TLS, here or in front of it.
pub fn check_addresses(config: &GatewayConfig, addresses: &[SocketAddr]) -> Result<(), Unfit> {
    let exposed = addresses.iter().copied().find(|address| is_off_loopback(*address));
    match exposed.filter(|_| config.tls.is_none() && !config.tls_ended_by_proxy) {
        Some(address) => Err(Unfit::Plain(address)),
        None => Ok(()),
    }
}
