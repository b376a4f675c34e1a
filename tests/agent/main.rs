//! The agent, with the real binary in temporary directories.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod edges;
mod home;
mod life;
mod panic;
