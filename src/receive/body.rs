//! Request bodies, read with limits and never with more memory than has arrived.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, HeaderMap};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

use super::admit::Admitted;
use super::failure::Failure;
use super::gateway::usage::BODY_BYTES_MAX;
use super::gzip::{Gunzip, GunzipError};
use super::{Door, Limits};

/// Read and thrown away after a refusal, so that the sender gets to read the answer: closing a
/// connection with unread bytes resets it.
const DISCARD_BYTES_MAX: usize = 64 << 20;
const DISCARD_STRANGERS_BYTES_MAX: usize = 64 << 10;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
/// A sender that has stopped sending waits for the answer.
const DISCARD_PAUSE_MAX: Duration = Duration::from_millis(250);

/// Bytes of bodies held by all requests together.
#[derive(Clone, Debug, Default)]
pub(in crate::receive) struct Budget(Arc<AtomicUsize>);

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    bytes: usize,
    bytes_max: usize,
    /// Of one sender's own budget, at a gateway.
    of_sender: Option<Box<Self>>,
}

impl Budget {
    pub fn share(&self, bytes_max: usize) -> Share {
        Share { budget: self.clone(), bytes: 0, bytes_max, of_sender: None }
    }
}

/// A share for one request.
pub(super) fn share(door: &Door, admitted: &Admitted) -> Share {
    let mut share = door.budget.share(door.limits.budget_bytes_max);
    let of_sender = admitted.sender().map(|sender| sender.usage.bodies.share(BODY_BYTES_MAX));
    share.of_sender = of_sender.map(Box::new);
    share
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        if let Some(of_sender) = &mut self.of_sender {
            of_sender.grow(bytes)?;
        }
        let before = self.budget.0.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if before + bytes > self.bytes_max { Err(Failure::Busy(self.bytes_max)) } else { Ok(()) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentEncoding {
    Identity,
    Gzip,
}

impl ContentEncoding {
    pub fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(Self::Identity) };
        let name = String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase();
        match name.as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            _ => Err(Failure::ContentEncoding(name)),
        }
    }
}

/// The body as sent. What is too large is read to its end, within reason, and thrown away.
pub(super) async fn read(
    body: &mut Incoming,
    limits: &Limits,
    share: &mut Share,
) -> Result<Bytes, Failure> {
    let slow = || Failure::Slow(limits.body_timeout.as_secs());
    timeout(limits.body_timeout, gather(body, limits.body_bytes_max, share))
        .await
        .unwrap_or_else(|_| Err(slow()))
}

async fn gather(
    body: &mut Incoming,
    bytes_max: usize,
    share: &mut Share,
) -> Result<Bytes, Failure> {
    let too_large = || Failure::TooLarge { what: "body", bytes_max };
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    // Most bodies arrive in one piece, and need no copy.
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Malformed(broken(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len().max(whole.len()) + data.len() > bytes_max {
            return Err(too_large());
        }
        share.grow(data.len())?;
        if first.is_empty() {
            first = data;
        } else {
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

fn broken(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_closed() {
        "the body ends before its announced length".to_owned()
    } else {
        format!("the body cannot be read: {error}")
    }
}

/// Decompresses, paying for each step.
pub(super) async fn gunzip(
    body: &[u8],
    bytes_max: usize,
    share: &mut Share,
) -> Result<Bytes, Failure> {
    let mut gunzip = Gunzip::new(body, bytes_max);
    loop {
        let step = gunzip.step().map_err(|error| match error {
            GunzipError::Invalid(_) => Failure::Malformed(error.to_string()),
            GunzipError::TooLarge(bytes_max) => {
                Failure::TooLarge { what: "decompressed body", bytes_max }
            }
        })?;
        share.grow(step.bytes)?;
        if step.is_last {
            return Ok(gunzip.into_whole().into());
        }
        tokio::task::yield_now().await;
    }
}

/// Reads the rest of a refused request, so that its sender sees the answer and not a reset.
pub(super) async fn discard(body: &mut Incoming, admitted: bool) {
    let bytes_max = if admitted { DISCARD_BYTES_MAX } else { DISCARD_STRANGERS_BYTES_MAX };
    let drain = async {
        let mut bytes = 0;
        while let Ok(Some(Ok(frame))) = timeout(DISCARD_PAUSE_MAX, body.frame()).await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > bytes_max {
                break;
            }
        }
    };
    // Whoever is slower than this may as well be reset.
    let _ = timeout(DISCARD_TIMEOUT, drain).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_that_uses_its_bytes_up_leaves_the_others_theirs() {
        let (all, greedy) = (Budget::default(), Budget::default());
        let of = |sender: &Budget| {
            let mut share = all.share(1_000);
            share.of_sender = Some(Box::new(sender.share(100)));
            share
        };
        let mut first = of(&greedy);
        first.grow(90).unwrap();
        let mut second = of(&greedy);
        assert!(matches!(second.grow(20), Err(Failure::Busy(100))));
        of(&Budget::default()).grow(100).unwrap();
        drop(second);
        assert_eq!((greedy.0.load(Ordering::Relaxed), all.0.load(Ordering::Relaxed)), (90, 90));
        drop(first);
        of(&greedy).grow(100).unwrap();
    }
}
