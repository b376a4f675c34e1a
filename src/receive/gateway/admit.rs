//! Who a request to a gateway is of.
//!
//! | what | answer |
//! | --- | --- |
//! | any `Origin` (a browser) | 403 |
//! | a sender's token, in the path or as `Authorization: Bearer TOKEN` | in, as that sender |
//! | no token, and a certificate that is a sender's | in, as that sender |
//! | `GET /metrics` with the token for it | in; a sender's is not enough: it would read the others' |
//! | anybody else, a wrong token beside a right certificate too | 401 |

use std::sync::Arc;

use http::request::Parts;

use super::{Gateway, Sender};
use crate::receive::admit::bearer;
use crate::receive::failure::Failure;
use crate::receive::peer::Peer;
use crate::receive::route::Endpoint;

/// The sender, or nobody where what is asked for is nobody's. Whoever shows a token is taken by that
/// alone.
pub(in crate::receive) fn who(
    gateway: &Gateway,
    request: &Parts,
    path_token: Option<&str>,
    endpoint: Option<Endpoint>,
    peer: &Peer,
) -> Result<Option<Arc<Sender>>, Failure> {
    let path_token = path_token.filter(|token| !token.is_empty());
    let mut tokens = path_token.into_iter().chain(bearer(&request.headers)).peekable();
    if endpoint == Some(Endpoint::Metrics) {
        let may_read = tokens.any(|token| gateway.may_read_metrics(token));
        return if may_read { Ok(None) } else { Err(Failure::NoReader) };
    }
    let sender = match tokens.peek() {
        // A path may begin with something else, where a proxy passes on all of it.
        Some(_) => tokens.find_map(|token| gateway.by_token(token)),
        None => peer.shown().and_then(|shown| gateway.by_certificate(shown)),
    };
    let sender = sender.ok_or(Failure::UnknownSender)?;
    peer.join(&sender)?;
    Ok(Some(sender))
}
