//! A backend on loopback that has moods. It enforces its rules whatever the mood: what it takes, it
//! keeps, even where nobody gets to hear of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::harness::addresses::free_address;

/// Until the port can be bound again.
const BIND_PAUSE: Duration = Duration::from_millis(5);
const SLOW_MS_MAX: u64 = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Up,
    /// Taken, and answered so much later.
    Slow(Duration),
    /// Not taken.
    Refusing {
        status: u16,
        retry_after_s: Option<u8>,
    },
    /// The connection is closed, and nothing is taken.
    Cutting,
    /// The connection is closed after everything has been taken.
    LosingAnswers,
    /// Nobody listens, and connections that were there are gone.
    Down,
    /// No mood any more.
    Ended,
}

impl Mood {
    pub fn random(rng: &mut Rng) -> Self {
        match rng.u8(..10) {
            0..4 => Self::Up,
            4 => Self::Slow(Duration::from_millis(rng.u64(1..SLOW_MS_MAX))),
            5 => Self::Refusing { status: [500, 503][rng.usize(..2)], retry_after_s: None },
            6 => Self::Refusing {
                status: [429, 503][rng.usize(..2)],
                retry_after_s: Some(rng.u8(..2)),
            },
            7 => Self::Cutting,
            8 => Self::LosingAnswers,
            _ => Self::Down,
        }
    }
}

/// What a backend makes of a request.
pub struct Answer {
    pub status: u16,
    pub text: String,
}

pub trait Rules: Send + 'static {
    fn take(&mut self, headers: &HeaderMap, body: &[u8]) -> Answer;
}

/// Ends when dropped.
pub struct Backend<R> {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
    rules: Arc<Mutex<R>>,
    thread: Option<JoinHandle<()>>,
}

impl<R: Rules> Backend<R> {
    pub fn start(rules: R) -> Result<Self> {
        let address = free_address()?;
        let (mood, moods) = watch::channel(Mood::Up);
        let rules = Arc::new(Mutex::new(rules));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = serve(address, moods, Arc::clone(&rules));
        let thread = std::thread::spawn(move || runtime.block_on(serving));
        Ok(Self { address, mood, rules, thread: Some(thread) })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    pub fn rules(&self) -> MutexGuard<'_, R> {
        lock(&self.rules)
    }
}

impl<R> Drop for Backend<R> {
    fn drop(&mut self) {
        self.mood.send_replace(Mood::Ended);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve<R: Rules>(
    address: SocketAddr,
    mut moods: watch::Receiver<Mood>,
    rules: Arc<Mutex<R>>,
) {
    loop {
        let mood = *moods.borrow_and_update();
        match mood {
            Mood::Ended => return,
            Mood::Down => {}
            _ => listen(address, &mut moods.clone(), &rules).await,
        }
        if moods.wait_for(|mood| *mood != Mood::Down).await.is_err() {
            return;
        }
    }
}

/// Until it is down; connections end with it.
async fn listen<R: Rules>(
    address: SocketAddr,
    moods: &mut watch::Receiver<Mood>,
    rules: &Arc<Mutex<R>>,
) {
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(BIND_PAUSE).await,
        }
    };
    let mut connections = JoinSet::new();
    let current = moods.clone();
    let down = moods.wait_for(|mood| matches!(mood, Mood::Down | Mood::Ended));
    tokio::pin!(down);
    loop {
        tokio::select! {
            _ = &mut down => return,
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let (moods, rules) = (current.clone(), Arc::clone(rules));
                let service = service_fn(move |request| {
                    let mood = *moods.borrow();
                    answer(request, mood, Arc::clone(&rules))
                });
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// An error closes the connection without an answer.
async fn answer<R: Rules>(
    request: Request<Incoming>,
    mood: Mood,
    rules: Arc<Mutex<R>>,
) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let respond = |status: u16, text: String| {
        Ok(Response::builder().status(status).body(Full::from(text))?)
    };
    match mood {
        Mood::Refusing { status, retry_after_s } => {
            let mut response = respond(status, "not now".to_owned())?;
            if let Some(seconds) = retry_after_s {
                response.headers_mut().insert("retry-after", u16::from(seconds).into());
            }
            return Ok(response);
        }
        Mood::Cutting | Mood::Down | Mood::Ended => anyhow::bail!("cut"),
        Mood::Up | Mood::Slow(_) | Mood::LosingAnswers => {}
    }
    let answer = lock(&rules).take(&head.headers, &body);
    match mood {
        Mood::LosingAnswers => anyhow::bail!("the answer is lost"),
        Mood::Slow(pause) => tokio::time::sleep(pause).await,
        _ => {}
    }
    respond(answer.status, answer.text)
}

fn lock<R>(rules: &Mutex<R>) -> MutexGuard<'_, R> {
    rules.lock().unwrap_or_else(PoisonError::into_inner)
}
