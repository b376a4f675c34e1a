//! Admission: only this user's programs, never a web page, never another host; at a gateway only its
//! senders.
//!
//! | what | answer |
//! | --- | --- |
//! | any `Origin`, or `Sec-Fetch-Site` other than `none` (a browser speaks for a page) | 403 |
//! | a `Host` that is not ours (DNS rebinding) | 403 |
//! | a peer that is not on loopback | 403 |
//! | the token in the path, or `Authorization: Bearer TOKEN` | in |
//! | a socket of our own user (Linux) | in |
//! | anybody else | 401 |
//!
//! At a gateway anybody may ask, under any name, but for browsers; who is let in is a sender
//! ([`super::gateway::admit`]).
//!
//! No answer ever carries a CORS header.

use std::sync::{Arc, PoisonError, RwLock};

use http::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use http::request::Parts;
use http::uri::Authority;

use super::failure::Failure;
use super::gateway::{self, Gateway, Sender};
use super::peer::Peer;
use super::route::Endpoint;

/// Names under which a program on this machine reaches a loopback listener.
const HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];
/// Shorter tokens are refused: they could be guessed.
const TOKEN_BYTES_MIN: usize = 16;
const TOKEN_BYTES_MAX: usize = 256;

/// The agent's secret, kept as a hash. `blake3::Hash` compares in constant time.
#[derive(Clone, Debug)]
pub struct Token(blake3::Hash);

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("a token is 16 to 256 of the characters A-Z a-z 0-9 - _")]
pub struct InvalidToken;

impl Token {
    /// A token stands in a path, so only what needs no encoding there is allowed.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let fits = (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&text.len());
        if !fits || !text.bytes().all(plain) {
            return Err(InvalidToken);
        }
        Ok(Self(blake3::hash(text.as_bytes())))
    }

    /// From a hash's 64 hexadecimal digits.
    pub(super) fn from_hash(hex: &str) -> Option<Self> {
        blake3::Hash::from_hex(hex).ok().map(Self)
    }

    /// Whether both are the same token.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The first bytes of the hash, by which it can be found among many.
    pub(super) fn beginning(&self) -> [u8; 8] {
        let (beginning, _) = self.0.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
        *beginning
    }

    pub(crate) fn matches(&self, candidate: &str) -> bool {
        self.0 == blake3::hash(candidate.as_bytes())
    }
}

/// The rules of one agent.
#[derive(Clone)]
pub struct Admission {
    token: Token,
    hosts: Arc<RwLock<Vec<String>>>,
    same_user: bool,
    gateway: Option<Arc<Gateway>>,
}

/// Proof that a request was let in, and at a gateway whose it is.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    sender: Option<Arc<Sender>>,
}

impl Admitted {
    pub fn sender(&self) -> Option<&Arc<Sender>> {
        self.sender.as_ref()
    }
}

impl Admission {
    /// The token, or a socket of our own user where the system can tell.
    pub fn new(token: Token) -> Self {
        Self { token, hosts: Arc::default(), same_user: true, gateway: None }
    }

    /// Only the senders that `gateway` knows, from anywhere.
    #[must_use]
    pub fn with_gateway(self, gateway: Arc<Gateway>) -> Self {
        Self { gateway: Some(gateway), ..self }
    }

    /// Where it receives for many.
    pub fn gateway(&self) -> Option<&Arc<Gateway>> {
        self.gateway.as_ref()
    }

    /// More names that `Host` may have, without a port; those that were allowed before no longer are.
    pub fn allow_hosts(&self, hosts: &[String]) {
        *self.hosts.write().unwrap_or_else(PoisonError::into_inner) = hosts.to_vec();
    }

    /// Only the token counts, even from our own user.
    #[must_use]
    pub fn with_token_only(mut self) -> Self {
        self.same_user = false;
        self
    }

