//! The agent, with the real binary in temporary directories.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

#[path = "../harness/addresses.rs"]
mod addresses;
mod edges;
mod home;
mod life;
mod panic;
