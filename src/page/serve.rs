//! The listener and its connections: HTTP/1.1, few, and none that waits for long.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Desk, route};
use crate::receive::peer::Peer;

/// A browser opens six, and a few tabs are enough; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 64;
/// Bytes of a request's headers, its address included.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// From connecting to the end of the first headers, and from one request to the next.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// Between two tries when accepting fails (out of descriptors).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves until `stop`, then cuts: nothing is lost by an answer that is not read.
pub(super) async fn serve(listener: TcpListener, desk: Arc<Desk>, stop: CancellationToken) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("the page cannot accept a connection, trying again: {error}");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(local) = stream.local_addr() else { continue };
        let peer = Arc::new(Peer::new(remote, local));
        let (desk, stop) = (Arc::clone(&desk), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = connection(stream, peer, desk) => {}
                () = stop.cancelled() => {}
            }
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, peer: Arc<Peer>, desk: Arc<Desk>) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (desk, peer) = (Arc::clone(&desk), Arc::clone(&peer));
        async move {
            let (parts, _) = request.into_parts();
            Ok::<_, Infallible>(route::answer(&desk, &peer, &parts).await)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = pin!(served).await {
        debug!("a connection of the page ended early: {error}");
    }
}
