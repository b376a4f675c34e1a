//! Who may ask: this user's browser, from this very page.
//!
//! | what | answer |
//! | --- | --- |
//! | a peer that is not on loopback, or is another user's program | 403 |
//! | a `Host` that is not this page's own address (DNS rebinding) | 403 |
//! | an `Origin` that is not this page | 403 |
//! | `Sec-Fetch-Site` of another site, but for opening the page (it holds no data) | 403 |
//! | `/api/…` without the token of this worker | 401 |
//!
//! No answer ever carries a CORS header.

use http::header::{HOST, HeaderMap, ORIGIN};
use http::request::Parts;

use super::reply::Failure;
use crate::receive::peer::Peer;
use crate::receive::{Token, bearer};

pub(super) struct Guard {
    /// As browsers write them into `Host`.
    hosts: [String; 2],
    token: Token,
}

impl Guard {
    pub fn new(port: u16, token: Token) -> Self {
        Self { hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")], token }
    }

    /// Enough for what is the same for everybody.
    pub fn check_origin(&self, request: &Parts, peer: &Peer) -> Result<(), Failure> {
        if !peer.is_loopback() {
            return Err(Failure::Forbidden("only this machine may see this page"));
        }
        if peer.is_of_another_user() {
            return Err(Failure::Forbidden("only the user whose agent this is may see this page"));
        }
        let mut hosts = request.headers.get_all(HOST).iter();
        let is_ours = |host: &str| self.hosts.iter().any(|it| it.eq_ignore_ascii_case(host));
        let host = hosts.next().and_then(|host| host.to_str().ok());
        if !host.is_some_and(is_ours) || hosts.next().is_some() {
            return Err(Failure::Forbidden("the request is for another host"));
        }
        if request.uri.authority().is_some_and(|authority| !is_ours(authority.as_str())) {
            return Err(Failure::Forbidden("the request is for another host"));
        }
        for origin in request.headers.get_all(ORIGIN) {
            let host = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
            if !host.is_some_and(is_ours) {
                return Err(Failure::Forbidden("another page may not ask"));
            }
        }
        if is_of_another_site(&request.headers) && !opens_a_page(&request.headers) {
            return Err(Failure::Forbidden("another page may not ask"));
        }
        Ok(())
    }

    /// Needed for everything that says something.
    pub fn check_token(&self, request: &Parts) -> Result<(), Failure> {
        let known = bearer(&request.headers).is_some_and(|token| self.token.matches(token));
        if known && !is_of_another_site(&request.headers) {
            return Ok(());
        }
        Err(Failure::Unauthenticated)
    }
}

/// `none` is the address bar, `same-origin` the page itself; programs that are no browser say nothing.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "none" && site != "same-origin")
}

/// The redirect file, or a link somewhere, opens the page in a tab of its own.
fn opens_a_page(headers: &HeaderMap) -> bool {
    let says = |name, value| headers.get(name).is_some_and(|found| found == value);
    says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        // Nobody owns such a socket; where the system can tell, that is somebody else.
        Peer::new("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap())
    }

    fn guard() -> Guard {
        Guard::new(4711, Token::parse("0123456789abcdef0123456789abcdef").unwrap())
    }

    fn request(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::get("/api/v1/overview");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_token_of_another_worker_is_refused() {
        let with = |value: &str| guard().check_token(&request(&[("authorization", value)]));
        with("Bearer 0123456789abcdef0123456789abcdef").unwrap();
        for stale in ["Bearer ", "Bearer 0123456789abcdef0123456789abcdee", "Basic QQ==", ""] {
            assert!(matches!(with(stale), Err(Failure::Unauthenticated)), "{stale}");
        }
        assert!(guard().check_token(&request(&[])).is_err());
    }

    #[test]
    fn another_site_is_refused_even_with_the_token() {
        let headers = [
            ("authorization", "Bearer 0123456789abcdef0123456789abcdef"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert!(guard().check_token(&request(&headers)).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_that_nobody_of_ours_owns_is_refused() {
        let refused = guard().check_origin(&request(&[("host", "127.0.0.1:4711")]), &peer());
        let Err(Failure::Forbidden(why)) = refused else { panic!("let in") };
        assert!(why.contains("user"), "{why}");
    }

    #[test]
    fn opening_the_page_from_a_file_is_told_from_a_fetch() {
        let opening = request(&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]);
        assert!(opens_a_page(&opening.headers));
        let framed = request(&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]);
        assert!(!opens_a_page(&framed.headers));
    }
}
