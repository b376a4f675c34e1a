//! The receiver over real sockets, with a store whose answers the tests decide.

mod admission;
mod durability;
mod limits;
mod protocols;
mod refusals;
mod support;
