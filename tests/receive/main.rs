//! The receiver over real sockets, with a store whose answers the tests decide.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod admission;
mod durability;
mod expansion;
mod limits;
mod protocols;
mod refusals;
mod support;
