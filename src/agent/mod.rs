//! Agent: the holder that keeps locks and sockets, and the worker that does the work.
//!
//! ```text
//!  claude (wrapper)                 agent spawn          agent run (holder)         agent worker
//!  ensure: locks, binds ──sockets──▶ starts it, exits ──▶ setsid, keeps ──sockets──▶ receives, stores,
//!  and execs at once        lock     (so the agent is     sockets + lock   stdin      delivers, answers
//!                                     nobody's child)     restarts it      = leash    the control socket
//! ```
//!
//! - The locked `agent.lock` travels as standard input, from the starter to the holder and over the
//!   holder's own `exec`: the lock lives exactly as long as a holder does.
//! - The sockets travel as `LISTEN_FDS`. Between bind and the last moment of the holder somebody
//!   listens: a connection waits in the kernel's queue while a worker is replaced.
//! - The worker's standard input is a pipe that the holder never writes to. When it closes, the holder
//!   is gone, and the worker drains and ends, so that nobody writes without the lock.
//!
//! Who holds which lock (`flock`, released by the kernel with the last descriptor):
//!
//! | file | held by | while |
//! | --- | --- | --- |
//! | `start.lock` | a starter | it starts an agent: fifty at once make one |
//! | `agent.lock` | the holder | it lives; probed with a shared lock, so that probes never look like an agent |
//! | `worker.lock` | the worker | it lives; the next one waits for it |

pub mod control;
pub mod ensure;
pub mod files;
pub mod holder;
pub mod identity;
mod lock;
pub mod log;
pub mod manage;
pub mod notice;
mod notices;
pub mod rooms;
mod sessions;
pub mod signals;
pub mod sockets;
pub mod spawn;
pub mod status;
mod watch;
pub mod worker;

/// Version of what wrapper, command line, holder and worker say to each other: `agent.json`, the
/// control socket, `restart.json`. Agents of another number are handed over to, not spoken to.
pub const PROTOCOL: u32 = 1;

/// Version of this binary.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
