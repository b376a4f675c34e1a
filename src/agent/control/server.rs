//! The worker's side of the control socket.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Answer, AnswerLine, LINE_BYTES_MAX, Request, RequestLine, WAIT, encode};
use crate::agent::PROTOCOL;

/// Connections that are served at a time; more wait in the kernel.
const CONNECTIONS_MAX: usize = 32;

/// Serves until cancelled, and then ends what it has begun to answer. `answer` is called for each request of this user.
///
/// Runs in a `LocalSet`: the worker has one thread, and its state needs no lock.
pub async fn serve<F>(
    listener: UnixListener,
    answer: impl Fn(Request) -> F + 'static,
    stop: CancellationToken,
) where
    F: Future<Output = Answer> + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let answer = Rc::new(answer);
    let conversations = TaskTracker::new();
    loop {
        let place = places.clone().acquire_owned().await.expect("never closed");
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors: the next one may be had when a connection has ended.
                    tracing::warn!("control socket: {}", crate::agent::files::words(&error));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let answer = Rc::clone(&answer);
        let stop = stop.clone();
        conversations.spawn_local(async move {
            converse(stream, &*answer, &stop).await;
            drop(place);
        });
    }
    drop(listener);
    conversations.close();
    conversations.wait().await;
}

async fn converse<F>(
    mut stream: UnixStream,
    answer: &impl Fn(Request) -> F,
    stop: &CancellationToken,
) where
    F: Future<Output = Answer>,
{
    let ours = rustix::process::getuid().as_raw();
    if !stream.peer_cred().is_ok_and(|peer| peer.uid() == ours) {
        return;
    }
    let line = tokio::select! {
        line = read_line(&mut stream) => line,
        () = stop.cancelled() => None,
    };
    let Some(line) = line else { return };
    let answer = match parse(&line) {
        Ok(request) => answer(request).await,
        Err(what) => Answer::Failed { what },
    };
    let line = encode(&AnswerLine { protocol: PROTOCOL, answer });
    // Whoever does not read the answer does not get it.
    let _ = timeout(WAIT, stream.write_all(&line)).await;
}

/// A line within size and time, or nothing.
async fn read_line(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream.take(LINE_BYTES_MAX));
    match timeout(WAIT, reader.read_until(b'\n', &mut line)).await {
        Ok(Ok(length)) if length > 0 => Some(line),
        _ => None,
    }
}

fn parse(line: &[u8]) -> Result<Request, String> {
    #[derive(serde::Deserialize)]
    struct Version {
        protocol: u32,
    }
    let not_ours = || "this is not a request of ccotel's control protocol".to_owned();
    let version: Version = serde_json::from_slice(line).map_err(|_| not_ours())?;
    if version.protocol != PROTOCOL {
        return Err(format!(
            "this agent speaks control protocol {PROTOCOL}, not {}; `ccotel agent restart` replaces it",
            version.protocol
        ));
    }
    let line: RequestLine = serde_json::from_slice(line).map_err(|_| not_ours())?;
    Ok(line.request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_and_other_protocols_are_told_so() {
        for garbage in ["", "GET / HTTP/1.1\r\n", "{}", r#"{"protocol":1,"request":{"op":"rm"}}"#] {
            assert!(parse(garbage.as_bytes()).unwrap_err().contains("not a request"), "{garbage}");
        }
        let other = parse(br#"{"protocol":7,"request":{"op":"from-the-future"}}"#).unwrap_err();
        assert!(other.contains("protocol 1, not 7"), "{other}");
    }
}
