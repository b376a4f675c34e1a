//! Which address is what.

use http::Method;
use http::request::Parts;

use super::api;
use super::reply::{Failure, Reply};
use super::{Desk, assets, live};
use crate::receive::peer::Peer;

/// Answers one request; never fails, since every failure is an answer.
pub(super) async fn answer(desk: &Desk, peer: &Peer, request: &Parts) -> Reply {
    match try_answer(desk, peer, request).await {
        Ok(reply) => reply,
        Err(failure) => failure.reply(),
    }
}

async fn try_answer(desk: &Desk, peer: &Peer, request: &Parts) -> Result<Reply, Failure> {
    desk.guard.check_origin(request, peer)?;
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Err(Failure::Method);
    }
    let path = request.uri.path();
    let Some(name) = path.strip_prefix("/api/v1/") else {
        return assets::of(path).ok_or(Failure::NotFound);
    };
    desk.guard.check_token(request)?;
    let query = request.uri.query().unwrap_or_default();
    match name {
        "live" => live::wait(desk, query).await,
        _ => api::answer(desk, name, query).await,
    }
}
