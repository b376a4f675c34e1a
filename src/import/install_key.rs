//! The key that ids are hashed with at the level `minimal`: with the agent's own, an imported session
//! is the same one as in its events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rusqlite::{Connection, OpenFlags};

use crate::agent::control::{self, Answer, Request};
use crate::paths::Paths;

/// Asked of the agent, or, while none runs, read from its database. `None` where there is neither.
pub fn find(paths: &Paths) -> Option<[u8; 32]> {
    of_agent(paths).or_else(|| of_database(paths))
}

fn of_agent(paths: &Paths) -> Option<[u8; 32]> {
    let Ok(Answer::Body { base64 }) = control::ask(paths, Request::InstallKey) else { return None };
    BASE64.decode(base64).ok()?.try_into().ok()
}

fn of_database(paths: &Paths) -> Option<[u8; 32]> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(paths.queue_db(), flags).ok()?;
    connection
        .query_row("SELECT value FROM meta WHERE key = 'install_key'", [], |row| row.get(0))
        .ok()
}