    /// `Ok` where no browser and no other host speaks; enough for what says nothing (`/healthz`).
    pub(super) fn check_origin(&self, request: &Parts, peer: &Peer) -> Result<(), Failure> {
        let anybody = self.gateway.is_some();
        if !anybody && !peer.is_loopback() {
            return Err(Failure::Forbidden("only this machine may talk to the agent"));
        }
        let headers = &request.headers;
        let site = headers.get("sec-fetch-site");
        if headers.contains_key(ORIGIN) || site.is_some_and(|site| site != "none") {
            return Err(Failure::Forbidden("a web page may not talk to the agent"));
        }
        let of_another = |authority: &Authority| !self.knows_host(authority.as_str());
        if !anybody && request.uri.authority().is_some_and(of_another) {
            return Err(Failure::Forbidden("the request is for another host"));
        }
        for host in headers.get_all(HOST) {
            if !anybody && !host.to_str().is_ok_and(|host| self.knows_host(host)) {
                return Err(Failure::Forbidden("`Host` is not a name of this machine"));
            }
        }
        let named = headers.contains_key(HOST) || request.uri.authority().is_some();
        if !named && request.version > http::Version::HTTP_10 {
            return Err(Failure::Malformed("the request has no `Host`".to_owned()));
        }
        Ok(())
    }

    /// Lets a request in, or says why not.
    pub(super) fn admit(
        &self,
        request: &Parts,
        path_token: Option<&str>,
        endpoint: Option<Endpoint>,
        peer: &Peer,
    ) -> Result<Admitted, Failure> {
        self.check_origin(request, peer)?;
        if let Some(gateway) = &self.gateway {
            let sender = gateway::admit::who(gateway, request, path_token, endpoint, peer)?;
            peer.enter(gateway)?;
            peer.set_admitted();
            return Ok(Admitted { sender });
        }
        let known = path_token.is_some_and(|token| self.token.matches(token))
            || bearer(&request.headers).is_some_and(|token| self.token.matches(token))
            || (self.same_user && peer.is_same_user());
        if !known {
            return Err(Failure::Unauthenticated);
        }
        peer.set_admitted();
        Ok(Admitted { sender: None })
    }

    /// Whether this peer is known to be somebody else's program. It may still have the token.
    pub(super) fn is_stranger(&self, peer: &Peer) -> bool {
        self.gateway.is_none()
            && cfg!(target_os = "linux")
            && self.same_user
            && !peer.is_same_user()
    }

    fn knows_host(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host();
        // `user@localhost` is no Host header's form, and `localhost:x` names no port.
        let Some(port) = host.strip_prefix(name) else { return false };
        let digits = port.strip_prefix(':').unwrap_or_default();
        (port.is_empty() || digits.parse::<u16>().is_ok())
            && (HOSTS.iter().any(|known| name.eq_ignore_ascii_case(known)) || self.allows(name))
    }
}

impl Admission {
    fn allows(&self, name: &str) -> bool {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        hosts.iter().any(|known| name.eq_ignore_ascii_case(known))
    }
}

/// The token of `Authorization: Bearer TOKEN`. Claude Code sends what `OTEL_EXPORTER_OTLP_HEADERS`
/// has as it is, where the specification has it percent-decoded, and files of variables read a space
/// in as many ways as there are: so `Bearer%20TOKEN` is the same.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ').or_else(|| value.split_once("%20"))?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_plain() {
        for text in [
            "",
            "short",
            "has a space in it....",
            "slash/slash/slash/slash",
            "é".repeat(20).as_str(),
        ] {
            assert_eq!(Token::parse(text).unwrap_err(), InvalidToken, "{text}");
        }
        let token = Token::parse("0123456789abcdef-_").unwrap();
        assert!(token.matches("0123456789abcdef-_"));
        assert!(!token.matches("0123456789abcdef-"));
        assert!(!token.matches(""));
    }

    #[test]
    fn hosts_are_compared_by_name_without_the_port() {
        let token = Token::parse("0123456789abcdef").unwrap();
        let admission = Admission::new(token);
        admission.allow_hosts(&["devbox.internal".to_owned()]);
        for host in ["127.0.0.1", "localhost:14318", "LOCALHOST", "[::1]:1", "devbox.internal:80"] {
            assert!(admission.knows_host(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "evil@localhost",
            "::1",
            "127.0.0.2",
            "localhost:x",
        ] {
            assert!(!admission.knows_host(host), "{host}");
        }
    }

    #[test]
    fn a_bearer_is_read_with_its_space_as_it_is_or_encoded() {
        let of = |value: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            bearer(&headers).map(str::to_owned)
        };
        for value in ["Bearer abc", "bearer  abc ", "Bearer%20abc"] {
            assert_eq!(of(value).as_deref(), Some("abc"), "{value}");
        }
        for value in ["abc", "Basic abc", "Basic%20abc", "Bearerabc"] {
            assert_eq!(of(value), None, "{value}");
        }
    }
}
