//! Listeners and connections.
//!
//! ```text
//! accept ─▶ connection ── first request let in ──▶ keeps alive, may idle for days
//!             │ nobody let in for 10 s ─▶ closed
//!             └ stop ─▶ answers what it has begun to read ─▶ closed (cut after 3 s)
//! ```
//!
//! A connection that was let in has no idle timeout: an exporter that finds its connection closed
//! loses the batch it was about to send, and Claude Code keeps one for as long as it runs. Strangers
//! have a short time for their first request, and under pressure are not let wait at all.
//!
//! At a gateway the connection begins with a handshake, inside the same short time, and strangers have
//! places of their own: they never take those of senders, and are closed to make room for each other.
//!
//! Each accept loop stops before anything is drained. Whoever connects after that waits in the
//! kernel's backlog for as long as somebody else (the holder) keeps the socket.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};

use super::Door;
use super::gateway::handshake;
use super::gateway::strangers::STRANGERS_MAX;
use super::peer::{self, Peer};
use super::route;

/// Bytes of headers, and of what HTTP/1 reads ahead.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;
/// Between two tries when accepting fails (out of descriptors).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// What reached a connection just before the stop is read before the connection is closed.
const DRAIN_GRACE: Duration = Duration::from_millis(20);
/// The same at a gateway, where it has to come over a network.
const GATEWAY_GRACE: Duration = Duration::from_millis(500);

/// With TLS or without: one type, since HTTP would be compiled once for each.
type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Serves until `stop`; resolves when every request that had begun is answered.
pub async fn serve(listeners: Vec<TcpListener>, door: Arc<Door>, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    let strangers_max = door.admission.gateway().map_or(0, |_| STRANGERS_MAX);
    let connections = Arc::new(Semaphore::new(door.limits.connections_max + strangers_max));
    for listener in listeners {
        let anywhere = door.admission.gateway().is_some();
        match listener.local_addr() {
            Ok(address) if anywhere || peer::is_loopback(address) => {}
            Ok(address) => {
                error!("not listening on {address}: only loopback addresses are served");
                continue;
            }
            Err(error) => {
                error!("not listening on a socket without an address: {error}");
                continue;
            }
        }
        let reception = Reception {
            door: Arc::clone(&door),
            connections: Arc::clone(&connections),
            tasks: tasks.clone(),
            stop: stop.clone(),
            cut: cut.clone(),
        };
        tasks.spawn(reception.accept(listener));
    }
    stop.cancelled().await;
    tasks.close();
    if tokio::time::timeout(door.limits.drain_timeout, tasks.wait()).await.is_err() {
        warn!("cutting {} connections that did not end in time", tasks.len());
        cut.cancel();
        tasks.wait().await;
    }
}

/// What one listener needs.
struct Reception {
    door: Arc<Door>,
    connections: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Reception {
    async fn accept(self, listener: TcpListener) {
        while let Some((stream, permit)) = self.next(&listener).await {
            let (Ok(remote), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
                continue; // gone already
            };
            let peer = Arc::new(Peer::new(remote, local));
            let crowded =
                self.connections.available_permits() < self.door.limits.connections_max / 2;
            if crowded && self.door.admission.is_stranger(&peer) {
                debug!("no room for a stranger from {remote}");
                continue;
            }
            // Replies are small and written whole: waiting to fill a packet only delays them.
            if let Err(error) = stream.set_nodelay(true) {
                debug!("cannot set TCP_NODELAY for {remote}: {error}");
            }
            if self.door.admission.gateway().is_some()
                && let Err(error) = handshake::keep_alive(&stream)
            {
                debug!("cannot set SO_KEEPALIVE for {remote}: {error}");
            }
            let door = Arc::clone(&self.door);
            let (stop, cut) = (self.stop.clone(), self.cut.clone());
            let closed = match door.admission.gateway() {
                None => CancellationToken::new(),
                Some(gateway) => {
                    let place = gateway.strangers().welcome(remote.ip());
                    let closed = place.closed.clone();
                    peer.wait(place);
                    closed
                }
            };
            self.tasks.spawn(async move {
                tokio::select! {
                    () = connection(stream, peer, door, stop) => {}
                    () = cut.cancelled() => {}
                    () = closed.cancelled() => debug!("{remote} made room for others"),
                }
                drop(permit);
            });
        }
    }

    /// The next connection, taken out of the backlog only when there is room for it.
    async fn next(&self, listener: &TcpListener) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let next = async {
            let permit = Arc::clone(&self.connections).acquire_owned().await.ok()?;
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => return Some((stream, permit)),
                    Err(error) => {
                        warn!("cannot accept a connection, trying again: {error}");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            accepted = next => accepted,
        }
    }
}

async fn connection(stream: TcpStream, peer: Arc<Peer>, door: Arc<Door>, stop: CancellationToken) {
    let first_request = tokio::time::sleep(door.limits.first_request_timeout);
    let mut first_request = pin!(first_request);
    let stream = match door.admission.gateway().and_then(|gateway| gateway.tls()) {
        None => Stream::Left(stream),
        Some(tls) => {
            let stopped = async {
                stop.cancelled().await;
                tokio::time::sleep(GATEWAY_GRACE).await;
            };
            tokio::select! {
                shaken = handshake::shake(tls, stream, &peer, &door.counters) => match shaken {
                    Some(stream) => Stream::Right(Box::new(stream)),
                    None => return,
                },
                () = &mut first_request => return,
                () = stopped => return,
            }
        }
    };
    requests(stream, peer, door, stop, first_request).await;
}

async fn requests(
    stream: Stream,
    peer: Arc<Peer>,
    door: Arc<Door>,
    stop: CancellationToken,
    mut first_request: Pin<&mut tokio::time::Sleep>,
) {
    let anywhere = door.admission.gateway().is_some();
    let grace = if anywhere { GATEWAY_GRACE } else { DRAIN_GRACE };
    let service = service_fn({
        let peer = Arc::clone(&peer);
        move |request| {
            let (door, peer) = (Arc::clone(&door), Arc::clone(&peer));
            async move { Ok::<_, Infallible>(route::answer(&door, &peer, request).await) }
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .half_close(true)
        .header_read_timeout(None)
        .max_buf_size(HEADER_BYTES_MAX)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEADER_BYTES_MAX).unwrap_or(u32::MAX));
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut waiting = true;
    let ended = loop {
        tokio::select! {
            ended = served.as_mut() => break ended,
            () = &mut first_request, if waiting => {
                if !peer.is_admitted() {
                    return;
                }
                waiting = false;
            }
            () = stop.cancelled() => {
                if let Ok(ended) = tokio::time::timeout(grace, served.as_mut()).await {
                    break ended;
                }
                served.as_mut().graceful_shutdown();
                break served.await;
            }
        }
    };
    if let Err(error) = ended {
        debug!("a connection ended early: {error}");
    }
}
