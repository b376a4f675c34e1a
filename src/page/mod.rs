//! Page: the local page and its JSON API, on a loopback port of their own.
//!
//! ```text
//! ccotel open ──control socket──▶ worker: address, token ──▶ redirect file, 0600 ──▶ browser
//!                                                                                      │
//! connection ─▶ guard ─▶ route ─▶ asset: the same for everybody, holds no data  ◀──────┤ GET /#token=…
//!               403      404 405  api:   bearer ─▶ history.db (read) ─▶ JSON    ◀──────┘ fetch, bearer
//!                                 401
//! ```
//!
//! The port is the kernel's choice and the token a new one for each worker; both live as long as the
//! worker does. Nothing listens before the page is opened for the first time. What is asked of the
//! history is read in a thread of the blocking pool, in a read transaction of its own. The page hears
//! of news by a request that waits for them ([`live`]); with no page open, nothing runs here.
//!
//! The token comes to the page in the fragment of an address, which no server and no log sees, and
//! is kept in `sessionStorage`: cookies would be sent to every other port of this machine.

mod api;
mod assets;
mod chart;
mod guard;
mod live;
mod query;
mod reply;
mod route;
mod serve;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::receive::Token;

/// Questions to the history that are read at the same time; more wait for their turn.
const READS_MAX: usize = 4;

/// Something that another room does or says when it is asked.
pub type Asked<T> = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = T> + Send>> + Send + Sync>;

/// Where the page has everything from: of the agent, or of a demonstration.
#[derive(Clone)]
pub struct Sources {
    /// What the agent recorded.
    pub history_db: PathBuf,
    /// What was imported from transcripts.
    pub imported_db: PathBuf,
    /// Changes when there is something to read that was not there before.
    pub news: watch::Receiver<u64>,
    /// Brings the history up to this moment. That it could not is in the status.
    pub catch_up: Asked<()>,
    /// `budgets` and `rate_limits` of that document, as they are at this moment.
    pub spending: Asked<serde_json::Value>,
    /// The document of `ccotel status --json`.
    pub status: Asked<serde_json::Value>,
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// A page that is served until its task is stopped.
#[derive(Clone, Debug)]
pub struct Page {
    pub address: SocketAddr,
    /// 32 hexadecimal digits.
    pub token: String,
}

/// Everything that a request needs.
struct Desk {
    sources: Sources,
    guard: guard::Guard,
    reads: Semaphore,
    waiting: Semaphore,
}

impl Page {
    /// Binds a port of the kernel's choice and serves it on the current runtime until `stop`.
    pub async fn start(sources: Sources, stop: CancellationToken) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let token = new_token()?;
        let proof = Token::parse(&token).map_err(std::io::Error::other)?;
        let desk = Desk {
            sources,
            guard: guard::Guard::new(address.port(), proof),
            reads: Semaphore::new(READS_MAX),
            waiting: Semaphore::new(live::WAITING_MAX),
        };
        tokio::spawn(serve::serve(listener, Arc::new(desk), stop));
        Ok(Self { address, token })
    }

    /// The address to open, with the token where only the page itself sees it.
    pub fn url(&self) -> String {
        format!("http://{}/#token={}", self.address, self.token)
    }
}

fn new_token() -> std::io::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
