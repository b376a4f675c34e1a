//! The beginning of a connection to a gateway: TLS, and what a client shows of itself.

use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use rustls::{Error, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::tls::Shown;
use crate::receive::counts::Counters;
use crate::receive::failure::Failure;
use crate::receive::peer::Peer;

/// A connection to a gateway that is silent so long is asked whether there is still somebody, and
/// again as often as the system does.
const KEEP_ALIVE_IDLE: Duration = Duration::from_mins(1);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// `None` where it failed. A client that was refused, or that speaks something else, is counted; one
/// that only looked is not.
pub(in crate::receive) async fn shake(
    tls: Arc<ServerConfig>,
    stream: TcpStream,
    peer: &Peer,
    counters: &Counters,
) -> Option<TlsStream<TcpStream>> {
    let stream = match TlsAcceptor::from(tls).accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            if let Some(failure) = failure(&error) {
                counters.failed(&failure, None);
            } else {
                debug!("a handshake ended early: {error}");
            }
            return None;
        }
    };
    if let Some(chain) = stream.get_ref().1.peer_certificates() {
        peer.set_shown(Shown::new(chain.iter().map(|one| one.clone().into_owned()).collect()));
    }
    Some(stream)
}

fn failure(error: &std::io::Error) -> Option<Failure> {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>())?;
    Some(match cause {
        Error::InvalidCertificate(why) => Failure::Certificate(why.to_string()),
        Error::InvalidMessage(_) => {
            Failure::Handshake("what came is no handshake; senders use https://".to_owned())
        }
        Error::AlertReceived(alert) => Failure::Handshake(format!(
            "a client does not accept the gateway's certificate ({alert:?}); does it know its \
             authority (NODE_EXTRA_CA_CERTS), and is its address a name in it?"
        )),
        other => Failure::Handshake(other.to_string()),
    })
}

/// A sender whose machine is gone says nothing any more, and would keep its connection for ever.
pub(in crate::receive) fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE_INTERVAL)
}
