//! Store: the only owner of `queue.db`.
//!
//! One thread holds the one connection. Everybody else speaks to it through a [`Handle`].

pub mod handle;
