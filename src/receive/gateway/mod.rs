//! Gateway: who sends, where one agent receives for many.
//!
//! ```text
//! tokens/ci-shop ─┐                       ┌─ token in the path, or Bearer ─▶ Sender ci-shop
//! tokens/ci-docs ─┼─▶ Senders (a table) ◀─┤
//! [[gateway.sender]] ┘   made anew when   └─ a certificate's name ─────────▶ Sender ci-docs
//!                        a file changes
//! ```
//!
//! - A sender is its name. What is counted under it goes on where it was when its token is changed, and
//!   when it is revoked and comes back.
//! - Who sends is asked with every request, so a token that is revoked ends with the next request, on an
//!   open connection too. A certificate is looked at again when the authority's file changes and once a
//!   minute: it may have expired meanwhile.
//! - A list that is gone lets nobody in. One that cannot be read for another reason stays as it was.
//! - Each sender has limits of its own ([`usage`]), so none can crowd out the others; nor can those who
//!   were not let in, who have places of their own ([`strangers`]).
//!
//! The files' formats are in [`tokens`] and [`tls`].

pub(super) mod admit;
pub(super) mod handshake;
pub mod senders;
pub mod strangers;
pub mod subject;
pub mod tls;
pub mod tokens;
mod unfit;
pub mod usage;
mod watch;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::senders::Senders;
use self::strangers::Strangers;
use self::tls::{Shown, Tls};
use self::tokens::Tokens;
use self::usage::{Usage, UsageFacts, Usages};
use super::admit::Token;
use super::failure::Failure;
use super::{Limits, peer};
use crate::config::gateway::GatewayConfig;
use crate::paths::Paths;
use crate::record;

pub use unfit::Unfit;
pub use watch::FilesWatch;

/// The limits of a gateway's door, of all senders together.
pub const LIMITS: Limits = Limits {
    body_bytes_max: 32 << 20,
    decompressed_bytes_max: 64 << 20,
    budget_bytes_max: 384 << 20,
    connections_max: 4096,
    first_request_timeout: Duration::from_secs(10),
    body_timeout: Duration::from_secs(30),
    drain_timeout: Duration::from_secs(3),
};

/// One that may send: what is fixed for it, and what it uses.
#[derive(Debug)]
pub struct Sender {
    pub facts: Arc<record::Sender>,
    pub usage: Arc<Usage>,
}

/// What a gateway knows, as its files and `[gateway]` say now.
pub struct Gateway {
    files: Mutex<Files>,
    state: Mutex<State>,
    usages: Usages,
    strangers: Arc<Strangers>,
    /// Places of connections that somebody was let in on.
    connections: Arc<Semaphore>,
}

/// Where to look again.
#[derive(Clone, Debug)]
struct Files {
    config: GatewayConfig,
    tokens_dir: PathBuf,
}

struct State {
    senders: Arc<Senders>,
    tls: Option<Arc<Tls>>,
    metrics_token: Option<Token>,
    /// What is wrong with the files, in words; what was there before holds.
    problems: Vec<String>,
}

/// A gateway at one moment, for `status`.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub senders: Vec<SenderFacts>,
    pub problems: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct SenderFacts {
    pub name: Arc<str>,
    /// Whether it may come in now.
    pub known: bool,
    pub usage: UsageFacts,
}

impl Gateway {
    /// Reads everything; what makes it unfit to begin is an error.
    pub fn open(config: &GatewayConfig, paths: &Paths) -> Result<Self, Unfit> {
        let files = Files { config: config.clone(), tokens_dir: config.tokens_dir(paths) };
        unfit::check_config(config)?;
        let tls = config.tls.as_ref().map(|tls| Tls::load(tls, config.client_ca.as_deref(), 0));
        let tls = tls.transpose().map_err(Unfit::Tls)?.map(Arc::new);
        let tokens = match tokens::read(&files.tokens_dir) {
            // Nobody needs a token where certificates are enough.
            Err(why) if why.is_gone() && by_certificate(config) => Tokens::default(),
            read => read.map_err(Unfit::Tokens)?,
        };
        let usages = Usages::default();
        let senders = Senders::new(config, &tokens, &usages);
        if senders.is_empty() {
            let problem = tokens.problems.into_iter().next();
            return Err(Unfit::Nobody { tokens_dir: files.tokens_dir, problem });
        }
        let metrics_token = config.metrics_token_file.as_deref().map(metrics_token);
        let metrics_token = metrics_token.transpose().map_err(Unfit::Metrics)?;
        let mut problems = tokens.problems;
        problems.extend(senders.problems.iter().cloned());
        let senders = Arc::new(senders);
        let state = State { senders, tls, metrics_token, problems };
        Ok(Self {
            files: Mutex::new(files),
            state: Mutex::new(state),
            usages,
            strangers: Arc::default(),
            connections: Arc::new(Semaphore::new(LIMITS.connections_max)),
        })
    }

    /// A changed configuration. Where it listens only a restart changes.
    pub fn apply(&self, config: &GatewayConfig, paths: &Paths) {
        let files = Files { config: config.clone(), tokens_dir: config.tokens_dir(paths) };
        *lock(&self.files) = files;
        self.reload();
    }

    /// Reads the files again. What cannot be read stays as it was, and is said.
    pub fn reload(&self) {
        let Files { config, tokens_dir } = lock(&self.files).clone();
        let (before, generation) = {
            let state = lock(&self.state);
            (state.tls.clone(), state.tls.as_ref().map_or(0, |tls| tls.generation + 1))
        };
        let mut problems = Vec::new();
        let tls = match config
            .tls
            .as_ref()
            .map(|tls| Tls::load(tls, config.client_ca.as_deref(), generation).map(Arc::new))
        {
            None => before,
            Some(Ok(tls)) if before.as_ref().is_some_and(|before| tls.is_as(before)) => before,
            Some(Ok(tls)) => {
                tracing::info!("the certificate's files were read");
                Some(tls)
            }
            Some(Err(why)) => {
                problems.push(format!("{why}; the certificate of before stays in use"));
                before
            }
        };
        let senders = match tokens::read(&tokens_dir) {
            Ok(tokens) => Some(self.senders(&config, &tokens, &mut problems)),
            Err(why) if why.is_gone() => {
                if config.tokens.is_some() || !by_certificate(&config) {
                    problems.push(format!("{why}; no token lets anybody in"));
                }
                Some(self.senders(&config, &Tokens::default(), &mut problems))
            }
            Err(why) => {
                problems.push(format!("{why}; the senders of before stay"));
                None
            }
        };
        let metrics_token = match config.metrics_token_file.as_deref().map(metrics_token) {
            None => Ok(None),
            Some(read) => read.map(Some),
        };
        let mut state = lock(&self.state);
        state.tls = tls;
        if let Some(senders) = senders {
            state.senders = senders;
        }
        match metrics_token {
            Ok(token) => state.metrics_token = token,
            Err(why) => problems.push(format!("{why}; the one of before stays")),
        }
        for problem in problems.iter().filter(|problem| !state.problems.contains(problem)) {
            tracing::warn!("{problem}");
        }
        state.problems = problems;
    }

    fn senders(
        &self,
        config: &GatewayConfig,
        tokens: &Tokens,
        problems: &mut Vec<String>,
    ) -> Arc<Senders> {
        let senders = Senders::new(config, tokens, &self.usages);
        problems.extend(tokens.problems.iter().cloned());
        problems.extend(senders.problems.iter().cloned());
        Arc::new(senders)
    }

    pub(super) fn strangers(&self) -> &Arc<Strangers> {
        &self.strangers
    }

    /// A place for a connection on which somebody is let in, until it ends.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let place = Arc::clone(&self.connections).try_acquire_owned();
        place.map_err(|_| Failure::Full(LIMITS.connections_max))
    }

    pub fn by_token(&self, token: &str) -> Option<Arc<Sender>> {
        self.table().by_token(token)
    }

    /// By what a connection showed, if it still holds.
    pub fn by_certificate(&self, shown: &Shown) -> Option<Arc<Sender>> {
        let (tls, senders) = {
            let state = lock(&self.state);
            (state.tls.clone()?, Arc::clone(&state.senders))
        };
        tls.still_trusts(shown).then(|| senders.by_certificate(&shown.names))?
    }

    /// Whether a token is the one for `/metrics`.
    pub fn may_read_metrics(&self, token: &str) -> bool {
        lock(&self.state).metrics_token.as_ref().is_some_and(|known| known.matches(token))
    }

    /// For the next connection; `None`: plain HTTP.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        lock(&self.state).tls.as_ref().map(|tls| Arc::clone(&tls.server))
    }

    /// Every sender that may come in or has been heard of since this worker began, by name.
    pub fn facts(&self) -> Facts {
        let (senders, problems) = {
            let state = lock(&self.state);
            (Arc::clone(&state.senders), state.problems.clone())
        };
        let facts = |(name, usage): (Arc<str>, Arc<Usage>)| SenderFacts {
            known: senders.knows(&name),
            usage: usage.facts(),
            name,
        };
        Facts { senders: self.usages.all().into_iter().map(facts).collect(), problems }
    }

    /// Directories in which a change may be one of our files.
    pub fn directories(&self) -> Vec<PathBuf> {
        let Files { config, tokens_dir } = lock(&self.files).clone();
        let tls = config.tls.iter().flat_map(|tls| [&tls.cert, &tls.key]);
        let files = tls.chain(&config.client_ca).chain(&config.metrics_token_file);
        let mut directories: Vec<PathBuf> =
            files.filter_map(|file| file.parent().map(Path::to_path_buf)).collect();
        directories.push(tokens_dir);
        directories.sort();
        directories.dedup();
        directories
    }

    fn table(&self) -> Arc<Senders> {
        Arc::clone(&lock(&self.state).senders)
    }
}

/// Whether a gateway may serve these sockets, whoever has bound them.
pub fn check_sockets(config: &GatewayConfig, addresses: &[SocketAddr]) -> Result<(), Unfit> {
    unfit::check_addresses(config, addresses)
}

/// Whether anybody else could read what comes to this address.
pub fn is_off_loopback(address: SocketAddr) -> bool {
    !peer::is_loopback(address)
}

/// Whether somebody may come in without a token.
fn by_certificate(config: &GatewayConfig) -> bool {
    config.senders.iter().any(|sender| sender.certificate.is_some())
}

fn metrics_token(file: &Path) -> Result<Token, tokens::TokenFileError> {
    tokens::one(file)
}

/// Each change is made whole before the lock is taken.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
